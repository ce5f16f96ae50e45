"""Conditions as they are typed: ``label=stained``, ``label=0,1,2``, ``vector=0.5,1``, ``condition=FOLDER``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from stemcore import DataSpec, FieldSpec, UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
NOT_CONDITIONS = ("input", "index", "mask")


def conditions_of(texts: Sequence[str], fields: DataSpec) -> dict[str, np.ndarray]:
    """The conditions by name, as stored, each (k, *shape): values for as many items, after which they begin again.

    Args:
        texts: ``NAME=VALUE``; a later one replaces an earlier one of that name.
        fields: what the run was trained on, as stored.

    Raises:
        UserError: for every one that does not fit.
    """
    found: dict[str, np.ndarray] = {}
    faults: list[UserError] = []
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            if not equals or not name:
                raise UserError("is not NAME=VALUE", hint="such as label=0 or condition=FILE")
            found[name] = _values(_field(name, fields), value)
        except UserError as error:
            faults.append(
                UserError(*(p.message for p in error.problems), where=f"--condition {text}", hint=_hint(error))
            )
    if faults:
        raise UserError(*(problem for fault in faults for problem in fault.problems))
    return found


def from_items(names: Sequence[str], read: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """The conditions of items of the run's own data.

    Raises:
        UserError: if these lack one.
    """
    if lacking := [name for name in names if name not in read]:
        raise UserError(f"the data have no field {', '.join(lacking)}", where=where)
    return {name: read[name] for name in names}


def repeated(conditions: Mapping[str, np.ndarray], first: int, n: int) -> dict[str, np.ndarray]:
    """The values for items ``first`` to ``first + n - 1``, each (n, *shape)."""
    return {name: values[np.arange(first, first + n) % len(values)] for name, values in conditions.items()}


def shown(conditions: Mapping[str, np.ndarray], n: int, fields: DataSpec) -> dict[str, Any]:
    """What each of ``n`` items was told, for a file that people read: of classes their names, of small fields their
    values, of images their shape."""
    found: dict[str, Any] = {}
    for name, values in conditions.items():
        own = repeated({name: values}, 0, n)[name]
        classes = fields[name].classes
        if classes and values.ndim == 1:
            found[name] = [classes[v] if 0 <= v < len(classes) else None for v in own.tolist()]
        elif values[0].size <= 16:
            found[name] = own.tolist()
        else:
            found[name] = f"{len(values)} of shape {values.shape[1:]}"
    return found


def _hint(error: UserError) -> str:
    return next((p.hint for p in error.problems if p.hint), "")


def _field(name: str, fields: DataSpec) -> FieldSpec:
    known = [field for field in fields if field not in NOT_CONDITIONS]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known) or 'none'}"
        raise UserError(f"the run was trained without a field '{name}'", hint=hint)
    return fields[name]


def _values(field: FieldSpec, text: str) -> np.ndarray:
    if field.shape == () and not text.endswith(".npy"):
        return np.array([_class(field, word.strip()) for word in text.split(",")], dtype=field.dtype)
    path = Path(text)
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        return _fitting(field, _read(path), text)
    try:
        numbers = np.array([float(word) for word in text.split(",")], dtype=field.dtype)
    except ValueError:
        hint = f"give numbers, or a file or folder of {', '.join(ENDINGS)}"
        raise UserError(f"'{text}' is neither numbers nor a file", hint=hint) from None
    return _fitting(field, numbers, text)


def _class(field: FieldSpec, word: str) -> int | float:
    if word in field.classes:
        return field.classes.index(word)
    whole = np.dtype(field.dtype).kind in "iu"
    try:
        value = int(word) if whole else float(word)
    except ValueError:
        near = get_close_matches(word, field.classes, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(field.classes) or 'numbers'}"
        raise UserError(f"'{field.name}' has no class '{word}'", hint=hint) from None
    if field.classes and not 0 <= value < len(field.classes):
        raise UserError(f"'{field.name}' has the classes 0 to {len(field.classes) - 1}, not {word}")
    return value


def _read(path: Path) -> np.ndarray:
    if not path.exists():
        raise UserError("there is no such file", where=str(path))
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
        if not files:
            raise UserError(f"the folder has no {', '.join(ENDINGS)}")
        images = [_image(file) for file in files]
        if len({image.shape for image in images}) > 1:
            raise UserError("its images differ in size")
        return np.stack(images)
    return _image(path)


def _image(path: Path) -> np.ndarray:
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        from PIL import Image  # matplotlib needs it, too

        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read: {error}") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _fitting(field: FieldSpec, values: np.ndarray, text: str) -> np.ndarray:
    """Values of one item or of several, (k, *shape)."""
    values = values[None] if values.ndim == len(field.shape) else values
    fits = values.ndim == 1 + len(field.shape) and len(values) > 0
    if not fits or any(w not in (None, s) for w, s in zip(field.shape, values.shape[1:], strict=True)):
        one = values.shape[1:] if fits else values.shape
        raise UserError(f"'{field.name}' is of shape {field.shape}, {text} of {one}")
    if np.dtype(field.dtype).kind == "f" and values.dtype in (np.uint8, np.uint16):
        values = values / (np.iinfo(values.dtype).max / 2) - 1  # from -1 to 1, as the data set 'images' has it
    if values.dtype != np.dtype(field.dtype) and not np.can_cast(values.dtype, field.dtype, "same_kind"):
        raise UserError(f"'{field.name}' is stored as {field.dtype}, {text} holds {values.dtype}")
    if field.classes and (values.max(initial=0) >= len(field.classes)):
        raise UserError(f"'{field.name}' has the classes 0 to {len(field.classes) - 1}, {text} has {values.max()}")
    return values.astype(field.dtype)
