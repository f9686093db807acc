"""Preference data: JSON lines → checked examples → token ids, each refusal with its file and line.

A line is an object with `prompt` (a string or a list of chat messages), `chosen` (the same) and `rejected` (the same,
or a list of K ≥ 1 of them). Other keys are ignored. Nothing here needs a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Text = str | list  # a plain string, or a list of {"role": …, "content": …} messages
SHOWN = 10  # bad lines listed in one message; the rest are counted


@dataclass(frozen=True)
class Example:
    """One checked line: a prompt, its chosen response and K ≥ 1 rejected ones."""

    line: int
    prompt: Text
    chosen: Text
    rejected: tuple[Text, ...]


@dataclass(frozen=True)
class TokenizedExample:
    """Token ids of one example; `completions` and `reference` hold the chosen response, then the rejected ones."""

    line: int
    prompt: list[int]
    completions: tuple[list[int], ...]
    truncated: int = 0
    reference: tuple[float, ...] = ()


def read_examples(path: str | Path, max_negatives: int | None = None) -> list[Example]:
    """Read and check a JSON-lines file of preferences, keeping at most the first `max_negatives` rejected responses.

    Raises:
        ValueError: a missing or empty file, or bad lines: unparsable, not an object, a missing key, a wrong type, an
            empty response, a chosen response equal to a rejected one. One message counts and names the bad lines.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"{path}: expected a file of JSON lines, got {'a folder' if path.is_dir() else 'no such file'}"
        )
    examples, problems = [], []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            examples.append(_example(number, line, max_negatives))
        except ValueError as error:
            problems.append((number, str(error)))
    refuse(path, problems)
    if not examples:
        raise ValueError(f"{path}: expected at least one example, got an empty file")
    return examples


def refuse(path: str | Path, problems: Sequence[tuple[int, str]]) -> None:
    """Raise one ValueError that counts the bad lines and names up to `SHOWN` of them; return if there are none."""
    if not problems:
        return
    shown = "; ".join(f"{path}:{line}: {message}" for line, message in problems[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise ValueError(shown if len(problems) == 1 else f"{len(problems)} bad lines: {shown}{more}")


def _example(number: int, line: bytes, max_negatives: int | None) -> Example:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a JSON object, got unparsable text ({error.msg}, column {error.colno})") from None
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8 text, got other bytes") from None
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got {_kind(row)}")
    if missing := [key for key in ("prompt", "chosen", "rejected") if key not in row]:
        raise ValueError(f"{missing[0]}: expected this key, got only {sorted(row)}")
    prompt, chosen, rejected = _text("prompt", row["prompt"]), _text("chosen", row["chosen"]), row["rejected"]
    if not (isinstance(rejected, list) and rejected and not isinstance(rejected[0], dict)):
        rejected = [rejected]  # a single response: a string, or one list of messages
    rejected = tuple(_text("rejected", response) for response in rejected)
    for name, response in (("chosen", chosen), *(("rejected", response) for response in rejected)):
        contents = [response] if isinstance(response, str) else [message["content"] for message in response]
        if not all(content.strip() for content in contents):
            raise ValueError(f"{name}: expected a response, got an empty one")
    if chosen in rejected:
        raise ValueError("chosen: expected a response that differs from every rejected one, got an identical one")
    return Example(number, prompt, chosen, rejected[:max_negatives])


def _text(name: str, value: object) -> Text:
    """Return `value` if it is a string or a non-empty list of chat messages, both encodable as UTF-8."""
    if isinstance(value, str):
        strings = [value]
    elif isinstance(value, list) and value:
        for message in value:
            if not isinstance(message, dict) or not all(
                isinstance(message.get(key), str) for key in ("role", "content")
            ):
                raise ValueError(f"{name}: expected messages with string 'role' and 'content', got {_kind(message)}")
        strings = [message[key] for message in value for key in ("role", "content")]
    else:
        raise ValueError(f"{name}: expected a string or a non-empty list of messages, got {_kind(value)}")
    try:
        "".join(strings).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: expected text, got half of a surrogate pair") from None
    return value


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    if isinstance(value, dict):
        return f"an object with keys {sorted(value)}"
    return ("a list" if value else "an empty list") if isinstance(value, list) else names[type(value)]


def tokenize(
    examples: Sequence[Example], tokenizer, max_length: int, path: str | Path, chat: bool = False
) -> list[TokenizedExample]:
    """Turn checked examples into token ids; prompt and response are tokenised apart and joined.

    A plain response gets the tokenizer's EOS; a conversation (messages anywhere in the example, or `chat=True`) goes
    through the tokenizer's own chat template. Responses are cut on the right to fit `max_length` with their prompt.

    Raises:
        ValueError: a template that is missing or does not begin with the prompt; a prompt without tokens or without
            room for a response; responses that are the same tokens once cut.
    """
    tokenized, problems = [], []
    for example in examples:
        try:
            tokenized.append(_tokenize(example, tokenizer, max_length, chat))
        except ValueError as error:
            problems.append((example.line, str(error)))
    refuse(path, problems)
    return tokenized


def _tokenize(example: Example, tokenizer, max_length: int, chat: bool) -> TokenizedExample:
    responses = (example.chosen, *example.rejected)
    chat = chat or any(not isinstance(text, str) for text in (example.prompt, *responses))
    if chat:
        head, tails = _render(example.prompt, responses, tokenizer)
        prefix, suffix = [], []  # the template writes every special token itself
    else:
        head, tails = example.prompt, responses
        prefix, suffix = _begin(tokenizer), [tokenizer.eos_token_id]
        if tokenizer.eos_token_id is None:
            raise ValueError("tokenizer: expected an EOS token to end a plain response, got none")
    prompt = prefix + tokenizer(head, add_special_tokens=False)["input_ids"]
    if not prompt:
        raise ValueError("prompt: expected at least one token, got none")
    room = max_length - len(prompt)
    if room < 1:
        raise ValueError(f"prompt: expected fewer than max_length={max_length} tokens, got {len(prompt)}")
    whole = [tokenizer(tail, add_special_tokens=False)["input_ids"] + suffix for tail in tails]
    cut = tuple(ids[:room] for ids in whole)
    if cut[0] in cut[1:]:
        raise ValueError(
            f"chosen: expected tokens that differ from every rejected response's, got the same {len(cut[0])} "
            f"(max_length={max_length} leaves room for {room})"
        )
    return TokenizedExample(example.line, prompt, cut, truncated=sum(len(ids) > room for ids in whole))


def _begin(tokenizer) -> list[int]:
    """Return [BOS] for tokenizers that begin a text with it, else []."""
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else []


def _render(prompt: Text, responses: Sequence[Text], tokenizer) -> tuple[str, list[str]]:
    """Return the prompt's text and the responses' texts under the tokenizer's chat template."""
    if not tokenizer.chat_template:
        raise ValueError("prompt: expected a tokenizer with a chat template for messages, got one without")

    def messages(text: Text, role: str) -> list:
        return [{"role": role, "content": text}] if isinstance(text, str) else text

    asked = messages(prompt, "user")
    head = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    tails = []
    for response in responses:
        full = tokenizer.apply_chat_template(asked + messages(response, "assistant"), tokenize=False)
        if not full.startswith(head):
            raise ValueError(
                "prompt: expected a chat template that begins the conversation with the prompt, got another"
            )
        tails.append(full[len(head) :])
    return head, tails
