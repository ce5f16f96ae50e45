"""What is on its way to MLflow: training does not wait for it, nor for a server that is gone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stem_tracking.store import said

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

AT_ONCE = 1000
"""Metrics of a request, the most that a server takes."""


class Outbox:
    """Sends metrics and figures in their order, on a thread of its own. What cannot be sent is kept, and tried again
    with what comes next.

    Args:
        client: of the store.
        run_id: MLflow's name of the run.

    Attributes:
        trouble: why something could not be sent, or ``None``.
        refused: what the store does not take, which is not tried again.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.trouble: str | None = None
        self.refused: list[str] = []
        self._metrics: deque[Metric] = deque()
        self._figures: deque[tuple[str, bytes]] = deque()
        self._wake, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def metrics(self, found: Sequence[Metric]) -> None:
        """Sends scalars."""
        self._metrics.extend(found)
        self._wake.set()

    def figure(self, path: str, png: bytes) -> None:
        """Sends a picture, an artifact at ``path``."""
        self._figures.append((path, png))
        self._wake.set()

    def close(self) -> int:
        """Sends what is left, and returns how many scalars and figures could not be sent."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        return len(self._metrics) + len(self._figures)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self._send()
        self._send()  # what came in between

    def _send(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            while self._metrics:
                batch = list(islice(self._metrics, AT_ONCE))
                try:
                    self.client.log_batch(self.run_id, metrics=batch)
                except MlflowException as error:
                    if error.error_code != "INVALID_PARAMETER_VALUE":
                        raise
                    self.refused.append(said(error))
                for _ in batch:
                    self._metrics.popleft()
            while self._figures:
                send_bytes(self.client, self.run_id, *self._figures[0])
                self._figures.popleft()
            self.trouble = None
        except Exception as error:  # of requests, SQLAlchemy, boto3, ...: none of them is to end a training
            self.trouble = said(error)


def send_bytes(client: MlflowClient, run_id: str, path: str, contents: bytes) -> None:
    """Sends an artifact."""
    folder, _, name = path.rpartition("/")
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / name
        file.write_bytes(contents)
        client.log_artifact(run_id, str(file), folder or None)
