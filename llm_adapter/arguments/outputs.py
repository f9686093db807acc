"""What a command may write over: files that it wrote itself, and none that it reads.

A file that is there already has to say whose it is: results name their command, and a journal, a list of dropped rows
and a page of runs begin as ours do. Other files have such a witness beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

from .names import ADAPTER, LOADED, SUFFIXES

Own = Callable[[Path], bool]
"""Tells whether the command wrote what lies at a path."""

QUESTIONS = '{"run": "0123456789abcdef", "question": '  # how a journal of responses begins
ROUNDS = '{"run": "0123456789abcdef", "round": '  # and one of rounds
DROPPED = '{"file": "'  # and a list of dropped rows
PAGE = re.compile(rb"<!doctype html>.{0,300}?<title>(Run [^<]*|\d+ runs)</title>", re.DOTALL)
RUN_FILES = (  # what a training leaves in its folder, besides the model
    "run.json",
    "metrics.jsonl",
    "dropped.jsonl",
    "completions.jsonl",
    "report.html",
    "training_args.bin",
    "README.md",  # a model card, as peft writes it
)


def refuse_outputs(
    argument: str, outputs: Mapping[Path, Own], inputs: Mapping[str, str | None]
) -> None:
    """Refuse to write over what a command reads, or over what it did not write.

    Args:
        argument: the flag that names the outputs.
        outputs: the paths that are written, with what tells whether an earlier one is the command's own.
        inputs: the flags that name what is read, with their values; those that are no path are left out.

    Raises:
        ValueError: the first such path, and what to do.
    """
    for name, source in _sources(inputs):
        for path in outputs:
            if _reads(name, source, path):
                raise ValueError(
                    f"{argument}: expected a path that {name} does not read, got {path} (choose "
                    f"another {argument})"
                )

    for path, own in outputs.items():
        if (path.exists() or path.is_symlink()) and not own(path):
            raise ValueError(
                f"{argument}: expected a new path, or what this command wrote, got {path}, which it "
                f"did not write (move it, or choose another {argument})"
            )


def _sources(inputs: Mapping[str, str | None]) -> Iterator[tuple[str, Path]]:
    """Yield the paths that are read: those that exist, and the base model of an adapter."""
    for name, value in inputs.items():
        if value and Path(value).exists():
            yield name, Path(value)
        if value and (Path(value) / ADAPTER).is_file():
            base = _object(Path(value) / ADAPTER).get("base_model_name_or_path")
            if base != value:
                yield from _sources({name: base})


def _reads(name: str, source: Path, path: Path) -> bool:
    """Return whether the argument `name` reads `path`, or a file in the folder that is written there."""
    source, path = source.resolve(), path.resolve()
    if path == source or path in source.parents:
        return True

    patterns = LOADED if name == "model" else [f"*{suffix}" for suffix in SUFFIXES]
    return source == path.parent and source.is_dir() and _matches(path.name, patterns)


def _matches(name: str, patterns) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def results_of(command: str) -> Own:
    """Return what tells the JSON results of a command: they name it."""
    return lambda path: command in str(_object(path).get("command"))


def begins_as(mark: str) -> Own:
    """Return what tells a file of JSON lines by its beginning; a hash in it is any hash.

    A stopped run may leave an empty file, or the beginning of a line.
    """

    def own(path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(len(mark.encode())).decode(errors="replace")
        return re.sub('"[0-9a-f]{16}"', '"0123456789abcdef"', start + mark[len(start) :]) == mark

    return own


def beside(witness: Path, own: Own) -> Own:
    """Return what tells a file of any content by another one, which holds something and is the command's own."""
    return lambda _: witness.is_file() and witness.stat().st_size > 0 and own(witness)


def is_log(path: Path) -> bool:
    """Return whether a file is the log of a training: its first line has a step and the loss there."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return {"step", "loss"} <= _parsed(file.readline()).keys()


def is_page(path: Path) -> bool:
    """Return whether a file is a page of runs, as `llm_adapter.report` writes it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(PAGE.match(file.read(1 << 16)))


def of_training(folder: Path) -> dict[Path, Own]:
    """Return what a training may write over in its folder: all, if run.json is there; else what shows whose it is.

    A list of dropped rows is written first: a run may be refused because of it. A trainer that is used by itself writes
    no run.json.
    """
    ran = results_of("llm_adapter.train")(folder / "run.json")
    model = [path for pattern in LOADED for path in sorted(folder.glob(pattern))]
    outputs: dict[Path, Own] = {
        path: lambda _: ran for path in (*model, *(folder / name for name in RUN_FILES))
    }
    outputs[folder / "dropped.jsonl"] = lambda path: ran or begins_as(DROPPED)(path)
    outputs[folder / "metrics.jsonl"] = lambda path: ran or is_log(path)

    # another check says what to do with checkpoints
    return outputs | {path: lambda _: True for path in folder.glob("checkpoint-*")}


def _object(path: Path) -> dict:
    """Return the JSON object in a file; an empty one where there is none."""
    try:
        return _parsed(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        return {}


def _parsed(text: bytes) -> dict:
    try:
        content = json.loads(text)
    except ValueError:
        return {}

    return content if isinstance(content, dict) else {}
