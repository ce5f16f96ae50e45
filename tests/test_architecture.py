"""The rules of the design that a reader of one file cannot see: who imports whom, and what the core must not know."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stemcore
from stemcore import testing
from stemcore.plugins.catalogue import catalogue

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "stemcore"
FAMILIES = {folder.name for folder in (ROOT / "plugins").glob("*/stem_*") if folder.is_dir()}
PLUGIN_FILES = sorted(file for folder in (ROOT / "plugins").glob("*/stem_*") for file in folder.rglob("*.py"))

# Names of built-in components that are ordinary words of the core as well, each with what the core means by it.
ORDINARY = {
    "center": "a keyword of torch.pca_lowrank",
    "compare": "whether a field of a dataclass is compared",
    "cpu": "a device type of torch",
    "csv": "the module of the standard library, and the suffix of readable copies",
    "cuda": "a device type of torch",
    "mps": "a device type of torch",
    "hdf5": "the suffix of files that encode and reconstruct write",
    "images": "what fields with two axes of pixels hold",
    "impute": "a verb of models",
    "jobs": "the pieces of work of the loader",
    "latents": "what stem encode writes",
    "log": "the logger of a module, and a method of loggers",
    "loss": "a kind of component, and the name of the total loss",
    "reconstruction": "what stem reconstruct writes, in its help",
    "runs": "a layer of the core, and the folder of run directories",
    "sample": "a verb of models, and a source of figures",
    "sqrt": "a method of tensors, of which the PCA baseline takes the roots",
    "step": "an optimizer step",
    "submit": "a method of pools of threads",
    "tensor": "a tensor",
    "weighted": "what losses are by their weights",
}
# Hooks are named in the plural of their kinds, and so are some of the packages that implement them.
MAY_NAME_HOOKS = {CORE / "hookspecs.py", CORE / "component" / "kinds.py"}


def test_import_contracts_are_kept() -> None:
    command = shutil.which("lint-imports", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if command is None:
        pytest.skip("needs import-linter: pip install -e .[dev]")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout


def test_every_family_of_plugins_is_in_the_contracts_and_in_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages, contracts = text.split("[tool.importlinter]")
    for family in FAMILIES:
        assert contracts.count(f'"{family}",') == 3, f"{family} is missing in a contract of import-linter"
        assert f'= "{family}.plugin"' in packages, f"{family} has no entry point"
    assert set(re.findall(r'"(stem_\w+)",', contracts)) == FAMILIES


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Each imported module with the name taken from it, ``None`` where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: str(file.relative_to(ROOT / "plugins")))
def test_plugins_import_public_names_and_their_own_package(file: Path) -> None:
    own = next(part for part in file.parts if part in FAMILIES)
    for module, name in imports(ast.parse(file.read_text(encoding="utf-8"))):
        package = module.split(".")[0]
        if package == "stemcore":
            # What contract checks need to know of a component stands in a module of its own.
            public = {
                "stemcore": stemcore.__all__,
                **({"stemcore.testing": testing.__all__} if file.name.endswith("examples.py") else {}),
            }
            assert module in public, f"imports {module}, which is not public"
            assert name in public[module], f"imports {name}, which is not a public name of {module}"
        assert package == own or package not in FAMILIES, f"imports {module}, another plugin"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_plugin_module_holds_hooks_only(family: str) -> None:
    file = next(file for file in PLUGIN_FILES if file.parent.name == family and file.name == "plugin.py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert {module for module, _ in imports(tree)} <= {"__future__", "collections.abc", "typing", "stemcore"}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert all(f.name in vars(stemcore.hookspecs) and ast.unparse(f.decorator_list[0]) == "hookimpl" for f in functions)
    rest = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.Import, ast.ImportFrom))]
    assert len(rest) == 1, "a plugin module holds a docstring, imports and hooks"


def words(file: Path) -> Iterator[tuple[str, int]]:
    """The words of a file's identifiers and texts, docstrings left out, with their lines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    statements = [s for body in bodies for s in body]
    documents = {s.value for s in statements if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)}
    for node in ast.walk(tree):
        texts: list[str] = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documents:
            texts = [node.value]
        elif isinstance(node, ast.alias):
            texts = [node.name]
        elif isinstance(node, ast.ImportFrom):
            texts = [node.module or ""]
        else:
            texts = [text for key in ("id", "attr", "arg", "name") if isinstance(text := getattr(node, key, None), str)]
        for text in texts:
            yield from ((word, getattr(node, "lineno", 0)) for word in re.findall(r"\w+(?:-\w+)*", text))


def mentions(known: set[str]) -> dict[str, list[str]]:
    """Where the core names any of ``known``: each with ``file:line``."""
    found: dict[str, list[str]] = {}
    for file in sorted(CORE.rglob("*.py")):
        for word, line in words(file):
            if word in known and not (word in FAMILIES and file in MAY_NAME_HOOKS):
                found.setdefault(word, []).append(f"{file.relative_to(ROOT)}:{line}")
    return found


def test_the_core_names_no_plugin_package() -> None:
    assert mentions(FAMILIES) == {}


def test_the_core_names_no_built_in_component() -> None:
    built_in = {entry.name for entry in catalogue().entries if entry.distribution == "stemcore"}
    assert len(built_in) > 60
    found = mentions(built_in)
    assert {word: places for word, places in found.items() if word not in ORDINARY} == {}
    assert set(found) == set(ORDINARY), "an exemption that nothing needs any more"


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    file = tmp_path / "core.py"
    file.write_text(
        '"""About psnr."""\nfrom stem_losses.x import Y\nkind = "log1p" + f"a conv_autoencoder"\nssim = lp.huber\n'
    )
    assert {"stem_losses", "log1p", "conv_autoencoder", "ssim", "lp", "huber"} <= {word for word, _ in words(file)}
    assert "psnr" not in {word for word, _ in words(file)}
