"""From a recipe to components that fit together."""

from stemcore.assemble.build import Parts, assemble
from stemcore.assemble.check import check

__all__ = ["Parts", "assemble", "check"]
