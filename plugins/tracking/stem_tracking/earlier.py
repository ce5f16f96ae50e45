"""A run that goes on: in the same run of MLflow where it can, else in a new one with what the old one held.

MLflow cannot take back what was recorded. Where a run was killed some steps after its last checkpoint, those steps
are trained again, and the record has to begin there, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

AT_ONCE = 1000
STEP_OF_FIGURE = re.compile(r"step_(\d+)\.png$")


def find(client: MlflowClient, run_id: str | None) -> MlflowRun | None:
    """A run of MLflow by its name, if it is there and was not deleted."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return found if found.info.lifecycle_stage == "active" else None


class Earlier:
    """What a run of MLflow holds.

    Args:
        client: of the store.
        run: which one.
    """

    def __init__(self, client: MlflowClient, run: MlflowRun) -> None:
        self.client, self.run = client, run
        self.history: list[Metric] = [
            metric for key in run.data.metrics for metric in client.get_metric_history(run.info.run_id, key)
        ]
        self.figures = list(_files(client, run.info.run_id, "figures"))

    def can_go_on(self, experiment_id: str, parameters: Mapping[str, str], step: int) -> bool:
        """Whether it can be gone on with from a step: nothing later is recorded, and no parameter, which cannot be
        changed, has another value."""
        here = self.run.info.experiment_id == experiment_id
        known = self.run.data.params
        changed = any(known.get(key, value) != value for key, value in parameters.items())
        later = any(metric.step > step for metric in self.history) or any(_step(path) > step for path in self.figures)
        return here and not changed and not later

    def copy(self, run_id: str, step: int) -> None:
        """Copies what was recorded up to a step to another run."""
        kept = [metric for metric in self.history if metric.step <= step]
        for first in range(0, len(kept), AT_ONCE):
            self.client.log_batch(run_id, metrics=kept[first : first + AT_ONCE])
        for path in self.figures:
            if _step(path) <= step:
                with TemporaryDirectory() as folder:
                    file = self.client.download_artifacts(self.run.info.run_id, path, folder)
                    self.client.log_artifact(run_id, file, str(Path(path).parent))

    def retire(self, successor: str) -> None:
        """Moves it to MLflow's deleted runs, from where it can be restored."""
        self.client.set_tag(self.run.info.run_id, "stemcore.superseded_by", successor)
        self.client.delete_run(self.run.info.run_id)


def figure_path(name: str, step: int) -> str:
    """Where a figure is among the artifacts."""
    return f"figures/{name}/step_{step:08d}.png"


def _step(path: str) -> int:
    match = STEP_OF_FIGURE.search(path)
    return int(match[1]) if match else 0


def _files(client: MlflowClient, run_id: str, folder: str) -> Iterator[str]:
    for found in client.list_artifacts(run_id, folder):
        if found.is_dir:
            yield from _files(client, run_id, found.path)
        else:
            yield found.path
