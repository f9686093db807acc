"""The lab's command line: `python -m toy demo --out results/`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from . import report, specs
from .rows import FILE, latest, read, run

_COMMANDS = {
    "demo": "run every experiment and write the report",
    **{name: f"run the {name} experiments alone and write their report" for name in specs.EXPERIMENTS},
    "report": "write the report again from the rows",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; return 0, 1 if there was nothing to report or nothing could be written, or 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python -m toy", description="Small exact experiments and their report.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--out",
            type=Path,
            default=Path("results"),
            help="folder of results.jsonl, figures and report.html (default results)",
        )
        if name != "report":
            command.add_argument("--seed", type=int, default=0, help="base seed (default 0)")
            command.add_argument("--quick", action="store_true", help="rough numbers in a few seconds")
    options = parser.parse_args(argv)
    try:
        rows = _rows(options)
        page = report.build(rows, options.out)
    except (OSError, ValueError) as error:
        print(f"toy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\ntoy: interrupted; finished rows are in {options.out / FILE}, the same command goes on", file=sys.stderr
        )
        return 130
    print(f"{len(rows)} rows of {options.out / FILE}; report: {page}")
    return 0


def _rows(options: argparse.Namespace) -> list:
    if options.command == "report":
        return latest(read(options.out / FILE))
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the tensors are small: threads only contend
    suite = "quick" if options.quick else "full"
    experiments = specs.QUICK if options.quick else specs.EXPERIMENTS
    if options.command != "demo":
        experiments = {options.command: experiments[options.command]}
    return run(experiments, suite, options.seed, options.out)


if __name__ == "__main__":
    sys.exit(main())
