"""Find text of a row that the tokenizer reads as control tokens: marks of turns, ends, padding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from .examples import Example
from .layouts import Text

# So DeepSeek writes its turns, in tokens that are not flagged as special
MARK = re.compile(r"<[|｜].*[|｜]>")


def has_control_text(example: Example, tokenizer, chat: bool, begin: str) -> bool:
    """Return whether text of a row gives control tokens.

    One at the end of a response may be the end that it would get anyway, and so may `begin` before a plain prompt.

    Args:
        example: a checked row.
        tokenizer: its special tokens are looked for.
        chat: whether a chat template writes the row.
        begin: the text of BOS, where the tokenizer writes it.
    """
    pattern = _pattern(tokenizer)
    if not pattern:
        return False

    texts = _texts(example, pattern, tokenizer.eos_token or "", chat, begin)
    marks = {mark for text in texts for mark in pattern.findall(text)}
    return any(_is_control(mark, tokenizer) for mark in sorted(marks))


def _texts(
    example: Example, pattern: re.Pattern, eos: str, chat: bool, begin: str
) -> Iterator[str]:
    """Yield the texts of a row, without the BOS and the ends that stand where they belong."""
    yield _json([example.tools, example.template])
    if isinstance(example.prompt, str):
        head = f"{example.system}\n\n{example.prompt}" if example.system else example.prompt
        yield head if chat else head.removeprefix(begin)
    else:
        yield _json([example.system, example.prompt])

    for response in (example.chosen, *example.rejected):
        *earlier, last = _parts(response)
        yield from earlier
        if not chat:
            yield last.removesuffix(eos)
        else:
            *_, end = [None, *pattern.finditer(last := last.rstrip())]
            yield last[: end.start()] if end and end.end() == len(last) else last


def _parts(response: Text) -> Iterator[str]:
    """Yield the texts of a response, the last one that it ends with."""
    if isinstance(response, str):
        yield response
    else:
        yield _json([*response[:-1], response[-1] | {"content": ""}])
        yield response[-1]["content"]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


@lru_cache(maxsize=4)
def _pattern(tokenizer) -> re.Pattern | None:
    """Return a pattern of the texts of control tokens, or None; unknown text has no mark of its own."""
    added = tokenizer.added_tokens_decoder.values()
    marks = {str(token) for token in added if token.special or MARK.fullmatch(str(token))}
    marks |= {*tokenizer.all_special_tokens}
    marks -= {tokenizer.unk_token} - {tokenizer.eos_token}

    return (
        re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))
        if marks
        else None
    )


@lru_cache(maxsize=1024)
def _is_control(mark: str, tokenizer) -> bool:
    """Return whether the text gives its token; a tokenizer may be told to read such text as any other."""
    ids = tokenizer(mark, add_special_tokens=False)["input_ids"]
    return tokenizer.convert_tokens_to_ids(mark) in ids
