"""Write a conversation by the tokenizer's chat template: the open prompt, and the prompt with each response."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

from .examples import Example, Unusable
from .layouts import Text, common_length, in_turns
from .rows import check_response

Form = Callable[[dict], dict]
FIELDS = {"role", "content", "tool_calls"}  # of a message: what is read or refused
TOOLS = {"tool", "function", "ipython"}  # roles whose JSON a template may write anew
OURS = {"add_generation_prompt", "continue_final_message", "messages", "tokenize", "tools"}
"""Arguments of a template that decide where a prompt ends: they are set here."""


def check_template_arguments(arguments: Mapping[str, Any], template: object) -> None:
    """Refuse arguments that are set here, and those that no line of the template reads.

    Args:
        arguments: what a user gives.
        template: the text of a chat template, or None; a table of several is not looked into.

    Raises:
        ValueError: the first such argument, and the ones that the template reads; text that is no template.

    >>> check_template_arguments({"enable_thinking": False}, "{% if enable_thinking %}…{% endif %}")
    """
    if not arguments or isinstance(template, dict):
        return

    names = names_read(template)
    for name in arguments:
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise ValueError(
                f"chat_template_kwargs: expected names that the template reads ({known}), got {name}"
            )


@lru_cache(maxsize=8)
def names_read(template: object) -> frozenset[str]:
    """Return the arguments that a chat template reads, without those that are set here.

    Raises:
        ValueError: text that is no template.

    >>> sorted(names_read("{% if enable_thinking %}{{ messages }}{% endif %}"))
    ['enable_thinking']
    """
    if not isinstance(template, str):
        return frozenset()

    from jinja2 import TemplateError
    from jinja2.meta import find_undeclared_variables
    from transformers.utils.chat_template_utils import _compile_jinja_template  # seconds

    try:
        environment = _compile_jinja_template(template).environment
        names = find_undeclared_variables(environment.parse(template))
    except TemplateError as error:
        raise ValueError(f"chat_template: expected one that jinja reads, got {error}") from None

    return frozenset(names - {*environment.globals} - OURS)


def render(
    example: Example, tokenizer, arguments: Mapping[str, Any]
) -> tuple[str, list[str], list[str], list[str]]:
    """Write the prompt, and the prompt with each response, by the tokenizer's chat template.

    A template may write a prompt differently before an answer and while it waits for one: it may open a block of
    thoughts. The text of the prompt ends where the two part, and must hold all that the conversation says before.

    Args:
        example: a conversation, or plain texts to read as its turns.
        tokenizer: has the template.
        arguments: of the template, besides those of the example.

    Returns:
        The prompt's text, the texts with each response, notes, and the fields of messages that are not written.

    Raises:
        Unusable: the template refuses the turns, does not begin with the prompt or does not write a tool call; the
            prompt ends with a tool call.
    """
    tools = {"tools": example.tools} if example.tools else {}
    if own := example.template.keys() & OURS:
        raise Unusable(
            "conversation",
            f"chat_template_kwargs: expected none that is set here, got {', '.join(sorted(own))}",
        )

    settings = {**arguments, **example.template, **tools}
    asked, answers = _turns(example)
    if example.system:
        asked = [{"role": "system", "content": example.system}, *asked]

    def write_as(form: Form, turns: list, **more: Any) -> str:
        turns = [form(turn) for turn in turns]
        try:
            return tokenizer.apply_chat_template(turns, tokenize=False, **settings | more)
        except Exception as error:  # a template is a program: jinja's errors, and Python's
            raise _refused(" ".join(str(error).split())) from None

    last = None
    if asked[-1]["role"] == "assistant":  # the answers continue what the assistant has begun
        *asked, last = asked
        answers = [_continued(last, answer) for answer in answers]

    write = partial(write_as, _form(write_as, asked, answers))
    once = partial(_once, write, tokenizer)
    opened = write(asked, add_generation_prompt=True)
    head = _begun(write, asked, last, opened) if last else opened
    texts = [once(asked, answer) for answer in answers]
    notes = [
        *_losses(write, asked, answers, texts),
        *_notes_of_template(tokenizer.chat_template, example.template, settings),
    ]
    if example.tools and opened == write(asked, add_generation_prompt=True, tools=None):
        notes.append("tools_ignored")

    if not all(text.startswith(head) for text in texts):
        _check_beginning(head, write(asked), texts)
        notes.append("template")
    return head, texts, notes, _unread(once, asked, answers, texts)


def _continued(last: dict, answer: list[dict]) -> list[dict]:
    """Return an answer that continues the last message of the prompt, with the fields of both."""
    if last.get("tool_calls"):
        raise Unusable(
            "conversation",
            "prompt: expected what the tool returned after a tool call, got the call as the last message",
        )

    first, *others = answer
    return [{**last, **first, "content": last["content"] + first["content"]}, *others]


def _begun(write, asked: list[dict], last: dict, opened: str) -> str:
    """Return the text up to the end of what the assistant has begun; a mark shows where that is."""
    mark = "zq0qz"
    text = write([*asked, last | {"content": last["content"] + mark}])
    return text.partition(mark)[0] if mark in text else opened + last["content"]


def _unread(once, asked: list[dict], answers: list[list[dict]], texts: list[str]) -> list[str]:
    """Return the fields of messages without which the template writes the same texts."""
    turns = [*asked, *(turn for answer in answers for turn in answer)]
    names = sorted({name for turn in turns for name in turn} - FIELDS)

    def unread(*dropped: str) -> bool:
        shorter = [
            [{name: turn[name] for name in turn if name not in dropped} for turn in row]
            for row in (asked, *answers)
        ]
        try:
            return [once(shorter[0], answer) for answer in shorter[1:]] == texts
        except Unusable:  # the template wants the field
            return False

    if not names or unread(*names):
        return names
    return [name for name in names if unread(name)]


def _notes_of_template(template: Any, own: Mapping[str, Any], settings: Mapping) -> Iterator[str]:
    """Yield what is worth a note in a template's text, given a row's own arguments and all of them."""
    if not isinstance(template, str):  # a table of several is not looked into
        return
    if own and not own.keys() <= names_read(template):
        yield "kwargs_ignored"
    if "strftime_now" in template and "date_string" not in settings:
        yield "dated"


def _check_beginning(head: str, closed: str, texts: list[str]) -> None:
    """Refuse texts that do not begin with all that the prompt says, with and without an answer to come."""
    needed = head[: common_length([head, closed])].rstrip()
    if needed and common_length([head, *texts]) >= len(needed):
        return

    written = next(text for text in texts if not needed or not text.startswith(needed))
    place = common_length([needed, written])
    raise Unusable(
        "conversation",
        "prompt: expected a chat template that begins with the prompt, got one that writes "
        f"{written[place : place + 20]!r} before an answer, in place of "
        f"{needed[place : place + 20]!r} (--chat_template takes another one)",
    )


def _in_parts(message: dict) -> dict:
    """Return a message whose content is a list of parts, as the templates of models that see want it."""
    return message | {"content": [{"type": "text", "text": message["content"]}]}


def _in_json(message: dict) -> dict:
    """Return a message whose tool calls have their arguments as JSON text."""

    def written(function: dict) -> dict:
        arguments = function.get("arguments")
        return function | (
            {} if isinstance(arguments, str) else {"arguments": json.dumps(arguments)}
        )

    calls = [_with_function(call, written) for call in message.get("tool_calls", ())]
    return message | ({"tool_calls": calls} if calls else {})


def _with_function(call: dict, change: Form) -> dict:
    """Return a tool call with its function changed; the function may stand in it, or be the call itself."""
    if "function" in call:
        return call | {"function": change(call["function"])}
    return change(call)


def _form(write, asked: list, answers: list[list]) -> Form:
    """Return the first form of messages that the template can write, and in which it tells the answers apart."""
    refusal = None
    for form in (dict, _in_parts, _in_json):
        try:
            write(form, asked, add_generation_prompt=True)
            texts = [write(form, asked + answer) for answer in answers]
        except Unusable as error:
            refusal = refusal or error
            continue

        if len({*texts}) > 1 or len(texts) == 1:
            return form

        refusal = refusal or _refused("the same text for all responses")

    assert refusal is not None
    raise refusal


def _refused(reason: str) -> Unusable:
    return Unusable(
        "conversation", f"prompt: expected turns that the chat template accepts, got: {reason}"
    )


def _losses(write, asked: list, answers: list[list], texts: list[str]) -> Iterator[str]:
    """Yield notes if the template leaves out text of the turns; refuse one that does not write a response's call."""
    lost = [entry for answer in answers for entry in _unwritten(write, asked + answer)]
    calls = [name for place, name in lost if place >= len(asked) and name]
    if calls:
        raise Unusable(
            "conversation",
            f"prompt: expected a chat template that writes tool calls, got none of {calls[0]} "
            "(--chat_template takes another one)",
        )

    kept = [_text_of(turn) for turn in asked if turn["role"] not in TOOLS]
    if any(place < len(asked) for place, _ in lost) or any(
        part not in text for part in kept for text in texts
    ):
        yield "turns_ignored"

    parts = (
        (message.get(name) or "", text)
        for answer, text in zip(answers, texts, strict=True)
        for message in answer
        for name in ("content", "reasoning_content", "thinking")
    )

    changed = any(isinstance(part, str) and part.strip() not in text for part, text in parts)
    if changed or any(place >= len(asked) for place, _ in lost):
        yield "rewritten"


