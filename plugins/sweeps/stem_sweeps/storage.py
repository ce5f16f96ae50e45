"""Where a study is kept: a journal file or a database, and the lock under which its trials are handed out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stemcore import UserError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

LOCK = 715_517
"""The number of the lock in a database, one for all studies in it: it is held for milliseconds."""


class Store:
    """A storage of Optuna.

    Args:
        given: the path of a journal file, or the URL of a database (``sqlite:///``, ``postgresql://``, ``mysql://``).

    Raises:
        UserError: if Optuna or the database's driver is missing, or the storage cannot be reached.
    """

    def __init__(self, given: str) -> None:
        refuse_without_optuna()
        self.given = given
        self.optuna: BaseStorage = _database(given) if "://" in given else _journal(Path(given))

    @property
    def label(self) -> str:
        """The URL without its password, or the path."""
        if "://" not in self.given:
            return self.given
        from sqlalchemy.engine import make_url

        return make_url(self.given).render_as_string(hide_password=True)

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other processes, on this machine or another, from handing out a trial meanwhile."""
        if "://" not in self.given:
            return _file_lock(Path(self.given))
        database: RDBStorage = self.optuna  # type: ignore[assignment]
        if database.engine.dialect.name == "sqlite":
            return _file_lock(Path(str(database.engine.url.database)))
        return _server_lock(database)


def refuse_without_optuna() -> None:
    """Raises ``UserError`` where Optuna is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UserError("stem sweep needs optuna", hint="pip install 'stemcore[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # What is used of Optuna is stable in 5; in 4 some of it is announced as experimental each time.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))
    except OSError as error:
        raise UserError(f"the journal cannot be opened: {error.strerror}", where=str(path)) from error
    except (ValueError, KeyError) as error:
        hint = "give the path of a journal, or sqlite:///PATH for a database"
        raise UserError("the file is no journal of a study", where=str(path), hint=hint) from error


def _database(given: str) -> RDBStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        url = make_url(given)
        label = url.render_as_string(hide_password=True)
        if sqlite := url.get_backend_name() == "sqlite":
            _refuse_no_file(url.database or "", label)
        # Workers wait for one another: a file of SQLite has one writer at a time.
        options = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
        return RDBStorage(given, engine_kwargs=options)
    except ImportError as error:
        reason = f"the database's driver is missing: {error.__cause__ or error}"
        hint = "install it, or name another in the URL, such as postgresql+psycopg2://"
        raise UserError(reason, where=label, hint=hint) from error
    except (ArgumentError, ValueError) as error:
        hint = "write sqlite:///PATH, postgresql://USER@HOST/NAME or mysql+pymysql://USER@HOST/NAME"
        raise UserError("it is no URL of a database", where="--storage", hint=hint) from error
    except (SQLAlchemyError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise UserError(f"the database cannot be used: {reason}", where=label) from error


def _refuse_no_file(path: str, label: str) -> None:
    if path in ("", ":memory:"):
        raise UserError("the database would be gone with its process", where=label, hint="write sqlite:///PATH")
    if not Path(path).parent.is_dir():
        raise UserError("there is no such folder", where=str(Path(path).parent))


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    from optuna.storages.journal import JournalFileOpenLock

    # Made by creating a file, which also works where locks of the system do not: on network file systems. One that a
    # killed process has left is broken after half a minute.
    lock = JournalFileOpenLock(f"{path}.claim")
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _server_lock(database: RDBStorage) -> Iterator[None]:
    from sqlalchemy import text

    server = database.engine.dialect.name
    # Both belong to the connection: they end with a process that is killed.
    ask, free = {
        "postgresql": (f"SELECT pg_advisory_lock({LOCK})", f"SELECT pg_advisory_unlock({LOCK})"),
        "mysql": (f"SELECT GET_LOCK('stem{LOCK}', 600)", f"SELECT RELEASE_LOCK('stem{LOCK}')"),
        "mariadb": (f"SELECT GET_LOCK('stem{LOCK}', 600)", f"SELECT RELEASE_LOCK('stem{LOCK}')"),
    }[server]
    with database.engine.connect() as connection:
        connection.execute(text(ask))
        try:
            yield
        finally:
            connection.execute(text(free))
