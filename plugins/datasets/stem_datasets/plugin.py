"""The data sets that come with stemcore, and a verb for their files."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Scans in HDF5 files and in tensor files, and the bundled sample."""
    return {
        "hdf5": "stem_datasets.hdf5:Hdf5",
        "tensor": "stem_datasets.tensor:TensorFile",
        "sample": "stem_datasets.sample:Sample",
    }


@hookimpl
def stem_commands() -> dict[str, str]:
    """A verb that rewrites files which are slow to read."""
    return {"convert": "stem_datasets.convert:convert"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """Small files of each layout, for contract checks."""
    return {
        "dataset/hdf5": "stem_datasets.examples:hdf5",
        "dataset/tensor": "stem_datasets.examples:tensor",
        "dataset/sample": "stem_datasets.examples:sample",
        "command/convert": "stem_datasets.examples:convert",
    }
