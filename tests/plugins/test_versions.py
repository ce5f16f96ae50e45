from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import stemcore
from stemcore.plugins.catalogue import Catalogue
from stemcore.plugins.discovery import discover
from stemcore.plugins.versions import misfit

PLUGIN = "from stemcore import hookimpl\n@hookimpl\ndef stem_losses():\n    return {'good': 'gp.parts:Good'}\n"


@pytest.mark.parametrize(
    ("declared", "offered", "advice"),
    [
        (None, "1.0", None),
        ("1.0", "1.0", None),
        ("1.0", "1.3", None),
        ("1.3", "1.3", None),
        ("2.0", "2.10", None),
        ("1.1", "1.0", "pip install -U stemcore"),
        ("2.10", "2.9", "pip install -U stemcore"),
        ("2.0", "1.9", "pip install -U stemcore"),
        ("0.9", "1.0", "pip install -U stem-x, or an older stemcore"),
        ("1.9", "2.0", "pip install -U stem-x, or an older stemcore"),
    ],
)
def test_which_versions_fit(declared: str | None, offered: str, advice: str | None) -> None:
    said = misfit(declared, "stem-x", offered)
    if advice is None:
        assert said is None
    else:
        release = stemcore.__version__
        what = f"it was written for plugin API {declared}, this stemcore {release} offers {offered}"
        assert said == f"{what}; {advice}"


def test_an_old_plugin_of_an_unknown_distribution() -> None:
    assert str(misfit("0.1", None)).endswith("; install a newer version of it, or an older stemcore")


@pytest.mark.parametrize("declared", [1.0, "1", "1.0.0", "v1.0", "", "1.x", (1, 0), "١.٠"])
def test_what_is_no_version(declared: object) -> None:
    said = f"STEM_API = {declared!r} is no version of the plugin API; write STEM_API = '1.0'"
    assert misfit(declared, "stem-x") == said


def test_the_version_offered_is_public_and_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+", stemcore.API_VERSION)
    assert misfit(stemcore.API_VERSION, None) is None


@pytest.mark.parametrize(
    ("line", "api_version", "cause"),
    [
        ("", None, None),
        ("STEM_API = '1.0'\n", "1.0", None),
        ("STEM_API = '2.0'\n", "2.0", "it was written for plugin API 2.0, this stemcore "),
        ("STEM_API = 1\n", None, "STEM_API = 1 is no version"),
        ("def __getattr__(name):\n    raise OSError('no licence')\n", None, "OSError: no licence"),
    ],
)
def test_a_plugin_of_another_api_offers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, api_version: str | None, cause: str | None
) -> None:
    module = f"versioned_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(line + PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = discover([EntryPoint("lab", module, "stemcore")])
    (plugin,) = found.left_out if cause else found.plugins
    assert plugin.api_version == api_version
    assert plugin.location == str(tmp_path / f"{module}.py")
    assert [trouble.cause.startswith(cause or "?") for trouble in found.troubles] == ([True] if cause else [])
    assert Catalogue(found).names("loss") == ([] if cause else ["good"])


def test_hooks_of_a_later_api_are_not_what_is_said_to_be_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"versioned_{tmp_path.name}"
    later = "STEM_API = '1.1'\nfrom stemcore import hookimpl\n@hookimpl\ndef stem_later(given):\n    return {}\n"
    (tmp_path / f"{module}.py").write_text(later)
    monkeypatch.syspath_prepend(str(tmp_path))
    (trouble,) = discover([EntryPoint("lab", module, "stemcore")]).troubles
    assert trouble.cause.endswith("pip install -U stemcore")


def test_built_in_plugins_declare_no_version() -> None:
    """They are released with the core: a version of their own could only be the core's, or forgotten."""
    assert {plugin.api_version for plugin in discover().plugins if plugin.distribution == "stemcore"} == {None}
