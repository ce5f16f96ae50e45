"""Memory and cores as a control group limits them."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from stemcore.data.memory import cores, free_memory

MB = 10**6


def group(root: Path, **files: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


def process(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text)
    return path


def test_without_control_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    free = free_memory(tmp_path / "none", tmp_path / "nothing")
    assert free == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert cores(tmp_path / "none", tmp_path / "nothing") >= 1


def test_the_limit_of_the_second_version_counts_files_in_memory_as_free(tmp_path: Path) -> None:
    group(
        tmp_path / "groups" / "job",
        memory__max=f"{300 * MB}",
        memory__current=f"{200 * MB}",
        memory__stat=f"anon 1\ninactive_file {150 * MB}\n",
        cpu__max="max 100000",
    )
    where = tmp_path / "groups", process(tmp_path, "0::/job\n")
    assert free_memory(*where) == 250 * MB
    assert cores(*where) == cores(tmp_path, tmp_path / "nothing")


def test_the_tightest_group_around_counts(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "user", memory__max=f"{100 * MB}", memory__current="0", cpu__max="50000 100000")
    group(tmp_path / "groups" / "user" / "job", memory__max="max", memory__current="0")
    where = tmp_path / "groups", process(tmp_path, "0::/user/job\n")
    assert free_memory(*where) == 100 * MB
    assert cores(*where) == 1


def test_the_first_version(tmp_path: Path) -> None:
    group(
        tmp_path / "groups" / "memory" / "job",
        memory__limit_in_bytes=f"{80 * MB}",
        memory__usage_in_bytes=f"{50 * MB}",
        memory__stat=f"total_inactive_file {10 * MB}",
    )
    group(tmp_path / "groups" / "cpu,cpuacct" / "job", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    where = tmp_path / "groups", process(tmp_path, "4:memory:/job\n3:cpu,cpuacct:/job\n")
    assert free_memory(*where) == 40 * MB
    assert cores(*where) >= 1
