"""The items of a list of pictures: which files, labels and numbers belong to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from stem_images.manifest import Listing, Row
from stem_images.picture_files import together
from stemcore import UserError


@dataclass(frozen=True)
class Roles:
    """The column, or the template of columns in braces, of each thing that an item has. What has its usual name here
    may be absent from the list, all but the image."""

    image: str = "image_path"
    label: str | None = "label"
    mask: str | None = "mask_path"
    condition: tuple[str, ...] = ("condition_path",)
    latents: str | None = None
    vector: tuple[str, ...] = ()
    id: str | None = "id"
    split: str | None = "split"
    group: str | None = None

    def named(self) -> list[tuple[str, str]]:
        """Every role with what is named for it."""
        several = {"condition": self.condition, "vector": self.vector}
        single = [(role, source) for role, source in vars(self).items() if isinstance(source, str)]
        return single + [(role, source) for role, sources in several.items() for source in sources]


USUAL = Roles()


@dataclass(frozen=True)
class Item:
    """A picture and what belongs to it; ``where`` it is named. An empty text says nothing."""

    where: str
    id: str
    image: Path
    mask: Path | None
    conditions: tuple[Path, ...]
    latents: Path | None
    vector: tuple[float, ...]
    label: str
    part: str
    group: str

    def files(self) -> list[Path]:
        """The image and what belongs to it."""
        return [path for path in (self.image, self.mask, *self.conditions, self.latents) if path is not None]


def present(listing: Listing, roles: Roles) -> Roles:
    """The roles that a list has columns for.

    Raises:
        UserError: if a column is missing that has another than its usual name, or that of the image.
    """
    faults = []
    for role, source in roles.named():
        missing = listing.lacking(source)
        if not missing:
            continue
        usual = getattr(USUAL, role)
        if role != "image" and source in (usual, *(usual if isinstance(usual, tuple) else ())):
            absent: Any = () if isinstance(usual, tuple) else None
            roles = replace(roles, **{role: absent})
            continue
        hint = f"its columns are {', '.join(listing.columns)}; set {role} to one, or a path with some in braces"
        faults += [UserError(f"has no column '{name}'", where=listing.where, hint=hint) for name in missing]
    if faults:
        raise together(faults)
    return roles


def items_of(listing: Listing, roles: Roles, root: Path | None) -> list[Item]:
    """The items of a list, for roles that it has.

    Raises:
        UserError: with everything that is wrong with the list itself; no file is looked at.
    """
    base = listing.root if root is None else root
    faults, items = [], []
    for row, name in zip(listing.rows, _names(listing, roles), strict=True):
        try:
            items.append(_item(row, name, roles, base))
        except UserError as error:
            faults.append(error)
    first: dict[str, Item] = {}
    for item in items:
        other = first.setdefault(item.id, item)
        if other is not item:
            faults.append(UserError(f"'{item.id}' is the name of {other.where} too", where=item.where))
    if faults:
        raise together(faults)
    return items


def _item(row: Row, name: str, roles: Roles, base: Path) -> Item:
    def file(source: str | None) -> Path | None:
        text = row.text(source) if source is not None else ""
        return base / Path(text).expanduser() if text else None

    faults = []
    needed = [("image", roles.image), *(("condition", c) for c in roles.condition)]
    needed += [("latents", roles.latents)] if roles.latents is not None else []
    faults += [UserError(f"has no {role} ('{source}')", where=row.where) for role, source in needed if not file(source)]
    if roles.id is not None and not name:
        faults.append(UserError(f"has no name ('{roles.id}')", where=row.where))
    vector = []
    for column in roles.vector:
        try:
            vector.append(float(row.text(column)))
        except ValueError:
            faults.append(UserError(f"'{column}' is '{row.text(column)}', not a number", where=row.where))
    image = file(roles.image)
    if faults or image is None:
        raise together(faults)
    return Item(
        row.where,
        name,
        image,
        file(roles.mask),
        tuple(path for path in map(file, roles.condition) if path is not None),
        file(roles.latents),
        tuple(vector),
        *(row.text(source) if source is not None else "" for source in (roles.label, roles.split, roles.group)),
    )


def _names(listing: Listing, roles: Roles) -> Sequence[str]:
    """The column that names items, else the path of each image, shortened to its stem where that is enough."""
    if roles.id is not None:
        return [row.text(roles.id) for row in listing.rows]
    paths = [PurePosixPath(row.text(roles.image)) for row in listing.rows]
    for short in ([p.stem for p in paths], [(p.parent / p.stem).as_posix() for p in paths]):
        if max(Counter(short).values()) == 1:
            return short
    return [path.as_posix() for path in paths]
