"""An interactive shell in a terminal of its own, as somebody who types sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

TAB, HOME = "\t", "\x01"


class Terminal:
    """A shell that is ready for input, and in which ``words ...`` prints what it is given as ``<...><...>``.

    Args:
        command: the shell.
        setup: lines to run first.
        folder: where it runs.
        environment: of the shell, complete.
    """

    def __init__(
        self, command: Sequence[str], setup: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        self._shell = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # it is in charge of this terminal
        )
        os.close(theirs)
        self.screen, self._count = "", 0
        for line in setup:
            self.type(f"{line}\n")
        self.settled()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._ours, keys.encode())

    def settled(self) -> None:
        """Waits until the shell has done all that was typed."""
        self._count += 1
        self.type(f"words {self._count} settled\n")
        self._until(f"<{self._count}><settled>")

    def words(self, keys: str) -> list[str]:
        """The words of a line after some keys have been pressed, tabs among them."""
        self.screen = ""
        self._count += 1
        self.type(f"{keys}{HOME}words {self._count} \n")
        shown = self._until(f"<{self._count}>")
        line = shown[shown.rindex(f"<{self._count}>") :]
        while "\n" not in line:
            line += self._read()
        return re.findall(r"<([^>]*)>", line.partition("\n")[0])[1:]

    def _until(self, text: str) -> str:
        end = time.monotonic() + 60
        while text not in self.screen:
            assert time.monotonic() < end, self.screen
            self.screen += self._read()
        return self.screen

    def _read(self) -> str:
        ready, _, _ = select.select([self._ours], [], [], 1.0)
        return os.read(self._ours, 65536).decode(errors="replace") if ready else ""
