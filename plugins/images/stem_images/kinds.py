"""What all pictures of a data set have in common, and those that are otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stem_images.fitting import Window, window_of
from stem_images.items import Item
from stem_images.picture import Header
from stem_images.picture_files import array_of, header_of, import_libraries, placed, together
from stem_images.pictures_numpy import Axes
from stemcore import UserError

THREADS = 8
NAMED, BROKEN = 20, 100
"""How many pictures are named one by one that are otherwise than most, or broken; of more, the number is said."""

WITH_BLACK_AND_WHITE = ("uint8", "uint16", "float16", "float32", "float64")
"""Types whose values are known as physical ones."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Heads:
    """What the heads of an item's files say: its image, its images of conditions, and type and shape of its latents."""

    image: Header
    conditions: tuple[Header, ...]
    latents: tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Form:
    """The shape that images are brought to: height and width (``None``: all have the same), the largest part of that
    shape or the whole, and the number of channels (``None``: all have the same)."""

    size: tuple[int, int] | None
    crop: bool
    channels: int | None

    def of(self, header: Header) -> tuple[tuple[int, int], int, str]:
        """Height and width, channels and type of a picture in this form."""
        return self.size or header.size, self.channels or header.channels, header.dtype

    def window(self, size: tuple[int, int]) -> Window:
        """The part that is taken of a picture of a height and width."""
        return window_of(size, self.size or size, self.crop)


def heads_of(items: Sequence[Item], axes: Axes) -> list[Heads]:
    """What the files' heads say, read by several threads.

    Raises:
        UserError: naming every file that is missing or no picture, and masks and conditions of another size than their
            image; or if a library that reads them is not installed.
    """
    import_libraries(path for item in items for path in item.files())
    return of_all(items, lambda item: _heads(item, axes))


def of_all(items: Sequence[S], look: Callable[[S], T]) -> list[T]:
    """What ``look`` finds for every item, by several threads.

    Raises:
        UserError: with all that it raises.
    """

    def tried(item: S) -> T | UserError:
        try:
            return look(item)
        except UserError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(tried, items, chunksize=16))
    faults = [one for one in found if isinstance(one, UserError)]
    if len(faults) > BROKEN:
        faults[BROKEN:] = [UserError(f"{len(faults) - BROKEN:,} more images or what belongs to them are wrong, too")]
    if faults:
        raise together(faults)
    return [one for one in found if not isinstance(one, UserError)]


def _heads(item: Item, axes: Axes) -> Heads:
    faults: list[UserError] = []
    image = _at(item, item.image, lambda path: header_of(path, axes), faults)
    mask = _at(item, item.mask, lambda path: header_of(path, axes), faults)
    conditions = [_at(item, path, lambda path: header_of(path, axes), faults) for path in item.conditions]
    latents = _at(item, item.latents, lambda path: array_of(path, mapped=True), faults)
    for path, header in zip((item.mask, *item.conditions), (mask, *conditions), strict=True):
        if path is not None and header is not None and image is not None and header.size != image.size:
            said = "is {} x {}, its image {} x {}".format(*header.size, *image.size)
            faults.append(placed(UserError(said, hint="they have to share their pixels"), path, item.where))
    for path, header in zip(item.conditions, conditions, strict=True):
        if header is not None and header.dtype not in WITH_BLACK_AND_WHITE:
            said, hint = "does not say what is black and white", "save it as uint8, uint16 or floating-point numbers"
            faults.append(placed(UserError(f"is {header.dtype}, which {said}", hint=hint), path, item.where))
    if faults or image is None:
        raise together(faults)
    shape = ("", ()) if latents is None else (latents.dtype.newbyteorder("=").name, latents.shape)
    return Heads(image, tuple(header for header in conditions if header is not None), shape)


def _at(item: Item, path: Path | None, look: Callable[[Path], T], faults: list[UserError]) -> T | None:
    """What is found in a file; where something is wrong with it, that is added to ``faults``."""
    if path is None:
        return None
    try:
        return look(path)
    except UserError as error:
        faults.append(placed(error, path, item.where))
        return None


def check_alike(items: Sequence[Item], heads: Sequence[Heads], form: Form) -> None:
    """Checks that what goes into one batch fits together.

    Raises:
        UserError: naming the pictures that are otherwise than most.
    """
    cannot = [
        item
        for item, head in zip(items, heads, strict=True)
        if form.channels not in (None, head.image.channels) and head.image.channels - head.image.alpha not in (1, 3)
    ]
    said = f"has other channels than grey or colour, which do not become {form.channels}"
    faults = [placed(UserError(said), item.image, item.where) for item in cannot[:NAMED]]
    hint = "set size to bring images to one, and channels to 1 or 3 for grey or colour"
    images = [(item.image, form.of(head.image)) for item, head in zip(items, heads, strict=True)]
    faults += _otherwise(items, images, lambda kind: str(Header(*kind)), hint)
    for k in range(len(items[0].conditions)):
        conditions = [
            (item.conditions[k], head.conditions[k].channels) for item, head in zip(items, heads, strict=True)
        ]
        faults += _otherwise(items, conditions, lambda kind: f"of {kind} channels", "")
    if items[0].latents is not None:
        latents = [(item.latents, head.latents) for item, head in zip(items, heads, strict=True)]
        faults += _otherwise(items, latents, lambda kind: "{} {}".format(*kind), "")
    if faults:
        raise together(faults)


def _otherwise(
    items: Sequence[Item], kinds: Iterable[tuple[Path | None, T]], text: Callable[[T], str], hint: str
) -> list[UserError]:
    """The items whose kind is not the most frequent one."""
    listed = list(kinds)
    usual, times = Counter(kind for _, kind in listed).most_common(1)[0]
    odd = [(item, path, kind) for item, (path, kind) in zip(items, listed, strict=True) if kind != usual]
    faults = [
        placed(UserError(f"is {text(kind)}; {times:,} are {text(usual)}", hint=hint), path or item.image, item.where)
        for item, path, kind in odd[:NAMED]
    ]
    if len(odd) > NAMED:
        faults.append(UserError(f"{len(odd) - NAMED:,} more are not {text(usual)}", hint=hint))
    return faults