def _text_of(turn: dict) -> str:
    """Return the text of an earlier turn; its thoughts, which templates leave out on purpose, are no part of it."""
    content = turn["content"]
    return (content.rpartition("</think>")[2] if turn["role"] == "assistant" else content).strip()


def _unwritten(write, turns: list[dict]) -> list[tuple[int, str]]:
    """Return what the template leaves out: the place of the turn, and the name of its tool call or "" for its content.

    A mark at the end of each text shows where it went: the same words may stand elsewhere, and a template may strip
    spaces or write JSON its own way. Thoughts of earlier turns, which templates leave out on purpose, come before it.
    """
    marks: dict[str, tuple[int, str]] = {}

    def mark(place: int, name: str = "") -> str:
        key = f"zq{len(marks)}qz"
        marks[key] = (place, name)
        return key

    def marked(place: int, turn: dict) -> dict:
        if turn["content"].strip():
            turn = turn | {"content": turn["content"] + mark(place)}
        calls = [
            _with_function(call, lambda function: _marked_call(function, partial(mark, place)))
            for call in turn.get("tool_calls", ())
        ]
        return turn | ({"tool_calls": calls} if calls else {})

    turns = [marked(place, turn) for place, turn in enumerate(turns)]
    try:
        text = write(turns).lower()
    except Unusable:  # the template looks at the text itself: the marks cannot tell
        return []

    return [entry for key, entry in marks.items() if key not in text]


