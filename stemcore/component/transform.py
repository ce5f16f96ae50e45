"""Transforms: preprocessing that is state of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from stemcore.component.fields import FieldSpec


class Transform(nn.Module, ABC):
    """One step of preprocessing of one field, on the device, in float32.

    A ``value`` transform changes values only and has an ``inverse``; a ``geometry`` transform changes the pixel
    grid, acts on every field that is ``like`` its own (masks through ``mask``), and is kept by the inverse. One whose
    effect depends on each item's content (centring) also defines
    ``together(main, others, masks) -> (main, others, masks)``, with dicts of the tensors that must move alike.
    Fitted numbers are buffers registered in ``__init__`` (so that a checkpoint's shapes are known before the fit; of
    one named in ``resized`` the number of rows is known after it).

    Args:
        spec: the field as it comes in.
    """

    kind: ClassVar[Literal["value", "geometry"]] = "value"
    fitted: ClassVar[bool] = False
    """Whether ``update`` must see the training split before ``forward`` may be called."""

    resized: ClassVar[tuple[str, ...]] = ()
    """Buffers whose length the fit decides: registered with no rows, (0, ...), and given those of a checkpoint."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec

    def out_spec(self) -> FieldSpec:
        """The field as it goes out."""
        return self.spec

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Takes in a batch (n, *shape) of the training split; ``mask`` (same shape, bool) marks valid values."""

    def finish(self) -> None:
        """Called once, after the last ``update``. Raises ``UserError`` where the data cannot be transformed."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Transforms a batch (n, *shape)."""

    def inverse(self, x: Tensor) -> Tensor:
        """Undoes ``forward`` for a value transform, differentiably; a geometry transform returns ``x`` as it is."""
        if self.kind == "geometry":
            return x
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def readable(self) -> Mapping[str, float | Tensor]:
        """What was fitted, by name, for the copies of a run that people read; never read back. By default all
        buffers."""
        return self.state_dict()

    def mask(self, mask: Tensor) -> Tensor:
        """What a geometry transform does to a mask (n, *shape), bool; a value transform leaves it."""
        return mask

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.resized:
            own, given = getattr(self, name, None), state_dict.get(prefix + name)
            if own is not None and given is not None and given.shape[1:] == own.shape[1:] and given.ndim == own.ndim:
                setattr(self, name, own.new_empty(given.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
