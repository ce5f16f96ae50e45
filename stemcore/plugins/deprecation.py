"""What is deprecated: how a component or parameter says so, and how it reaches whoever uses it.

Three things can be deprecated, each by its standard mechanism: a hook (``hookspec(warn_on_impl=...)`` of pluggy), a
component (``__deprecated__`` of PEP 702, set by ``typing_extensions.deprecated``), and a parameter of one
(``Annotated[float, Field(deprecated="use 'eps'")]`` of pydantic). Each carries its own advice.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from types import FrameType

from stemcore.errors import Problem, UserError
from stemcore.plugins.discovery import is_strict


class StemDeprecationWarning(FutureWarning):
    """A recipe uses what will go away: a component, a parameter, or a plugin that relies on an old hook.

    It derives from ``FutureWarning``, which Python shows by default, since it is for those who write recipes;
    ``DeprecationWarning`` is shown to developers alone. The command line prints it as one line on stderr.
    """


def deprecation_of(component: object) -> str | None:
    """What PEP 702 says of a class or function, null where it is not deprecated. A class that derives from a
    deprecated one is not deprecated by that."""
    message = getattr(component, "__dict__", {}).get("__deprecated__")
    return None if message is None else " ".join(str(message).split())


def is_deprecated(advice: str) -> str:
    """``is deprecated: use 'eps'``; advice that says no more than that is left out."""
    return "is deprecated" if advice in ("", "deprecated") else f"is deprecated: {advice}"


def announce(deprecations: Iterable[Problem]) -> None:
    """Warns of each, at the line outside of this package that led here.

    Raises:
        UserError: with all of them, if ``STEM_STRICT=1``.
    """
    found = list(deprecations)
    if found and is_strict():
        raise UserError(*found)
    for deprecation in found:
        warnings.warn(str(deprecation), StemDeprecationWarning, stacklevel=_caller())


def _caller() -> int:
    """The stack level, as seen by :func:`announce`, of the code that called into this package."""
    package = __name__.partition(".")[0]
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level
