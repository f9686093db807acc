"""What is worth a note in a row that is used: scores against its label, JSON kept as text, turns of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from .decoding import decode
from .layouts import Text, in_turns

UNUSED = (  # with score…: they mean something, and nothing here reads them
    "weight",
    "weights",
    "margin",
    "history",
    "documents",
    "message.weight",  # of a message
    "message.function_call",
    "message.reasoning",
)


def notes_of(others: dict, prompt: Text, responses: Sequence[Text]) -> Iterator[str]:
    """Yield the notes of a row.

    Args:
        others: the keys of the row that are not read as its text.
        prompt: text or messages.
        responses: the chosen one, then the rejected ones.

    >>> list(notes_of({"score_chosen": 1, "score_rejected": "2"}, "2 + 2?", ["4", "5"]))
    ['lower_score']
    """
    texts = [response for response in responses if isinstance(response, str)]
    start = prompt.strip() if isinstance(prompt, str) else ""
    if len(start) > 1 and any(_repeats(text, start) for text in texts):
        yield "repeats_prompt"

    turns = [in_turns(prompt, response)[1] for response in responses]
    if any(len({turn["role"] for turn in row}) > 1 for row in turns if isinstance(row, list)):
        yield "turns"
    if any(_is_json_of_messages(text) for text in (prompt, *responses) if isinstance(text, str)):
        yield "messages_as_text"

    margins = _margins({str(key).lower(): value for key, value in others.items()})
    if any(margin < 0 for margin in margins):
        yield "lower_score"
    elif 0 in margins:
        yield "tie"


def _margins(others: dict[str, object]) -> list[float]:
    """Return the chosen response's score less that of each rejected one, or the margins that the row states."""
    scores = {
        side: numbers
        for side in ("chosen", "rejected")
        for key, value in others.items()
        if unused(key) and side in key
        if (numbers := _scores(value))
    }
    if len(scores) == 2 and len(scores["chosen"]) == 1:
        return [scores["chosen"][0] - score for score in scores["rejected"]]
    return _scores(others.get("margin"))


def _scores(value: object) -> list[float]:
    """Return a number, which tables of text keep as text, or the numbers of a list; nothing for anything else."""
    if isinstance(value, list):
        return [score for part in value for score in _scores(part)]
    if isinstance(value, int | float | str | Decimal):
        try:
            return [float(value)]
        except (ValueError, OverflowError):
            return []

    return []


def _is_json_of_messages(text: str) -> bool:
    """Return whether a text is JSON of a conversation, as tables keep it."""
    if not text.lstrip().startswith("[{"):
        return False

    try:
        turns = decode(text)
    except ValueError:
        return False

    return isinstance(turns, list) and all(
        isinstance(turn, dict)
        and turn.keys() & {"content", "value"}
        and turn.keys() & {"role", "from"}
        for turn in turns
    )


def _repeats(text: str, start: str) -> bool:
    """Return whether a response begins with the text of its prompt, and goes on."""
    return text.lstrip().startswith(start) and len(text.strip()) > len(start)


def unused(key: str) -> bool:
    """Return whether an ignored key has a meaning that a user may rely on.

    >>> [unused(key) for key in ("margin", "Score_Chosen", "chosen_rating", "id")]
    [True, True, True, False]
    """
    key = key.lower()
    return key in UNUSED or any(word in key for word in ("score", "rating", "reward"))
