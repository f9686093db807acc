"""Read preferences from JSON lines, a JSON array, parquet, a folder of such files, or the hub (through `datasets`)."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..arguments.names import SUFFIXES  # any other single file is read as JSON
from .decoding import items

PAIRS = Path(__file__).with_name("pairs.jsonl")  # the shipped preferences
GZIP = b"\x1f\x8b"  # the first bytes of such a file
OTHERS = {  # first bytes → what the file is, and what to do
    b"PK\x03\x04": "a zip archive (unpack it)",
    b"BZh": "text packed by bzip2 (unpack it, or pack it by gzip)",
    b"\xfd7zXZ": "text packed by xz (unpack it, or pack it by gzip)",
    b"\x28\xb5\x2f\xfd": "text packed by zstd (unpack it, or pack it by gzip)",
    b"\xff\xfe": "text in UTF-16 (write it in UTF-8)",
    b"\xfe\xff": "text in UTF-16 (write it in UTF-8)",
    b"PAR1": "parquet under another name (rename it to .parquet)",
    b"ARROW1": "an Arrow file (write it as parquet)",
    b"version https://git-lfs": "a pointer of Git LFS (git lfs pull fetches the file)",
    b"<": "a page of HTML or XML (was the download refused?)",
    b"%YAML": "YAML (write it as JSON lines)",
}
SPLIT = re.compile(
    r"(?<![a-z0-9])(train|test|validation|valid|val|dev|eval)(?![a-z])", re.IGNORECASE
)
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
INSTALL = "pip install 'mi-estimators[hub]'"


@dataclass(frozen=True)
class Row:
    """A row: JSON bytes or an object; `line` counts from 1 (in parquet, in an array and on the hub it counts rows)."""

    file: int
    line: int
    value: object


@dataclass(frozen=True)
class Source:
    """Preferences: `rows` reads them anew, `hashed` hashes their content, `Row.file` is an index of `files`.

    `skipped` are the names in a folder that are not read, but for hidden ones.
    """

    name: str
    files: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    hashed: Callable[[], str]
    skipped: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The hash of the content."""
        return self.hashed()


def check_source(name: str) -> None:
    """Check that `name` is an existing path or could be a hub name; touch no network.

    Raises:
        ValueError: it is neither, or a folder without files to read.
    """
    if Path(name).is_dir():
        _files(Path(name))
    elif not Path(name).is_file() and (
        not HUB_NAME.fullmatch(name) or name.endswith((*SUFFIXES, ".json", ".json.gz"))
    ):
        raise ValueError(
            f"{name}: expected a file of JSON lines or parquet, a folder of them or a hub name, got no such path"
        )


def open_source(name: str | Path, config: str | None = None, split: str = "train") -> Source:
    """Open a path or a hub name; `config` and `split` are for the hub.

    Raises:
        ValueError: the source does not exist, cannot be read, or needs a package that is not installed.
    """
    check_source(str(name))
    path = Path(name)
    if not path.exists():
        return _hub(str(name), config, split)

    files, skipped = _files(path) if path.is_dir() else ([path], [])

    def rows() -> Iterator[Row]:
        for index, file in enumerate(files):
            read = _parquet if file.suffix == ".parquet" else _json
            try:
                yield from (Row(index, line, value) for line, value in read(file))
            except (OSError, EOFError, zlib.error) as error:  # the last two: a damaged .gz
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"{file}: expected a readable file, got {reason}") from None

    name = path.name + (f" ({len(files)} files)" if path.is_dir() else "")
    return Source(name, tuple(map(str, files)), rows, lambda: _digest(files), tuple(skipped))


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a folder that are read, and the names of the others; refuse files of several splits."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in paths if path.name.endswith(SUFFIXES) and path.is_file()]
    skipped = [path.name + "/" * path.is_dir() for path in paths if path not in files]

    if not files:
        raise ValueError(f"{folder}: expected a folder with .jsonl or .parquet files, got none")

    splits: dict[frozenset[str], str] = {}  # the words in a name, and the first file that has them
    for path in files:
        if words := SPLIT.findall(path.name.lower()):
            splits.setdefault(frozenset(words), path.name)

    if len(splits) > 1:
        raise ValueError(
            f"{folder}: expected files of one split, got {' and '.join(splits.values())} (name one file, or a folder "
            "of one split)"
        )

    return files, skipped


