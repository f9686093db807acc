"""Parse a row: which of its keys are read, what they must hold, and what is worth a note."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from .decoding import decode
from .examples import Example, Sampled, Unusable
from .layouts import Text, common_length, labelled, one_layout
from .noted import notes_of

KNOWN = ("prompt", "chosen", "rejected", "system", "tools", "chat_template_kwargs", "tokens")
MEDIA = ("images", "image", "videos", "video", "audio", "audios")
INVISIBLE = ("Zs", "Zl", "Zp", "Cc", "Cf")  # categories of Unicode
# Of other categories, drawn as nothing
FILLERS = "\u034f\u115f\u1160\u2800\u3164\ufe0e\ufe0f\uffa0"


def parse_row(value: object) -> Example:
    """Return the example that a row gives, in line 0: the row is JSON bytes, or an object.

    `rejected` is one response or a list of responses. Responses that are conversations may begin with the messages of
    the prompt. If all of them are conversations, a row may leave `prompt` out: it is what they begin with in common.
    Other layouts are brought into this one first: `layouts.one_layout`. A row of one response and a label gives an
    example with that response alone.

    Raises:
        Unusable: an empty response, a chosen one equal to a rejected one, turns out of order, images.
        ValueError: any other fault, named with what was expected.

    >>> example = parse_row(b'{"prompt": "2 + 2 = ", "chosen": "4", "rejected": ["5", "3"], "id": 7}')
    >>> example.prompt, example.chosen, example.rejected, example.ignored
    ('2 + 2 = ', '4', ('5', '3'), ('id',))
    """
    row, label = _our_layout(value)
    names, responses = _named_responses(row, alone=label is not None)
    prompt, responses = _prompt_and_responses(row, names, responses)
    for name, response in zip(names, responses, strict=True):
        check_response(name, response)
    prompt, system = _with_system(row, prompt)

    return Example(
        0,
        prompt,
        responses[0],
        tuple(responses[1:]),
        system=system,
        tools=_tools(row.get("tools")),
        template=_mapping(row.get("chat_template_kwargs")),
        sampled=_sampled(row.get("tokens"), len(responses)),
        notes=tuple(notes_of({k: v for k, v in row.items() if k not in KNOWN}, prompt, responses)),
        ignored=tuple(_ignored(row)),
        label=label,
    )


def _our_layout(value: object) -> tuple[dict, bool | None]:
    """Return the row in our own layout, and its label if it has one response alone."""
    row = decode(value) if isinstance(value, bytes) else value
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got {_kind(row)}")

    row, label = labelled(row) or (row, None)
    row = one_layout(row)
    for name in MEDIA:
        if row.get(name):
            raise Unusable("images", f"{name}: expected text alone, got {_kind(row[name])}")

    for key in ("chosen", "rejected")[: 1 if label is not None else 2]:
        if key not in row:
            raise ValueError(f"{key}: expected this key, got only the keys {_keys(row, key)}")

    return row, label


def _named_responses(row: dict, alone: bool) -> tuple[list[str], list[Text]]:
    """Return the responses, the chosen one first, and what messages call each."""
    rejected = [] if alone else row["rejected"]
    several = isinstance(rejected, list) and rejected and not isinstance(rejected[0], dict)
    if not (alone or several):
        rejected = [rejected]  # a single response: a string, or one list of messages

    names = ["completion" if alone else "chosen"] + ["rejected"] * len(rejected)
    values = [row["chosen"], *rejected]
    return names, [_text(name, value) for name, value in zip(names, values, strict=True)]


def _prompt_and_responses(
    row: dict, names: list[str], responses: list[Text]
) -> tuple[Text, list[Text]]:
    """Return the prompt, which conversations may hold, and the responses without it."""
    prompt = _text("prompt", row["prompt"]) if row.get("prompt") is not None else None
    conversations = [response for response in responses if not isinstance(response, str)]

    if prompt is None and len(conversations) < len(responses):
        raise ValueError(
            "prompt: expected this key (only conversations may leave it out), got responses in "
            f"plain text and the keys {_keys(row, 'prompt')}"
        )

    if responses[0] in responses[1:]:
        raise Unusable(
            "identical",
            "chosen: expected a response that differs from every rejected one, got an identical one",
        )

    if prompt is not None:
        return _without_prompt(prompt, responses, names)

    prompt = _shared(conversations) if len(responses) > 1 else conversations[0][:-1]
    if not prompt:
        raise Unusable("conversation", "prompt: expected a message before the response, got none")

    return prompt, [conversation[len(prompt) :] for conversation in conversations]


def _with_system(row: dict, prompt: Text) -> tuple[Text, str]:
    """Return the prompt, a conversation with its system message first; beside plain text, the system text."""
    system = _system(row, prompt)
    if not system or isinstance(prompt, str):
        return prompt, system
    if prompt[0]["role"] != "system":
        prompt = [{"role": "system", "content": system}, *prompt]
    return prompt, ""


def _ignored(row: dict) -> Iterable[str]:
    """Yield the keys that nothing reads; `tokens` that no model sampled are one of them."""
    for key, value in row.items():
        other = key == "tokens" and not isinstance(value, dict)
        if (key not in KNOWN or other) and value is not None:
            yield str(key)


def visible(text: str) -> bool:
    r"""Return whether a text has a character that one sees: no space, format or control character, no filler.

    >>> visible("\u200b \n"), visible("4")
    (False, True)
    """
    return any(
        unicodedata.category(letter) not in INVISIBLE and letter not in FILLERS for letter in text
    )


def check_response(name: str, response: Text) -> None:
    """Raise for a response with nothing to learn, or one that is not the assistant's."""
    contents: list[str] = [response] if isinstance(response, str) else []
    if not isinstance(response, str):
        contents = [row["content"] or "" for row in response if not row.get("tool_calls")]
        contents = contents or (["call"] if response else [])
    if not contents or not all(map(visible, contents)):
        raise Unusable("empty", f"{name}: expected a response, got an empty one")
    if not isinstance(response, str) and response[0]["role"] != "assistant":
        raise Unusable(
            "conversation",
            f"{name}: expected a response that begins with role assistant, got role {response[0]['role']}",
        )

    if not isinstance(response, str) and response[-1]["role"] != "assistant":
        raise Unusable(
            "conversation",
            f"{name}: expected a response that ends with role assistant, got role {response[-1]['role']}",
        )


