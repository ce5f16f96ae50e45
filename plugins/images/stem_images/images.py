"""Images with labels, masks and conditions, a file for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from stem_images.elsewhere import of_others
from stem_images.image_fields import ImageFields, Settings
from stem_images.items import Roles, items_of, present
from stem_images.kinds import Form, check_alike, heads_of, of_all
from stem_images.label_classes import labels_of
from stem_images.manifest import listing_of
from stem_images.palette import Sign, masks_of, rgb_of
from stem_images.picture_files import together
from stem_images.pictures_numpy import Axes
from stemcore import Dataset, FieldSpec, UserError

Pixels = Annotated[int, Field(ge=1)]
BLOCK_ITEMS = 16


class Images(Dataset):
    """Images in PNG, JPEG, TIFF and NPY files, of a folder or a CSV file, with what the list says of them.

    Fields: ``input`` (channels, height, width) as stored, physical values from -1 (black) to 1 (white) for whole
    numbers; ``label`` () with its classes; ``label_map`` (1, height, width) of the masks, with its classes, -1 where
    there is none; ``condition`` (channels, height, width) float32, the images of conditions one after the other, also
    from -1 to 1; ``vector`` (numbers,) float32; ``latents`` as stored. All but the first are there where the list has
    them. What is named below is a column, or a path with columns in braces, such as ``masks/{id}.png``; what has its
    usual name may be absent. A folder has the columns ``image_path``, ``name`` (without ending) and ``folder``, and
    ``label``, the name of the subfolder, where all images lie in subfolders one deep.

    Args:
        path: a folder, a CSV file with a row for each image, or one image.
        image: of the images.
        label: of the labels; empty cells have none. ``null``: no labels.
        mask: of the segmentation masks; empty cells have none. ``null``: no masks.
        mask_classes: classes of the masks: names for the indices from 0, or each name with its index
            (``{background: 0, nucleus: 255}``) or colour (``{sky: "#70c0ff", road: [64, 64, 64]}``).
        mask_ignore: index or colour of pixels that belong to no class.
        condition: of the images of conditions; several are put one after the other.
        latents: of .npy files of latents that were computed before.
        vector: columns of numbers.
        classes: the labels in the order that numbers them; by default that of their names, or as they are where all
            are whole numbers.
        id_column: the name of each item, different from all others; by default the image's.
        split_column: what an item is for, train, val or test (``split: given``).
        group_column: items of the same value stay together (``split: group``).
        root: the folder that paths in the list are relative to; by default the list's.
        size: height and width that images are brought to, a number for both; masks take the nearest pixel.
        crop: cut the largest part of that shape out of the middle in place of changing the shape.
        channels: 1 for grey, 3 for colour; by default as stored.
        background: colour behind transparent pixels where ``channels`` leaves out how opaque they are.
        stored_range: stored values that become -1 and 1; by default 0 and the largest of uint8 and uint16, while
            floating-point numbers are taken as they are.
        axes: order of the axes in .npy files, c for channels; ``auto``: the axis that is unlike the two others.
        check: what is looked at before anything is trained: the ``headers`` of all files, or ``all`` of every file.

    Raises:
        UserError: with everything that is wrong with the list and the files, by line.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        path: Path,
        image: str = "image_path",
        label: str | None = "label",
        mask: str | None = "mask_path",
        mask_classes: list[str] | dict[str, Sign] | None = None,
        mask_ignore: Sign | None = None,
        condition: str | list[str] | None = "condition_path",
        latents: str | None = None,
        vector: list[str] | None = None,
        classes: list[str] | None = None,
        id_column: str | None = "id",
        split_column: str | None = "split",
        group_column: str | None = None,
        root: Path | None = None,
        size: Pixels | tuple[Pixels, Pixels] | None = None,
        crop: bool = False,
        channels: Literal[1, 3] | None = None,
        background: str | tuple[int, int, int] | None = None,
        stored_range: tuple[float, float] | None = None,
        axes: Axes = "auto",
        check: Literal["headers", "all"] = "headers",
    ) -> None:
        if crop and size is None:
            raise UserError("'crop' is given without 'size'")
        if stored_range is not None and stored_range[0] >= stored_range[1]:
            raise UserError(f"stored_range [{stored_range[0]:g}, {stored_range[1]:g}] is empty or swapped")
        conditions = (condition,) if isinstance(condition, str) else tuple(condition or ())
        numbers = tuple(vector or ())
        roles = Roles(image, label, mask, conditions, latents, numbers, id_column, split_column, group_column)
        self._path = path.expanduser()
        listing = listing_of(self._path)
        roles = present(listing, roles)
        self._items = items_of(listing, roles, root.expanduser() if root is not None else None)
        masks = masks_of(self._items, mask_classes, mask_ignore)
        form = Form((size, size) if isinstance(size, int) else size, crop, channels)
        behind = None if background is None else rgb_of(background, "background")
        heads = heads_of(self._items, axes)
        check_alike(self._items, heads, form)
        self._settings = Settings(form, axes, behind, stored_range, masks)
        labels = labels_of(self._items, classes)
        self._reader = ImageFields(self._items, heads, self._settings, labels, roles.vector)
        self._text = listing.path if listing.table else None
        if check == "all":
            of_all(range(len(self._items)), self._decoded)

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> Dataset:
        """Other images taken the same way. Labels, masks and what else they need not have are left out where they lack
        it; labels are numbered as those of the recipe's own data.

        Raises:
            UserError: as the constructor does.
        """
        return cls(**of_others(path.expanduser(), arguments))

    def __len__(self) -> int:
        return len(self._items)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input``, and what accompanies it."""
        return self._reader.specs

    def blocks(self) -> Sequence[np.ndarray]:
        """Few items each: every image is a file of its own, so that small blocks cost nothing and mix well."""
        return np.array_split(np.arange(len(self)), -(-len(self) // BLOCK_ITEMS))

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items as stored.

        Raises:
            UserError: naming every file that cannot be read.
            OSError: if storage failed in a way that may pass.
        """
        out = self._reader.empty(len(indices))
        self.read_into(indices, out)
        return out

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, into memory that is there."""
        faults = []
        for place, index in enumerate(indices.tolist()):
            try:
                self._reader.fill(index, {name: values[place, ...] for name, values in out.items()})
            except UserError as error:
                faults.append(error)
        if faults:
            raise together(faults)

    def values(self, field: str) -> np.ndarray:
        """A field of all items; labels and numbers come from the list, and no file is read."""
        found = self._reader.table(field)
        return super().values(field) if found is None else found.copy()

    @property
    def groups(self) -> np.ndarray | None:
        """A number for each value of ``group_column``; items without one are each a group."""
        if not any(item.group for item in self._items):
            return None
        codes = {text: code for code, text in enumerate(sorted({i.group for i in self._items if i.group}))}
        return np.array([codes.get(item.group, len(codes) + k) for k, item in enumerate(self._items)])

    @property
    def parts(self) -> np.ndarray | None:
        """What ``split_column`` says."""
        said = [item.part for item in self._items]
        return np.array(said, dtype=np.str_) if any(said) else None

    @property
    def item_names(self) -> Sequence[str]:
        """What ``id_column`` says, else the names of the images."""
        return [item.id for item in self._items]

    @property
    def files(self) -> Sequence[Path]:
        """The list, the images, and what belongs to them."""
        files = [path for item in self._items for path in item.files()]
        return files if self._text is None else [self._text, *files]

    def fingerprint(self) -> str:
        """Changes with the list, the settings, and size or time of change of any file: so many are not read for it."""
        told = [(i.where, i.id, i.vector, i.label, i.part, i.group) for i in self._items]
        digest = hashlib.sha256(repr((sorted(self.fields.items()), self._settings, told)).encode())
        folders = {folder: folder.resolve() for folder in {path.parent for path in self.files}}
        for path in self.files:
            stat = path.stat()
            digest.update(f"{folders[path.parent] / path.name}|{stat.st_size}|{stat.st_mtime_ns}".encode())
        return digest.hexdigest()

    def _decoded(self, index: int) -> None:
        self.read(np.array([index]))
