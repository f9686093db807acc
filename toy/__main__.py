"""The lab's command line: `python -m toy demo --out results/`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from . import report
from .experiments import DEMO, EXPERIMENTS, FULL, QUICK
from .rows import FILE, latest, read
from .suite import run
from .summary import summary

_COMMANDS = {
    "demo": "run a part of the lab in less than a minute, and write the report",
    **{name: f"{one.about}: run it and write its report" for name, one in EXPERIMENTS.items()},
    "report": "run every experiment that has no rows yet, and write the report",
    "page": "write the report again from the rows, and run nothing",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; return 0, 1 if there was nothing to report or nothing could be written, or 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m toy", description="Small exact experiments and their report."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--out",
            type=Path,
            default=Path("results"),
            help="folder of results.jsonl, figures and report.html (default results)",
        )
        if name != "page":
            command.add_argument("--seed", type=int, default=0, help="base seed (default 0)")
            command.add_argument(
                "--quick", action="store_true", help="rough numbers in a few seconds"
            )
    options = parser.parse_args(argv)
    try:
        rows = _rows(options)
        page = report.build(rows, options.out)
        lines = summary(rows).body
    except (OSError, ValueError) as error:
        print(f"toy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\ntoy: interrupted; finished rows are in {options.out / FILE}, the same command goes on",
            file=sys.stderr,
        )
        return 130
    for what, measured, said in lines:
        print(f"{what}: {measured} (theory: {said})")
    print(f"{len(rows)} rows of {options.out / FILE}; report: {page}")
    return 0


def _rows(options: argparse.Namespace) -> list:
    if options.command == "page":
        return latest(read(options.out / FILE))
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the tensors are small: threads only contend
    suite = "quick" if options.quick else "full"
    chosen = QUICK if options.quick else FULL
    if options.command == "demo":
        chosen = {name: chosen[name] for name in DEMO} if options.quick else DEMO
    elif options.command != "report":
        chosen = {options.command: chosen[options.command]}
    return run(chosen, suite, options.seed, options.out)


if __name__ == "__main__":
    sys.exit(main())
