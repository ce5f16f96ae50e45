"""Finding an array in an HDF5 file, and saying what is there when it is not."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import h5py

from stem_datasets.source_files import is_numbered, source_file
from stemcore import UserError

MOST_LISTED = 12


def find(file: h5py.File, path: Path, name: str, role: str) -> h5py.Dataset:
    """The HDF5 dataset ``name``, checked to be an array of real numbers that can be decoded here.

    Args:
        file: the open file.
        path: its path, for messages.
        name: path of the dataset within the file.
        role: what the recipe calls it (``dataset``, ``mask`` ...), for messages.

    Raises:
        UserError: if there is none, it is a group, it is empty, holds anything but integers, real numbers or
            booleans, or needs a filter or a linked file that is missing.
    """
    try:
        found = file.get(name)
    except (OSError, KeyError, RuntimeError) as error:
        raise UserError(f"{role} '{name}' cannot be opened: {error}", where=str(path)) from error
    if found is None:
        raise UserError(f"there is no {role} '{name}'", where=str(path), hint=_listed(file, name))
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{role} '{name}' is a group", where=str(path), hint=_listed(found, ""))
    if problem := _unusable(found):
        raise UserError(f"{role} '{name}' {problem[0]}", where=str(path), hint=problem[1])
    return found


def _unusable(dataset: h5py.Dataset) -> tuple[str, str] | None:
    """What is wrong with it and what would be right, or ``None``."""
    if not dataset.shape or 0 in dataset.shape:
        return f"is empty (shape {dataset.shape})", "give one that holds values"
    kind = dataset.dtype
    if kind.kind not in "iufb" or (kind.kind == "f" and kind.itemsize > 8):
        right = "store intensities (the squared modulus)" if kind.kind == "c" else "give integers or real numbers"
        return f"has the type {_type_name(dataset)}", right
    for number in range((plist := dataset.id.get_create_plist()).get_nfilters()):
        code, _, _, label = plist.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            return f"is compressed by filter {code} ({label.decode(errors='replace')})", "install that HDF5 filter"
    return _missing_source(dataset)


def _missing_source(dataset: h5py.Dataset) -> tuple[str, str] | None:
    # HDF5 reads a virtual dataset whose source is missing as fill values, without a word.
    if not dataset.is_virtual:
        return None
    file = Path(dataset.file.filename)
    for source in {mapping.file_name: None for mapping in dataset.virtual_sources()}:
        if not is_numbered(source) and source_file(file, source) is None:
            return f"is virtual and its source {source} is missing", f"put it into {file.parent}"
    return None


def _type_name(dataset: h5py.Dataset) -> str:
    if h5py.check_string_dtype(dataset.dtype):
        return "text"
    return "compound" if dataset.dtype.names else str(dataset.dtype)


def _listed(group: h5py.Group, wanted: str) -> str:
    """The arrays in a group, the one with the closest name first."""
    shapes: dict[str, str] = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> bool | None:
        if isinstance(item, h5py.Dataset):
            shapes[f"{group.name.strip('/')}/{name}".lstrip("/")] = f"{item.shape} {_type_name(item)}"
        return True if len(shapes) >= 500 else None

    group.visititems(note)
    if not shapes:
        return "there are no datasets in it"
    # The last part is what people remember: 'patterns' is close to 'entry/data/patterns'.
    last = {name.rsplit("/", 1)[-1]: name for name in shapes}
    leaf = wanted.strip("/").rsplit("/", 1)[-1]
    near = get_close_matches(wanted, shapes, n=1) or [last[n] for n in get_close_matches(leaf, last, n=1)]
    some = [f"{name} {what}" for name, what in list(shapes.items())[:MOST_LISTED]]
    more = f" and {len(shapes) - len(some)} more" if len(shapes) > len(some) else ""
    guess = f"did you mean '{near[0]}'? " if near and wanted else ""
    return f"{guess}there are: {', '.join(some)}{more}"
