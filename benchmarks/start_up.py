"""How long ``stem --help`` and ``stem plugins`` take, beside a click program that does nothing, in the same run.

    python benchmarks/start_up.py [--rounds 15]

The commands take turns; reported are medians in milliseconds and, as the figure to go by, the median of the ratios of
each round (``--help`` is to stay below 3).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

EMPTY = "import click\n@click.command()\ndef main():\n    pass\nmain()"
COMMANDS = {
    "empty": [sys.executable, "-c", EMPTY, "--help"],
    "help": [sys.executable, "-m", "stemcore.cli", "--help"],
    "plugins": [sys.executable, "-m", "stemcore.cli", "plugins"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(options.rounds + 1)][1:]
    medians = {name: 1e3 * statistics.median(r[name] for r in rounds) for name in COMMANDS}
    ratios = {name: statistics.median(r[name] / r["empty"] for r in rounds) for name in COMMANDS if name != "empty"}
    print(json.dumps({"median_ms": medians, "ratio_to_empty": ratios}, indent=2))


if __name__ == "__main__":
    main()
