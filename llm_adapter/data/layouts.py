"""Bring the layouts of public preference sets into one: `prompt`, `chosen`, `rejected`, and messages.

A layout that is not known is left as it is; the check of the row then says what it lacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from .decoding import decode

Text = str | list  # a plain string, or a list of {"role": …, "content": …} messages
QUESTIONS = ("question", "instruction", "conversations", "messages")  # other names of the prompt
RESPONSES = ("completion", "response", "messages", "conversations")  # of a row with a label
ROLES = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "bot", "chatbot", "ai", "model"), "assistant"),
    "observation": "tool",
}
SYSTEM = ("system_prompt", "system_message")  # other names of the system text
TEXTS = ("text", "input_text", "output_text")  # types of a part that is text
TURNS = ("\n\nHuman:", "\n\nAssistant:")  # of dialogues in plain text
SPEAKERS = re.compile(r"\n\n(Human|Assistant):")


def one_layout(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the keys and messages of our own layout, where its own can be read.

    Read are `question`, `instruction` (with `input`), `conversations` and `messages` as the prompt; `system_prompt`;
    `history`, pairs of question and answer before the prompt; one message in place of a list; messages of `from` and
    `value`; other names of the roles; contents in parts of text; `function_call`; and dialogues in plain text, whose
    prompt ends with the last "\\n\\nAssistant:" that the responses share.

    Raises:
        ValueError: `rejected` is a list of the assistant's messages, which may be one response or several.

    >>> row = one_layout({"question": "2 + 2?", "chosen": {"from": "gpt", "value": "4"}, "rejected": "5"})
    >>> row["prompt"], row["chosen"]
    ('2 + 2?', [{'role': 'assistant', 'content': '4'}])
    """
    row = _with_prompt(dict(row))
    for name in SYSTEM:
        if isinstance(row.get(name), str) and row.get("system") is None:
            row["system"] = row.pop(name)

    for name in ("prompt", "chosen"):
        if name in row:
            row[name] = _messages(row[name])
    if row.get("prompt") == "" and _whole(row.get("chosen")):
        del row["prompt"]

    if "rejected" in row:
        rejected = _messages(row["rejected"])
        several = isinstance(rejected, list) and rejected and not isinstance(rejected[0], dict)
        if not several:
            _check_one_response(rejected)
        row["rejected"] = [_messages(response) for response in rejected] if several else rejected

    if row.get("prompt") is None:
        row |= _dialogue(row.get("chosen"), row.get("rejected"))
    return row


def _check_one_response(rejected: Any) -> None:
    """Refuse messages of the assistant alone: one response of several turns, or several responses."""
    messages = rejected if isinstance(rejected, list) else []
    if len(messages) > 1 and all(
        isinstance(message, dict) and message.get("role") == "assistant" for message in messages
    ):
        raise ValueError(
            f"rejected: expected one response or a list of responses, got {len(messages)} messages of the assistant "
            "in a row (write [[…], […]] for a response each, [[…, …]] for one response of them all)"
        )


def _with_prompt(row: dict[str, Any]) -> dict[str, Any]:
    """Name the question of a row `prompt`, with its context and the turns before it."""
    names = [name for name in QUESTIONS if row.get(name) is not None]
    if row.get("prompt") is None and len(names) == 1:
        row["prompt"] = row.pop(names[0])
        context = row.get("input")
        if names == ["instruction"] and isinstance(context, str):
            del row["input"]
            row["prompt"] = "\n".join(filter(None, (row["prompt"], context)))

    earlier = _turns(row.get("history"))
    if earlier and isinstance(row.get("prompt"), str):
        row["prompt"] = [*earlier, {"role": "user", "content": row["prompt"]}]
        del row["history"]

    return row


def _turns(history: Any) -> list[dict[str, str]]:
    """Return earlier questions and answers as messages; nothing where they are not pairs of texts."""
    pairs = history if isinstance(history, list) else []
    if not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(t, str) for t in pair)
        for pair in pairs
    ):
        return []

    roles = ("user", "assistant")
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(roles, pair, strict=True)
    ]


def _whole(response: Any) -> bool:
    """Return whether a response is a conversation with its question."""
    return bool(response) and isinstance(response, list) and len(response) > 1


def labelled(row: Any) -> tuple[dict[str, Any], bool] | None:
    """Return a row of one response, as `chosen`, and its label; None for any other row.

    Messages that end with the response are read as the conversation that they are.

    Raises:
        ValueError: a label that is neither true nor false.

    >>> labelled({"prompt": "2 + 2?", "completion": "4", "label": 1})
    ({'prompt': '2 + 2?', 'chosen': '4'}, True)
    """
    if not isinstance(row, dict) or row.get("label") is None:
        return None
    if row.get("chosen") is not None or row.get("rejected") is not None:
        return None

    name = next((name for name in RESPONSES if row.get(name) is not None), None)
    if name is None:
        return None

    label = row["label"]
    if label not in (True, False):  # 1 and 0, too
        raise ValueError(f"label: expected true or false, got {json.dumps(label, default=str)}")

    others = {key: value for key, value in row.items() if key not in (name, "label")}
    return others | {"chosen": row[name]}, bool(label)


