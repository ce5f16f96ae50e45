"""Copying an HDF5 file, all but the datasets that are written anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

Identity = tuple[int, int]
Node = h5py.Group | h5py.Dataset | h5py.Datatype

# Both hold references within the file, which are made anew.
SCALES = ("DIMENSION_LIST", "REFERENCE_LIST")


def identity(node: Node) -> Identity:
    """What tells an object of a file from others, by whatever name it was found."""
    info = h5py.h5o.get_info(node.id)
    return info.fileno, info.addr


def carry_over(
    source: h5py.File, target: h5py.File, create: Callable[[h5py.Dataset, h5py.Group, str], h5py.Dataset | None]
) -> dict[Identity, str]:
    """Copies groups, datasets, attributes, links, dimension scales and object references.

    Args:
        source: the file to copy.
        target: an empty file.
        create: makes the dataset that stands for one of the source under a name in a group of the target, or returns
            ``None`` for those that are to be copied as they are stored.

    Returns:
        Where the objects of the source are in the target.
    """
    places: dict[Identity, str] = {identity(source["/"]): "/"}

    def copy(group: h5py.Group, into: h5py.Group) -> None:
        _copy_attributes(group, into)
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                into[name] = _moved(link, source, target)
                continue
            node = group[name]
            if (place := places.get(identity(node))) is not None:
                into[name] = target[place]
                continue
            places[identity(node)] = f"{into.name.rstrip('/')}/{name}"
            if isinstance(node, h5py.Group):
                copy(node, _group_like(node, into, name))
            elif isinstance(node, h5py.Dataset) and (new := create(node, into, name)) is not None:
                _copy_attributes(node, new)
            else:
                h5py.h5o.copy(group.id, name.encode(), into.id, name.encode())

    copy(source["/"], target["/"])
    _refer_anew(source, target, places)
    return places


def creates_in_order(group: h5py.Group) -> bool:
    """Whether a group keeps its members in the order in which they were made."""
    return bool(group.id.get_create_plist().get_link_creation_order())


def _group_like(group: h5py.Group, into: h5py.Group, name: str) -> h5py.Group:
    h5py.h5g.create(into.id, name.encode(), gcpl=group.id.get_create_plist())
    return into[name]


def _moved(
    link: h5py.SoftLink | h5py.ExternalLink, source: h5py.File, target: h5py.File
) -> h5py.SoftLink | h5py.ExternalLink:
    """A link that leads where it did: HDF5 looks for other files beside the one with the link."""
    if not isinstance(link, h5py.ExternalLink) or os.path.isabs(link.filename):
        return link
    old, new = (Path(file.filename).resolve().parent for file in (source, target))
    return h5py.ExternalLink(os.path.relpath(old / link.filename, new), link.path)


def _copy_attributes(source: Node, target: Node) -> None:
    """Copies attributes in the type that they are stored in; those that refer to objects come later."""
    for name in source.attrs:
        stored = source.attrs.get_id(name)
        if name in SCALES or h5py.check_ref_dtype(stored.dtype) is not None:
            continue
        value = source.attrs[name]
        if stored.dtype.subdtype is not None:
            target.attrs.create(name, value, shape=value.shape, dtype=stored.dtype)
            continue
        h5py.h5a.create(target.id, name.encode(), stored.get_type().copy(), stored.get_space())
        if not isinstance(value, h5py.Empty):
            target.attrs.modify(name, value)


def _refer_anew(source: h5py.File, target: h5py.File, places: dict[Identity, str]) -> None:
    """Makes the dimension scales and object references of the source again, which are addresses within a file."""
    pairs = list(_pairs(source, target, places))
    for old, new in pairs:
        for name in SCALES:
            if name in new.attrs and name in old.attrs:
                del new.attrs[name]
        for name in old.attrs:
            if h5py.check_ref_dtype((stored := old.attrs.get_id(name)).dtype) is h5py.Reference:
                value = _referring(old.attrs[name], source, target, places)
                new.attrs.create(name, value, shape=stored.shape, dtype=h5py.ref_dtype)
        if (
            isinstance(old, h5py.Dataset)
            and h5py.check_ref_dtype(old.dtype) is h5py.Reference
            and old.shape is not None
        ):
            new[()] = _referring(old[()], source, target, places)
    for old, new in pairs:
        if isinstance(old, h5py.Dataset) and "DIMENSION_LIST" in old.attrs:
            for axis, dimension in enumerate(old.dims):
                for scale in dimension.values():
                    if (place := places.get(identity(scale))) is not None:
                        new.dims[axis].attach_scale(target[place])


def _pairs(source: h5py.File, target: h5py.File, places: dict[Identity, str]) -> Iterator[tuple[Node, Node]]:
    """The objects of the source, each with the one that stands for it."""
    yield source["/"], target["/"]
    found: list[str] = []
    source.visit(found.append)
    yield from ((node := source[name], target[places[identity(node)]]) for name in found)


def _referring(
    value: object, source: h5py.File, target: h5py.File, places: dict[Identity, str]
) -> h5py.Reference | np.ndarray:
    """References to what stands in the target for what was referred to; null where that is nothing."""
    if isinstance(value, np.ndarray):
        new = np.empty(value.shape, h5py.ref_dtype)
        for index in np.ndindex(value.shape):
            new[index] = _referring(value[index], source, target, places)
        return new
    assert isinstance(value, h5py.Reference)
    try:
        place = places.get(identity(source[value])) if value else None
    except (KeyError, ValueError, RuntimeError):  # to what was deleted since
        place = None
    return h5py.Reference() if place is None else target[place].ref
