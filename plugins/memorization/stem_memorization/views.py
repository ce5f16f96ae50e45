"""What of items and samples is compared: pixels, or latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stemcore import Model, UserError, reporter

if TYPE_CHECKING:
    from stemcore import FieldSpec, FrozenRun, Run

LATENT, PIXEL = "latent", "pixel"
SAMPLES, LATENTS, ABOUT = "samples.npy", "latents.npy", "samples.json"


@dataclass(frozen=True)
class Rows:
    """Items in the space that is compared.

    Attributes:
        values: (n, ...) float32.
        items: (n,) their numbers in the data set.
    """

    values: np.ndarray
    items: np.ndarray


class View:
    """A run's data as they are compared.

    Of a run whose model has an autoencoder, ``latent`` are the items themselves, and ``pixel`` is what the decoder
    makes of them; of any other, ``pixel`` are the items, and ``latent`` is what the run encodes them to. Values are
    physical.

    Args:
        run: the run.
        space: ``latent`` or ``pixel``; the space of the items without.
        data: other data than those it was trained on.

    Raises:
        UserError: if the data do not fit, or the run does not encode.
    """

    def __init__(self, run: Run, space: str | None = None, data: Path | None = None) -> None:
        self.run = run
        self.loaded, self.source = run.load(data)
        self.own = data is None
        self._field: FieldSpec = run.fields["input"]
        self._chain = self.loaded.parts.supply.chains.get("input")
        model = self.loaded.model
        self._decoder = getattr(model, "autoencoder", None)
        native = PIXEL if self._decoder is None else LATENT
        self.space = space or native
        self.native = self.space == native
        if not self.native and self.space == LATENT and "latent" not in model.provides():
            message = f"{type(model).__name__} has no latents to compare in"
            raise UserError(message, where="--space", hint="leave --space out, or give an autoencoder's run")

    @property
    def device(self) -> torch.device:
        """Where vectors are computed and compared."""
        device: torch.device = self.loaded.fabric.device
        return device

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an item as it is compared."""
        shape = self._item_shape()
        if not self.native:
            model = self.loaded.model if self._decoder is None else self._decoder.model
            shape = model.provides()["latent" if self._decoder is None else "prediction"].shape
        return tuple(n or 1 for n in shape)

    def each(self, source: Any, take: Callable[[Tensor, Tensor], None], title: str, reporter: Any) -> None:
        """Hands over items batch by batch: what is compared of them (n, ...), and their numbers (n,)."""

        def handed(stored: dict[str, Tensor], values: Tensor) -> None:
            take(values, stored["index"])

        self.loaded.each(source, self._seen, handed, title, reporter)

    def rows(self, source: Any, items: np.ndarray, title: str, reporter: Any) -> Rows:
        """Some items of a source, by their numbers, rising."""
        if not len(items):
            return Rows(np.empty((0, 1), np.float32), items)
        values: list[np.ndarray] = []
        numbers: list[np.ndarray] = []

        def take(rows: Tensor, index: Tensor) -> None:
            values.append(rows.float().cpu().numpy())
            numbers.append(index.cpu().numpy())

        self.each(source.only(items), take, title, reporter)
        return Rows(np.concatenate(values)[np.argsort(np.concatenate(numbers))], items)

    def closest(self, items: np.ndarray) -> np.ndarray:
        """Some of the training data's items, by their numbers, rising."""
        return self.rows(self.source, items, "reading the closest", reporter()).values

    def _seen(self, **fields: Tensor) -> Tensor:
        if self.native:
            return self._physical(fields["input"])
        if self._decoder is None:
            latents: Tensor = self.loaded.model.encode(**fields)
            return latents.float()
        return self.decoded(self._physical(fields["input"]))

    def _physical(self, values: Tensor) -> Tensor:
        return values.float() if self._chain is None else self._chain.inverse(values.float())

    def decoded(self, physical: Tensor) -> Tensor:
        """Pictures of latents, through the decoder of the run's model."""
        return decoded(self._decoder, self._field, physical)

    def samples(self, place: Path) -> np.ndarray:
        """Samples (n, ...) float32 as they are compared.

        Args:
            place: a folder of ``stem sample``, or its ``latents.npy``; or another .npy file of items as the model draws
                them, in physical units.

        Raises:
            UserError: if there are none, or they are not like the run's items.
        """
        of_latents = self._decoder is not None and self.native
        stored = of_latents and (place.is_dir() or (place.name == LATENTS and (place.parent / ABOUT).is_file()))
        values = read_array(place / (LATENTS if of_latents else SAMPLES) if place.is_dir() else place)
        encodes = not self.native and self._decoder is None
        self._refuse_shape(values, self._item_shape() if encodes else self.shape, place)
        if stored:
            values = values * np.float32(self._field.scale) + np.float32(self._field.offset)
        if len(values) == 0 or not np.isfinite(values).all():
            what = "they are none" if len(values) == 0 else "some are not finite"
            raise UserError(f"the samples cannot be compared: {what}", where=str(place))
        return self._encoded(values) if encodes else values

    def _item_shape(self) -> Sequence[int | None]:
        shape: Sequence[int | None] = self.loaded.parts.spec["input"].shape
        return shape

    def _refuse_shape(self, values: np.ndarray, shape: Sequence[int | None], place: Path) -> None:
        fits = values.ndim == 1 + len(shape) and all(
            n in (None, m) for n, m in zip(shape, values.shape[1:], strict=True)
        )
        if not fits:
            message = f"the samples have shape {values.shape[1:]}, the run's items {tuple(shape)}"
            raise UserError(message, where=str(place), hint="give what 'stem sample' of this run has left")

    def _encoded(self, physical: np.ndarray) -> np.ndarray:
        """Latents of pictures, which have the size that the model sees, not that of the files."""
        transforms = self.loaded.parts.context(self.loaded.model)["transforms"]
        codes: list[np.ndarray] = []
        size = self.loaded.parts.recipe.data.evaluation_batch_size
        with torch.no_grad():
            for first in range(0, len(physical), size):
                batch = torch.from_numpy(physical[first : first + size]).to(self.device)
                values = batch if transforms is None else transforms.forward(batch)
                codes.append(self.loaded.model.eval().encode(input=values).float().cpu().numpy())
        return np.concatenate(codes)

    def pictures(self, values: np.ndarray) -> np.ndarray:
        """Items as they are compared (n, ...), as pictures where there are any for them."""
        model = self.loaded.model
        if self.space == PIXEL or len(values) == 0:
            return values
        if self._decoder is None and type(model).decode is Model.decode:
            return values
        latents = torch.from_numpy(values).to(self.device)
        with torch.no_grad():
            if self._decoder is not None:
                return self.decoded(latents).float().cpu().numpy()
            outputs = model.eval().decode(latents)
            return self._physical(outputs["prediction"]).cpu().numpy() if "prediction" in outputs else values


def decoded(decoder: FrozenRun, field: FieldSpec, physical: Tensor) -> Tensor:
    """Pictures of latents.

    Args:
        decoder: the autoencoder that they are of.
        field: how they are stored, which is what it decodes.
        physical: (n, *shape) the latents in physical units.
    """
    outputs = decoder.model.decode((physical - field.offset) / field.scale)
    return decoder.to_physical("prediction", outputs["prediction"].float())


def read_array(path: Path) -> np.ndarray:
    """A .npy file as float32.

    Raises:
        UserError: if there is none, or no numbers in it.
    """
    if not path.is_file():
        hint = "give a folder that 'stem sample' has left, or a .npy file"
        raise UserError("there are no samples", where=str(path), hint=hint)
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError("it cannot be read as .npy", where=str(path)) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise UserError("it holds no array of numbers", where=str(path))
    return np.asarray(array, np.float32)
