"""A run that draws: its model, its transforms, and the decoder of what it draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stem_diffusion.agreement import GIVEN, Agreement, fits, line
from stem_diffusion.decoding import decoded, drawn_field
from stem_diffusion.diffusion import Diffusion
from stem_diffusion.given_conditions import NOT_CONDITIONS, conditions_of, from_items, repeated, shown
from stem_diffusion.item_noise import ItemNoise, seed_of
from stem_diffusion.sample_files import SampleFiles, refuse_occupied, sample_folder
from stemcore import UserError, load_run


class Drawing:
    """New items of a trained model.

    Args:
        run: its directory.
        overrides: ``model.KEY=VALUE``.
        seed: of the noise; the recipe's without.

    Raises:
        UserError: if there is no such run, or overrides do not fit it.
    """

    def __init__(self, run: Path, overrides: Sequence[str], seed: int | None) -> None:
        self.run = load_run(run, overrides)
        self.seed = self.run.recipe.seed if seed is None else seed
        self.predictor = self.run.predictor()
        self.model = self.predictor.model
        self.fields = self.predictor.fields

    def write(
        self, count: int, out: Path | None, texts: Sequence[str], part: str | None, batch_size: int, reporter: Any
    ) -> Path:
        """Draws items and writes them.

        Args:
            count: how many.
            out: folder to make; ``samples/seed<SEED>`` of the run without.
            texts: conditions, ``NAME=VALUE``.
            part: ``train``, ``val`` or ``test``: of whose items the other conditions are.
            batch_size: items at a time.
            reporter: progress.

        Returns:
            the folder.

        Raises:
            UserError: if the model does not sample, conditions do not fit it, or the folder is not empty.
        """
        folder = out or self.run.directory / "samples" / f"seed{self.seed}"
        refuse_occupied(folder)
        conditions = self._conditions(count, texts, part)
        with sample_folder(folder) as writing:
            files = SampleFiles(writing, drawn_field(self.model, self.fields), count)
            agreement = Agreement(self.fields[GIVEN].classes) if GIVEN in conditions else None
            for first, arrays in self._batches(count, batch_size, conditions, reporter):
                files.add(first, arrays)
                if agreement is not None:
                    self._compare(agreement, first, conditions, arrays)
            about = self._about(count, conditions)
            if agreement is not None and agreement.counts.any():
                about["agreement"] = agreement.document()
                reporter.say(line(about["agreement"]))
            files.told(conditions)
            files.finish(about)
        return folder

    def _compare(
        self, agreement: Agreement, first: int, conditions: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]
    ) -> None:
        seen = arrays.get("segmentation")
        if seen is not None and fits(conditions[GIVEN], seen, agreement.classes):
            agreement.add(repeated(conditions, first, len(seen))[GIVEN], seen)

    def _conditions(self, count: int, texts: Sequence[str], part: str | None) -> dict[str, np.ndarray]:
        given = conditions_of(texts, self.fields)
        if part is None:
            return given
        items = self.run.items()
        if part not in items:
            raise UserError(f"the run keeps no items for '{part}'", where="--condition-from", hint=f"it has {[*items]}")
        names = getattr(self.model, "condition_names", [n for n in self.fields if n not in NOT_CONDITIONS])
        if not names:
            raise UserError("the model takes no conditions", where="--condition-from")
        some = np.arange(min(count, len(items[part])))
        _, read = next(items[part].batches(len(some), some))
        return from_items(names, read, "--condition-from") | given

    def _batches(
        self, count: int, size: int, conditions: Mapping[str, np.ndarray], reporter: Any
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        starts = range(0, count, size)
        steps = len(self.model.sampled_steps()) if isinstance(self.model, Diffusion) else 1
        with torch.no_grad(), reporter.task("sampling", len(starts) * steps) as task:
            for first in starts:
                n = min(size, count - first)
                given = self._prepared(n, repeated(conditions, first, n))
                for x in self._sampling(first, n, given):
                    task.advance(1)
                    items = x
                yield first, self._decoded(items)

    def _prepared(self, n: int, stored: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        if not stored:
            return {}
        device = self.predictor.device
        given = {name: torch.from_numpy(values).to(device) for name, values in stored.items()}
        return self.predictor.conditions(n, given)

    def _sampling(self, first: int, n: int, given: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """The items after every step, the last of which are the samples."""
        model, device = self.model, self.predictor.device
        if isinstance(model, Diffusion):
            noise = ItemNoise(self.seed, first, (n, *(s or 1 for s in model.spec["input"].shape)), device)
            with self.predictor.autocast():
                yield from model.sampling(noise(), given, noise)
            return
        items = []
        for k in range(n):  # one by one, so that an item does not depend on those beside it
            torch.manual_seed(seed_of(self.seed, first + k))
            items.append(model.sample(1, **{name: value[k : k + 1] for name, value in given.items()}))
        yield torch.cat(items)

    def _decoded(self, items: Tensor) -> dict[str, np.ndarray]:
        found = decoded(self.model, self.predictor.physical("input", items.float()))
        return {name: values.cpu().numpy() for name, values in found.items()}

    def _about(self, count: int, conditions: Mapping[str, np.ndarray]) -> dict[str, Any]:
        settings = ("sampler", "steps", "guidance", "eta", "clip_denoised")
        return {
            "run": str(self.run.directory.resolve()),
            "sha256": self.run.sha256,
            "items": count,
            "seed": self.seed,
            "settings": {name: getattr(self.model, name) for name in settings if hasattr(self.model, name)},
            "conditions": shown(conditions, count, self.fields),
        }
