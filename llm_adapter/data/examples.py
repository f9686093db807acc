"""Rows → checked preference examples. A row gives a prompt, a chosen response and K ≥ 1 rejected ones.

Two kinds of fault. A row that is not what the format says (no JSON, a key missing, a wrong type) is *fatal*: the file
is not what its user believes, and nothing is trained on it. A row that is well formed but teaches nothing (`REASONS`)
is *unusable*: it is dropped whole, counted and named. Nothing here needs a model or a tokenizer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from .sources import Source

Text = str | list  # a plain string, or a list of {"role": …, "content": …} messages
REASONS = {
    "empty": "a response without a visible character",
    "identical": "the chosen response is one of the rejected ones, as text or as tokens after the cut",
    "duplicate": "prompt and responses are those of an earlier row",
    "conversation": "turns that the form or the chat template does not allow",
    "no_tokens": "a prompt or a response that gives no token",
    "too_long": "no room for it within max_length under the policy `truncation`",
}
SHOWN = 10  # faults listed in one message; the rest are counted


class Unusable(ValueError):
    """A well-formed row that cannot be trained on; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Example:
    """One checked row: a prompt, its chosen response and K ≥ 1 rejected ones; `file` indexes the source's files."""

    line: int
    prompt: Text
    chosen: Text
    rejected: tuple[Text, ...]
    file: int = 0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row; `reason` is a key of `REASONS`, or empty where the fault is fatal."""

    file: int
    line: int
    reason: str
    message: str


def check_rows(
    source: Source, max_negatives: int | None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples, with at most the first `max_negatives` rejected responses, and the faults, in order.

    Args:
        source: where the rows are read.
        max_negatives: rejected responses that are kept of each row; None: all.
        rows: how many rows are read; None: all.
    """
    examples, faults = [], []
    seen: dict[bytes, tuple[int, int]] = {}
    for row in islice(source.rows(), rows):
        try:
            prompt, chosen, rejected = parse_row(row.value)
            example = Example(row.line, prompt, chosen, tuple(rejected[:max_negatives]), row.file)
            content = json.dumps((prompt, chosen, example.rejected), default=str).encode()
            here = (row.file, row.line)
            file, line = seen.setdefault(hashlib.sha256(content).digest(), here)
            if (file, line) != here:
                where = f"{Path(source.files[file]).name}:{line}"
                raise Unusable(
                    "duplicate", f"prompt: expected a new example, got that of {where} again"
                )
            examples.append(example)
        except ValueError as error:
            faults.append(Fault(row.file, row.line, getattr(error, "reason", ""), str(error)))
    return examples, faults


def refuse(files: Sequence[str], faults: Sequence[Fault]) -> None:
    """Raise one ValueError that counts and names the faults; return if there are none."""
    if faults:
        count = "" if len(faults) == 1 else f"{len(faults)} bad lines: "
        raise ValueError(count + name_faults(files, faults))


def name_faults(files: Sequence[str], faults: Sequence[Fault]) -> str:
    """Return up to `SHOWN` faults by file and line, and the number of the rest."""
    shown = "; ".join(
        f"{files[fault.file]}:{fault.line}: {fault.message}" for fault in faults[:SHOWN]
    )
    return f"{shown}; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else shown


