"""Compare tokens with their text: unknown text, and text that the tokenizer changes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache


def lost_text(texts: Sequence[str], rows: Sequence[list[int]], tokenizer) -> Iterator[str]:
    """Yield a note if tokens do not hold their text.

    Harmless are single spaces, spaces at both ends, white space beside a mark, and another canonical form of Unicode.

    Args:
        texts: what was tokenised.
        rows: the tokens of each, without those that the tokenizer adds.
        tokenizer: one without a decoder is asked for unknown text alone.
    """
    if any(_unknown(text, ids, tokenizer) for text, ids in zip(texts, rows, strict=True)):
        yield "unknown"
    elif getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", True) is not None:
        settings = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        decoded = (tokenizer.decode(ids, **settings) for ids in rows)
        if any(not _same(*pair, tokenizer) for pair in zip(texts, decoded, strict=True)):
            yield "lossy"


def _unknown(text: str, ids: list[int], tokenizer) -> bool:
    """Return whether tokens say "unknown" more often than the text; GPT-2's token for it is its end token."""
    unknown = tokenizer.unk_token_id
    if unknown in (None, tokenizer.eos_token_id, tokenizer.bos_token_id):
        return False
    return unknown in ids and ids.count(unknown) > text.count(tokenizer.unk_token)


def _same(text: str, decoded: str, tokenizer) -> bool:
    if text == decoded:
        return True

    marks = _marks(tokenizer)
    before, after = (
        marks.sub("", unicodedata.normalize("NFC", part)).strip(" ") for part in (text, decoded)
    )

    if before.replace(" ", "") != after.replace(" ", ""):
        return False
    return before.count("  ") <= after.count("  ")  # an indentation is text


@lru_cache(maxsize=4)
def _marks(tokenizer) -> re.Pattern:
    """Return a pattern of the texts of special and added tokens, with the white space beside them."""
    marks = {*map(str, tokenizer.added_tokens_decoder.values()), *tokenizer.all_special_tokens}
    names = sorted(filter(str.strip, marks), key=len, reverse=True)
    return re.compile(rf"\s*({'|'.join(map(re.escape, names))})\s*" if names else "$.")
