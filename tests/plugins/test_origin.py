from __future__ import annotations

import json
from importlib.metadata import Distribution, EntryPoint, PathDistribution
from pathlib import Path

import pytest

from stemcore.plugins.origin import origin_of


def point(folder: Path, direct_url: object = None) -> EntryPoint:
    """The entry point of a distribution whose metadata lie in ``folder``."""
    information = folder / "stem_lab-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-lab\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[stemcore]\nlab = lab_plugin\n")
    if direct_url is not None:
        text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
        (information / "direct_url.json").write_text(text)
    distribution: Distribution = PathDistribution(information)
    (found,) = distribution.entry_points
    return found


def test_where_a_distribution_is_installed(tmp_path: Path) -> None:
    assert Path(origin_of(point(tmp_path))) == tmp_path


def test_an_editable_install_lies_in_its_project(tmp_path: Path) -> None:
    project = tmp_path / "my lab"
    url = {"url": project.as_uri(), "dir_info": {"editable": True}}
    assert Path(origin_of(point(tmp_path, url))) == project


@pytest.mark.parametrize(
    "direct_url",
    [{"url": "https://example.org/x.whl", "archive_info": {}}, {"url": "file:///gone", "dir_info": {}}],
)
def test_a_wheel_lies_where_it_was_unpacked(tmp_path: Path, direct_url: object) -> None:
    assert Path(origin_of(point(tmp_path, direct_url))) == tmp_path


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_record_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    assert origin_of(point(tmp_path, text)) == ""


def test_an_entry_point_of_nobody() -> None:
    assert origin_of(EntryPoint("lab", "lab_plugin", "stemcore")) == ""