def parse_row(value: object) -> tuple[Text, Text, list[Text]]:
    """Return the prompt, the chosen response and the rejected ones of a row: JSON bytes, or an object.

    `rejected` is one response or a list of them. Where all responses are conversations, they may repeat the prompt's
    messages at their beginning, and `prompt` may then be left out: it is the messages that they share.

    Raises:
        Unusable: an empty response, a chosen one equal to a rejected one, turns out of order.
        ValueError: any other fault, named with what was expected.

    >>> parse_row(b'{"prompt": "2 + 2 = ", "chosen": "4", "rejected": ["5", "3"]}')
    ('2 + 2 = ', '4', ['5', '3'])
    """
    row = _decode(value) if isinstance(value, bytes) else value
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got {_kind(row)}")
    if missing := [key for key in ("chosen", "rejected") if key not in row]:
        raise ValueError(f"{missing[0]}: expected this key, got only {sorted(map(str, row))}")
    chosen, rejected = _text("chosen", row["chosen"]), row["rejected"]
    if not (isinstance(rejected, list) and rejected and not isinstance(rejected[0], dict)):
        rejected = [rejected]  # a single response: a string, or one list of messages
    responses: list[Text] = [chosen, *(_text("rejected", response) for response in rejected)]
    names = ["chosen"] + ["rejected"] * len(rejected)
    prompt = _text("prompt", row["prompt"]) if "prompt" in row else None
    conversations = [response for response in responses if not isinstance(response, str)]
    if prompt is None and len(conversations) < len(responses):
        raise ValueError(
            "prompt: expected this key (only whole conversations may leave it out), got text without it"
        )
    if chosen in responses[1:]:
        raise Unusable(
            "identical",
            "chosen: expected a response that differs from every rejected one, got an identical one",
        )
    if prompt is not None:
        shared = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        responses = [_answer(*pair, shared) for pair in zip(names, responses, strict=True)]
    else:
        prompt = _shared(conversations)
        responses = [conversation[len(prompt) :] for conversation in conversations]
    for name, response in zip(names, responses, strict=True):
        contents = (
            [response]
            if isinstance(response, str)
            else [message["content"] for message in response]
        )
        if not contents or not all(content.strip() for content in contents):
            raise Unusable("empty", f"{name}: expected a response, got an empty one")
        if not isinstance(response, str) and response[0]["role"] != "assistant":
            raise Unusable(
                "conversation",
                f"{name}: expected a response that begins with role assistant, got role {response[0]['role']}",
            )
    return prompt, responses[0], responses[1:]


def _decode(line: bytes) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"expected a JSON object on one line, got unparsable text ({error.msg}, column {error.colno})"
        ) from None
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8 text, got other bytes") from None
    except RecursionError:
        raise ValueError("expected a JSON object, got one nested too deeply") from None


def _answer(name: str, response: Text, shared: list) -> Text:
    """Return a response without the prompt's messages, where it repeats them at its beginning."""
    if isinstance(response, str) or response[0]["role"] == "assistant":
        return response
    if response[: len(shared)] != shared:
        raise Unusable(
            "conversation",
            f"{name}: expected a conversation that begins with the prompt, got another",
        )
    return response[len(shared) :]


def _shared(conversations: Sequence[list]) -> list:
    """Return the messages at the beginning of all conversations."""
    first, *others = conversations
    length = 0
    while all(
        conversation[length : length + 1] == first[length : length + 1] != []
        for conversation in others
    ):
        length += 1
    if not length:
        raise Unusable(
            "conversation",
            "prompt: expected conversations that begin with the same messages, got others",
        )
    return first[:length]


def _text(name: str, value: object) -> Text:
    """Return `value` if it is a string or a non-empty list of chat messages, both encodable as UTF-8.

    Message fields that are null are left out: parquet gives every message the fields of all.
    """
    if isinstance(value, str):
        strings = [value]
    elif isinstance(value, list) and value:
        for message in value:
            if not isinstance(message, dict) or not all(
                isinstance(message.get(key), str) for key in ("role", "content")
            ):
                raise ValueError(
                    f"{name}: expected messages with string 'role' and 'content', got {_kind(message)}"
                )
        strings = [message[key] for message in value for key in ("role", "content")]
        value = [
            {key: part for key, part in message.items() if part is not None} for message in value
        ]
    else:
        raise ValueError(
            f"{name}: expected a string or a non-empty list of messages, got {_kind(value)}"
        )
    try:
        "".join(strings).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: expected text, got half of a surrogate pair") from None
    return value


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
    }
    if isinstance(value, dict):
        return f"an object with keys {sorted(map(str, value))}"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return names.get(type(value), f"a {type(value).__name__}")
