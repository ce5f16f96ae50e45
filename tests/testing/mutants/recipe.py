"""Recipes broken in one way each."""

from __future__ import annotations

from stemcore.testing import RecipeExample
from tests.testing.mutation import Mutant, no_examples

RECIPE = """# A small autoencoder of the bundled scan.
stem: 1
name: component
data:
  train: {type: sample}
  transforms: {input: [{type: bin, factor: 4}, log1p]}
model: {type: conv_autoencoder, latent_dim: 4, channels: [4, 8]}
losses: {mse: {}}
trainer: {max_epochs: 1}
"""
BY_PATH = RECIPE.replace("{type: sample}", "{type: hdf5}")
LADDER = """# Two of them, one after the other.
stem: 1
name: component
stages:
  first:
    data: {train: {type: sample}, transforms: {input: [{type: bin, factor: 4}, log1p]}}
    model: {type: conv_autoencoder, latent_dim: 4, channels: [4, 8]}
    losses: {mse: {}}
  clean: {verb: reconstruct, arguments: ["stage:first"], options: {out: clean.h5}}
  second:
    data: {train: {type: hdf5}}
    model: {type: conv_autoencoder, channels: [4]}
    losses: {mse: {}}
"""


def without_latents(folder):
    return [RecipeExample(overrides=["model.latent_dim=0"])]


def own_path(folder):
    return [RecipeExample(overrides=["data.train={type: sample}"])]


SOUND = [(RECIPE, no_examples), (BY_PATH, no_examples), (BY_PATH, own_path), (LADDER, no_examples)]
MUTANTS = [
    Mutant("check_examples", RECIPE, "its examples cannot be made: ZeroDivisionError", lambda folder: [1 / 0]),
    Mutant("check_name", RECIPE, "'My_Recipe' is not such a name", name="My_Recipe"),
    Mutant("check_file", None, "cannot be read: FileNotFoundError"),
    Mutant("check_file", "- a list\n", "it is a list, not a mapping"),
    Mutant("check_file", "a: [1\n", "it is not YAML"),
    Mutant("check_first_line", RECIPE.partition("\n")[2], "its first line is 'stem: 1'"),
    Mutant("check_header", RECIPE.replace("stem: 1\n", ""), "it has stem: None"),
    Mutant(
        "check_header", RECIPE.replace("name: component", "name: copied"), "it has name: copied, not name: component"
    ),
    Mutant("check_valid", RECIPE.replace("latent_dim", "latent_dimm"), "it is not valid: .*did you mean 'latent_dim'"),
    Mutant("check_valid", RECIPE, "it is not valid: .*latent_dim should be greater", without_latents),
    Mutant("check_valid", BY_PATH.replace("log1p", "lg1p"), "unknown transform 'lg1p'"),
    Mutant("check_valid", LADDER.replace("stage:first", "stage:frst"), "'frst'; did you mean 'first'"),
    Mutant("check_json_schema", LADDER.replace("arguments:", "argumnts:"), "stages.clean: .*'argumnts'"),
    Mutant("check_fits_together", LADDER.replace("hdf5", "sample").replace("{out:", "{ou:"), "has no option 'ou'"),
    Mutant("check_resolved_again", RECIPE.replace("name: component", "name: 1e5"), "name"),
    Mutant("check_json_schema", RECIPE.replace("max_epochs: 1", "max_epochs: many"), "trainer"),
    Mutant("check_fits_together", RECIPE.replace("factor: 4", "factor: 64"), "these are 1 x 1"),
    Mutant(
        "check_fits_together", RECIPE.replace("mse: {}", "mse: {inputs: {target: truth}}"), "loss 'mse' wants 'truth'"
    ),
]
