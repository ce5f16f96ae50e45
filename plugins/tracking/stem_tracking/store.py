"""Where the records of MLflow are kept, and how it is spoken to."""

from __future__ import annotations

import logging
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from stemcore import UserError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER, DATABASE, ARTIFACTS = "mlflow", "mlflow.db", "artifacts"
ROOTS = ("runs", "sweeps")
# A training must not wait minutes for a server that is gone; what the user has set holds.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
SECONDS_TO_CONNECT = 5.0
STORES = "a tracking_uri is http://HOST:PORT, or sqlite:///PATH"
CREDENTIALS = re.compile(r"(?<=://)([^:/@\s]*):[^/@\s]*@")


def default_folder(directory: Path) -> Path:
    """The folder of the store for a run: ``mlflow`` in the nearest folder above that is called ``runs`` or
    ``sweeps``, so that all runs below it share one; elsewhere ``mlflow`` beside the run, or beside the
    cross-validation or the sweep that it belongs to."""
    above = directory.absolute().parents
    root = next((folder for folder in above if folder.name in ROOTS), None)
    if root is None:
        root = above[0]
        if root.name == "trials" or (root / "recipe.yaml").is_file():
            root = root.parent
    return root / FOLDER


def locate(directory: Path, given: str | None) -> tuple[str, str | None]:
    """The URI of the store, and that of the artifacts of experiments made there.

    Args:
        directory: the run directory.
        given: the recipe's URI; ``MLFLOW_TRACKING_URI`` holds without, then the store beside the runs.

    Returns:
        the second is ``None`` where the store knows it by itself.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or ""
    if not uri:
        folder = default_folder(directory)
        return f"sqlite:///{folder / DATABASE}", (folder / ARTIFACTS).as_uri()
    if uri.startswith("sqlite:///"):
        # MLflow would put them in the working folder, whichever that is.
        return uri, (Path(uri.removeprefix("sqlite:///")).absolute().parent / ARTIFACTS).as_uri()
    return uri, None


def public(uri: str) -> str:
    """A URI without its password."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}").geturl()


def refuse_without_mlflow() -> None:
    """Raises ``UserError`` where MLflow is not installed."""
    if find_spec("mlflow") is None:
        raise UserError("the logger 'mlflow' needs MLflow", hint="pip install 'stemcore[mlflow]'")


def refuse_unreachable(uri: str) -> None:
    """Raises ``UserError`` if nothing listens at the address of a server. Behind a proxy that cannot be asked."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname or _proxied(parts):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"the tracking server cannot be reached: {why}"
        raise UserError(message, where=public(uri), hint="start it, or change the logger's tracking_uri") from error


def _proxied(parts: SplitResult) -> bool:
    proxies = urllib.request.getproxies()
    return parts.scheme in proxies and not urllib.request.proxy_bypass(parts.hostname or "")


def connect(uri: str) -> MlflowClient:
    """A client of a store; a database is made where there is none.

    Raises:
        UserError: if the store cannot be opened.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow.tracking import MlflowClient

    # MLflow sets up its own logging while it is imported.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        if not uri.startswith("sqlite:///"):
            return MlflowClient(tracking_uri=uri)
        database = Path(uri.removeprefix("sqlite:///")).absolute()
        database.parent.mkdir(parents=True, exist_ok=True)
        with _alone(database):
            return MlflowClient(tracking_uri=uri)
    except Exception as error:  # of MLflow, SQLAlchemy or the file system
        raise refused(uri, error) from error


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Lets one process at a time make or upgrade a database: MLflow's migrations fail where two of them meet, as the
    first trials of a sweep do. Without locks (Windows, some network disks) nobody waits."""
    with database.with_name(f".{database.name}.lock").open("w") as file:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def refused(uri: str, error: Exception) -> UserError:
    """What a store says, in one line."""
    known = urlsplit(uri).scheme in ("http", "https") or uri.startswith("sqlite:///")
    return UserError(f"MLflow cannot record there: {said(error)}", where=public(uri), hint="" if known else STORES)


def said(error: BaseException) -> str:
    """The first line of an error, without passwords in addresses."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return CREDENTIALS.sub(r"\1@", line)[:300]
