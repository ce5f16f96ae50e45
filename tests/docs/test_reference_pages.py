"""What the docs say of hooks, kinds, flags, formulas and decisions is complete, and the generated pages are current."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from stemcore import hookspecs
from stemcore.component.kinds import KINDS
from stemcore.plugins.catalogue import catalogue
from stemcore.plugins.signature import CORE_KEYS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# The flags of both of the earlier training scripts.
FLAGS = set(
    re.findall(
        r"--\w+",
        """
    --data --output_dir --no_normalization --no_validation --latent --input_size --epochs --batch --lr --no_scheduler
    --precision --accumulate_grad_batches --lambda_act --lambda_sim --lambda_div --lambda_l2 --lambda_kl --device --gpus
    --compile --num_workers --workers --pin_memory --persistent_workers --realtime_metrics --no_realtime_metrics
    --checkpoint --resume_from_checkpoint --seed --debug --profile --loss_function --save_every_n_epochs
""",
    )
)


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stemcore_docs_reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["components.md", "recipe-keys.md", "command-line.md"])
def test_generated_pages_are_current(name: str) -> None:
    assert read(f"reference/{name}") == generator().pages()[name], "run: python docs/reference.py"


def test_every_hook_has_a_section_and_every_section_a_hook() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("stem_")}
    assert set(re.findall(r"^### `(stem_\w+)`$", read("plugins.md"), re.M)) == hooks


def test_the_table_of_kinds_is_that_of_the_core() -> None:
    rows = re.findall(r"^\| (\w+) \| `(stem_\w+)` \| ([^|]+) \| ([^|]+) \|$", read("plugins.md"), re.M)
    written = {kind: (hook, base.strip("`"), tuple(re.findall(r"`(\w+)`", given))) for kind, hook, base, given in rows}
    assert set(written) == set(KINDS)
    for name, kind in KINDS.items():
        hook, base, given = written[name]
        assert (hook, given) == (kind.hook, kind.given)
        assert base == kind.base or not kind.base


def test_the_example_has_every_hook() -> None:
    module = re.search(r'```python title="stem_lab/plugin.py"\n(.*?)```', read("plugins.md"), re.S)
    assert module is not None
    assert set(re.findall(r"def (stem_\w+)", module[1])) == {n for n in vars(hookspecs) if n.startswith("stem_")}


def test_keys_of_the_core_are_named() -> None:
    text = read("plugins.md")
    assert all(f"`{key}`" in text for keys in CORE_KEYS.values() for key in keys)


def test_every_earlier_flag_has_a_row_with_its_key() -> None:
    table = read("flags.md").split("## Commands side by side")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `--")]
    assert {flag for row in rows for flag in re.findall(r"--\w+", row[0])} == FLAGS
    assert all(len(row) == 3 and "`" in row[1] for row in rows)


@pytest.mark.parametrize("kind", ["loss", "metric"])
def test_every_loss_and_metric_has_its_formula(kind: str) -> None:
    losses, metrics = read("formulas.md").split("## Metrics")
    headings = set(re.findall(r"^### (\w+)", losses if kind == "loss" else metrics, re.M))
    assert headings == {entry.name for entry in catalogue().of_kind(kind) if entry.distribution == "stemcore"}


def test_schedulers_are_all_listed() -> None:
    text = read("recipes.md")
    names = {e.name for k in ("scheduler", "weight_schedule") for e in catalogue().of_kind(k)}
    assert all(f"`{name}`" in text for name in names)


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"- ([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M))
    assert listed == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.relative_to(ROOT)} links to {target}"


def test_shipped_recipes_and_targets_are_described() -> None:
    text = read("getting-started.md")
    assert all(f"`{e.name}`" in text for e in catalogue().of_kind("recipe") if e.distribution == "stemcore")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in ("run", "test", "lint", "docs", "bench"))
