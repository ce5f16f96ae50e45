"""What other images have that a run is applied to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stem_images.items import USUAL, Roles, items_of, present
from stem_images.label_classes import classes_of
from stem_images.manifest import Listing, listing_of
from stemcore import UserError

ACCOMPANYING = ("label", "mask", "condition", "latents", "vector", "id_column", "split_column", "group_column")
"""Parameters that name what other data may lack."""
OF_FILES = ("mask", "condition", "latents")
"""Those that name files."""


def of_others(path: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of other images: that of the recipe, without what these do not have.

    Args:
        path: of the others.
        arguments: the recipe's configuration of the training data.
    """
    listing = listing_of(path)
    found = {**arguments, "path": path}
    if not listing.table:
        found["root"] = None  # A folder and a picture say themselves where they are.
    for role in ACCOMPANYING:
        if role in found and not _has(listing, found[role], found.get("root"), files=role in OF_FILES):
            found[role] = None
    if listing.lacking(found.get("image", USUAL.image)) and not listing.lacking(USUAL.image):
        found["image"] = USUAL.image
    known = found.get("classes") or _classes(arguments)
    # Labels of another kind, such as the names of other folders, are none of the run's.
    same = {*_classes(found)} <= {*known}
    found |= {"classes": list(known)} if known and same else {"label": None}
    if not found.get("mask_classes"):
        found["mask"] = None
    return found


def _has(listing: Listing, sources: str | list[str] | None, root: Path | None, *, files: bool) -> bool:
    """Whether there are the columns, and where they make the path of a file, the first of these."""
    several = [sources] if isinstance(sources, str) else sources or []
    for source in several:
        if listing.lacking(source):
            return False
        if files and "{" in source and not ((root or listing.root) / listing.rows[0].text(source)).exists():
            return False
    return bool(several)


def _classes(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of labels by themselves; none where there are none, or no such data any more."""
    if arguments.get("label", USUAL.label) is None:
        return ()
    try:
        listing = listing_of(Path(arguments["path"]).expanduser())
        usual = Roles(id=None, mask=None, condition=(), split=None)
        named = Roles(**{**vars(usual), **{k: arguments[k] for k in ("image", "label") if k in arguments}})
        return classes_of(items_of(listing, present(listing, named), None))
    except UserError:
        return ()
