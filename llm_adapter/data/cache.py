"""Keep computed values on disk, complete or absent; tokens in one .npz file for each content hash, without pickle."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from importlib import metadata
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from ..arguments.command import complain
from .examples import Fault
from .tokens import Options, TokenizedExample

FORMAT = 4
"""Raise it when the same rows give other tokens, or the files change their form: older files are then ignored."""
LABELS = (None, False, True)  # of a response alone
Value = TypeVar("Value")
# Examples, dropped rows, and ignored keys with their counts
Tokenized = tuple[list[TokenizedExample], list[Fault], dict[str, int]]


def cache_folder(name: str | None, kind: str = "tokens") -> Path | None:
    """Return the folder `name`; for None a folder in Hugging Face's cache of assets; for "none" nothing."""
    if name is None:
        from huggingface_hub import constants

        return Path(constants.HF_ASSETS_CACHE) / "mi-estimators" / kind
    return None if name == "none" else Path(name)


def content_key(digest: str, tokenizer, options: Options, max_negatives: int | None) -> str:
    """Return a hash of all that the tokens depend on: data, tokenizer, template, options, versions."""
    template = json.dumps(tokenizer.chat_template)
    parts = [
        digest,
        tokenizer_digest(tokenizer),
        template,
        str(date.today()) * ("strftime_now" in template),  # such a template writes the date
        asdict(options),
        max_negatives,
        FORMAT,
        [metadata.version(name) for name in ("transformers", "tokenizers", "jinja2")],
    ]

    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


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
    """Return what `save` wrote under `key`, or None."""

    def read(path: Path) -> Tokenized:
        with np.load(path, allow_pickle=False) as arrays:
            return _unpack({name: arrays[name] for name in arrays.files}, key)

    return fetch(folder / f"{key}.npz", read)


def save(folder: Path, key: str, tokenized: Tokenized) -> None:
    """Write `tokenized` under `key`."""
    arrays: dict[str, Any] = _pack(*tokenized, key)  # Any: savez has options, too
    keep(folder / f"{key}.npz", lambda file: np.savez(file, **arrays))


def _pack(
    examples: Sequence[TokenizedExample],
    faults: Sequence[Fault],
    ignored: dict[str, int],
    key: str,
) -> dict[str, np.ndarray]:
    pieces = [ids for example in examples for ids in (example.prompt, *example.completions)]
    table = [
        (row.file, row.line, row.truncated, len(row.completions), LABELS.index(row.label))
        for row in examples
    ]
    notes = {str(place): row.notes for place, row in enumerate(examples) if row.notes}
    faulty = [asdict(fault) for fault in faults]
    header = json.dumps({"key": key, "faults": faulty, "notes": notes, "ignored": ignored})

    return {
        "header": np.frombuffer(header.encode(), np.uint8),
        "examples": np.array(table, np.int64).reshape(-1, 5),
        "lengths": np.array([len(ids) for ids in pieces], np.int64),
        "tokens": np.fromiter(chain.from_iterable(pieces), np.int32),
    }


def _unpack(arrays: dict[str, np.ndarray], key: str) -> Tokenized:
    header = json.loads(arrays["header"].tobytes())
    if header["key"] != key:
        raise ValueError("the content of another key")

    bounds = accumulate(arrays["lengths"].tolist(), initial=0)
    pieces = (arrays["tokens"][start:end].tolist() for start, end in pairwise(bounds))
    examples = [
        TokenizedExample(
            line,
            next(pieces),
            tuple(next(pieces) for _ in range(count)),
            truncated,
            file=file,
            notes=tuple(header["notes"].get(str(place), ())),
            label=LABELS[label],
        )
        for place, (file, line, truncated, count, label) in enumerate(arrays["examples"].tolist())
    ]

    return examples, [Fault(**fault) for fault in header["faults"]], header["ignored"]
