"""``python -m stemcore.cli``, and ``torchrun -m stemcore.cli``: the same as ``stem``."""

from __future__ import annotations

from stemcore.cli.main import main

main()
