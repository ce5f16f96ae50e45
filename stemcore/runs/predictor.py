"""A run's model with its transforms, applied to arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.component.dataset import Dataset
from stemcore.component.fields import INPUT, DataSpec, FieldSpec
from stemcore.component.model import Model
from stemcore.errors import Problem, UserError, close_match
from stemcore.progress import Reporter
from stemcore.trainer.validate import evaluation


class Declared(Dataset):
    """The fields of data that are not here: what a model was trained on, when it is applied to arrays.

    Args:
        spec: the fields as stored.
    """

    def __init__(self, spec: DataSpec) -> None:
        self._spec = spec

    def __len__(self) -> int:
        return 0

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """The fields as stored."""
        return self._spec.fields

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """The scan's, if there is one."""
        return self._spec.scan_shape

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """No items: there are none."""
        return {n: np.empty((0, *(s or 0 for s in f.shape)), f.dtype) for n, f in self._spec.items()}


class Predictor:
    """A run's model with its transforms: tensors as they are stored in, tensors in physical units out, differentiably.

    Attributes:
        fields: what it was trained on, as stored; a field may be left out where the model takes it as optional.
    """

    def __init__(self, parts: Parts, model: Model, fabric: Fabric) -> None:
        self._parts, self._model, self._fabric = parts, model.eval(), fabric
        self.fields: DataSpec = parts.sources.spec

    @property
    def device(self) -> torch.device:
        """Where tensors have to be."""
        return self._fabric.device

    @property
    def model(self) -> Model:
        """The model, in evaluation mode; what it takes is what :meth:`prepared` gives."""
        return self._model

    def prepared(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The fields that the model takes, by name, after the transforms.

        Args:
            given: fields by name, each (n, *shape), as stored.
        """
        items = len(next(iter(given.values())))
        batch = self._parts.pipeline({**given, "index": torch.arange(items, device=self.device)})
        return self._parts.given(batch)

    def autocast(self) -> AbstractContextManager[Any]:
        """The run's precision, for what the model computes; elsewhere numbers are in float32."""
        context: AbstractContextManager[Any] = self._fabric.autocast()
        return context

    def physical(self, name: str, tensor: Tensor) -> Tensor:
        """Values (n, ...) of a field or an output of the model, such as ``input`` or ``prediction``, taken back through
        the transforms to physical units, differentiably; what no transform changes stays as it is.

        Raises:
            UserError: if the run has nothing of that name.
        """
        supply = self._parts.supply
        if name not in supply.names():
            raise UserError(f"the run has no field or output '{name}'", hint=close_match(name, supply.names()))
        chain = supply.chains.get(name)
        return tensor if chain is None else chain.inverse(tensor.float())

    def impute(self, given: Mapping[str, Tensor], *, draw: bool = False) -> dict[str, Tensor]:
        """The fields that are missing, by name, each (n, *shape).

        Args:
            given: fields by name, each (n, *shape).
            draw: whether to draw them at random from what is probable, by PyTorch's global generator.

        Raises:
            UserError: if the model does not impute, or not from these fields.
        """
        fields = self.prepared(given)
        with self._fabric.autocast():
            found = self._model.impute(draw, **fields)
        chains = self._parts.supply.chains
        return {n: chains[n].inverse(t.float()) if n in chains else t for n, t in found.items()}

    def encode(self, given: Mapping[str, Tensor]) -> Tensor:
        """The latents (n, ...) of fields, each (n, *shape). Raises ``UserError`` if the model has none."""
        fields = self.prepared(given)
        with self._fabric.autocast():
            return self._model.encode(**fields).float()

    def sample(self, n: int, conditions: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """``n`` new items by PyTorch's global generator: the main field, (n, *shape), in physical units.

        Args:
            n: how many.
            conditions: what they are to be like: fields by name, each (n, *shape), as stored.

        Raises:
            UserError: if the model does not sample, or not under these conditions.
        """
        known = self.conditions(n, conditions or {})
        with torch.no_grad(), self._fabric.autocast():
            drawn = self._model.sample(n, **known).float()
        return {INPUT: self.physical(INPUT, drawn)}

    def conditions(self, n: int, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Conditions of ``n`` items as the model sees them, from fields as stored, each (n, *shape). What shares the
        pixel grid of an item is moved along with one, which here is empty."""
        stored = dict(given)
        main = self.fields.get(INPUT)
        if main is not None and any(self.fields[name].like == INPUT for name in given):
            shape = [size or 1 for size in main.shape]
            stored[INPUT] = torch.zeros((n, *shape), dtype=getattr(torch, main.dtype), device=self.device)
        batch = self._parts.pipeline({**stored, "index": torch.arange(n, device=self.device)}, checked=True)
        return {name: batch[name] for name in given}

    def sample_arrays(
        self,
        n: int,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        conditions: Mapping[str, np.ndarray] | None = None,
        reporter: Reporter,
    ) -> dict[str, np.ndarray]:
        """:meth:`sample` in batches, from and to NumPy; see ``Run.sample``."""
        given = dict(conditions or {})
        if n < 1:
            raise UserError(f"{n} items cannot be drawn", hint="ask for at least one")
        if given:
            self._refuse_misfit(given)
            count = len(next(iter(given.values())))
            if count != n:
                raise UserError(f"the conditions are of {count} items, {n} are to be drawn")
        recipe = self._parts.recipe
        size = batch_size or recipe.data.evaluation_batch_size
        found: dict[str, list[np.ndarray]] = {}
        with evaluation(self._model, recipe.seed if seed is None else seed), reporter.task("sampling", n) as task:
            for start in range(0, n, size):
                rows = {k: torch.from_numpy(a[start : start + size]).to(self.device) for k, a in given.items()}
                now = min(size, n - start)
                for name, drawn in self.sample(now, rows).items():
                    found.setdefault(name, []).append(drawn.cpu().numpy())
                task.advance(now)
        return {name: np.concatenate(arrays) for name, arrays in found.items()}

    def impute_arrays(
        self, given: Mapping[str, np.ndarray], *, draws: int = 0, reporter: Reporter
    ) -> dict[str, np.ndarray]:
        """:meth:`impute` in batches, from and to NumPy; see ``Run.impute``."""
        self._refuse_misfit(given)
        items = len(next(iter(given.values())))
        size = self._parts.recipe.data.evaluation_batch_size
        found: dict[str, list[np.ndarray]] = {}
        with (
            evaluation(self._model, self._parts.recipe.seed),
            reporter.task("imputing", items * max(1, draws)) as task,
        ):
            for start in range(0, items, size):
                rows = {n: torch.from_numpy(a[start : start + size]).to(self.device) for n, a in given.items()}
                drawn = [self.impute(rows, draw=draws > 0) for _ in range(max(1, draws))]
                for name in drawn[0]:
                    tensors = [one[name].cpu() for one in drawn]
                    found.setdefault(name, []).append((torch.stack(tensors) if draws else tensors[0]).numpy())
                task.advance(max(1, draws) * len(next(iter(rows.values()))))
        return {name: np.concatenate(arrays, axis=1 if draws else 0) for name, arrays in found.items()}

    def encode_arrays(self, given: Mapping[str, np.ndarray]) -> np.ndarray:
        """:meth:`encode` in batches, from and to NumPy."""
        self._refuse_misfit(given)
        size = self._parts.recipe.data.evaluation_batch_size
        parts = []
        with evaluation(self._model, self._parts.recipe.seed):
            for start in range(0, len(next(iter(given.values()))), size):
                rows = {n: torch.from_numpy(a[start : start + size]).to(self.device) for n, a in given.items()}
                parts.append(self.encode(rows).cpu().numpy())
        return np.concatenate(parts)

    def _refuse_misfit(self, given: Mapping[str, np.ndarray]) -> None:
        if not given:
            raise UserError("there is nothing to start from", hint=f"give one of {', '.join(self.fields)}")
        problems = []
        for name, array in given.items():
            if name not in self.fields:
                problems.append(Problem(f"the model knows no field '{name}'", hint=close_match(name, self.fields)))
            elif array.ndim != 1 + len(self.fields[name].shape) or any(
                want not in (None, have) for want, have in zip(self.fields[name].shape, array.shape[1:], strict=True)
            ):
                wanted = self.fields[name].shape
                problems.append(Problem(f"'{name}' has shape {array.shape[1:]}, the run was trained on {wanted}"))
        if len({len(a) for a in given.values()}) > 1:
            problems.append(Problem(f"the fields differ in their number of items: {[len(a) for a in given.values()]}"))
        if problems:
            raise UserError(*problems)
