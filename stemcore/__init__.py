"""stemcore: a recipe names components, plugins provide them, the core assembles, trains and applies.

The public names below are imported on first use, so that ``import stemcore`` (and with it a plugin's
``plugin.py`` and ``stem --help``) costs neither torch nor Lightning Fabric.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemcore.assemble import FrozenRun as FrozenRun
    from stemcore.assemble import logged_scalars as logged_scalars
    from stemcore.cli.completion import complete_overrides_of_run as complete_overrides_of_run
    from stemcore.cli.completion import complete_runs as complete_runs
    from stemcore.cli.output import show_json as show_json
    from stemcore.cli.output import show_table as show_table
    from stemcore.component.augmentation import Augmentation as Augmentation
    from stemcore.component.backend import Backend as Backend
    from stemcore.component.callback import Callback as Callback
    from stemcore.component.callback import State as State
    from stemcore.component.command import Command as Command
    from stemcore.component.command import CommandGroup as CommandGroup
    from stemcore.component.command import reporter as reporter
    from stemcore.component.dataset import Dataset as Dataset
    from stemcore.component.fields import DataSpec as DataSpec
    from stemcore.component.fields import FieldSpec as FieldSpec
    from stemcore.component.figure import Figure as Figure
    from stemcore.component.logger import Logger as Logger
    from stemcore.component.loss import Loss as Loss
    from stemcore.component.metric import Metric as Metric
    from stemcore.component.model import Model as Model
    from stemcore.component.sampler import Sampler as Sampler
    from stemcore.component.summed_metric import SummedMetric as SummedMetric
    from stemcore.component.summed_metric import wide as wide
    from stemcore.component.transform import Transform as Transform
    from stemcore.component.weight_schedule import WeightSchedule as WeightSchedule
    from stemcore.errors import Interrupted as Interrupted
    from stemcore.errors import TrainingFailed as TrainingFailed
    from stemcore.errors import UserError as UserError
    from stemcore.errors import missing_file as missing_file
    from stemcore.files import write_atomically as write_atomically
    from stemcore.hookspecs import API_VERSION as API_VERSION
    from stemcore.hookspecs import hookimpl as hookimpl
    from stemcore.optional import optional_module as optional_module
    from stemcore.plugins.deprecation import StemDeprecationWarning as StemDeprecationWarning
    from stemcore.recipe import Recipe as Recipe
    from stemcore.recipe import load_recipe as load_recipe
    from stemcore.recipe.load import is_ladder as is_ladder
    from stemcore.recipe.load import read_ladder as read_ladder
    from stemcore.recipe.node import Node as Node
    from stemcore.recipe.source import load_yaml as load_yaml
    from stemcore.recipe.stages import LadderRecipe as LadderRecipe
    from stemcore.runs import Folds as Folds
    from stemcore.runs import Items as Items
    from stemcore.runs import Ladder as Ladder
    from stemcore.runs import Run as Run
    from stemcore.runs import load_run as load_run
    from stemcore.runs import run as run
    from stemcore.runs.ladder_check import check_ladder as check_ladder

__version__ = "0.1.0"

_HOME = {
    "hookimpl": "stemcore.hookspecs",
    "API_VERSION": "stemcore.hookspecs",
    "Dataset": "stemcore.component.dataset",
    "FieldSpec": "stemcore.component.fields",
    "DataSpec": "stemcore.component.fields",
    "Transform": "stemcore.component.transform",
    "Augmentation": "stemcore.component.augmentation",
    "Sampler": "stemcore.component.sampler",
    "Model": "stemcore.component.model",
    "Loss": "stemcore.component.loss",
    "Metric": "stemcore.component.metric",
    "SummedMetric": "stemcore.component.summed_metric",
    "wide": "stemcore.component.summed_metric",
    "Backend": "stemcore.component.backend",
    "Figure": "stemcore.component.figure",
    "Callback": "stemcore.component.callback",
    "State": "stemcore.component.callback",
    "Logger": "stemcore.component.logger",
    "WeightSchedule": "stemcore.component.weight_schedule",
    "Command": "stemcore.component.command",
    "CommandGroup": "stemcore.component.command",
    "reporter": "stemcore.component.command",
    "UserError": "stemcore.errors",
    "TrainingFailed": "stemcore.errors",
    "Interrupted": "stemcore.errors",
    "missing_file": "stemcore.errors",
    "write_atomically": "stemcore.files",
    "optional_module": "stemcore.optional",
    "StemDeprecationWarning": "stemcore.plugins.deprecation",
    "Recipe": "stemcore.recipe",
    "load_recipe": "stemcore.recipe",
    "LadderRecipe": "stemcore.recipe.stages",
    "is_ladder": "stemcore.recipe.load",
    "read_ladder": "stemcore.recipe.load",
    "check_ladder": "stemcore.runs.ladder_check",
    "load_yaml": "stemcore.recipe.source",
    "Node": "stemcore.recipe.node",
    "logged_scalars": "stemcore.assemble",
    "FrozenRun": "stemcore.assemble",
    "complete_runs": "stemcore.cli.completion",
    "complete_overrides_of_run": "stemcore.cli.completion",
    "show_json": "stemcore.cli.output",
    "show_table": "stemcore.cli.output",
    "run": "stemcore.runs",
    "load_run": "stemcore.runs",
    "Run": "stemcore.runs",
    "Folds": "stemcore.runs",
    "Items": "stemcore.runs",
    "Ladder": "stemcore.runs",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stemcore' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
