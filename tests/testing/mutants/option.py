"""Options broken in one way each."""

from __future__ import annotations

from tests.testing.mutation import Mutant, no_examples

MODEL = """# A small autoencoder.
type: conv_autoencoder
latent_dim: 4
channels: [4, 8]
"""
LOSSES = "# Two terms.\nmse: {}\nlp: {weight: 1e-5}\n"
DATA = "# A scan of one's own.\ntrain: {type: hdf5}\ntransforms: {input: [log1p]}\n"
GROUPS = "# Two.\nencoder: {type: adam, parameters: [encoder]}\ndecoder: {type: sgd, lr: 0.1, parameters: [decoder]}\n"
SHORT = "# Short.\nmax_epochs: 2\n"

SOUND = [
    (("model/small", MODEL), no_examples),
    (("losses/two", LOSSES), no_examples),
    (("data/own", DATA), no_examples),
    (("optimizer/two", GROUPS), no_examples),
    (("trainer/short", SHORT), no_examples),
]
MUTANTS = [
    Mutant(
        "check_examples",
        MODEL,
        "its examples cannot be made: ZeroDivisionError",
        lambda folder: [1 / 0],
        name="model/small",
    ),
    Mutant("check_name", MODEL, "'models' is not a section of a recipe; did you mean 'model'", name="models/small"),
    Mutant("check_name", MODEL, "'Small-Model' is not a lower_snake name", name="model/Small-Model"),
    Mutant(
        "check_own_name", MODEL, "'conv_autoencoder' is also a model of plugin 'models'", name="model/conv_autoencoder"
    ),
    Mutant("check_file", None, "is not where it should be: no package", name="model/small"),
    Mutant("check_file", "- a list\n", "the option is not a mapping of keys", name="model/small"),
    Mutant("check_file", "a: [1\n", "not valid YAML", name="model/small"),
    Mutant(
        "check_first_line", MODEL.partition("\n")[2], "its first line is 'type: conv_autoencoder'", name="model/small"
    ),
    Mutant("check_whole", "# Small.\nlatent_dim: 4\n", "it has no type", name="model/small"),
    Mutant(
        "check_valid",
        MODEL.replace("latent_dim", "latent_dimm"),
        "it is not valid: .*did you mean 'latent_dim'",
        name="model/small",
    ),
    Mutant("check_valid", LOSSES.replace("lp", "lpp"), "unknown loss 'lpp'", name="losses/two"),
    Mutant("check_valid", DATA.replace("log1p", "lg1p"), "unknown transform 'lg1p'", name="data/own"),
    Mutant("check_valid", GROUPS.replace("lr: 0.1", "lr: -1"), "lr should be greater", name="optimizer/two"),
    Mutant("check_valid", SHORT.replace("2", "0"), "max_epochs should be greater", name="trainer/short"),
]
