"""Check rows: a row gives a prompt, a chosen response and K ≥ 1 rejected ones.

A row has one of two kinds of fault. A *fatal* one breaks the format (no JSON, a missing key, a wrong type): the file is
not what its user believes, and the run stops. An *unusable* row is well formed but teaches nothing (`REASONS`): it is
dropped, counted and listed. Nothing here needs a model or a tokenizer.
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
    "empty": "a response has no visible character",
    "identical": "the chosen response equals a rejected one, as text or as tokens after the cut",
    "duplicate": "an earlier row has the same prompt and responses",
    "conversation": "the format or the chat template does not allow these turns",
    "no_tokens": "the prompt or a response has no tokens",
    "too_long": "the example does not fit into max_length, and `truncation` does not cut it",
}
SHOWN = 10  # faults in one message; further ones are counted


class Unusable(ValueError):
    """A well-formed row that teaches nothing; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Example:
    """A checked row: a prompt, its chosen response and K ≥ 1 rejected ones; `file` is an index of `Source.files`."""

    line: int
    prompt: Text
    chosen: Text
    rejected: tuple[Text, ...]
    file: int = 0

    @property
    def question(self) -> str:
        """The text of the prompt, or of its last message."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1]["content"]


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
    """Return the examples and the faults of a source, in order.

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
                    "duplicate", f"prompt: expected a new example, got a copy of {where}"
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
    """Return up to `SHOWN` faults by file and line, and how many more there are."""
    shown = "; ".join(
        f"{files[fault.file]}:{fault.line}: {fault.message}" for fault in faults[:SHOWN]
    )
    return f"{shown}; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else shown


def parse_row(value: object) -> tuple[Text, Text, list[Text]]:
    """Return the prompt, the chosen response and the rejected ones of a row: JSON bytes, or an object.

    `rejected` is one response or a list of responses. Responses that are conversations may begin with the messages of
    the prompt. If all of them are conversations, a row may leave `prompt` out: it is what they begin with in common.

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
        raise ValueError(
            f"{missing[0]}: expected this key, got only the keys {sorted(map(str, row))}"
        )
    chosen, rejected = _text("chosen", row["chosen"]), row["rejected"]
    if not (isinstance(rejected, list) and rejected and not isinstance(rejected[0], dict)):
        rejected = [rejected]  # a single response: a string, or one list of messages
    responses: list[Text] = [chosen, *(_text("rejected", response) for response in rejected)]
    names = ["chosen"] + ["rejected"] * len(rejected)
    prompt = _text("prompt", row["prompt"]) if "prompt" in row else None
    conversations = [response for response in responses if not isinstance(response, str)]
    if prompt is None and len(conversations) < len(responses):
        raise ValueError(
            "prompt: expected this key (only conversations may leave it out), got responses in plain text"
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
    """Return a response without the prompt's messages, if it begins with them."""
    if isinstance(response, str) or response[0]["role"] == "assistant":
        return response
    if response[: len(shared)] != shared:
        raise Unusable(
            "conversation",
            f"{name}: expected a conversation that begins with the prompt, got one that does not",
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
            "prompt: expected conversations that begin with the same messages, got different ones",
        )
    return first[:length]


def _text(name: str, value: object) -> Text:
    """Return `value` if it is a string or a non-empty list of chat messages, in text that UTF-8 can encode.

    Fields of a message that are null are left out: parquet gives each message the fields of all others.
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
