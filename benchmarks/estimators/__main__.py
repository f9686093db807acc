"""The command line: `python -m benchmarks.estimators`, from the root of a checkout."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import mi_estimators
from mi_estimators import display

from ..environment import require
from . import packages, plan, protocol, tasks
from .suites import SUITES, Task

COMMAND = "python -m benchmarks.estimators"
STAIRS_WITH = "tasks"  # the suite beside which the staircase is run
QUICK = {
    "tasks": ["1v1-normal-0.75", "multinormal-sparse-5-5-2-2.0", "regimes-5-5", "10-classes-spots"],
    "seeds": 1,
    "stair_seeds": 1,
    "rows": 1000,
    "steps": 100,
}


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, write tables and figures; return 0, 1 if nothing could be written, or 130 if interrupted."""
    # As in every fit, so that a file's digest does not depend on how a product is summed.
    torch.set_num_threads(1)
    parser = _parser()
    options = parser.parse_args(argv)
    if options.quick:
        parser.set_defaults(**QUICK)
        options = parser.parse_args(argv)
    require("plot", "benchmarks.estimators")

    home = packages.ENVIRONMENTS / "quick" if options.quick else packages.HERE
    out = options.out or (home if options.suite == STAIRS_WITH else home / options.suite)
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
        "--suite",
        choices=list(SUITES),
        default=STAIRS_WITH,
        help="laws to measure on: " + "; ".join(f"{k}: {v.title}" for k, v in SUITES.items()),
    )

    parser.add_argument(
        "--only", **many, help="estimators to run, such as 'torch-mist/*' (default: the suite's)"
    )
    parser.add_argument(
        "--tasks", **many, default=["*"], help="laws of the suite to run (default: all)"
    )
    parser.add_argument(
        "--redo",
        **many,
        default=[],
        help="estimators to run again on these laws and draws; the old rows are dropped",
    )
    parser.add_argument(
        "--seeds",
        type=_count,
        help="number of draws of each law; 0 runs none (default: the suite's)",
    )

    parser.add_argument(
        "--stair_seeds",
        type=_count,
        default=10,
        help="number of seeds for each stair; 0 runs no staircase (default: 10)",
    )

    parser.add_argument(
        "--rows", type=_count, help="number of rows in a data file (default: that of each law)"
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
        "--report",
        action="store_true",
        help="write tables and figures from existing rows; fit nothing",
    )

    parser.add_argument(
        "--out", type=Path, help="folder for rows, tables and figures (default: that of the suite)"
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
    if (options.rows is not None and options.rows < 64) or options.jobs < 1 or options.steps == 0:
        raise ValueError("expected --rows of at least 64 and at least one of --jobs and --steps")

    suite = SUITES[options.suite]
    chosen = _chosen(options.only or suite.estimators)
    seeds = suite.seeds if options.seeds is None else options.seeds
    fits = plan.plan(options.suite, _laws(options), chosen, seeds, options.rows, options.steps)
    stairs = []

    if options.suite == STAIRS_WITH:
        ours = [(package, estimator) for package, estimator in chosen if package is packages.OURS]
        count = options.stair_seeds
        stairs = plan.plan("staircase", tasks.STAIRCASE, ours, count, options.rows, options.steps)

    path = out / plan.FILE
    if not options.tables:
        every = [*fits, *stairs]
        again = [fit for fit in every if _matches(fit.identity["estimator"], options.redo)]
        missing = plan.missing(every, path, again)
        for package in dict.fromkeys(fit.package for fit in missing):
            trouble = packages.prepare(package, options.python)
            if trouble:
                print(f"{package.name}: left out, {trouble}", file=sys.stderr)
                missing = [fit for fit in missing if fit.package is not package]

        plan.drop(missing, path)
        plan.run(missing, path, options.jobs)

    return _write(options.suite, fits, stairs, out)


def _laws(options: argparse.Namespace) -> list[Task]:
    """Return the laws that are asked for, without those whose digits are not here."""
    suite = SUITES[options.suite]
    laws = [task for task in suite if _matches(task.name, options.tasks)]
    if not laws:
        raise ValueError(
            f"--tasks: expected laws of the suite {options.suite}, such as"
            f" {', '.join(task.name for task in list(suite)[:10])}, got {' '.join(options.tasks)}"
        )

    # The environment of scikit-learn has them.
    if not (options.tables or all(task.present() for task in laws)):
        packages.prepare(packages.PEER_OF_DIGITS, options.python)

    for task in laws:
        if not task.present():
            print(f"{task.name}: left out, scikit-learn's digits are not here", file=sys.stderr)

    return [task for task in laws if task.present()]


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _chosen(patterns: Sequence[str]) -> list[tuple[packages.Package, str]]:
    known = [(p, estimator) for p in packages.PACKAGES for estimator in p.estimators]
    chosen = [
        (package, estimator)
        for package, estimator in known
        if _matches(package.label(estimator), list(patterns))
    ]

    if not chosen:
        names = ", ".join(package.label(estimator) for package, estimator in known)
        raise ValueError(f"--only: expected some of {names}, got {' '.join(patterns)}")

    return chosen


def _write(
    name: str,
    fits: list[plan.Fit],
    stairs: list[plan.Fit],
    out: Path,
) -> int:
    from . import figures, tables

    rows = plan.read(out / plan.FILE)
    of_tasks, of_stairs = plan.matching(fits, rows), plan.matching(stairs, rows)
    if all("error" in row for row in [*of_tasks, *of_stairs]):
        raise ValueError(f"{out / plan.FILE}: no row of these fits, so no table")

    title, command = SUITES[name].title, f"{COMMAND} --suite {name}"
    text = tables.page(title, of_tasks, of_stairs, len(fits) + len(stairs), command)
    (out / "tables.md").write_text(text, encoding="utf-8")
    own = {"tasks": ("accuracy", figures.accuracy), "cost": ("cost", figures.cost)}
    figure = own.get(name, ("laws", figures.laws))

    for (stem, draw), drawn in ((figure, of_tasks), (("staircase", figures.staircase), of_stairs)):
        if any("error" not in row for row in drawn):
            with display.theme():
                (out / f"{stem}.png").write_bytes(display.png(draw(drawn)))

    print(text)

    now = f"+{protocol.sources(Path(mi_estimators.__file__).parent)}"
    old = sum(
        "error" not in row
        and row["version"].startswith("mi-estimators")
        and not row["version"].endswith(now)
        for row in [*of_tasks, *of_stairs]
    )

    if old:
        print(
            f"{old} rows of mi-estimators are of other sources than those here: --redo 'mi-estimators*' renews them"
        )

    print(f"rows, tables and figures: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
