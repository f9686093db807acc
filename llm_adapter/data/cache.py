"""Tokenised data on disk: one .npz a content hash, whole or absent, checked by its CRCs when read; no pickle."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib import metadata
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .examples import Fault
from .tokens import Options, TokenizedExample

FORMAT = 1
"""Raise it when the same rows become other tokens, or a file holds them otherwise: older files are then not read."""
Tokenized = tuple[list[TokenizedExample], list[Fault]]


def cache_folder(name: str | None, kind: str = "tokens") -> Path | None:
    """Return the folder `name`, one of this kind in Hugging Face's folder of assets for None, or None for "none"."""
    if name is None:
        from huggingface_hub import constants

        return Path(constants.HF_ASSETS_CACHE) / "mi-estimators" / kind
    return None if name == "none" else Path(name)


def content_key(digest: str, tokenizer, options: Options, max_negatives: int | None) -> str:
    """Return the hash of all that the tokens depend on: data, tokenizer, template, options, code and versions."""
    template = json.dumps(tokenizer.chat_template)
    parts = [
        digest,
        tokenizer_digest(tokenizer),
        template,
        date.today().isoformat()
        if "strftime_now" in template
        else "",  # such a template writes the date
        asdict(options),
        max_negatives,
        FORMAT,
        [metadata.version(name) for name in ("transformers", "tokenizers", "jinja2")],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def tokenizer_digest(tokenizer) -> str:
    """Return the hash of the files that the tokenizer saves: vocabulary, merges, special tokens, settings."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        digests = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return hashlib.sha256(json.dumps([type(tokenizer).__name__, digests]).encode()).hexdigest()


def load(folder: Path, key: str) -> Tokenized | None:
    """Return what `save` wrote under `key`; None if there is nothing, or nothing whole, which is said in one line."""
    path = folder / f"{key}.npz"
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _unpack({name: arrays[name] for name in arrays.files}, key)
    except Exception as error:  # whatever a damaged file makes zipfile, numpy or json say
        reason = " ".join(str(error).split())
        print(
            f"token cache: expected {path} to be whole, got: {reason}; made anew", file=sys.stderr
        )
        return None


def save(folder: Path, key: str, tokenized: Tokenized) -> None:
    """Write `tokenized` under `key`; a folder that cannot be written is said in one line and left alone."""
    from mi_estimators.display import whole_file

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / f"{key}.npz") as file:
            arrays: dict[str, Any] = _pack(*tokenized, key)  # Any: savez has options, too
            np.savez(file, **arrays)
    except OSError as error:
        print(
            f"token cache: expected a folder to write to, got {folder} ({error.strerror}); not kept",
            file=sys.stderr,
        )


def _pack(
    examples: Sequence[TokenizedExample], faults: Sequence[Fault], key: str
) -> dict[str, np.ndarray]:
    pieces = [ids for example in examples for ids in (example.prompt, *example.completions)]
    table = [(each.file, each.line, each.truncated, len(each.completions)) for each in examples]
    header = json.dumps({"key": key, "faults": [asdict(fault) for fault in faults]})
    return {
        "header": np.frombuffer(header.encode(), np.uint8),
        "examples": np.array(table, np.int64).reshape(-1, 4),
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
            line, next(pieces), tuple(next(pieces) for _ in range(count)), truncated, file=file
        )
        for file, line, truncated, count in arrays["examples"].tolist()
    ]
    return examples, [Fault(**fault) for fault in header["faults"]]
