"""What a first visit costs: `python -m benchmarks.doors [MAKE_TARGET ...]`, from the root of a checkout.

Without arguments it runs the commands of the three doors of docs/index.md; with arguments, targets of the Makefile. It
prints a table: seconds of processor time, which other work on the machine hardly moves, and what the command said last.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mi_estimators.display import Table

ROOT = Path(__file__).parents[1]
TABLE = "diabetes.csv"
DOORS = (
    f"mi_estimators {TABLE} --x bmi,bp,s5 --y target",
    "toy starvation --quick --out results",
    "llm_adapter.train",
)


def main(names: list[str]) -> int:
    """Run the doors, or the targets that are named, and print the table; return 1 if a command failed."""
    commands = {f"make {name}": ["make", "-o", ".venv/.ready", name] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        if not names:
            write_table(Path(folder))
            commands = {
                f"python -m {door}": [sys.executable, "-m", *door.split()] for door in DOORS
            }

        rows = [
            (name, *measured(line, ROOT if names else Path(folder)))
            for name, line in commands.items()
        ]

    body = [[f"`{name}`", f"{seconds:.0f} s", reading] for name, seconds, reading, _ in rows]
    print(Table(("command", "processor time", "its last line"), body).markdown())
    return int(any(status for *_, status in rows))


def write_table(folder: Path) -> None:
    """Write a table to try with: the diabetes data of scikit-learn."""
    from sklearn.datasets import load_diabetes

    data: Any = load_diabetes(as_frame=True, scaled=False)
    data.frame.to_csv(folder / TABLE, index=False)


def measured(line: list[str], folder: Path) -> tuple[float, str, int]:
    """Run a command with one thread; return its processor time, its last line, and its exit status."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    words = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return seconds, words[-1] if words else "", done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
