"""The lab's command line: `python -m toy demo --out results`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from .experiment import abouts

# torch and matplotlib take seconds to import: only a command that runs imports what needs them.


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, or 1 without anything to report, a file or a package, or 130 if interrupted.
    """
    options = _parser().parse_args(argv)

    from mi_estimators.extras import need

    from .rows import FILE

    try:
        need("lab")
        from . import report

        rows = _rows(options)
        page = report.build(rows, options.out)
    except (ImportError, OSError, ValueError) as error:
        print(f"toy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\ntoy: interrupted; finished results are in {options.out / FILE}. "
            "Run the same command again to continue.",
            file=sys.stderr,
        )
        return 130

    for quantity, measured, theory in report.summary(rows):
        print(f"{quantity}: {measured}; theory: {theory}")
    for line in _shown(page.titles, options):
        print(line)

    print(f"{len(rows)} results in {options.out / FILE}; next: open {options.out / report.FILE}")
    return 0


def _shown(titles: dict[str, str], options: argparse.Namespace) -> Iterator[str]:
    """Yield what the figures show, one line a figure: those of one experiment, else that which opens the report."""
    alone = options.command in abouts()
    for name, title in titles.items():
        if (name == "lead") != alone:
            yield f"{options.out / name}.png: {title}"


def _parser() -> argparse.ArgumentParser:
    commands = {
        "demo": "Run a part of the lab in about a minute and write the report.",
        **abouts(),
        "report": "Run all experiments that have no results yet and write the report.",
        "page": "Write the report from existing results; run nothing.",
    }

    parser = argparse.ArgumentParser(
        prog="python -m toy",
        description="Run small exact experiments and write a report with the theory beside every number.",
        epilog="Example: python -m toy escape --quick --out results",
    )

    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    for name, text in commands.items():
        command = subparsers.add_parser(name, help=text.replace("%", "%%"), description=text)
        command.add_argument(
            "--out",
            type=Path,
            default=Path("results"),
            metavar="DIR",
            help="folder for results.jsonl, report.html and the figures (default: results)",
        )

        if name == "page":
            continue

        command.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
        command.add_argument(
            "--quick", action="store_true", help="run a small version: rough numbers, in seconds"
        )

    return parser


def _rows(options: argparse.Namespace) -> list:
    import torch

    from . import experiment
    from .rows import FILE, latest, read
    from .suite import run

    if options.command == "page":
        return latest(read(options.out / FILE))

    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the tensors are small: more threads only wait for one another
    rows = experiment.experiments()

    if options.command == "demo":
        specs = {
            name: row.quick if options.quick else row.demo for name, row in rows.items() if row.demo
        }
    else:
        names = rows if options.command == "report" else [options.command]
        specs = {name: rows[name].quick if options.quick else rows[name].full for name in names}

    return run(specs, "quick" if options.quick else "full", options.seed, options.out)


if __name__ == "__main__":
    sys.exit(main())