def _system(row: dict, prompt: Text) -> str:
    """Return the system text beside the prompt, or nothing; refuse a second one."""
    system = row.get("system")
    if system is None or system == "":
        return ""
    if not isinstance(system, str):
        raise ValueError(f"system: expected a string, got {_kind(system)}")

    first = {} if isinstance(prompt, str) else prompt[0]
    if first.get("role") == "system" and first["content"] != system:
        raise Unusable(
            "conversation", "system: expected one system message, got another in the conversation"
        )

    return system


def _tools(value: object) -> list | None:
    """Return the tools of a row: a list of schemas, or such a list as JSON text."""
    value = _from_text("tools", value)
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise ValueError(f"tools: expected a list of schemas, got {_kind(value)}")
    return value


def _mapping(value: object) -> dict[str, Any]:
    """Return arguments of the chat template: an object, or one as JSON text."""
    value = _from_text("chat_template_kwargs", value)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"chat_template_kwargs: expected an object, got {_kind(value)}")
    return {key: part for key, part in (value or {}).items() if part is not None}


def _from_text(name: str, value: object) -> object:
    """Return what JSON text holds, None for an empty text, and any other value as it is."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None

    try:
        return decode(value, "JSON", "")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _sampled(value: object, count: int) -> Sampled | None:
    """Return the token ids of a row that `pairs` wrote."""
    if not isinstance(value, dict):
        return None

    pieces = [value.get("prompt"), value.get("chosen"), *(value.get("rejected") or [])]
    whole = all(
        isinstance(ids, list) and ids and all(type(token) is int and token >= 0 for token in ids)
        for ids in pieces
    )

    if not whole or len(pieces) != count + 1 or not isinstance(value.get("vocabulary"), str):
        raise ValueError(
            "tokens: expected vocabulary, and the token ids of prompt, chosen and each rejected "
            f"response, got {_kind(value)}"
        )

    return Sampled(value["vocabulary"], pieces[0], tuple(pieces[1:]))


def _keys(row: dict, wanted: str) -> str:
    """Return the keys of a row, and those to rename if their names suggest it."""
    hints = {
        "prompt": ("query", "input", "problem", "context", "post"),
        "chosen": ("chosen", "prefer", "accept", "win", "best", "positive", "response_j"),
        "rejected": ("reject", "los", "dispref", "worst", "negative", "response_k"),
    }

    names = sorted(map(str, row))
    close = [name for name in names if any(hint in name.lower() for hint in hints[wanted])]
    if wanted == "chosen":
        close = [name for name in close if "dispref" not in name.lower() and name != "rejected"]

    close = [name for name in close if name not in (*KNOWN, "preference")]
    return f"{names}" + (f" (rename {close[0]} to {wanted})" if len(close) == 1 else "")


def _without_prompt(
    prompt: Text, responses: list[Text], names: Sequence[str]
) -> tuple[Text, list[Text]]:
    """Return the prompt, and the responses without the prompt's messages, where they begin with them.

    A prompt in text may be the last message that the conversations share, for example after a system turn. Then the
    conversations give the prompt.
    """
    shared = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    conversations = [row for row in responses if not isinstance(row, str)]
    whole = [row for row in conversations if any(_asks(turn, prompt) for turn in row)]
    if any(row[: len(shared)] != shared for row in whole):
        common = whole[0][: common_length(whole)] if len(whole) > 1 else whole[0][:-1]
        ends = [place for place, turn in enumerate(common, 1) if _asks(turn, prompt)]
        if ends:
            shared = prompt = common[: ends[-1]]

    return prompt, [_answer(*pair, shared) for pair in zip(names, responses, strict=True)]


def _asks(message: dict, prompt: Text) -> bool:
    """Return whether a message asks a prompt in plain text."""
    text = prompt.strip() if isinstance(prompt, str) else None
    return message["role"] == "user" and message["content"].strip() == text


def _answer(name: str, response: Text, shared: list) -> Text:
    """Return a response without the prompt's messages, if it begins with them."""
    if isinstance(response, str):
        return response
    if response[: len(shared)] == shared:
        return response[len(shared) :]

    turns = [turn for turn in shared if turn["role"] != "system"]
    if response[0]["role"] != "assistant" or (turns and response[: len(turns)] == turns):
        raise Unusable(
            "conversation",
            f"{name}: expected a conversation that begins with the prompt, got one that does not",
        )

    return response


