"""The token cache: its key is the content, and a damaged file is tokenised again."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import AutoTokenizer, ByT5Tokenizer

from llm_adapter.data import cache as token_cache
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import Options
from tests.llm_adapter.data.shared import GOOD, LONG, TEMPLATE, lines


def test_key(byte_level, tmp_path):
    """Another place is the same key; another text, tokenizer, template, option or code is another."""
    path = lines(tmp_path / "data.jsonl", GOOD)
    (tmp_path / "moved").mkdir()
    moved = lines(tmp_path / "moved" / "renamed.jsonl", GOOD)
    plain, dates = ByT5Tokenizer(), ByT5Tokenizer(chat_template="{{ strftime_now('%d') }}")

    def key(path=path, tokenizer=plain, max_negatives=None, **options):
        return token_cache.content_key(
            open_source(path).digest,
            tokenizer,
            Options(**{"max_length": 9} | options),
            max_negatives,
        )

    def fast(folder, **special):
        byte_level(tmp_path / folder, **special)
        return AutoTokenizer.from_pretrained(tmp_path / folder)

    assert key() == key(moved) == key(tokenizer=ByT5Tokenizer())
    assert key(tokenizer=fast("a")) == key(tokenizer=fast("b"))

    today = key(tokenizer=dates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_cache, "date", SimpleNamespace(today=lambda: date(2030, 1, 1)))
        tomorrow = key(tokenizer=dates)
        assert key() == key(moved)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_cache, "code_digest", lambda: "other code")
        other_code = key()

    others = [
        key(lines(tmp_path / "other.jsonl", GOOD | {"chosen": "Four"})),
        key(tokenizer=fast("a")),
        key(tokenizer=fast("c", bos_token="<begin>")),
        key(tokenizer=ByT5Tokenizer(chat_template=TEMPLATE)),
        key(max_negatives=1),
        key(max_length=10),
        key(chat=True),
        key(truncation="drop"),
        today,
        tomorrow,
        other_code,
    ]

    assert len({key(), *others}) == 1 + len(others)


def test_code(tmp_path):
    """A change of any module that makes tokens is another code; other files are not."""
    own = Path(token_cache.__file__).parent
    digests = [token_cache.code_digest(own)]
    for path in own.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def changed() -> bool:
        token_cache.code_digest.cache_clear()
        digests.append(token_cache.code_digest(tmp_path))
        return digests[-1] != digests[-2]

    assert not changed()
    (tmp_path / "pairs.jsonl").write_text("{}")
    assert not changed()
    for path in sorted(tmp_path.glob("*.py")):
        path.write_text(f"{path.read_text()}\n")
        assert changed(), path.name


def damage(path: Path, kind: str) -> None:
    """Spoil a cache file: flip a bit of an array or of the order of its bytes, or put a foreign one in its place."""
    content = bytearray(path.read_bytes())
    if kind in ("tokens", "pieces", "rows"):
        corpus, *_ = token_cache.load(path.parent, path.stem)
        content[content.index(getattr(corpus, kind).tobytes()) + 4] ^= 1
    elif kind == "order":
        content[content.index(b"<i4")] = ord(">")
    elif kind == "pickle":
        with path.open("wb") as file:
            np.save(file, np.array([{"key": path.stem}], dtype=object))
        return
    else:
        content = bytearray(b"not an archive")

    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["tokens", "pieces", "rows", "order", "pickle", "text"])
def test_damaged_cache(rows, prepared, tmp_path, capsys, kind):
    """A damaged cache is made anew, in one line."""
    path, folder = lines(tmp_path / "data.jsonl", *rows(12)), tmp_path / "cache"
    made = prepared(path, ByT5Tokenizer(), folder)
    (file,) = folder.iterdir()
    whole, examples = file.read_bytes(), list(made.examples)  # which no longer need the file
    damage(file, kind)
    again = prepared(path, ByT5Tokenizer(), folder)

    assert again.cached is False
    assert (again.examples, again.dropped) == (examples, made.dropped)

    error = capsys.readouterr().err
    assert error.startswith(f"cache: warning: expected a complete file, got {file} (")
    assert error.count("\n") == 1
    assert file.read_bytes() == whole
    assert prepared(path, ByT5Tokenizer(), folder).cached


def test_cut_cache(prepared, tmp_path, capsys):
    """No beginning of a cache file is taken for the whole."""
    prepared(lines(tmp_path / "data.jsonl", GOOD), ByT5Tokenizer(), tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()

    for size in range(len(whole) - 1, -1, -9):
        file.write_bytes(whole[:size])
        assert token_cache.load(file.parent, file.stem) is None
        assert capsys.readouterr().err.count("\n") == 1


def test_other_key(prepared, tmp_path, capsys):
    """A cache of another key is not believed."""
    path, folder = lines(tmp_path / "data.jsonl", GOOD), tmp_path / "cache"
    prepared(path, ByT5Tokenizer(), folder)
    (file,) = folder.iterdir()
    lines(path, LONG)
    prepared(path, ByT5Tokenizer(), folder=folder)
    (other,) = set(folder.iterdir()) - {file}
    file.rename(other)

    assert prepared(path, ByT5Tokenizer(), folder).cached is False
    assert "the content of another key" in capsys.readouterr().err


def test_unwritable_folder(prepared, tmp_path, capsys):
    """A folder that cannot be written is said and left alone."""
    (tmp_path / "file").write_text("in the way")
    made = prepared(
        lines(tmp_path / "data.jsonl", GOOD), ByT5Tokenizer(), tmp_path / "file" / "cache"
    )

    assert len(made.examples) == 1
    assert "cache: warning: expected a folder to write to, got " in capsys.readouterr().err
