"""The training loop, on Lightning Fabric."""

from stemcore.trainer.loop import Limits, Trainer

__all__ = ["Limits", "Trainer"]
