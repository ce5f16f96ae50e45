"""Writes the reference pages from what is installed here: components, hooks, recipe keys, verbs, Python names, checks.

python docs/reference.py            writes docs/reference/*.md
python docs/reference.py --check    exits with 1 if one of them is out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
from _reference import checks, hooks, python_names
from _reference.markup import paragraphs, table

from stemcore.cli.component_page import document, type_in_words
from stemcore.cli.main import stem
from stemcore.cli.verbs import VERBS
from stemcore.component.kinds import KINDS
from stemcore.plugins.catalogue import catalogue
from stemcore.recipe import sections as recipe
from stemcore.recipe.schema import ABOUT

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/reference.py: change the docstrings, not this page. -->\n"
SECTIONS = {
    "The top level": recipe.Header,
    "data": recipe.DataConfig,
    "trainer": recipe.TrainerConfig,
    "trainer.ema": recipe.EMA,
    "trainer.early_stopping": recipe.EarlyStopping,
    "trainer.checkpoint": recipe.Checkpointing,
    "losses.NAME": recipe.LossKeys,
    "metrics.NAME": recipe.MetricKeys,
    "figures.NAME": recipe.FigureKeys,
    "optimizer.NAME": recipe.GroupKeys,
}
# What the schema cannot say of keys whose values are components or of several types.
TYPES = {
    ("data", "train"): "dataset",
    ("data", "val"): "number >= 0, < 1, or a dataset",
    ("data", "test"): "number >= 0, < 1, or a dataset",
    ("data", "augment"): "list of augmentations",
    ("data", "transforms"): "mapping of fields to lists of transforms",
    ("data", "sampler"): "sampler, or null",
    ("trainer", "ema"): "mapping, or null",
    ("trainer", "early_stopping"): "mapping, or null",
    ("trainer", "checkpoint"): "mapping",
    ("losses.NAME", "weight"): "number >= 0, or a weight_schedule",
}


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    return {
        "components.md": components(),
        "hooks.md": hooks.page(NOTE),
        "recipe-keys.md": recipe_keys(),
        "command-line.md": command_line(),
        "python.md": python_names.page(NOTE),
        "checks.md": checks.page(NOTE),
    }


def components() -> str:
    """Every component that stemcore brings, with its parameters."""
    parts = [
        f"# Components\n\n{NOTE}",
        "What comes with `stemcore`. `stem plugins` lists what is installed with you, plugins of others included, and "
        "`stem plugins show KIND/NAME` prints what stands here. A parameter in bold is required.\n",
    ]
    for kind in KINDS.values():
        entries = [entry for entry in catalogue().of_kind(kind.name) if entry.distribution == "stemcore"]
        if entries and kind.name != "command":
            parts.append(f"## {kind.name}\n")
            parts += [_component(document(catalogue(), entry)) for entry in entries]
    return "\n".join(parts)


def recipe_keys() -> str:
    """Every key of a recipe that is the core's."""
    parts = [
        f"# Recipe keys\n\n{NOTE}",
        "Every key that belongs to the core. Beside them each component has keys of its own, which are its parameters "
        "in [Components](components.md).\n",
    ]
    for name, model in SECTIONS.items():
        schema = model.model_json_schema(mode="validation")
        rows = []
        for key, field in model.model_fields.items():
            node = schema["properties"].get(key, {})
            words = TYPES.get((name, key)) or type_in_words(node, schema.get("$defs", {}))
            default = "**required**" if field.is_required() else _default(field.get_default())
            default = "the file's name" if key == "name" else default
            rows.append((f"`{key}`", words, default, field.description or "where the training data come from"))
        parts.append(f"## {name}\n\n{table(('key', 'type', 'default', 'about'), rows)}")
    return "\n".join([*parts, _stages()])


def _stages() -> str:
    """The keys of a ladder and of a stage that is a verb."""
    types = {"stages": "mapping of stages by name", "verb": "text", "arguments": "list", "options": "mapping"}
    rows = [(f"`{key}`", words, ABOUT[key]) for key, words in types.items()]
    return (
        "## stages\n\nIn place of all sections. A stage has the keys of a recipe, or those of a verb: "
        "[Train in stages](../how-to/train-in-stages.md).\n\n" + table(("key", "type", "about"), rows)
    )


def command_line() -> str:
    """Every verb with its arguments and options."""
    parts = [
        f"# Command line\n\n{NOTE}",
        "Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the work failed, 2 the input is "
        "wrong (one line for each mistake), 130 interrupted. Every verb takes `--debug` (show tracebacks), "
        "`-q`, `--quiet` (show no progress) and `--help`.\n",
    ]
    with stem.make_context("stem", [], resilient_parsing=True) as above:
        ours = [entry.name for entry in catalogue().of_kind("command") if entry.distribution == "stemcore"]
        for name in [*VERBS, *ours]:
            parts.append(_verb(stem.get_command(above, name), name, above))
    return "\n".join(parts)


def _component(described: Mapping[str, Any]) -> str:
    lines = [f"### `{described['name']}` {{: #{described['kind']}-{described['name']} }}\n", described["about"] + "\n"]
    rows = [
        (
            f"**`{p['name']}`**" if p["required"] else f"`{p['name']}`",
            p["type"],
            "" if p["required"] else f"`{json.dumps(p['default'])}`",
            p["description"],
        )
        for p in described["parameters"]
    ]
    if rows:
        lines.append(table(("parameter", "type", "default", "about"), rows))
    return "\n".join(lines)


def _verb(command: click.Command | None, name: str, above: click.Context) -> str:
    assert command is not None
    with click.Context(command, info_name=name, parent=above) as context:
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        depth = context.command_path.count(" ") + 1
        lines = [f"{'#' * depth} {context.command_path}\n", f"```text\n{usage}\n```\n", paragraphs(command.help or "")]
        records = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
        rows = [(f"`{flags}`", about) for flags, about in filter(None, records) if _own(flags)]
        if rows:
            lines.append(table(("option", "about"), rows))
        if isinstance(command, click.Group):
            lines += [_verb(command.commands[verb], verb, context) for verb in sorted(command.commands)]
    return "\n".join(lines)


def _own(flags: str) -> bool:
    return not any(common in flags.split() for common in ("--debug", "--quiet", "--help"))


def _default(value: Any) -> str:
    plain = value.model_dump() if hasattr(value, "model_dump") else value
    return f"`{json.dumps(plain)}`" if not isinstance(plain, Mapping) or not plain else "see below"


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = [name for name, text in pages().items() if not _is(FOLDER / name, text)]
    for name in stale:
        if check:
            print(f"docs/reference/{name} is out of date: run python docs/reference.py", file=sys.stderr)
        else:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / name).write_text(pages()[name], encoding="utf-8")
            print(FOLDER / name)
    return int(bool(stale) and check)


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
