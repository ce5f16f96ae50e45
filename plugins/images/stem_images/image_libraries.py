"""Libraries of the extra ``images``, imported where one is needed."""

from __future__ import annotations

from functools import partial

from stemcore import optional_module

imported = partial(optional_module, install="stemcore[images]")
