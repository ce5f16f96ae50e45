"""The fields of an item, from its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from stem_images.fitting import nearest, resized, with_channels
from stem_images.items import Item
from stem_images.kinds import Form, Heads
from stem_images.label_classes import Labels
from stem_images.palette import NONE, MaskClasses
from stem_images.picture import Header
from stem_images.picture_files import array_of, placed, values_of
from stem_images.pictures_numpy import Axes
from stemcore import FieldSpec, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How pictures are taken: their form, the axes of .npy files, the colour behind transparent pixels, the stored
    values that become -1 and 1, and the classes of masks."""

    form: Form
    axes: Axes
    background: tuple[int, int, int] | None
    stored_range: tuple[float, float] | None
    masks: MaskClasses | None


class ImageFields:
    """Reads items.

    Args:
        items: all of them.
        heads: what their files' heads say, alike where they have to be.
        settings: how pictures are taken.
        labels: of the items, where there are any.
        vector: names of the numbers of an item.

    Raises:
        UserError: if a stored type says nothing of black and white.
    """

    def __init__(
        self,
        items: Sequence[Item],
        heads: Sequence[Heads],
        settings: Settings,
        labels: Labels | None,
        vector: Sequence[str],
    ) -> None:
        self._items, self._heads, self._settings, self._labels = items, heads, settings, labels
        self._vector = np.array([item.vector for item in items], np.float32)
        (height, width), channels, dtype = settings.form.of(heads[0].image)
        scale, offset = scale_of(dtype, settings.stored_range)
        specs = [FieldSpec("input", (channels, height, width), dtype, scale=scale, offset=offset)]
        if labels is not None:
            specs.append(FieldSpec("label", (), "int64", classes=labels.classes))
        if settings.masks is not None:
            classes = settings.masks.names
            specs.append(FieldSpec("label_map", (1, height, width), "int64", like="input", classes=classes))
        if heads[0].conditions:
            parts = sum(header.channels for header in heads[0].conditions)
            specs.append(FieldSpec("condition", (parts, height, width), "float32", like="input"))
        if vector:
            specs.append(FieldSpec("vector", (len(vector),), "float32", features=tuple(vector)))
        if items[0].latents is not None:
            specs.append(FieldSpec("latents", heads[0].latents[1], heads[0].latents[0]))
        self.specs = {spec.name: spec for spec in specs}

    def table(self, name: str) -> np.ndarray | None:
        """A field of all items, where the list itself holds it."""
        if name == "label" and self._labels is not None:
            return self._labels.numbers
        return self._vector if name == "vector" and name in self.specs else None

    def fill(self, index: int, out: Mapping[str, np.ndarray]) -> None:
        """Reads an item into arrays of its fields' shapes and types.

        Raises:
            UserError: if a file cannot be read, or is not what its head said.
            OSError: if storage failed in a way that may pass.
        """
        item, heads = self._items[index], self._heads[index]
        out["input"][...] = self._at(item, item.image, lambda path: self._image(path, heads.image))
        if "label_map" in out:
            out["label_map"][0] = (
                NONE if item.mask is None else self._at(item, item.mask, lambda path: self._mask(path, heads.image))
            )
        start = 0
        for path, header in zip(item.conditions, heads.conditions, strict=True):
            part = self._at(item, path, lambda path, header=header: self._condition(path, header))  # type: ignore[misc]
            out["condition"][start : start + len(part)] = part
            start += len(part)
        if item.latents is not None:
            out["latents"][...] = self._at(item, item.latents, lambda path: self._latents(path, heads))
        for name in ("label", "vector"):
            if name in out:
                out[name][...] = self.table(name)[index]  # type: ignore[index]

    def empty(self, count: int) -> dict[str, np.ndarray]:
        """Memory for items."""
        lengths = {name: [n or 0 for n in spec.shape] for name, spec in self.specs.items()}
        return {name: np.empty((count, *lengths[name]), spec.dtype) for name, spec in self.specs.items()}

    def _at(self, item: Item, path: Path, read: Callable[[Path], T]) -> T:
        try:
            return read(path)
        except UserError as error:
            raise placed(error, path, item.where) from error

    def _pixels(self, path: Path, header: Header) -> np.ndarray:
        pixels = values_of(path, self._settings.axes)
        found = Header((pixels.shape[1], pixels.shape[2]), len(pixels), pixels.dtype.name, header.alpha)
        if found != header:
            raise UserError(f"is {found}; when the data were opened it was {header}")
        return pixels

    def _image(self, path: Path, header: Header) -> np.ndarray:
        pixels, form = self._pixels(path, header), self._settings.form
        if form.channels is not None:
            background = self._settings.background
            pixels = with_channels(pixels, form.channels, alpha=header.alpha, background=background)
        return resized(pixels, form.window(header.size))

    def _mask(self, path: Path, image: Header) -> np.ndarray:
        assert self._settings.masks is not None
        labels = self._settings.masks.labels(path, self._settings.axes)
        if labels.shape != image.size:
            raise UserError("is {} x {}; when the data were opened it was {} x {}".format(*labels.shape, *image.size))
        return nearest(labels, self._settings.form.window(image.size))

    def _latents(self, path: Path, heads: Heads) -> np.ndarray:
        latents = array_of(path)
        found = (latents.dtype.newbyteorder("=").name, latents.shape)
        if found != heads.latents:
            raise UserError("is {} {}; when the data were opened it was {} {}".format(*found, *heads.latents))
        return latents

    def _condition(self, path: Path, header: Header) -> np.ndarray:
        pixels = self._pixels(path, header)
        scale, offset = scale_of(pixels.dtype.name, None)
        physical = pixels.astype(np.float32) * np.float32(scale) + np.float32(offset)
        return resized(physical, self._settings.form.window(header.size))


def scale_of(dtype: str, stored_range: tuple[float, float] | None) -> tuple[float, float]:
    """Scale and offset that make stored values physical ones.

    Raises:
        UserError: if the type says nothing of black and white.
    """
    if stored_range is None and np.dtype(dtype).kind == "f":
        return 1.0, 0.0
    if stored_range is None and dtype not in ("uint8", "uint16"):
        hint = "set stored_range to the values that become -1 and 1"
        raise UserError(f"images of {dtype} do not say which values are black and white", hint=hint)
    low, high = stored_range or (0.0, float(np.iinfo(dtype).max))
    scale = 2 / (high - low)
    return scale, -1 - low * scale
