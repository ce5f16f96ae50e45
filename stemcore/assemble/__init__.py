"""From a recipe to components that fit together."""

from stemcore.assemble.build import assemble, assemble_alone
from stemcore.assemble.check import check, logged_scalars
from stemcore.assemble.frozen import FrozenRun
from stemcore.assemble.inner import hashes, inner_runs, refuse_other_inner
from stemcore.assemble.parts import Parts

__all__ = [
    "FrozenRun",
    "Parts",
    "assemble",
    "assemble_alone",
    "check",
    "hashes",
    "inner_runs",
    "logged_scalars",
    "refuse_other_inner",
]