def _messages(value: Any) -> Any:
    """Return a list of messages of `role` and `content`, if the value is one or a message; else the value."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return value
    return [_message(message) if isinstance(message, dict) else message for message in value]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    message = dict(message)
    if "role" not in message and isinstance(message.get("from"), str):
        message["role"] = message.pop("from")
        if "content" not in message and "value" in message:
            message["content"] = message.pop("value")

    if isinstance(message.get("role"), str):
        role = message["role"].lower()
        plain = role in ("system", "user", "assistant")
        message["role"] = ROLES.get(role, role if plain else message["role"])

    if not message.get("tool_calls") and (function := _function(message.get("function_call"))):
        message["tool_calls"] = [{"type": "function", "function": function}]
        del message["function_call"]

    calls = _from_json(message.get("tool_calls"))  # tables keep them as text, whole or each
    calls = [calls] if isinstance(calls, dict) else calls
    if isinstance(calls, list):
        calls = [_call(_from_json(call)) for call in calls]
    if "tool_calls" in message:
        message["tool_calls"] = calls

    parts = message.get("content")

    if isinstance(parts, list) and all(_is_text(part) for part in parts):
        message["content"] = "".join(
            part if isinstance(part, str) else part["text"] for part in parts
        )

    return message


def _function(value: Any) -> dict | None:
    """Return the function of a `function_call`, the older form of a tool call; None for anything else."""
    value = _from_json(value)
    return value if isinstance(value, dict) and isinstance(value.get("name"), str) else None


def _call(call: Any) -> Any:
    """Return a tool call with its arguments as an object, as templates want them; sets keep them as JSON text."""
    if not isinstance(call, dict):
        return call
    call = {key: part for key, part in call.items() if key != "function" or part is not None}
    function = call.get("function", call)
    if not isinstance(function, dict) or "arguments" not in function:
        return call

    function = function | {"arguments": _from_json(function["arguments"])}
    return call | {"function": function} if "function" in call else function


def _from_json(value: Any) -> Any:
    """Return what a text of JSON holds; any other value as it is."""
    try:
        return decode(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_text(part: Any) -> bool:
    if isinstance(part, str):
        return True
    kind = part.get("type", "text") if isinstance(part, dict) else None
    return kind in TEXTS and isinstance(part.get("text"), str)


def _dialogue(chosen: Any, rejected: Any) -> dict[str, Any]:
    """Return the parts of dialogues in plain text that have the same turns up to an answer; else nothing."""
    if not (isinstance(chosen, str) and isinstance(rejected, str)):
        return {}

    human, assistant = TURNS
    end = chosen.rfind(assistant, 0, common_length([chosen, rejected])) + len(assistant)
    if not chosen.startswith(human) or end < len(assistant):
        return {}

    return {"prompt": chosen[:end], "chosen": chosen[end:], "rejected": rejected[end:]}


def is_dialogue(prompt: str) -> bool:
    r"""Return whether a prompt is a dialogue in plain text that waits for an answer.

    >>> is_dialogue("\n\nHuman: 2 + 2?\n\nAssistant:"), is_dialogue("Human: 2 + 2?")
    (True, False)
    """
    human, assistant = (mark.strip() for mark in TURNS)
    return prompt.lstrip().startswith(human) and prompt.rstrip().endswith(f"\n\n{assistant}")


def in_turns(prompt: Text, response: Text) -> tuple[Text, Text]:
    r"""Return prompt and response of a dialogue in plain text as messages; others as they are.

    >>> in_turns("\n\nHuman: 2 + 2?\n\nAssistant:", " 4")[1]
    [{'role': 'assistant', 'content': '4'}]
    """
    if not (isinstance(prompt, str) and is_dialogue(prompt)):
        return prompt, response

    *asked, _ = _spoken(f"\n\n{prompt.lstrip()}")
    return asked, _spoken(f"{TURNS[1]}{response}") if isinstance(response, str) else response


def _spoken(dialogue: str) -> list[dict[str, str]]:
    """Return the messages of a dialogue in plain text."""
    _, *pieces = SPEAKERS.split(dialogue)
    return [
        {"role": ROLES.get(speaker.lower(), "assistant"), "content": text.strip()}
        for speaker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def common_length(rows: Sequence[Sequence]) -> int:
    """Return how many first items all rows have in common.

    >>> common_length([[1, 2, 3], [1, 2], [1, 2, 4]]), common_length(["abc", "abd"])
    (2, 2)
    """
    length = 0
    for items in zip(*rows, strict=False):
        if any(item != items[0] for item in items):
            break
        length += 1

    return length