def _shared(conversations: Sequence[list]) -> list:
    """Return the messages at the beginning of all conversations."""
    length = common_length(conversations)
    if not length:
        raise Unusable(
            "conversation",
            "prompt: expected conversations that begin with the same messages, got different ones",
        )

    return conversations[0][:length]


def _text(name: str, value: object) -> Text:
    """Return `value` if it is a string or a non-empty list of chat messages, in text that UTF-8 can encode.

    Fields of a message that are null are left out: parquet gives each message the fields of all others. The content
    of a message with tool calls may be null or left out; it is then the empty text, which every template can write.
    """
    if isinstance(value, str):
        strings = [value]
    elif isinstance(value, list) and value:
        value = [_message(name, message) for message in value]
        strings = [message[key] for message in value for key in ("role", "content")]
    else:
        raise ValueError(
            f"{name}: expected a string or a non-empty list of messages, got {_kind(value)}"
        )

    try:
        "".join(strings).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: expected text, got half of a surrogate pair") from None

    return value


def _message(name: str, message: object) -> dict:
    """Return a chat message without its null fields."""
    if isinstance(message, dict):
        fields = {key: part for key, part in message.items() if part is not None}
        calls = fields.pop("tool_calls", None)
        if calls:
            _check_calls(name, calls)
            fields = {"role": "", "content": ""} | fields | {"tool_calls": calls}

        content = fields.get("content")
        kinds = [part for part in map(_part, content if isinstance(content, list) else []) if part]
        if kinds:
            thought = any("think" in kind or "reason" in kind for kind in kinds)
            raise Unusable(
                "conversation" if thought else "images",
                f"{name}: expected text alone, got a message with a part of type {kinds[0]}",
            )

        if fields.get("role") and isinstance(fields["role"], str) and isinstance(content, str):
            return fields

    raise ValueError(
        f"{name}: expected messages with string 'role' and 'content', got {_kind(message)}"
    )


def _check_calls(name: str, calls: object) -> None:
    """Raise for tool calls that are no list of functions with a name each."""
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(
                f"{name}: expected tool_calls, a list of functions with a string 'name' each, got "
                f"{_kind(calls)} with {json.dumps(call, default=str)[:40]}"
            )


def _part(part: object) -> str:
    """Return the type of a part that is no text, or nothing."""
    kind = str(part.get("type")) if isinstance(part, dict) else "text"
    return "" if kind == "text" else kind


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
