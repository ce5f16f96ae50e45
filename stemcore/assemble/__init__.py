"""From a recipe to components that fit together."""

from stemcore.assemble.build import assemble
from stemcore.assemble.check import check, logged_scalars
from stemcore.assemble.parts import Parts

__all__ = ["Parts", "assemble", "check", "logged_scalars"]