def _marked_call(function: dict, mark: Callable[[str], str]) -> dict:
    """Return the function of a tool call with a mark in its name and one in its arguments."""
    name, arguments = function["name"], function.get("arguments")
    marked = {"name": name + mark(name)}
    if isinstance(arguments, dict):
        key = mark(name)
        marked["arguments"] = arguments | {key: key}
    elif isinstance(arguments, str):
        marked["arguments"] = arguments + mark(name)

    return function | marked


def _turns(example: Example) -> tuple[list, list[list]]:
    """Return the messages of the prompt and of each response; a dialogue in plain text has turns of its own."""
    responses = (example.chosen, *example.rejected)
    prompt, answers = example.prompt, []
    for place, response in enumerate(responses):
        prompt, answer = in_turns(example.prompt, response)
        if answer is not response:
            check_response("rejected" if place else "chosen", answer)
        answers.append(_messages(answer, "assistant"))

    return _messages(prompt, "user"), answers


def _messages(text: Text, role: str) -> list:
    return [{"role": role, "content": text}] if isinstance(text, str) else text


def _once(write, tokenizer, asked: list, answer: list) -> str:
    """Return the text of a conversation; an end that the last message brings along is not written a second time."""
    text, last = write(asked + answer), answer[-1]
    content = last["content"].rstrip()
    for end in (token for token in tokenizer.all_special_tokens if content.endswith(token)):
        place = text.rfind(content)
        if place >= 0 and text[place + len(content) :].strip().startswith(end):
            return write([*asked, *answer[:-1], last | {"content": content.removesuffix(end)}])

    return text
