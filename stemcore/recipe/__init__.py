"""The recipe: reading, checking and writing the document that says what a run is."""

from stemcore.recipe.document import Recipe
from stemcore.recipe.load import load_recipe
from stemcore.recipe.parts import Component, FigureTerm, LossTerm, MetricTerm, OptimizerGroup
from stemcore.recipe.sections import DataConfig, TrainerConfig

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
