"""The files behind a data set: held open, changed, missing and damaged."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.promises import Broken, NotApplicable
from stemcore.testing.subject import Subject

GARBAGE = bytes((37 * k + 11) % 256 for k in range(97))
"""Of a length that is no multiple of any item's: also a format without a header can tell."""
MOST_COPIED = 64 << 20
_OPEN, _MAPPED = Path("/proc/self/fd"), Path("/proc/self/maps")


def source_of(config: Mapping[str, Any]) -> Path | None:
    """The file or folder that a configuration names by ``path`` (the first of several), where there is one."""
    path = config.get("path")
    if isinstance(path, (list, tuple)) and path:
        path = path[0]
    if not isinstance(path, (str, os.PathLike)):
        return None
    found = Path(path).expanduser()
    return found if found.exists() else None


def elsewhere(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A configuration with another file in the place of the one (or the first) that it names."""
    several = isinstance(config["path"], (list, tuple))
    return {**config, "path": [str(path), *map(str, config["path"][1:])] if several else str(path)}


def missing(config: Mapping[str, Any], folder: Path) -> Path:
    """A path at which there is nothing, named as the source is."""
    source = source_of(config)
    return folder / f"not-there{source.suffix if source else ''}"


def damaged(config: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """What may lie where the source should be, by what is wrong with it; nothing for a source that is no path."""
    source = source_of(config)
    if source is None:
        return {}
    folder.mkdir(exist_ok=True)
    named = {what: folder / f"{what}{source.suffix}" for what in ("empty", "garbage", "half", "directory")}
    named["empty"].touch()
    named["garbage"].write_bytes(GARBAGE)
    named["directory"].mkdir()
    found = {"a file of garbage": named["garbage"], "an empty directory": named["directory"]}
    if source.is_file():
        found["an empty file"] = named["empty"]
        if source.stat().st_size <= MOST_COPIED:
            whole = source.read_bytes()
            named["half"].write_bytes(whole[: len(whole) // 2])
            found["the first half of the file"] = named["half"]
    return found


def built_or_refused(subject: Subject, config: Mapping[str, Any], what: str) -> Any:
    """The component in a configuration whose source has something wrong with it, or the ``UserError`` that it raises.

    Raises:
        Broken: if it raises anything else, or the configuration itself is refused.
    """
    arguments, problems = subject.schema.validate(config)
    if problems:
        said = "; ".join(".".join(map(str, place)) + f" {problem}" for place, problem in problems)
        raise Broken(f"{what}: the configuration {dict(config)} is refused before any file is looked at: {said}")
    try:
        return subject.schema.build(**arguments)
    except UserError as error:
        return error
    except Exception as error:
        raise Broken(f"{what}: it raised {cause_of(error)}, not UserError") from error


def open_files() -> Counter[str]:
    """How often this process has each file open or mapped into memory.

    Raises:
        NotApplicable: where the system does not tell.
    """
    if not (_OPEN.is_dir() and _MAPPED.is_file()):
        raise NotApplicable("this system does not tell which files a process has open")
    found: Counter[str] = Counter()
    for link in list(_OPEN.iterdir()):
        with suppress(OSError):
            found[os.readlink(link)] += 1
    for line in _MAPPED.read_text(errors="replace").splitlines():
        if len(parts := line.split(maxsplit=5)) == 6:
            found[parts[5]] += 1
    return found


def its_own(subject: Subject, paths: Sequence[Path]) -> list[Path]:
    """Those files that lie in the folder of the subject's example, where they may be changed; of a folder the files
    in it."""
    inside = [Path(path).resolve() for path in paths]
    inside = [path for path in inside if path.is_relative_to(subject.folder.parent)]
    return [
        file for path in inside for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()
    ]


@contextmanager
def changed(file: Path) -> Iterator[None]:
    """A file with another byte in its middle, written a minute later; as it was afterwards."""
    whole, stat = file.read_bytes(), file.stat()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :] if whole else b"\x01")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 60 * 10**9))
    try:
        yield
    finally:
        file.write_bytes(whole)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def copied(subject: Subject, source: Path) -> Path:
    """The source under another path, with all that lies beside it in its example's folder; itself where it is not the
    example's own."""
    real = source.resolve()
    if not real.is_relative_to(subject.folder.parent):
        return source
    folder = subject.folder / "elsewhere"
    shutil.copytree(real.parent, folder)
    return folder / real.name
