"""A run applied to scans stored in different ways, beside the model applied to their patterns one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from stemcore import Run, UserError, load_run, run
from stemcore.progress import Reporter
from tests.conftest import SMALL, bundled_patterns

QUIET = Reporter()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of two batches on patterns of 16 x 16."""
    folder = tmp_path_factory.mktemp("apply")
    with h5py.File(folder / "scan.h5", "w") as file:
        file["patterns"] = bundled_patterns()[:96]
    data = {"train": {"type": "hdf5", "path": str(folder / "scan.h5")}, "eval_batch_size": 19}
    recipe: dict[str, Any] = SMALL | {
        "data": SMALL["data"] | data | {"transforms": {"input": ["log1p", "standardize"]}}
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        yield run(recipe, output=folder / "run", fast_dev_run=True, reporter=QUIET)


PATTERNS = bundled_patterns()[100:484]
"""What the other scans hold, from the first on."""


@pytest.fixture(scope="module")
def directly(trained: Run) -> tuple[np.ndarray, np.ndarray]:
    """Latents and reconstructions of the patterns, in their order, each computed alone."""
    loaded, _ = trained.load()
    latents, reconstructions = [], []
    loaded.model.eval()
    with torch.no_grad():
        for number, pattern in enumerate(PATTERNS[:, None, None]):
            stored = {"input": torch.from_numpy(pattern), "index": torch.tensor([number])}
            given = loaded.parts.pipeline(stored)["input"]
            latents.append(loaded.model.encode(input=given))
            restored = loaded.parts.pipeline.chain("input").inverse(loaded.model.reconstruct(input=given))
            reconstructions.append(restored[:, 0])
    return torch.cat(latents).numpy(), torch.cat(reconstructions).numpy()


STORED = {
    "list of patterns": {"shape": (273,), "chunks": (16, 16, 16)},
    "list with a scan": {"shape": (273,), "chunks": (16, 16, 16), "scan": (13, 21)},
    "list with another scan": {"shape": (273,), "chunks": (16, 16, 16), "scan": (3, 7, 13)},
    "tiles": {"shape": (16, 24), "chunks": (8, 8, 16, 16)},
    "tiles that do not divide": {"shape": (13, 21), "chunks": (8, 8, 16, 16)},
    "pieces of lines": {"shape": (12, 20), "chunks": (1, 5, 16, 16)},
    "pieces that do not divide": {"shape": (13, 21), "chunks": (1, 5, 16, 16)},
    "quarters of detectors": {"shape": (13, 21), "chunks": (5, 6, 8, 8)},
    "contiguous": {"shape": (13, 21), "chunks": None},
    "one pattern": {"shape": (1, 1), "chunks": None},
    "one line": {"shape": (1, 40), "chunks": (1, 7, 16, 16)},
    "one column": {"shape": (40, 1), "chunks": (7, 1, 16, 16)},
    "fewer than a batch": {"shape": (3, 4), "chunks": (2, 3, 16, 16)},
}


@pytest.fixture(params=STORED.values(), ids=STORED.keys())
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, tuple[int, ...]]:
    """A scan in a file, and the shape of what is made of it."""
    shape = request.param["shape"]
    with h5py.File(tmp_path / "other.h5", "w") as file:
        patterns = PATTERNS[: np.prod(shape)].reshape(*shape, 16, 16)
        compression = "gzip" if request.param["chunks"] else None
        file.create_dataset("patterns", data=patterns, chunks=request.param["chunks"], compression=compression)
        if "scan" in request.param:
            file.attrs["scan_shape"] = request.param["scan"]
    return tmp_path / "other.h5", request.param.get("scan", shape)


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    """Batches of other sizes are summed in another order."""
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_every_row_is_where_its_pattern_was(
    trained: Run, directly: tuple[np.ndarray, np.ndarray], stored: tuple[Path, tuple[int, ...]], tmp_path: Path
) -> None:
    path, lead = stored
    latents, patterns = (rows[: np.prod(lead)] for rows in directly)
    close(trained.encode(data=path, reporter=QUIET), latents.reshape(*lead, 4))
    for name in ("z.h5", "z.npz"):
        trained.encode(tmp_path / name, data=path, reporter=QUIET)
    close(np.load(tmp_path / "z.npz")["latents"], latents.reshape(*lead, 4))
    trained.reconstruct(tmp_path / "r.h5", data=path, reporter=QUIET)
    trained.reconstruct(tmp_path / "g.h5", data=path, reporter=QUIET, compression="gzip", dtype="float16")
    with h5py.File(tmp_path / "z.h5") as z, h5py.File(tmp_path / "r.h5") as r, h5py.File(tmp_path / "g.h5") as g:
        close(z["latents"][:], latents.reshape(*lead, 4))
        close(r["patterns"][:], patterns.reshape(*lead, 16, 16))
        assert r["patterns"].attrs["unit"] == "counts"
        np.testing.assert_allclose(g["patterns"][:], r["patterns"][:], rtol=2**-11, atol=2**-20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.h5", "other.h5", "r.h5", "z.h5", "z.npz"]


def test_the_data_are_not_written_over(trained: Run, scan_file: Callable[..., Path]) -> None:
    path = scan_file()
    before = path.read_bytes()
    for verb in (trained.encode, trained.reconstruct):
        with pytest.raises(UserError, match="give the output another name"):
            verb(path, data=path, reporter=QUIET)
    assert path.read_bytes() == before


def test_data_that_fail_leave_nothing(trained: Run, scan_file: Callable[..., Path], tmp_path: Path) -> None:
    path = scan_file(patterns=bundled_patterns()[:500], chunks=(10, 16, 16), compression="gzip")
    with h5py.File(path) as file:
        chunk = file["patterns"].id.get_chunk_info(40)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    (tmp_path / "old.h5").write_text("from before")
    with pytest.raises(UserError, match="400"):
        trained.reconstruct(tmp_path / "old.h5", data=path, reporter=QUIET)
    assert (tmp_path / "old.h5").read_text() == "from before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old.h5", "scan.h5"]


