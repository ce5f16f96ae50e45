"""The processes of a run on this machine: started, watched, and ended together."""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import click
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from stemcore.component.command import ARGUMENTS
from stemcore.errors import Interrupted, TrainingFailed, UserError

log = logging.getLogger("stemcore")
POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
"""Time for a process to end by itself, once another one is gone."""
END_SECONDS = 60.0
NEWS_SECONDS = 2.0
_LOST = re.compile(r"onnection|Dist\w*Error|gloo|NCCL|TCPStore")
PARENT = "STEM_FIRST_PROCESS"
_watches: list[Watch] = []
_alone = ContextVar("alone", default=False)


def start(fabric: Fabric) -> None:
    """Starts the other processes of this machine, unless torchrun, SLURM or an earlier run of this process has; they
    do what this one does, from its beginning. From now on all of them end if one does.

    Raises:
        UserError: if nobody knows how this process was started.
    """
    environment = getattr(fabric.strategy, "cluster_environment", None)
    count = getattr(fabric.strategy, "num_processes", 1)
    if environment is None or fabric.world_size == 1 or _watches:
        return
    # Fabric leaves its variables behind, also of a job of one process: those of another size are nobody's.
    stale = isinstance(environment, LightningEnvironment) and os.environ.get("WORLD_SIZE") != str(fabric.world_size)
    if environment.creates_processes_externally and not (stale and PARENT not in os.environ):
        if PARENT in os.environ or torch.distributed.is_torchelastic_launched():
            _watch(Watch(_orphaned(os.getppid())))
        return
    command = _command()
    # Fabric takes these processes for ones that were started from outside.
    own = {
        "MASTER_ADDR": environment.main_address,
        "MASTER_PORT": str(environment.main_port if fabric.world_size > count else _free_port()),
        "NODE_RANK": str(environment.node_rank()),
        "WORLD_SIZE": str(fabric.world_size),
        "LOCAL_RANK": "0",
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    threads = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count))}
    others = [
        subprocess.Popen(
            command, env={**threads, **os.environ, "LOCAL_RANK": str(rank), PARENT: "1"}, stdin=subprocess.DEVNULL
        )
        for rank in range(1, count)
    ]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or threads["OMP_NUM_THREADS"]))
    _watch(Watch(_ended(others, environment.node_rank() * count, fabric.world_size), others, before))


def _watch(watch: Watch) -> None:
    """Watches until this process ends in order. Its connections are closed before, too: threads of theirs that are
    still there when Python is gone abort the process."""
    _watches.append(watch)
    context = click.get_current_context(silent=True)
    if context is None:
        atexit.register(watch.end)
    else:
        context.find_root().call_on_close(watch.end)


def from_outside() -> bool:
    """Whether torchrun or SLURM has started this process as one of several."""
    return torch.distributed.is_torchelastic_launched() or "SLURM_PROCID" in os.environ


@contextmanager
def alone() -> Iterator[None]:
    """What happens meanwhile is done by this process of a job by itself, on one device, while the others wait."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def is_alone() -> bool:
    """Whether the other processes of the job wait for this one."""
    return _alone.get()


def one_of_several() -> bool:
    """Whether torchrun or SLURM has started other processes with this one."""
    return from_outside() and int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1) > 1


@contextmanager
def explained() -> Iterator[None]:
    """Says which process is gone, where a call to all processes fails because of it.

    Raises:
        TrainingFailed: in place of the error of that call.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).splitlines()[0] if str(error) else ""
        if not torch.distributed.is_initialized() or not _LOST.search(f"{type(error).__name__} {text}"):
            raise
        lost = None
        for watch in _watches:
            watch.news.wait(NEWS_SECONDS)
            lost = watch.lost
        raise TrainingFailed(lost or f"another process of the run is gone ({text})") from error


class Watch:
    """Ends this process if another one of the job is gone, and it does not end by itself: one that waits for a dead
    process may wait for ever.

    Args:
        lost: says which process is gone, if one is.
        others: those that this process has started.
        before: environment variables as they were before, ``None`` for one that was not there.
    """

    def __init__(
        self,
        lost: Callable[[], str | None],
        others: list[subprocess.Popen[bytes]] | None = None,
        before: dict[str, str | None] | None = None,
    ) -> None:
        self.news = threading.Event()
        self.lost: str | None = None
        self._find, self._others, self._before = lost, others or [], before or {}
        self._over = threading.Event()
        threading.Thread(target=self._run, name="stemcore-watch", daemon=True).start()

    def _run(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self.lost = self._find()
            if self.lost is None:
                continue
            self.news.set()
            if self._over.wait(GRACE_SECONDS):
                return
            log.error(self.lost)
            print(f"stem: {self.lost}; the job is over", file=sys.stderr, flush=True)
            for other in self._others:
                other.kill()
            os._exit(1)

    def end(self) -> None:
        """Waits for the other processes, which are about to end, too. One that hangs is killed, and all are if this
        process has failed: it says why."""
        failure = sys.exc_info()[1]
        failed = failure is not None and not isinstance(failure, (Interrupted, click.exceptions.Exit))
        until = time.monotonic() + (0.0 if failed else END_SECONDS)
        for other in self._others:
            try:
                other.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                other.kill()
                other.wait()
        self._over.set()
        if self in _watches:
            _watches.remove(self)
        if torch.distributed.is_initialized() and not failed:
            torch.distributed.destroy_process_group()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _ended(others: list[subprocess.Popen[bytes]], first: int, world: int) -> Callable[[], str | None]:
    def find() -> str | None:
        for place, other in enumerate(others, start=1):
            code = other.poll()
            if code:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"has failed (exit code {code})"
                return f"process {first + place} of {world} (pid {other.pid}) {how}"
        return None

    return find


def _orphaned(parent: int) -> Callable[[], str | None]:
    def find() -> str | None:
        return None if os.getppid() == parent else f"the process that started this one (pid {parent}) is gone"

    return find


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _command() -> list[str]:
    """What starts another process that does what this one does."""
    context = click.get_current_context(silent=True)
    if context is not None and ARGUMENTS in context.meta:
        return [sys.executable, "-m", "stemcore.cli", *context.meta[ARGUMENTS]]
    main: Any = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return [sys.executable, "-m", main.__spec__.name, *sys.argv[1:]]
    if getattr(main, "__file__", None) is not None:
        return [sys.executable, os.path.abspath(main.__file__), *sys.argv[1:]]
    raise UserError(
        "several devices need as many processes, which start as this one did: from a file",
        where="trainer.devices",
        hint="write a script, or use 'stem run' or torchrun",
    )
