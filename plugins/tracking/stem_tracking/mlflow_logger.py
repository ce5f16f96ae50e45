"""The record of a run in MLflow."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from stem_tracking.earlier import Earlier, figure_path, find
from stem_tracking.origin import name_of, origin_of
from stem_tracking.outbox import Outbox
from stem_tracking.parameters import AT_ONCE, allowed, parameters
from stem_tracking.store import (
    connect,
    locate,
    public,
    refuse_unreachable,
    refuse_without_mlflow,
    refused,
    said,
)
from stemcore import Logger, UserError, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing
    from mlflow.tracking import MlflowClient

POINTER = "mlflow.json"
DOCUMENTS = ("recipe.yaml", "environment.json", "summary.json")
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
KEPT = {"both": ("best.ckpt", "last.ckpt"), "best": ("best.ckpt",), "last": ("last.ckpt",), "none": ()}

log = logging.getLogger("stemcore.tracking")


class MlflowLogger(Logger):
    """A run of MLflow: the recipe as parameters, scalars over optimizer steps, figures, and at the end checkpoints,
    ``recipe.yaml``, ``environment.json`` and ``summary.json`` as artifacts. ``mlflow.json`` in the run directory says
    which run of MLflow it is, and a run that is resumed goes on there.

    Scalars and figures are sent in the background. A server that is lost while a run is trained costs a warning in
    ``log.txt``: what could not be sent is kept and tried again at the next record and at the end.

    Args:
        experiment: the experiment of MLflow; the recipe's name without.
        tracking_uri: the store: ``http://HOST:PORT`` of a server, or ``sqlite:///PATH``. Without, that of
            ``MLFLOW_TRACKING_URI``, else ``mlflow/mlflow.db`` in the folder ``runs`` above the run, or beside the run.
        run_name: the name of the run; that of its directory without.
        tags: tags of the run, besides those of stemcore.
        checkpoints: which checkpoints become artifacts at the end.
        figures: whether figures become artifacts.

    Raises:
        UserError: if MLflow is not installed, or its server does not answer.
    """

    def __init__(
        self,
        directory: Path,
        *,
        experiment: Annotated[str, Field(min_length=1)] | None = None,
        tracking_uri: Annotated[str, Field(min_length=1)] | None = None,
        run_name: Annotated[str, Field(min_length=1)] | None = None,
        tags: dict[str, str] | None = None,
        checkpoints: Literal["both", "best", "last", "none"] = "both",
        figures: bool = True,
    ) -> None:
        super().__init__(directory)
        self.experiment, self.run_name, self.tags = experiment, run_name, dict(tags or {})
        self.checkpoints, self.figures = KEPT[checkpoints], figures
        refuse_without_mlflow()
        self.uri, self._artifacts = locate(directory, tracking_uri)
        refuse_unreachable(self.uri)
        self._outbox: Outbox | None = None
        self._warned = False

    def start(self, recipe: Mapping[str, Any], columns: Sequence[str], step: int) -> None:
        """Begins a run of MLflow, or goes on with that of this directory. As MLflow cannot drop what was recorded after
        ``step``, a new run takes the place of one that holds such: what it held up to there is copied, and the old one
        is moved to MLflow's deleted runs.

        Raises:
            UserError: if the store does not take it.
        """
        self._close()
        client = connect(self.uri)
        try:
            experiment_id = self._experiment(client, self.experiment or str(recipe.get("name", "stemcore")))
            run_id = self._run(client, experiment_id, parameters(recipe), step)
        except UserError:
            raise
        except Exception as error:  # of MLflow, requests, SQLAlchemy, ...
            raise refused(self.uri, error) from error
        self._outbox, self._warned = Outbox(client, run_id), False

    def log(self, values: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Sends scalars, and the epoch as a scalar of its own. MLflow keeps an infinity as the largest double."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = {allowed(name): float(value) for name, value in values.items()}
        self._open().metrics([Metric(key, value, now, step) for key, value in {**found, "epoch": float(epoch)}.items()])
        self._warn()

    def figure(self, name: str, drawing: Drawing, *, step: int) -> None:
        """Sends a figure, ``figures/<name>/step_<step>.png`` among the artifacts."""
        outbox = self._open()
        if self.figures:
            buffer = io.BytesIO()
            drawing.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
            outbox.figure(figure_path(allowed(name), step), buffer.getvalue())

    def finish(self, status: str) -> None:
        """Sends what is left and the files of the run directory, and ends the run of MLflow."""
        outbox = self._outbox
        if outbox is None:
            return
        self._close()
        try:
            for path in self._files():
                folder = path.parent.relative_to(self.directory).as_posix()
                outbox.client.log_artifact(outbox.run_id, str(path), None if folder == "." else folder)
            outbox.client.set_terminated(outbox.run_id, STATUS.get(status, "FAILED"))
        except Exception as error:  # of MLflow, requests, SQLAlchemy, ...: the run itself has ended well
            log.warning("MLflow could not be told how the run ended: %s", said(error))

    # ---------------------------------------------------------------- the run of MLflow

    def _experiment(self, client: MlflowClient, name: str) -> str:
        """The id of an experiment, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=self._artifacts_of(name)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)  # another run has just made it
        if found is None or found.lifecycle_stage != "active":
            hint = "restore it (mlflow experiments restore), or choose another experiment"
            raise UserError(f"the experiment '{name}' was deleted", where=public(self.uri), hint=hint)
        return str(found.experiment_id)

    def _artifacts_of(self, experiment: str) -> str | None:
        return None if self._artifacts is None else f"{self._artifacts}/{allowed(experiment).replace(' ', '_')}"

    def _run(self, client: MlflowClient, experiment_id: str, params: dict[str, str], step: int) -> str:
        """The id of the run to record in."""
        from mlflow.entities import Param

        found = find(client, self._known())
        old = None if found is None else Earlier(client, found)
        if old is not None and step > 0 and old.can_go_on(experiment_id, params, step):
            run_id = str(old.run.info.run_id)
            client.update_run(run_id, status="RUNNING")
            params = {key: value for key, value in params.items() if key not in old.run.data.params}
        else:
            name = self.run_name or name_of(self.directory)
            run_id = str(client.create_run(experiment_id, run_name=name).info.run_id)
            if old is not None:
                self._replace(old, run_id, step)
        items = iter(params.items())
        while batch := [Param(*item) for item in islice(items, AT_ONCE)]:
            client.log_batch(run_id, params=batch)
        for key, value in {**origin_of(self.directory), **self.tags}.items():
            client.set_tag(run_id, allowed(key), value)
        document = {"tracking_uri": public(self.uri), "experiment_id": experiment_id, "run_id": run_id}
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(self.directory / POINTER, lambda file: file.write_text(text, encoding="utf-8"))
        if old is not None and old.run.info.run_id != run_id:
            old.retire(run_id)
        return run_id

    def _replace(self, old: Earlier, run_id: str, step: int) -> None:
        old.client.set_tag(run_id, "stemcore.resumed_from", old.run.info.run_id)
        if step > 0:
            old.copy(run_id, step)

    def _known(self) -> str | None:
        """The id of this directory's run of MLflow, if it is of this store."""
        try:
            document = json.loads((self.directory / POINTER).read_text(encoding="utf-8"))
            return str(document["run_id"]) if document["tracking_uri"] == public(self.uri) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # ---------------------------------------------------------------- sending

    def _files(self) -> Iterator[Path]:
        wanted = [self.directory / name for name in DOCUMENTS]
        wanted += [self.directory / "checkpoints" / name for name in self.checkpoints]
        return (path for path in wanted if path.is_file())

    def _open(self) -> Outbox:
        if self._outbox is None:
            raise RuntimeError("log() or figure() before start()")
        return self._outbox

    def _warn(self) -> None:
        """Tells of a store that is lost, once."""
        outbox = self._open()
        if outbox.trouble is not None and not self._warned:
            self._warned = True
            log.warning("MLflow cannot be reached, and is tried again at each record: %s", outbox.trouble)

    def _close(self) -> None:
        if self._outbox is None:
            return
        outbox, self._outbox = self._outbox, None
        missing = outbox.close()
        if missing:
            log.warning("%d scalars and figures did not reach MLflow: %s", missing, outbox.trouble)
        for reason in dict.fromkeys(outbox.refused):
            log.warning("MLflow did not take some scalars: %s", reason)
