"""What a transform promises of its fit."""

from __future__ import annotations

import torch
from torch import Tensor

from stemcore.component.transform import Transform
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_transform import Batches, TransformTrial, ensure_close, fit


def _to_be_fitted(subject: Subject) -> TransformTrial:
    trial = TransformTrial(subject)
    if not trial.built().fitted:
        raise NotApplicable("it is not fitted")
    # An item without a value that counts is as likely as one that counts wholly.
    trial.mask[0] = False
    trial.mask[-3:] = True
    return trial


@promise("transform")
def check_fit_in_blocks(subject: Subject) -> None:
    """Fitted block by block it is what it is fitted on all at once, with a mask and without: a data set is read in
    blocks that its file and the memory decide, down to a single item."""
    trial = _to_be_fitted(subject)
    items = len(trial.batch)
    cuts = {"items one by one": [1] * items, "one and all others": [1, items - 1], "two parts": [items - 2, 2]}
    for masked in (False, True):
        try:
            whole = trial.fitted([(trial.batch, trial.mask if masked else None)])
        except UserError:
            if masked:  # It takes whole items only, and says so.
                continue
            raise
        for name, sizes in cuts.items():
            masks = torch.split(trial.mask, sizes) if masked else [None] * len(sizes)
            blocks = list(zip(torch.split(trial.batch, sizes), masks, strict=True))
            what = f"fitted on {name}{' with a mask' if masked else ''} and on all at once"
            _ensure_alike(_fitted_on(trial, blocks, what), whole, trial.batch, what)


@promise("transform")
def check_fit_masks(subject: Subject) -> None:
    """What the mask leaves out has no influence on the fit, whatever stands there, also NaN; a mask that leaves nothing
    out is as none. One hot pixel would move every fitted number."""
    trial = _to_be_fitted(subject)
    x, mask = trial.batch, trial.mask
    try:
        expected = trial.fitted([(x, mask)])
    except UserError as error:
        raise NotApplicable(f"it refuses values of which some do not count: {error}") from error
    for what, value in {"zeros": 0.0, "hot pixels": 7 + 100 * float(x.max()), "NaN": float("nan")}.items():
        about = f"fitted with {what} and with other values where the mask is false"
        _ensure_alike(_fitted_on(trial, [(torch.where(mask, x, value), mask)], about), expected, x, about)
    about = "fitted with a mask that is true everywhere and with none"
    _ensure_alike(_fitted_on(trial, [(x, torch.ones_like(mask))], about), trial.fitted(), x, about)


def _fitted_on(trial: TransformTrial, batches: Batches, about: str) -> Transform:
    try:
        return trial.fitted(batches)
    except Exception as error:
        raise Broken(f"{about}: it raised {cause_of(error)}") from error


def _ensure_alike(seen: Transform, expected: Transform, x: Tensor, what: str) -> None:
    # Compared by what they do: fitted numbers may be sums that differ, or vectors of either sign.
    y = expected(x)
    ensure_close(seen(x), y, 1e-4, f"{what}, forward")
    ensure_close(seen.inverse(y), expected.inverse(y), 1e-4, f"{what}, inverse")


@promise("transform")
def check_degenerate_data(subject: Subject) -> None:
    """Data that do not differ (zeros, one value, one item, nothing that counts) give finite values, or ``UserError``
    by ``finish``: never NaN, which would show much later and elsewhere."""
    trial = TransformTrial(subject)
    for what, (x, mask) in _degenerate(trial).items():
        transform = trial.built()
        try:
            fit(transform, [(x, mask)])
        except UserError:
            continue
        except Exception as error:
            raise Broken(f"fitted on {what} it raised {cause_of(error)}: right is UserError by finish") from error
        y = transform(x)
        for name, value in {"forward": y, "inverse": transform.inverse(y)}.items():
            wrong = int((~torch.isfinite(value)).sum())
            ensure(not wrong, f"given {what}, {name} gives {wrong} values that are not finite, and finish accepts it")


def _degenerate(trial: TransformTrial) -> dict[str, tuple[Tensor, Tensor | None]]:
    x, least = trial.batch, trial.spec.minimum
    cases: dict[str, tuple[Tensor, Tensor | None]] = {
        "one value throughout": (torch.full_like(x, float(x.max())), None),
        "one item": (x[:1], None),
        "items that are all equal": (x[:1].expand_as(x).clone(), None),
    }
    if least is not None:
        cases[f"the field's minimum {least:g} throughout"] = (torch.full_like(x, least), None)
    if trial.built().fitted:
        cases["a mask that is false everywhere"] = (x, torch.zeros_like(trial.mask))
    return cases
