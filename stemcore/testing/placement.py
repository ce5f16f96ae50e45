"""Where tensors lie: on other devices, and with gaps between their values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from stemcore.plugins.discovery import cause_of
from stemcore.testing.promises import Broken

META = "meta"


def other_devices() -> list[torch.device]:
    """The accelerators that are here, and the meta device, whose tensors have shapes but no values."""
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), META: True}
    return [torch.device(name) for name, available in here.items() if available]


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Errors on a device as broken promises. On the meta device only those of tensors left behind on another one:
    whatever looks at values fails there, too, and is right to do so."""
    try:
        yield
    except Broken:
        raise
    except Exception as error:
        left_behind = any(said in str(error) for said in ("device cpu", "same device", "cpu and"))
        if device.type != META or left_behind:
            raise Broken(f"given tensors on {device} it raised {cause_of(error)}") from error


def with_gaps(x: Tensor) -> Tensor:
    """The same values (n, ...), laid out as a crop leaves them: rows do not follow each other without a gap."""
    return torch.cat([x, x[..., -1:]], dim=-1)[..., :-1]
