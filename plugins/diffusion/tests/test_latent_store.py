"""The file of latents: killed at any moment it can be gone on with, and what it says of itself is right."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import h5py
import numpy as np
import pytest
from stem_diffusion.latent_store import Contents, StoreWriter, part_of
from stem_diffusion.moments import Moments
from stem_diffusion.store_layout import described, kept_type

from stemcore import FieldSpec, UserError

LABEL = FieldSpec("label", (), "int64", classes=("a", "b"))
PIXELS = FieldSpec("label_map", (1, 6, 6), "int64", classes=("none", "cell"))
ORDER = np.concatenate([np.arange(500).reshape(10, 50)[:, k : k + 25].ravel() for k in (0, 25)])
"""Block by block, as of a file whose chunks are smaller than the lines of its scan."""
IDENTITY = {"sha256": "ab" * 32, "source": "cd" * 32, "posterior": "mean"}


def contents(items: int = 500, **changed) -> Contents:
    return Contents(items, (2, 3), "float32", IDENTITY, fields={"label": LABEL, "label_map": PIXELS}, **changed)


def rows(items: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0).standard_normal((500, 2, 3)).astype(np.float32)
    return rng[items], {
        "label": items % 2,
        "label_map": np.broadcast_to(items[:, None, None, None] % 3 - 1, (len(items), 1, 6, 6)),
    }


def fill(store: StoreWriter, to: int, step: int = 37) -> None:
    while store.done < to:
        items = ORDER[store.done : min(to, store.done + step)]
        latents, fields = rows(items)
        store.put(latents, fields, items % 5 != 0, items)


def test_a_store_that_was_killed_in_mid_write_is_gone_on_with_and_ends_as_an_undisturbed_one(tmp_path) -> None:
    with StoreWriter(tmp_path / "whole.h5", contents()) as store:
        fill(store, 500)
        store.finish()
    out = tmp_path / "latents.h5"
    for stop in (100, 300):
        if (child := os.fork()) == 0:
            store = StoreWriter(out, contents())
            fill(store, stop)
            store.save()
            fill(store, stop + 60)
            store._file.flush()  # more lies in the file than its mark says
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        with StoreWriter(out, contents()) as store:
            assert store.done == stop
    assert not out.exists()
    with StoreWriter(out, contents()) as store:
        fill(store, 500, step=50)
        scale = store.finish()
    assert not part_of(out).exists()
    with h5py.File(out) as a, h5py.File(tmp_path / "whole.h5") as b:
        for name in ("latents", "fields/label", "fields/label_map"):
            np.testing.assert_array_equal(a[name][()], b[name][()])
        kept = a["latents"][()][np.arange(500) % 5 != 0].astype(np.float64)
        assert scale == pytest.approx(1 / kept.std(), rel=1e-12)
        assert a.attrs["scale_factor"] == scale
        assert a["fields/label_map"].dtype == np.int16
        assert described(a["fields/label_map"].attrs["spec"]) == PIXELS


def test_ten_values_far_from_zero_have_the_spread_that_float64_gives_them() -> None:
    values = (1e6 + np.random.default_rng(1).standard_normal(10_000)).astype(np.float32)
    moments = Moments()
    for piece in np.array_split(values, 7):
        moments.add(piece)
    moments.add(values[:0])
    assert moments.std == pytest.approx(values.astype(np.float64).std(), rel=1e-9)
    assert moments.mean == pytest.approx(values.astype(np.float64).mean(), rel=1e-14)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": {**IDENTITY, "sha256": "ff" * 32}}, 'sha256 ("abababab'),
        ({"identity": {**IDENTITY, "source": "ff" * 32}}, "source"),
        ({"identity": {**IDENTITY, "posterior": "sample", "seed": 1}}, 'posterior ("mean" then, "sample" now), seed'),
        ({"dtype": "float16"}, 'dtype ("float32" then, "float16" now)'),
        ({"fields": {"label": LABEL}}, "fields"),
        ({"shape": (6,)}, "shape ([2, 3] then, [6] now)"),
    ],
)
def test_another_store_is_not_gone_on_with(tmp_path, change, said) -> None:
    out = tmp_path / "latents.h5"
    with StoreWriter(out, contents()) as store:
        fill(store, 74)
    with pytest.raises(UserError, match="begun here that differs in") as refused:
        StoreWriter(out, replace(contents(), **change))
    assert said in str(refused.value)
    assert "--restart" in refused.value.problems[0].hint
    with StoreWriter(out, replace(contents(), **change), restart=True) as store:
        assert store.done == 0


def test_two_processes_do_not_write_one_store(tmp_path) -> None:
    ready, opened = os.pipe()
    if (child := os.fork()) == 0:
        store = StoreWriter(tmp_path / "latents.h5", contents())
        os.write(opened, bytes([store.done + 1]))
        signal.pause()
    try:
        os.read(ready, 1)
        for restart in (False, True):
            with pytest.raises(UserError, match="another process is writing this store"):
                StoreWriter(tmp_path / "latents.h5", contents(), restart=restart)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_latents_that_cannot_be_kept_are_named(tmp_path) -> None:
    half = replace(contents(), dtype="float16")
    with StoreWriter(tmp_path / "latents.h5", half) as store:
        fill(store, 74)
        items = np.arange(74, 80)
        latents, fields = rows(items)
        latents[2, 0, 1] = 1e5
        with pytest.raises(UserError, match="a latent of item 76 is beyond 65504, the largest of float16"):
            store.put(latents, fields, np.ones(6, bool), items)
        latents[2, 0, 1] = np.nan
        with pytest.raises(UserError, match="the latents of item 76 are not finite"):
            store.put(latents, fields, np.ones(6, bool), items)
        assert store.done == 74


def test_latents_without_spread_are_refused(tmp_path) -> None:
    with StoreWriter(tmp_path / "latents.h5", contents()) as store:
        latents, fields = rows(ORDER)
        store.put(np.ones_like(latents), fields, np.ones(500, bool), ORDER)
        with pytest.raises(UserError, match="all latents are the same"):
            store.finish()


def test_a_store_beyond_the_disk_is_refused_before_anything_is_computed(tmp_path) -> None:
    with pytest.raises(UserError, match="are free"):
        StoreWriter(tmp_path / "latents.h5", contents(items=10**13))
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_damaged_after_it_was_begun_is_named(tmp_path) -> None:
    part_of(tmp_path / "latents.h5").write_bytes(b"half")
    with pytest.raises(UserError, match="cannot be read"):
        StoreWriter(tmp_path / "latents.h5", contents())


def test_labels_of_pixels_take_two_bytes_and_numbers_keep_their_type() -> None:
    assert kept_type(PIXELS) == np.int16
    assert kept_type(LABEL) == np.int64
    assert kept_type(FieldSpec("condition", (1, 4, 4))) == np.float32
