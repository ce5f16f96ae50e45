"""What the docs say of hooks, kinds, flags, formulas and decisions is complete, and the generated pages are current."""

from __future__ import annotations

import importlib.util
import inspect
import re
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

import stemcore
from stemcore import hookspecs, testing
from stemcore.component.kinds import KINDS
from stemcore.plugins.catalogue import catalogue
from stemcore.plugins.signature import CORE_KEYS
from stemcore.testing import Example
from stemcore.testing.examples import EXAMPLE_OF
from stemcore.testing.promises import every_check

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


@lru_cache(maxsize=1)
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stemcore_docs_reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(generator().pages()))
def test_generated_pages_are_current(name: str) -> None:
    assert read(f"reference/{name}") == generator().pages()[name], "run: python docs/reference.py"


def test_every_hook_is_on_its_page_with_what_its_class_offers() -> None:
    page = read("reference/hooks.md")
    hooks = {name for name in vars(hookspecs) if name.startswith("stem_")}
    assert set(re.findall(r"^## `(stem_\w+)`", page, re.M)) == hooks
    for kind in KINDS.values():
        for name in public_members(kind.base):
            assert f"`{name}" in page, f"{kind.base}.{name}"


def public_members(base: str) -> list[str]:
    """What a base class itself has for its users, beyond what it inherits from another library."""
    owner = getattr(stemcore, base, None) if base else None
    if owner is None:
        return []
    return [n for n in vars(owner) if not n.startswith("_") and not any(hasattr(b, n) for b in owner.__mro__[1:])]


def test_every_public_name_is_on_its_page() -> None:
    named = set(re.findall(r"^### `([\w.]+)`", read("reference/python.md"), re.M))
    public = {f"stemcore.{name}" for name in stemcore.__all__} | {f"stemcore.testing.{n}" for n in testing.__all__}
    assert named == {name for name in public if "__" not in name}


def test_every_check_is_on_its_page_with_what_breaks_it() -> None:
    page = read("reference/checks.md")
    for check in every_check():
        section = page.split(f"{{: #{check.kind}-{check.name} }}")[1].split("\n##")[0]
        assert check.promise.split()[0].strip("`") in section
        assert "\n- " in section, f"{check.kind} {check.name} has no mutant"


def test_every_kind_has_a_guide() -> None:
    guides = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "how-to").glob("*.md"))
    defined = "".join(re.findall(r'```python title="stem_lab/\w+.py"\n(.*?)```', guides, re.S))
    for kind in KINDS.values():
        if kind.base:
            assert re.search(rf"^class \w+\({kind.base}\)|cls={kind.base}\)", defined, re.M), kind.name


def test_the_table_of_kinds_is_that_of_the_core() -> None:
    guide = read("how-to/write-a-plugin.md")
    rows = re.findall(r"^\| (\w+) \| `(stem_\w+)` \| ([^|]+) \| ([^|]+) \|$", guide, re.M)
    written = {kind: (hook, base.strip("`"), tuple(re.findall(r"`(\w+)`", given))) for kind, hook, base, given in rows}
    assert set(written) == set(KINDS)
    for name, kind in KINDS.items():
        hook, base, given = written[name]
        assert (hook, given) == (kind.hook, kind.given)
        assert base == kind.base or not kind.base


def test_the_example_has_every_hook() -> None:
    module = re.search(r'```python title="stem_lab/plugin.py"\n(.*?)```', read("how-to/write-a-plugin.md"), re.S)
    assert module is not None
    assert set(re.findall(r"def (stem_\w+)", module[1])) == {n for n in vars(hookspecs) if n.startswith("stem_")}


def test_every_example_class_is_in_the_table() -> None:
    guide = read("how-to/test-a-plugin.md")
    assert set(re.findall(r"^\| `(\w+Example)`", guide, re.M)) == {c.__name__ for c in EXAMPLE_OF.values()}
    for example in EXAMPLE_OF.values():
        row = re.search(rf"^\| `{example.__name__}` \|(.*)$", guide, re.M)
        names = {field.name for field in fields(example)} | {field.name for field in fields(Example)}
        assert row
        assert set(re.findall(r"`(\w+)`", row[1])) <= names


def test_signatures_in_the_guides_are_those_of_the_code() -> None:
    """``method(arguments)`` in the text of a guide names the arguments that the method has, in their order."""
    for page in (DOCS / "how-to").glob("write-a*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for method, given in re.findall(r"`(\w+)\(([\w, *]*)\)`", text):
            assert wrong_arguments(method, given) == "", f"{page.name}: {method}({given})"


def wrong_arguments(method: str, given: str) -> str:
    owners = [getattr(stemcore, kind.base) for kind in KINDS.values() if kind.base] + [stemcore.State]
    found = [getattr(owner, method) for owner in owners if hasattr(owner, method)]
    if not found and hasattr(stemcore, method):
        found = [getattr(stemcore, method)]
    wanted = [a.strip() for a in given.split(",") if a.strip() not in ("", "*")]
    allowed = [[p for p in inspect.signature(f).parameters if p != "self"] for f in found if callable(f)]
    fits = any(wanted == names[: len(wanted)] or set(wanted) <= set(names) for names in allowed)
    return "" if not found or not wanted or fits else f"it takes {allowed}"


def test_wrong_signatures_are_noticed() -> None:
    assert wrong_arguments("read", "indices") == ""
    assert "indices" in wrong_arguments("read", "numbers")
    assert "x" in wrong_arguments("update", "y")


def test_a_page_that_is_out_of_date_is_noticed() -> None:
    made = generator().pages()["hooks.md"]
    assert read("reference/hooks.md").replace("`read(indices)`", "`read(numbers)`") != made
    assert "`read(indices)`" in made


def test_keys_of_the_core_are_named() -> None:
    text = read("how-to/write-a-plugin.md")
    assert all(f"`{key}`" in text for keys in CORE_KEYS.values() for key in keys)


def test_every_earlier_flag_has_a_row_with_its_key() -> None:
    table = read("how-to/migrate-from-scripts.md").split("## Commands side by side")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `--")]
    assert {flag for row in rows for flag in re.findall(r"--\w+", row[0])} == FLAGS
    assert all(len(row) == 3 and "`" in row[1] for row in rows)


@pytest.mark.parametrize("kind", ["loss", "metric"])
def test_every_loss_and_metric_has_its_formula(kind: str) -> None:
    losses, metrics = read("reference/formulas.md").split("## Metrics")
    headings = set(re.findall(r"^### (\w+)", losses if kind == "loss" else metrics, re.M))
    assert headings == {entry.name for entry in catalogue().of_kind(kind) if entry.distribution == "stemcore"}


def test_schedulers_are_all_listed() -> None:
    text = read("how-to/write-a-recipe.md")
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
    on_images = ("train-on-images", "sample-from-diffusion", "control-generation")
    guides = ("use-paired-tables", "train-on-cubes", *on_images)
    pages = ("tutorial/first-run.md", "tutorial/images-to-control.md", *(f"how-to/{guide}.md" for guide in guides))
    text = "".join(map(read, pages))
    assert all(f"`{e.name}`" in text for e in catalogue().of_kind("recipe") if e.distribution == "stemcore")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in ("run", "test", "lint", "docs", "bench"))
