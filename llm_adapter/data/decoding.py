"""Decode JSON: one way for the lines of a file, the items of an array, and text inside a row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

TOO_DEEP = "objects nested too deeply"


def decode(
    text: str | bytes, expected: str = "a JSON object", where: str = " on one line"
) -> object:
    """Return what JSON text holds.

    Args:
        text: the JSON; bytes are UTF-8.
        expected, where: name it in messages.

    Raises:
        ValueError: text that is not JSON, a key that stands twice, or bytes that are not UTF-8.

    >>> decode(b'{"prompt": "2 + 2?"}')
    {'prompt': '2 + 2?'}
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        place = f"{error.msg}, column {error.colno}"
        raise ValueError(f"expected {expected}{where}, got unparsable text ({place})") from None
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8 text, got other bytes") from None
    except RecursionError:
        raise ValueError(f"expected {expected}, got one nested too deeply") from None
    except ValueError as error:
        if not str(error).startswith("Exceeds the limit"):  # Python's, of digits
            raise
        raise ValueError(f"expected {expected}, got a number of thousands of digits") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose keys are all different."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"{twice}: expected this key once, got it twice")

    return value


def items(text: str) -> Iterator[str]:
    """Yield the text of each item of a JSON array; `decode` reads it.

    Raises:
        ValueError: text that is no array, with the line where it goes wrong.

    >>> list(items('[{"a": 1}, 2]'))
    ['{"a": 1}', '2']
    """
    scan = json.JSONDecoder(parse_int=str, object_pairs_hook=len).raw_decode  # finds ends alone
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise _no_array(text, place)

    place = _after_space(text, place + 1)
    more = text[place : place + 1] != "]"
    while more:
        try:
            _, end = scan(text, place)
        except json.JSONDecodeError as error:
            raise _no_array(text, error.pos) from None
        except RecursionError:
            raise _no_array(text, place, TOO_DEEP) from None

        yield text[place:end]
        place = _after_space(text, end)
        more = text[place : place + 1] == ","
        place = _after_space(text, place + 1) if more else place

    if text[place : place + 1] != "]" or text[place + 1 :].strip():
        raise _no_array(text, place)


def _after_space(text: str, place: int) -> int:
    """Return the place of the next character that is no white space of JSON."""
    while text[place : place + 1] in (" ", "\t", "\n", "\r"):
        place += 1
    return place


def _no_array(text: str, place: int, kind: str = "unparsable text") -> ValueError:
    line = 1 + text.count("\n", 0, place)
    return ValueError(f"expected a JSON array, got {kind} (line {line})")
