"""The recipe: reading, checking and writing the document that says what a run is."""

from stemcore.recipe.document import DataConfig, Recipe, TrainerConfig
from stemcore.recipe.load import load_recipe
from stemcore.recipe.parts import Component, FigureTerm, LossTerm, MetricTerm, OptimizerGroup

__all__ = [
    "Component",
    "DataConfig",
    "FigureTerm",
    "LossTerm",
    "MetricTerm",
    "OptimizerGroup",
    "Recipe",
    "TrainerConfig",
    "load_recipe",
]
