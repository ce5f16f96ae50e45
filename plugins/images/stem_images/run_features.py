"""Features of the model of another run."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stemcore import FrozenRun, UserError


class RunFeatures(nn.Module):
    """What modules within a frozen model give while it encodes, or its latents.

    Args:
        frozen: the run.
        modules: their names within the model, such as ``encoder.5``; none for the latents.

    Raises:
        UserError: for a module that the model does not have.
    """

    def __init__(self, frozen: FrozenRun, modules: Sequence[str]) -> None:
        super().__init__()
        self.frozen, self.modules_named = frozen, tuple(modules)
        known = dict(frozen.model.named_modules())
        unknown = [name for name in modules if not name or name not in known]
        if unknown:
            few = [name for name, module in known.items() if name and not any(module.children())][:12]
            raise UserError(
                f"the run's model has no module {', '.join(unknown)}",
                hint=f"the first of its modules are {', '.join(few)}",
            )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features (n, ...) of images (n, c, h, w) in physical units.

        Raises:
            UserError: if a module has no part in encoding.
        """
        field = self.frozen.fields["input"]
        given = self.frozen.to_model("input", (images - field.offset) / field.scale)
        found: dict[str, Tensor] = {}
        modules = dict(self.frozen.model.named_modules())

        def keep(name: str) -> RemovableHandle:
            return modules[name].register_forward_hook(lambda module, taken, made: found.update({name: made}))

        hooks = [keep(name) for name in self.modules_named]
        try:
            latent = self.frozen.model.encode(input=given)
        finally:
            for hook in hooks:
                hook.remove()
        if not self.modules_named:
            return [latent]
        idle = [name for name in self.modules_named if name not in found]
        if idle:
            raise UserError(f"the run's model encodes without its module {', '.join(idle)}")
        return [found[name] for name in self.modules_named]
