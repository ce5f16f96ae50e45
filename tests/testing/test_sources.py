from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stemcore.testing.sources import (
    changed,
    copied,
    damaged,
    elsewhere,
    its_own,
    missing,
    open_files,
    source_of,
)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    (tmp_path / "example").mkdir()
    path = tmp_path / "example" / "scan.raw"
    path.write_bytes(bytes(range(200)))
    return path


@pytest.fixture
def subject(tmp_path: Path, scan: Path) -> SimpleNamespace:
    (tmp_path / "check0").mkdir()
    return SimpleNamespace(folder=tmp_path / "check0")


def test_the_source_is_what_is_there_at_path(scan: Path) -> None:
    assert source_of({"path": str(scan)}) == source_of({"path": [str(scan), "other"]}) == scan
    assert source_of({"path": str(scan) + "?"}) is None
    assert source_of({"path": 3}) is source_of({"path": []}) is source_of({}) is None


def test_another_path_takes_its_place_or_that_of_the_first(scan: Path) -> None:
    assert elsewhere({"path": str(scan), "gain": 2}, Path("b")) == {"path": "b", "gain": 2}
    assert elsewhere({"path": [str(scan), "c"]}, Path("b")) == {"path": ["b", "c"]}


def test_damage_has_the_suffix_of_the_source(scan: Path, tmp_path: Path) -> None:
    found = damaged({"path": str(scan)}, tmp_path / "damaged")
    assert {path.suffix for path in found.values()} == {".raw"}
    assert found["the first half of the file"].read_bytes() == bytes(range(100))
    assert found["an empty file"].stat().st_size == 0
    assert len(found["a file of garbage"].read_bytes()) == 97
    assert found["an empty directory"].is_dir()
    absent = missing({"path": str(scan)}, tmp_path)
    assert (absent.suffix, absent.exists()) == (".raw", False)


def test_a_folder_is_not_cut_in_half(scan: Path, tmp_path: Path) -> None:
    assert set(damaged({"path": str(scan.parent)}, tmp_path / "d")) == {"a file of garbage", "an empty directory"}
    assert damaged({"path": "postgres://scans"}, tmp_path / "e") == {}


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(200))])
def test_a_change_is_of_one_byte_and_undone(scan: Path, content: bytes) -> None:
    scan.write_bytes(content)
    before = scan.stat()
    with changed(scan):
        seen = scan.read_bytes()
        assert scan.stat().st_mtime_ns > before.st_mtime_ns
        assert seen != content
        assert len(seen) == max(1, len(content))
        assert sum(a != b for a, b in zip(seen, content, strict=False)) == min(1, len(content))
    assert (scan.read_bytes(), scan.stat().st_mtime_ns) == (content, before.st_mtime_ns)


def test_only_files_of_the_example_are_changed(scan: Path, subject, tmp_path_factory) -> None:
    foreign = tmp_path_factory.mktemp("data") / "scan.raw"
    foreign.touch()
    assert its_own(subject, [scan, foreign]) == its_own(subject, [scan.parent, foreign.parent]) == [scan]


def test_a_copy_has_what_lies_beside_its_source(scan: Path, subject) -> None:
    scan.with_suffix(".hdr").write_text("rows 10")
    copy = copied(subject, scan)
    assert copy.read_bytes() == scan.read_bytes()
    assert copy.with_suffix(".hdr").read_text() == "rows 10"
    assert copy.resolve() != scan


def test_what_lies_elsewhere_is_not_copied(subject, tmp_path_factory) -> None:
    foreign = tmp_path_factory.mktemp("data") / "scan.raw"
    foreign.touch()
    assert copied(subject, foreign) == foreign


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_open_and_mapped_files_are_seen(scan: Path) -> None:
    name, before = str(scan.resolve()), open_files()
    assert before[name] == 0
    with scan.open("rb"), scan.open("rb"):
        assert open_files()[name] == 2
    mapped = np.memmap(scan, mode="r")
    assert open_files()[name] > 0
    del mapped
    assert open_files()[name] == 0