def test_overrides_change_the_model_and_keep_its_weights(trained: Run) -> None:
    changed = load_run(trained.directory, ["model.activation=relu", "data.eval_batch_size=7"])
    assert changed.recipe.data.evaluation_batch_size == 7
    both = [r.load()[0].model.state_dict() for r in (trained, changed)]
    assert all(torch.equal(both[0][name], tensor) for name, tensor in both[1].items())
    assert not np.allclose(trained.encode(reporter=QUIET), changed.encode(reporter=QUIET), atol=1e-3)
    close(
        load_run(trained.directory, ["data.eval_batch_size=7"]).encode(reporter=QUIET), trained.encode(reporter=QUIET)
    )


def test_overrides_of_anything_else_are_refused_all_at_once(trained: Run) -> None:
    with pytest.raises(UserError) as refused:
        load_run(trained.directory, ["optimizer.lr=1.0", "data.batch_size=3", "model.activation=relu"])
    assert {p.where for p in refused.value.problems} == {"optimizer.lr", "data.batch_size"}
    with pytest.raises(UserError) as refused:
        load_run(trained.directory, ["model.type=resnet_autoencoder", "optimizer.lr=1.0"])
    assert {p.where for p in refused.value.problems} == {"model.type", "optimizer.lr"}
    with pytest.raises(UserError, match=r"overrides should be a list of texts; write \['model.activation=relu'\]"):
        load_run(trained.directory, "model.activation=relu")
    with pytest.raises(UserError, match="did you mean 'activation'"):
        load_run(trained.directory, ["model.activatoin=relu"])
    with pytest.raises(UserError, match="weights of another model"):
        load_run(trained.directory, ["model.latent_dim=5"]).encode(reporter=QUIET)


def test_all_items_are_those_that_are_encoded(trained: Run, scan_file: Callable[..., Path]) -> None:
    items = trained.all_items()
    assert len(items) == len(trained.encode(reporter=QUIET)) == 96
    np.testing.assert_array_equal(items.read()["input"][:, 0], bundled_patterns()[:96])
    assert (items.names, items.groups, items.parts, items.spec.scan_shape) == (None, None, None, None)
    at = np.array([90, 3, 4, 5, 0])
    batches = list(items.batches(2, at))
    assert [len(index) for index, _ in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([fields["input"] for _, fields in batches]), items.read()["input"][at])
    np.testing.assert_array_equal(np.concatenate([index for index, _ in items.batches(40)]), np.arange(96))
    assert len(trained.all_items(scan_file(patterns=PATTERNS[:7]))) == 7
    with pytest.raises(UserError, match="shape"):
        trained.all_items(scan_file(patterns=PATTERNS[:7, :8, :8]))
