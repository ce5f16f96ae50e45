"""The transforms of one field, in order, and the spaces between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from stemcore.component.fields import FieldSpec
from stemcore.component.transform import Transform
from stemcore.errors import UserError

MODEL = "model"
PHYSICAL = "physical"


class Chain(nn.Module):
    """Transforms of one field. Its spaces are ``physical`` (only the geometry changed), the name of each transform
    (just after it) and ``model`` (after all).

    Args:
        spec: the field as stored.
        build: for each transform its name in the recipe and a function from the incoming spec to the transform.
    """

    def __init__(self, spec: FieldSpec, build: Iterable[tuple[str, Callable[[FieldSpec], Transform]]] = ()) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        self.names: list[str] = []
        for name, make in build:
            step = make(spec)
            spec = step.out_spec()
            self.steps.append(step)
            self.names.append(name)
        self.out_spec = spec

    def transforms(self) -> list[Transform]:
        """The transforms in order."""
        return list(self.steps)  # type: ignore[arg-type]

    @property
    def spaces(self) -> list[str]:
        """The spaces that can be asked for."""
        return [PHYSICAL, *dict.fromkeys(self.names), MODEL]

    def forward(self, x: Tensor) -> Tensor:
        """Physical values to the model's space."""
        for step in self.steps:
            x = step(x)
        return x

    def inverse(self, y: Tensor) -> Tensor:
        """Model space to physical units, the geometry as the transforms left it."""
        return self.undo(y, PHYSICAL)

    def undo(self, y: Tensor, space: str) -> Tensor:
        """Takes a tensor from the model's space back to ``space``, differentiably."""
        for step in self.undo_steps(space):
            y = step.inverse(y)
        return y

    def undo_steps(self, space: str) -> list[Transform]:
        """The transforms to be undone to come from the model's space to ``space``, in the order of undoing.

        Raises:
            UserError: if there is no such space.
        """
        if space not in self.spaces:
            raise UserError(
                f"there is no space '@{space}'", hint=f"spaces are {', '.join('@' + s for s in self.spaces)}"
            )
        kept = {MODEL: len(self.names), PHYSICAL: 0}.get(space)
        if kept is None:
            kept = len(self.names) - self.names[::-1].index(space)
        return self.transforms()[kept:][::-1]

    def carry(
        self, tracks: Mapping[str, Tensor], others: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor], dict[str, Tensor]]:
        """Transforms a field together with what shares its geometry.

        Args:
            tracks: physical tensors (n, ...) that go through every transform; the first is the field itself, which
                decides where per-item geometry (centring) puts all of them.
            others: tensors like the field, which only the geometry changes.
            masks: bool tensors like the field.

        Returns:
            each track in the spaces that need no inverse: ``physical`` exactly (integers stay integers) as long as no
            geometry comes after a value transform; the others; the masks.
        """
        spaces = {name: {PHYSICAL: x} for name, x in tracks.items()}
        now, others, masks = dict(tracks), dict(others), dict(masks)
        only_geometry = True
        for name, step in zip(self.names, self.transforms(), strict=True):
            if step.kind == "geometry":
                now, others, masks = _move(step, now, others, masks)
                # Earlier spaces were on another pixel grid. They have to come from the inverse.
                spaces = {n: {PHYSICAL: x} if only_geometry else {} for n, x in now.items()}
            else:
                now = {n: step(x) for n, x in now.items()}
                only_geometry = False
            for track, x in now.items():
                spaces[track][name] = x
        for track, x in now.items():
            spaces[track][MODEL] = x
        return spaces, others, masks


def _move(
    step: Transform, tracks: dict[str, Tensor], others: dict[str, Tensor], masks: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    if hasattr(step, "together"):
        main, *names = tracks
        followers = {n: tracks[n] for n in names} | others
        moved, followers, masks = step.together(tracks[main], followers, masks)  # type: ignore[operator]
        return {main: moved} | {n: followers[n] for n in names}, {n: followers[n] for n in others}, masks
    return (
        {n: step(x) for n, x in tracks.items()},
        {n: step(x) for n, x in others.items()},
        {n: step.mask(m) for n, m in masks.items()},
    )


class Values:
    """The value transforms of a field alone, for what already has its final geometry: a metric that changes physical
    values (thinning counts) takes them to the model's space and back with this.

    Args:
        chain: the field's transforms.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def forward(self, x: Tensor) -> Tensor:
        """Physical values (n, ...) on the final pixel grid to the model's space.

        Raises:
            UserError: if a geometry transform comes after a value transform, so that the two cannot be parted.
        """
        steps = self.chain.transforms()
        kinds = [step.kind for step in steps]
        if "geometry" in kinds[kinds.index("value") if "value" in kinds else len(kinds) :]:
            raise UserError(
                "physical values cannot be taken to the model's space",
                where="data.transforms",
                hint="put the transforms of the pixel grid before those of values",
            )
        for step in steps:
            x = step(x) if step.kind == "value" else x
        return x

    def inverse(self, y: Tensor) -> Tensor:
        """Model space to physical values."""
        return self.chain.inverse(y)
