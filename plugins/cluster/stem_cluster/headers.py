"""The directives at the head of a job script, in the words of each scheduler."""

from __future__ import annotations

from pathlib import Path

from stem_cluster.resources import LSF, PBS, SLURM, Resources, clock

REQUEUE_CODE = 75
"""Exit code by which a job asks LSF to be put into the queue again (EX_TEMPFAIL of sysexits.h)."""


def header(
    scheduler: str, name: str, resources: Resources, log: Path, notice: int, array: tuple[int, int | None] | None = None
) -> list[str]:
    """The lines that a scheduler reads.

    Args:
        scheduler: which one.
        name: of the job.
        resources: what it asks for.
        log: folder for what it prints; in an array of SLURM the number of the task may be ``%a`` in it.
        notice: seconds before its time limit at which a job gets SIGUSR1.
        array: how many tasks there are, and how many of them may run at once.
    """
    build = {SLURM: _slurm, LSF: _lsf, PBS: _pbs}.get(scheduler)
    if build is None:
        return []
    mark, options = build(name, resources, log, notice, array)
    return [f"#{mark} {option}" for option in [*options, *resources.directives]]


def _slurm(
    name: str, resources: Resources, log: Path, notice: int, array: tuple[int, int | None] | None
) -> tuple[str, list[str]]:
    job = "%A_%a" if array else "%j"
    folder = str(log)
    options = [
        f'--job-name="{name}"',
        f'--output="{folder}/{job}.out"',
        f'--error="{folder}/{job}.err"',
        "--open-mode=append",  # a job that was requeued goes on in its log
        f"--nodes={resources.nodes}",
        f"--ntasks-per-node={resources.tasks}",
        # To the script alone, which tells the processes: they save, and it requeues.
        f"--signal=B:USR1@{notice}",
        "--requeue",  # where it is preempted, or its machine fails
    ]
    if resources.cpus is not None:
        options.append(f"--cpus-per-task={resources.cpus}")
    if resources.gpus:
        # Of the machine, not of the task: every process sees all of them and takes the one of its number.
        options.append(f"--gres=gpu:{resources.gpus}")
    if resources.memory is not None:
        options.append(f"--mem={resources.memory}M")
    if resources.seconds is not None:
        options.append(f"--time={clock(resources.seconds)}")
    if resources.queue is not None:
        options.append(f'--partition="{resources.queue}"')
    if resources.account is not None:
        options.append(f'--account="{resources.account}"')
    if array:
        options.append(f"--array=0-{array[0] - 1}" + (f"%{array[1]}" if array[1] else ""))
    return "SBATCH", options


def _lsf(
    name: str, resources: Resources, log: Path, notice: int, array: tuple[int, int | None] | None
) -> tuple[str, list[str]]:
    tasks = f"[1-{array[0]}]" + (f"%{array[1]}" if array[1] else "") if array else ""
    needs = [f"span[ptile={resources.tasks}]"]
    if resources.memory is not None:
        needs.append(f"rusage[mem={resources.memory}MB]")
    if resources.cpus is not None:
        needs.append(f"affinity[core({resources.cpus})]")
    options = [
        f'-J "{name}{tasks}"',
        f'-o "{log}/lsf.txt"',  # LSF's own report; what the job prints goes to its log
        f"-n {resources.nodes * resources.tasks}",
        f'-R "{" ".join(needs)}"',
        "-r",  # started again where its machine fails
        f'-Q "{REQUEUE_CODE}"',
    ]
    if resources.gpus:
        options.append(f'-gpu "num={resources.gpus}"')
    if resources.memory is not None:
        options.append(f"-M {resources.memory}MB")
    if resources.seconds is not None:
        minutes = -(-resources.seconds // 60)
        options += [f"-W {minutes // 60}:{minutes % 60:02d}", "-wa USR1", f"-wt {-(-notice // 60)}"]
    if resources.queue is not None:
        options.append(f'-q "{resources.queue}"')
    if resources.account is not None:
        options.append(f'-P "{resources.account}"')
    return "BSUB", options


def _pbs(
    name: str, resources: Resources, log: Path, notice: int, array: tuple[int, int | None] | None
) -> tuple[str, list[str]]:
    cores = resources.tasks * (resources.cpus or 1)
    chunk = [f"select={resources.nodes}", f"ncpus={cores}", f"mpiprocs={resources.tasks}"]
    if resources.gpus:
        chunk.append(f"ngpus={resources.gpus}")
    if resources.memory is not None:
        chunk.append(f"mem={resources.memory}mb")
    options = [f"-N {name}", "-j oe", f"-o {log}/pbs.txt", f"-l {':'.join(chunk)}", "-r y", "-V"]
    if resources.nodes > 1:
        options.append("-l place=scatter")
    if resources.seconds is not None:
        options.append(f"-l walltime={clock(resources.seconds)}")
    if resources.queue is not None:
        options.append(f"-q {resources.queue}")
    if resources.account is not None:
        options.append(f"-A {resources.account}")
    if array:
        options.append(f"-J 0-{array[0] - 1}" + (f"%{array[1]}" if array[1] else ""))
    return "PBS", options
