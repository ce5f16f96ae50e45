"""The script of a job: starts a run or goes on with it, and requeues itself where its time is up.

The scripts are written here and not by PSI/J, whose templates discard the scheduler's own log, pass no signal on to
what they start, end with 0 whatever the program did, and know neither arrays nor requeueing. PSI/J submits them.

A script does this, under every scheduler:

- It goes on with the run where there is a checkpoint, else it starts it: so it may be run again at any moment.
- SIGUSR1 says that the time limit is near: the run is stopped in order (SIGTERM: it saves a checkpoint and ends with
  130), and the job is put into the queue again, no more than so many times.
- SIGTERM says that the job is over: it was cancelled, or it is preempted, in which case the scheduler requeues it.
- ``history.txt`` beside it says when it was started, requeued, and how it ended.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stem_cluster.headers import REQUEUE_CODE, header
from stem_cluster.resources import LOCAL, LSF, PBS, SLURM, Resources

JOB, SCRIPT, RECIPE = "job", "job.sh", "recipe.yaml"
HISTORY, CANCELLED, RESUBMITTED = "history.txt", "cancelled.txt", "resubmitted.txt"
START, REQUEUE, END = "start", "requeue", "end"
"""What a line of the history is of, behind its time."""
MASTER_PORT = 29500
AGAIN_SECONDS = 30
"""At most, between two signals to a run that has not ended: one that comes while its processes begin is lost."""

_ID = {
    SLURM: '"${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}"; id=${id:-$SLURM_JOB_ID}',
    LSF: '$LSB_JOBID; [ "${LSB_JOBINDEX:-0}" = 0 ] || id="$id[$LSB_JOBINDEX]"',
    PBS: "$PBS_JOBID",
    LOCAL: "${STEM_JOB:-$$}",
}
_STOP = {
    # srun would kill its processes at once if it were sent a SIGTERM; this reaches them, and not the script.
    SLURM: 'scancel --quiet --signal=TERM "$SLURM_JOB_ID" 2>/dev/null',
}
_REQUEUE = {
    SLURM: 'scontrol requeue "$SLURM_JOB_ID"',
    LSF: f"code={REQUEUE_CODE}",
    PBS: f'qsub -W "depend=afterany:$PBS_JOBID" "$job/{SCRIPT}" >>"$job/{RESUBMITTED}"',
    LOCAL: f'exec bash "$job/{SCRIPT}"',
}
_HOSTS = {LSF: 'sort -u "$LSB_DJOB_HOSTFILE"', PBS: 'sort -u "$PBS_NODEFILE"'}
_ON_EACH = {
    LSF: 'blaunch -z "${hosts[*]}" bash "$job/job.sh" node "${rendezvous[@]}" "${where[@]}"',
    PBS: (
        'for host in "${hosts[@]}"; do pbs_tmrsh "$host" bash "$job/job.sh" node "${rendezvous[@]}" "${where[@]}" & '
        'done; for task in $(jobs -p); do wait "$task" || code=$?; done; exit ${code:-0}'
    ),
}


@dataclass(frozen=True)
class Plan:
    """How the runs of a submission are started.

    Attributes:
        scheduler: which one.
        name: of the job.
        resources: what each run gets.
        folder: where recipes are read: their relative paths begin there.
        python: the interpreter of the run.
        setup: lines of shell before it.
        most: how often a job may be requeued.
        notice: seconds before its time limit at which it stops.
    """

    scheduler: str
    name: str
    resources: Resources
    folder: Path
    python: str
    setup: tuple[str, ...]
    most: int
    notice: int

    def job(self, run: Path) -> str:
        """The script of the run in a directory, which must be absolute."""
        head = header(self.scheduler, self.name, self.resources, _escaped(run / JOB, self.scheduler), self.notice)
        return _lines("#!/bin/bash", *head, *self._begin(run), *self._start(), *self._work(), *self._end())

    def array(self, runs: Sequence[Path], parallel: int | None) -> str:
        """The script of an array: each of its tasks is the script of one run. Runs are ``0``, ``1``, ... in a folder.

        Args:
            runs: their directories.
            parallel: how many of them may run at once.
        """
        above = runs[0].parent
        log = above / "%a" / JOB if self.scheduler == SLURM else above / JOB
        escaped = Path(str(_escaped(above, self.scheduler)) + str(log)[len(str(above)) :])
        head = header(self.scheduler, self.name, self.resources, escaped, self.notice, (len(runs), parallel))
        own = f"{shlex.quote(str(above))}"
        number = {
            SLURM: "$SLURM_ARRAY_TASK_ID",
            LSF: "$((LSB_JOBINDEX - 1))",
            PBS: "$PBS_ARRAY_INDEX",
        }
        if self.scheduler != LOCAL:
            return _lines("#!/bin/bash", *head, f'exec bash {own}/"{number[self.scheduler]}"/{JOB}/{SCRIPT}')
        return _lines(
            "#!/bin/bash",
            "export STEM_JOB=$$",
            f"seq 0 {len(runs) - 1} | xargs -P {parallel or 1} -I {{}} bash {own}/{{}}/{JOB}/{SCRIPT}",
        )

    def _begin(self, run: Path) -> list[str]:
        threads = self.resources.cpus
        return [
            "stopped=",
            "trap stopped=1 USR1",
            f"run={shlex.quote(str(run))}",
            f'job="$run/{JOB}"',
            f"id={_ID[self.scheduler]}",
            *([] if self.scheduler == SLURM else ['exec >>"$job/$id.out" 2>>"$job/$id.err"']),
            f"cd {shlex.quote(str(self.folder))} || exit 1",
            *self.setup,
            *([f"export OMP_NUM_THREADS={threads}"] if threads is not None else []),
            *self._on_a_node(),
        ]

    def _on_a_node(self) -> list[str]:
        """What the script does on each of several machines, where there is no srun."""
        if not self._by_torchrun:
            return []
        count = self.resources
        given = f"--nnodes={count.nodes} --nproc-per-node={count.tasks} --rdzv-backend=c10d"
        return [
            'if [ "${1:-}" = node ]; then',
            f'    exec {shlex.quote(self.python)} -m torch.distributed.run {given} "$2" "$3" \\',
            f'        -m stemcore.cli run "$job/{RECIPE}" "${{@:4}}"',
            "fi",
        ]

    def _start(self) -> list[str]:
        """Notes the start and decides whether there is something to go on with."""
        refuse = 'scontrol update JobId="$SLURM_JOB_ID" Requeue=0' if self.scheduler == SLURM else ":"
        return [
            "",
            f"most={self.most}",
            f'[ ! -e "$job/{CANCELLED}" ] || exit 130',
            f'note() {{ echo "$(date +%Y-%m-%dT%H:%M:%S%z) $*" >>"$job/{HISTORY}"; }}',
            f'note {START} "$id" "$(hostname)" "$$"',
            f'requeues=$(($(grep -c "^[^ ]* {START} " "$job/{HISTORY}") - 1))',
            'if [ "$requeues" -gt "$most" ]; then',
            '    echo "stem: the job was requeued $most times, which is all that it may be" >&2',
            f"    note {END} 1",
            "    exit 1",
            "fi",
            f'[ "$requeues" -lt "$most" ] || {refuse}',
            'kept="checkpoints/*.ckpt"',
            'if { compgen -G "$run/$kept" || compgen -G "$run/*/$kept"; } >/dev/null; then  # of a fold, of a stage',
            '    where=(--resume "$run")',
            "else",
            '    where=(--output "$run")',
            "    shopt -s dotglob nullglob",
            '    for left in "$run"/*; do  # by a start that was killed before its first checkpoint',
            '        [ "$left" = "$job" ] && continue',
            '        mkdir -p "$job/left$requeues" && mv "$left" "$job/left$requeues/"',
            "    done",
            "fi",
        ]

    def _work(self) -> list[str]:
        """Trains, and passes signals on."""
        stop = _STOP.get(self.scheduler, 'kill -TERM "$child" 2>/dev/null')
        over = ":" if self.scheduler == SLURM else stop  # SLURM tells every process itself
        limit = self.resources.seconds
        again = min(AGAIN_SECONDS, max(1, self.notice // 3))
        timer = self.scheduler == PBS and limit is not None
        return [
            "",
            "stop() {",
            "    stopped=1",
            f'    (while kill -0 "$child" 2>/dev/null; do {stop}; sleep {again}; done) &',
            "}",
            *self._rendezvous(),
            f"(trap '' USR1; {self._launch()}) &",
            "child=$!",
            "trap stop USR1",
            f"trap '{over}' TERM",
            '[ -z "$stopped" ] || stop',
            *([f"(sleep {limit - self.notice}; kill -USR1 $$) & timer=$!"] if timer and limit is not None else []),
            'while kill -0 "$child" 2>/dev/null; do wait "$child"; done',
            'wait "$child"',
            "code=$?",
            *(['pkill -P "$timer"; kill "$timer" 2>/dev/null'] if timer else []),
        ]

    @property
    def _by_torchrun(self) -> bool:
        return self.scheduler in _HOSTS and self.resources.nodes > 1

    def _rendezvous(self) -> list[str]:
        if not self._by_torchrun:
            return []
        return [
            f"mapfile -t hosts < <({_HOSTS[self.scheduler]})",
            f'rendezvous=("--rdzv-endpoint=${{hosts[0]}}:{MASTER_PORT}" "--rdzv-id=$id")',
        ]

    def _launch(self) -> str:
        if self._by_torchrun:
            return _ON_EACH[self.scheduler]
        words = []
        if self.scheduler == SLURM:
            # A process that fails ends the others a minute later, in which they save what they are saving.
            words += ["srun", "--kill-on-bad-exit=0", "--wait=60"]
            words += [f"--cpus-per-task={self.resources.cpus}"] if self.resources.cpus is not None else []
        words += [self.python, "-m", "stemcore.cli", "run"]
        return f'exec {shlex.join(words)} "$job/{RECIPE}" "${{where[@]}}"'

    def _end(self) -> list[str]:
        """Requeues a run that was stopped because its time was up, and ends with its exit code."""
        return [
            "",
            'if [ -n "$stopped" ] && [ "$code" -ne 0 ]; then',
            '    if [ "$requeues" -lt "$most" ]; then',
            '        echo "stem: the time of the job is up; it is put into the queue again" >&2',
            f"        note {REQUEUE}",
            f'        {_REQUEUE[self.scheduler]} && exit "$code"',
            "    else",
            '        echo "stem: the time of the job is up, and it was requeued $most times" >&2',
            "    fi",
            "fi",
            f'note {END} "$code"',
            'exit "$code"',
        ]


def _escaped(path: Path, scheduler: str) -> Path:
    """A path as the scheduler reads it: ``%j`` in a folder's name is no number of a job."""
    return Path(str(path).replace("%", "%%")) if scheduler in (SLURM, LSF) else path


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
