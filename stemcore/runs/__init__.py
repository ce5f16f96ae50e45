"""A run directory: write it, find it, load it, apply it."""

from stemcore.runs.apply import Run, load_run
from stemcore.runs.folds import Folds
from stemcore.runs.items import Items
from stemcore.runs.ladder import Ladder
from stemcore.runs.launch import run

__all__ = ["Folds", "Items", "Ladder", "Run", "load_run", "run"]
