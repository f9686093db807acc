"""Keep computed values on disk, complete or absent; tokens in one file for each content hash, which processes map."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from ..arguments.command import complain
from .corpus import Corpus
from .examples import Fault
from .tokens import Options

Value = TypeVar("Value")
# Examples, dropped rows, ignored keys with their counts, and the number of rows
Tokenized = tuple[Corpus, list[Fault], dict[str, int], int]


def cache_folder(name: str | None, kind: str = "tokens") -> Path | None:
    """Return the folder `name`; for None a folder in Hugging Face's cache of assets; for "none" nothing."""
    if name is None:
        from huggingface_hub import constants

        return Path(constants.HF_ASSETS_CACHE) / "mi-estimators" / kind
    return None if name == "none" else Path(name)


def content_key(digest: str, tokenizer, options: Options, max_negatives: int | None) -> str:
    """Return a hash of all that the tokens depend on: data, tokenizer, template, options, code, versions."""
    template = json.dumps(tokenizer.chat_template)
    parts = [
        digest,
        tokenizer_digest(tokenizer),
        template,
        str(date.today()) * ("strftime_now" in template),  # such a template writes the date
        asdict(options),
        max_negatives,
        code_digest(),
        [metadata.version(name) for name in ("transformers", "tokenizers", "jinja2")],
    ]

    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def code_digest(folder: Path = Path(__file__).parent) -> str:
    """Return a hash of the modules that make tokens and write these files, so that a change makes them anew."""
    modules = [(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(json.dumps(modules).encode()).hexdigest()


def tokenizer_digest(tokenizer) -> str:
    """Return a hash of the files that the tokenizer saves: vocabulary, merges, special tokens, settings."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        digests = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return hashlib.sha256(json.dumps([type(tokenizer).__name__, digests]).encode()).hexdigest()


def fetch(path: Path, read: Callable[[Path], Value]) -> Value | None:
    """Return what `read` finds in a file, or None; a damaged file is reported in one line."""
    if not path.exists():
        return None

    try:
        return read(path)
    except Exception as error:  # a damaged file makes numpy, zipfile, json, … raise many classes
        complain("cache", f"expected a complete file, got {path} ({error})", "warning")
        return None


def keep(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file, complete or absent; a folder that cannot be written is reported in one line."""
    from mi_estimators.display import whole_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            write(file)
    except OSError as error:
        reason = f"expected a folder to write to, got {path.parent} ({error.strerror})"
        complain("cache", reason, "warning")


def load(folder: Path, key: str) -> Tokenized | None:
    """Return what `save` wrote under `key`, its tokens mapped read-only, or None."""

    def read(path: Path) -> Tokenized:
        tokens = np.load(path, mmap_mode="r")
        with path.open("rb") as file:
            file.seek(tokens.offset + tokens.nbytes)
            with np.load(file) as arrays:
                header = json.loads(arrays["header"].tobytes())
                pieces, rows = arrays["pieces"], arrays["rows"]

        if header["key"] != key:
            raise ValueError("the content of another key")
        if (np.int32, header["checksum"]) != (tokens.dtype, zlib.crc32(tokens.data)):
            raise ValueError("tokens that do not have their checksum")

        corpus = Corpus(tokens, pieces, rows, tuple(map(tuple, header["notes"])))
        faults = [Fault(**fault) for fault in header["faults"]]
        return corpus, faults, header["ignored"], header["rows"]

    return fetch(_path(folder, key), read)


def save(folder: Path, key: str, tokenized: Tokenized) -> None:
    """Write `tokenized` under `key`: an array of tokens, which can be mapped, and then an archive of all else."""
    corpus, faults, ignored, rows = tokenized
    facts = {"key": key, "faults": [asdict(fault) for fault in faults], "ignored": ignored}
    facts |= {"rows": rows, "notes": corpus.notes, "checksum": zlib.crc32(corpus.tokens.data)}
    header = np.frombuffer(json.dumps(facts).encode(), np.uint8)

    def write(file: IO[bytes]) -> None:
        np.save(file, corpus.tokens)
        np.savez(file, header=header, pieces=corpus.pieces, rows=corpus.rows)

    keep(_path(folder, key), write)


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.npy"
