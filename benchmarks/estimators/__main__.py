"""The command line: `python -m benchmarks.estimators`, from the root of a checkout."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import Any

import torch

import mi_estimators
from mi_estimators import display
from mi_estimators.display import jsonl

from . import packages, plan, protocol, tasks

COMMAND = "python -m benchmarks.estimators"
QUICK = {
    "tasks": ["1v1-normal-0.75", "multinormal-sparse-5-5-2-2.0"],
    "seeds": 1,
    "stair_seeds": 1,
    "rows": 1000,
    "steps": 100,
}


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, write tables and figures; return 0, 1 if nothing could be written, or 130 if interrupted."""
    torch.set_num_threads(
        1
    )  # as in every fit, so that a file's digest does not depend on how a product is summed
    parser = _parser()
    options = parser.parse_args(argv)
    if options.quick:
        parser.set_defaults(**QUICK)
        options = parser.parse_args(argv)
    out = options.out or (packages.ENVIRONMENTS / "quick" if options.quick else packages.HERE)
    try:
        return _run(options, out)
    except (OSError, ValueError) as error:
        print(f"benchmarks.estimators: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\nbenchmarks.estimators: interrupted; finished rows are in {out / plan.FILE}. "
            "Run the same command again to continue.",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Compare estimators of mutual information on the same data files."
    )
    many: dict[str, Any] = {"nargs": "+", "metavar": "PATTERN"}
    parser.add_argument(
        "--quick", action="store_true", help="run a small version: rough numbers, in a few minutes"
    )
    parser.add_argument(
        "--only",
        **many,
        help="estimators to run, such as 'torch-mist/*' (default: all but our variants)",
    )
    parser.add_argument(
        "--tasks",
        **many,
        default=list(tasks.TEN),
        help="tasks to run, by their names in laws.TASKS (default: ten of them)",
    )
    parser.add_argument(
        "--redo", **many, default=[], help="estimators to run again; their old rows are dropped"
    )
    parser.add_argument(
        "--seeds",
        type=_count,
        default=3,
        help="number of seeds for each task; 0 runs no tasks (default: 3)",
    )
    parser.add_argument(
        "--stair_seeds",
        type=_count,
        default=10,
        help="number of seeds for each stair; 0 runs no staircase (default: 10)",
    )
    parser.add_argument(
        "--rows", type=_count, default=5000, help="number of rows in a data file (default: 5000)"
    )
    parser.add_argument(
        "--steps",
        type=_count,
        help="maximum number of training steps (default: that of each package)",
    )
    parser.add_argument(
        "--jobs",
        type=_count,
        default=1,
        help="number of fits at a time, one thread each (default: 1)",
    )
    parser.add_argument(
        "--tables",
        action="store_true",
        help="write tables and figures from existing rows; fit nothing",
    )
    parser.add_argument(
        "--out", type=Path, help="folder for rows, tables and figures (default: next to the code)"
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="Python 3.11 or 3.12 for the environments of the other packages",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number ≥ 0, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace, out: Path) -> int:
    if options.rows < 64 or options.jobs < 1 or options.steps == 0:
        raise ValueError("expected --rows of at least 64 and at least one of --jobs and --steps")
    chosen = _chosen(options.only)
    laws = {name: law for name, law in tasks.TASKS.items() if _matches(name, options.tasks)}
    if not laws:
        raise ValueError(
            f"--tasks: expected names of laws.TASKS, such as {', '.join(tasks.TEN)}, got {' '.join(options.tasks)}"
        )
    ours = [(package, estimator) for package, estimator in chosen if package is packages.OURS]
    fits = plan.plan("tasks", laws, chosen, options.seeds, options.rows, options.steps)
    stairs = plan.plan(
        "staircase", tasks.STAIRCASE, ours, options.stair_seeds, options.rows, options.steps
    )
    path = out / plan.FILE
    if not options.tables:
        _drop(path, options.redo)
        missing = plan.missing([*fits, *stairs], path)
        for package in dict.fromkeys(fit.package for fit in missing):
            trouble = packages.prepare(package, options.python)
            if trouble:
                print(f"{package.name}: left out, {trouble}", file=sys.stderr)
                missing = [fit for fit in missing if fit.package is not package]
        plan.run(missing, path, options.jobs)
    return _write(fits, stairs, out)


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _chosen(patterns: list[str] | None) -> list[tuple[packages.Package, str]]:
    if patterns is None:
        return [
            (package, estimator)
            for package in packages.PACKAGES
            for estimator in package.estimators
        ]
    known = [(p, estimator) for p in packages.PACKAGES for estimator in (*p.estimators, *p.more)]
    found = [
        (package, estimator)
        for package, estimator in known
        if _matches(package.label(estimator), patterns)
    ]
    if not found:
        names = ", ".join(package.label(estimator) for package, estimator in known)
        raise ValueError(f"--only: expected some of {names}, got {' '.join(patterns)}")
    return found


def _drop(path: Path, patterns: list[str]) -> None:
    """Take the rows of these estimators out of the file."""
    if patterns and path.exists():
        kept = [row for row in plan.read(path) if not _matches(row["estimator"], patterns)]
        jsonl.write(path, kept)


def _write(fits: list[plan.Fit], stairs: list[plan.Fit], out: Path) -> int:
    from . import figures, tables

    rows = plan.read(out / plan.FILE)
    of_tasks, of_stairs = plan.matching(fits, rows), plan.matching(stairs, rows)
    if all("error" in row for row in [*of_tasks, *of_stairs]):
        raise ValueError(f"{out / plan.FILE}: no row of these fits, so no table")
    text = tables.page(of_tasks, of_stairs, len(fits) + len(stairs), COMMAND)
    (out / "tables.md").write_text(text, encoding="utf-8")
    for name, draw, found in (
        ("accuracy", figures.accuracy, of_tasks),
        ("staircase", figures.staircase, of_stairs),
    ):
        if any("error" not in row for row in found):
            with display.theme():
                (out / f"{name}.png").write_bytes(display.png(draw(found)))
    print(text)
    now = f"+{protocol.sources(Path(mi_estimators.__file__).parent)}"
    old = sum(
        "error" not in row
        and row["version"].startswith("mi-estimators")
        and not row["version"].endswith(now)
        for row in rows
    )
    if old:
        print(
            f"{old} rows of mi-estimators are of other sources than those here: --redo 'mi-estimators*' renews them"
        )
    print(f"rows, tables and figures: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