def _digest(files: list[Path]) -> str:
    digests = []
    for path in files:
        try:
            with path.open("rb") as file:
                # Messages name a folder's files
                name = path.name if len(files) > 1 else path.suffix
                digests.append((name, hashlib.file_digest(file, "sha256").hexdigest()))
        except OSError as error:
            raise ValueError(
                f"{path}: expected a readable file, got {error.strerror or error}"
            ) from None

    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _json(path: Path) -> Iterator[tuple[int, object]]:
    """Yield the lines of a file, or the items of the JSON array that it holds; either may be compressed."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        numbered = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        first = next(numbered, None)
        if first is None:
            return

        _refuse_others(path, first[1])
        if not _opens_array(first[1]):
            yield first
            yield from numbered
            return

        content = b"".join([first[1], *(line for _, line in numbered)])

    try:
        for number, item in enumerate(items(content.decode("utf-8-sig")), start=1):
            yield number, item.encode()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text, got other bytes") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _refuse_others(path: Path, line: bytes) -> None:
    """Refuse a file whose first line is not JSON, and name what the file holds instead.

    Raises:
        ValueError: it does.
    """
    start = line.removeprefix(b"\xef\xbb\xbf").strip()
    kind = next((kind for begin, kind in OTHERS.items() if start.startswith(begin)), "")
    names = re.split(r"[,;\t]", start.decode("utf-8", "replace"))

    if len(names) > 1 and {"chosen", "completion"} & {name.strip(' "').lower() for name in names}:
        kind = "a table of text (write it as parquet, or a JSON object a row)"
    elif start == b"{":
        kind = "an object over several lines (write it on one, or put all objects in an array)"
    elif b"}\r{" in start:
        kind = "lines that end with a carriage return alone (write \\n)"
    elif start.endswith(b"},") and start.startswith(b"{"):
        kind = "objects with commas between them (put them in [ ], or leave the commas out)"

    if kind:
        raise ValueError(f"{path}: expected JSON lines, a JSON array or parquet, got {kind}")


def _opens_array(line: bytes) -> bool:
    """Return whether a file that begins with this line is one JSON array, not a line that holds a list."""
    start = line.removeprefix(b"\xef\xbb\xbf").strip()
    return start == b"[" or start.startswith((b"[{", b"[ {"))


def _parquet(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            f"{path}: expected the package pyarrow to read parquet, got none ({INSTALL})"
        ) from None

    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{path}: expected distinct column names, got {twice[0]!r} twice")
            for batch in file.iter_batches(1024):
                for value in batch.to_pylist():
                    line += 1
                    yield line, value
    except (pyarrow.ArrowException, UnicodeError, OverflowError) as error:
        raise ValueError(f"{path}:{line + 1}: expected readable parquet, got: {error}") from None


def _hub(name: str, config: str | None, split: str) -> Source:
    try:
        from datasets import load_dataset
    except ImportError:
        raise ValueError(
            f"{name}: expected an existing path, or the package datasets to read the hub, got neither ({INSTALL})"
        ) from None

    try:
        table = load_dataset(name, config, split=split)
    except Exception as error:
        # Network, file formats, missing names: each raises a class of its own
        of = f" with configuration {config}," if config else ""
        raise ValueError(
            f"{name}: expected an existing path or a reachable data set{of} with split {split}, got: {error}"
        ) from error

    shown = f"{name}[{split}]"

    def rows() -> Iterator[Row]:
        return (Row(0, line, value) for line, value in enumerate(table, start=1))

    def hashed() -> str:
        digest = hashlib.sha256()
        for value in table:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")
        return digest.hexdigest()

    return Source(shown, (shown,), rows, hashed)
