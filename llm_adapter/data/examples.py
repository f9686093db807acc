"""Examples and faults: a row gives a prompt, a chosen response and K ≥ 1 rejected ones.

A row has one of two kinds of fault. A *fatal* one breaks the format (no JSON, a missing key, a wrong type): the file is
not what its user believes, and the run stops. An *unusable* row is well formed but teaches nothing (`REASONS`): it is
dropped, counted and listed. A row that is used but may surprise its user has *notes* (`NOTES`), which are counted.
`layouts` brings the layouts of public sets into one, `rows` parses a row, `checking` goes through a source, `pairing`
joins rows of one response; nothing there needs a model or a tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .layouts import Text

REASONS = {
    "empty": "a response has no visible character",
    "identical": "the chosen response equals a rejected one, as text or as tokens after the cut",
    "duplicate": "an earlier row has the same prompt and responses",
    "conversation": "the format or the chat template does not allow these turns",
    "images": "the row has images, video or sound, and the model reads text only",
    "unpaired": (
        "no row of the other label has the prompt of this one, and the loss compares responses to one prompt; or no "
        "row at all has the other label"
    ),
    "no_tokens": "the prompt or a response has no tokens",
    "no_boundary": (
        "the first token of the prompt changes when a response follows, so no token belongs to the prompt alone"
    ),
    "too_long": "the example does not fit into max_length, and `truncation` does not cut it",
}
NOTES = {
    "sampled": "trained on the token ids that `pairs` sampled",
    "retokenised": "sampled with another vocabulary: tokenised anew",
    "unknown": (
        "the vocabulary has no token for some text: different texts become the same tokens (take the tokenizer of a "
        "model that knows the language, or leave such rows out)"
    ),
    "lossy": (
        "the tokens do not decode to the text: the tokenizer changes or drops characters, such as capitals or line "
        "breaks (compare the rows with what it decodes)"
    ),
    "merged": "a token spans the end of the prompt and belongs to the responses",
    "template": (
        "the template writes a prompt differently before an answer and while it waits for one (it may open a block of "
        "thoughts): split where the two part "
        """(to avoid it: --chat_template_kwargs '{"enable_thinking": false}', or --chat_template)"""
    ),
    "turns_ignored": "the chat template leaves out or changes text or a tool call of a turn of the prompt",
    "rewritten": "the chat template leaves out or changes text of a response, such as thoughts",
    "endless": "the template writes no end token after a response: the model never learns to stop",
    "kwargs_ignored": "chat_template_kwargs of the row has names that no chat template reads here",
    "dated": (
        "the chat template writes today's date: on another day the tokens differ (many templates take "
        """--chat_template_kwargs '{"date_string": "26 Jul 2024"}')"""
    ),
    "messages_as_text": "a text is JSON of messages: it is trained on as text (give the messages themselves)",
    "tools_ignored": "the chat template does not write the tools of the row",
    "plain": "plain text for a tokenizer with a chat template: --chat true applies it",
    "repeats_prompt": "a plain response begins with the text of the prompt",
    "reversed": "an earlier row prefers the rejected response of this one",
    "turns": "a response has turns of others, such as the user or a tool: their tokens are trained on, too",
    "control_text": (
        "text of the row gives control tokens, such as the mark of a turn, or an end in the middle: the model reads "
        "them as real ones"
    ),
    "lower_score": "the scores of the row prefer a rejected response",
    "tie": "the scores of the row prefer neither response",
    "across": "two rows with labels and different prompts: their responses do not answer the same prompt",
}
WARNED = tuple(name for name in NOTES if name not in ("sampled", "merged", "across"))
SHOWN = 10  # faults in one message; further ones are counted


class Unusable(ValueError):
    """A well-formed row that teaches nothing; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Sampled:
    """Token ids as a model sampled them, and the digest of their vocabulary: `completions` as in `TokenizedExample`."""

    vocabulary: str
    prompt: list[int]
    completions: tuple[list[int], ...]


@dataclass(frozen=True)
class Example:
    """A checked row: a prompt, its chosen response and K ≥ 1 rejected ones; `file` is an index of `Source.files`.

    `system` precedes a prompt in plain text, `tools` and `template` go to the chat template, `sampled` are token ids
    that stand for the text, `notes` are keys of `NOTES`, and `ignored` are the keys of the row that nothing reads.
    A row of one response has a `label`: `chosen` is the response, good or bad, and `rejected` is empty. Where such rows
    are paired, `partners` are the files and lines that the rejected responses come from.
    """

    line: int
    prompt: Text
    chosen: Text
    rejected: tuple[Text, ...]
    file: int = 0
    system: str = ""
    tools: list | None = None
    template: dict[str, Any] = field(default_factory=dict)
    sampled: Sampled | None = None
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    label: bool | None = None
    partners: tuple[tuple[int, int], ...] = ()

    @property
    def question(self) -> str:
        """The text of the prompt, or of its last message."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1]["content"] or ""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row; `reason` is a key of `REASONS`, or empty where the fault is fatal."""

    file: int
    line: int
    reason: str
    message: str

    @classmethod
    def of(cls, row: Any, error: Exception) -> Fault:
        """Return the fault of a row or an example; what else than ValueError ends its reading is fatal."""
        message = str(error)
        if not isinstance(error, ValueError):
            message = f"expected a row that can be read, got {type(error).__name__}: {error}"
        return cls(row.file, row.line, getattr(error, "reason", ""), " ".join(message.split()))


def count_notes(notes: Iterable[str]) -> dict[str, int]:
    """Return how often each note occurs, in the order of `NOTES`."""
    counts = Counter(notes)
    return {name: counts[name] for name in NOTES if counts[name]}


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
