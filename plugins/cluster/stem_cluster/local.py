"""Jobs without a scheduler: processes of this machine that outlive the shell in which they were started."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil


def start(script: Path) -> str:
    """Starts a script in a session of its own; returns the number of its process."""
    process = subprocess.Popen(
        ["bash", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # It is not waited for: it is to go on when this process has ended.
    process.returncode = 0
    return str(process.pid)


def is_alive(job: str, folder: Path) -> bool:
    """Whether a process still is what was started, and no other one that has its number now.

    Args:
        job: its number.
        folder: of its script.
    """
    with suppress(psutil.Error, ValueError):
        process = psutil.Process(int(job))
        above = str(folder.absolute().parent.parent)  # of the run: the script of an array is in its folder
        ours = any(word.startswith(above) for word in process.cmdline())
        return ours and process.status() != psutil.STATUS_ZOMBIE
    return False


def stop(job: str, folder: Path) -> None:
    """Lets a run save a checkpoint and end, if it is at work; takes what :func:`is_alive` does."""
    if is_alive(job, folder):
        os.kill(int(job), signal.SIGTERM)
