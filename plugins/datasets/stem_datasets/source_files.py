"""The files that a virtual HDF5 dataset takes its values from."""

from __future__ import annotations

import os
from pathlib import Path

PREFIXES = "HDF5_VDS_PREFIX"


def source_file(file: Path, source: str) -> Path | None:
    """The file that a mapping names, looked for where HDF5 does, in its order; ``None`` if it is nowhere.

    An absolute path is taken as it stands. A relative one, and the last part of an absolute one that is not there, is
    looked for in the folders of ``HDF5_VDS_PREFIX``, in the folder of the virtual dataset's file, in the working
    directory, and in the folder that this file is in without symbolic links.

    Args:
        file: the file of the virtual dataset.
        source: as the mapping has it; ``.`` is the same file, and ``%%`` stands for ``%``.
    """
    if source == ".":
        return file
    wanted = Path(source.replace("%%", "%"))
    if wanted.is_absolute():
        if wanted.is_file():
            return wanted
        wanted = Path(wanted.name)
    prefixes = os.environ.get(PREFIXES, "").replace("${ORIGIN}", str(file.parent))
    folders = [*(Path(folder) for folder in prefixes.split(os.pathsep) if folder), file.parent, Path()]
    for folder in (*folders, file.resolve().parent):
        if (folder / wanted).is_file():
            return folder / wanted
    return None


def is_numbered(source: str) -> bool:
    """Whether a name stands for a series of files or datasets, as many as there are: ``data_%b.h5``."""
    return "%b" in source.replace("%%", "")
