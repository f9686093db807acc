"""What planned runs share: the flags of their runners, a file of rows, which runs are missing, and when to stop."""

from __future__ import annotations

import argparse
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mi_estimators.display import jsonl


class Named(Protocol):
    """A run that has a name."""

    @property
    def name(self) -> str:
        """The name by which --only asks for it."""
        ...


Run = TypeVar("Run", bound=Named)


def parser(
    command: str, description: str | None, sizes: Mapping[str, Any]
) -> argparse.ArgumentParser:
    """Return the flags of a runner."""
    flags = argparse.ArgumentParser(
        prog=command, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--quick", action="store_true", help="the quick size: minutes on one core")
    flags.add_argument("--size", choices=sizes, help="a size by its name (default: full)")
    flags.add_argument("--pilot", action="store_true", help="time the size; print its hours")
    flags.add_argument("--limit", type=int, help="only the first N runs of the plan")
    flags.add_argument("--only", metavar="NAME", help="only the run of this name")
    flags.add_argument("--hours", type=float, help="start no run after so many hours")
    flags.add_argument(
        "--part", default="1/1", metavar="I/N", help="the I-th of N processes that share the runs"
    )
    flags.add_argument("--table", action="store_true", help="print the tables; run nothing")

    return flags


def size_of(options: argparse.Namespace, sizes: Mapping[str, Any]) -> Any:
    """Return the size that the flags name."""
    return sizes[options.size or ("quick" if options.quick else "full")]


def flag_of_size(name: str) -> str:
    """Return the flag that names a size.

    >>> flag_of_size("quick"), flag_of_size("full")
    (' --quick', '')
    """
    return {"full": "", "quick": " --quick"}.get(name, f" --size {name}")


def rows_of(here: Path, name: str) -> Path:
    """Return the file of a size's rows: those of the tiny size are not kept."""
    kept = {"full": "rows.jsonl", "slow": "slow.jsonl", "quick": "quick.jsonl"}
    return here / kept[name] if name in kept else here / "build" / f"{name}.jsonl"


def succeed(status: int, name: str) -> None:
    """Stop where a command has failed."""
    if status:
        raise SystemExit(f"{name}: failed with status {status}")


def has_row(rows: Sequence[Mapping[str, Any]], key: Mapping[str, Any]) -> bool:
    """Return whether a row has all that the key of a run has.

    >>> has_row([{"arm": "DPO", "seed": 0, "seconds": 7}], {"arm": "DPO", "seed": 0})
    True
    """
    return any(key.items() <= row.items() for row in rows)


def row_named(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Return the first row of a name, such as that of the start; None where there is none."""
    return next((row for row in rows if row["arm"] == name), None)


class Book:
    """A file of rows that several processes fill.

    Args:
        path: the file.
        options: the runner's flags `limit`, `only`, `hours` and `part`.
    """

    def __init__(self, path: Path, options: argparse.Namespace) -> None:
        self.path, self.options = path, options
        self.began = time.monotonic()
        self.part, self.parts = map(int, options.part.split("/"))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows so far."""
        return jsonl.read(self.path, ["arm"])

    def has(self, key: Mapping[str, Any]) -> bool:
        """Return whether a row has all that the key has."""
        return has_row(self.rows(), key)

    def add(self, row: dict[str, Any]) -> None:
        """Write a row; one process at a time."""
        folder = self.path.parent / "build"
        folder.mkdir(exist_ok=True)
        with (folder / f"{self.path.stem}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with jsonl.appending(self.path) as file:
                jsonl.append(file, row)

    def missing(
        self, runs: Sequence[Run], key: Callable[[Run], Mapping[str, Any]]
    ) -> Iterator[Run]:
        """Yield this process's runs that have no row, until the hours are over."""
        for place, run in enumerate(runs[: self.options.limit]):
            if place % self.parts != self.part - 1 or self.has(key(run)):
                continue
            if self.options.only not in (None, run.name):
                continue

            hours = (time.monotonic() - self.began) / 3600
            if self.options.hours is not None and hours > self.options.hours:
                print(f"{hours:.1f} hours are over: the next run is {dict(key(run))}", flush=True)
                return

            print(f"{hours * 60:.0f} min: {dict(key(run))}", flush=True)
            yield run
