"""The training loop, on Lightning Fabric."""

from stemcore.trainer.loop import Trainer
from stemcore.trainer.setup import Limits

__all__ = ["Limits", "Trainer"]
