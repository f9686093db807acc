"""Files that are whole or absent, and values that JSON can hold."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def whole_file(path: Path) -> Generator[IO[bytes], None, None]:
    """Open a file beside `path` that takes its place at the end, or vanishes if the block fails."""
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write one indented JSON object, whole or not at all."""
    text = json.dumps(strict(value), indent=2, allow_nan=False)
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())


def strict(value: Any) -> Any:
    """Return `value` with null for every number that JSON cannot hold.

    >>> strict({"time": (1.0, float("inf"))})
    {'time': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python, torch, these packages and mi-estimators."""
    names = ("torch", *packages, "mi-estimators")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a source tree
        return "source"
