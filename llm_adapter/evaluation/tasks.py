"""Arithmetic questions with one right number: reasoning-gym's, split by their operands, and the number in a response.

Training and held-out questions never share their operands: `7 + 5`, `5 + 7` and `7 - 5` lie on the same side. Seeds
alone would not do: there are only 100 products of two digits, so every seed asks all of them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..arguments.flags import check_fields
from ..arguments.rollouts import MOST, TASKS, TaskArguments

SPLITS = ("train", "held_out")
HELD_OUT = 4  # one set of operands in four is held out
PATIENCE = 20_000  # questions drawn without a new one before there are no more


@dataclass(frozen=True)
class Question:
    """One question and its right answer; `entry` is reasoning-gym's own record, which its verifier reads."""

    text: str
    answer: str
    entry: dict[str, Any]


def dataset(arguments: TaskArguments, seed: int = 0):
    """Return reasoning-gym's dataset of the task: `dataset[i]` is an entry, `score_answer(answer, entry)` its verifier.

    Raises:
        ValueError: an unknown task, a number out of range, or reasoning-gym missing.
    """
    check_fields(arguments, TaskArguments)
    if seed < 0:
        raise ValueError(f"seed: expected an integer ≥ 0, got {seed}")

    try:
        import reasoning_gym
    except ImportError as error:
        raise ValueError(
            f"task: expected the package reasoning-gym (pip install reasoning-gym), got {error}"
        ) from None

    # entry i is drawn from seed + i alone, so neighbouring seeds would repeat one another's entries
    return reasoning_gym.create_dataset(
        arguments.task, seed=seed * 10**9, **TASKS[arguments.task](arguments)
    )


def is_held_out(text: str) -> bool:
    """Return whether a question belongs to the held-out split: decided by its numbers alone, in whatever order.

    >>> is_held_out("What is 7 + 5?") == is_held_out("5 - 7 = ?")
    True
    """
    operands = sorted(map(int, re.findall(r"\d+", text)))
    return hashlib.sha256(str(operands).encode()).digest()[0] % HELD_OUT == 0


def draw_questions(
    arguments: TaskArguments, split: str, count: int | None, seed: int
) -> list[Question]:
    """Return `count` different questions of a split, the same for the same seed; None: all there are, `MOST` at most.

    Raises:
        ValueError: what `dataset` refuses, an unknown split, count < 1, or fewer questions than asked for exist.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split}")
    if count is not None and count < 1:
        raise ValueError(f"count: expected an integer ≥ 1, got {count}")
    source, found, index, last = dataset(arguments, seed), {}, 0, 0
    while len(found) < (MOST if count is None else count):
        entry = source[index]
        text = entry["question"]
        if is_held_out(text) == (split == "held_out") and text not in found:
            found[text], last = Question(text, entry["answer"], entry), index
        index += 1
        if index - last > PATIENCE and count is None:
            break
        if index - last > PATIENCE:
            raise ValueError(
                f"count: expected at most {len(found)}, the {split} questions of {arguments}, got {count}"
            )
    return list(found.values())


# ---------------------------------------------------------------------------------------------------------------------
NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
MARKER = re.compile(  # what announces the answer: "answer: ", "the result … is", "the GCD of 12 and 18 is", "#### "
    r"\b(?:answer|result)\b[^\n.]*?(?:\b(?:is|are|be|equals)\b|:|=)"
    r"|\b(?:gcd|lcm|divisor|multiple|product|sum|difference)\b[^\n.]*?(?:\b(?:is|be|equals)\b|=)"
    r"|####",
    re.IGNORECASE,
)
CLAUSE = re.compile(
    r"\n\s*\n|\.(?!\d)|;|,\s|\b(?:because|since|as|when|which|where|so|not)\b", re.IGNORECASE
)
SUM = re.compile(
    rf"{NUMBER}(?:[ \t]*(?:[+*/^×÷~]|\bx\b)+[ \t]*\(*{NUMBER}\)*)+"
)  # an expression that is not yet a number


def extract_number(text: str) -> str | None:
    r"""Return the number that a response gives as its answer, in plain decimal form, or None if it has no number.

    In this order: the last \boxed{…}; the clause after the last "answer is", "answer:", "GCD of … is" or "####"; the
    whole response. A clause gives the first number after its last "=", "is" or "equals"; a response its last number.
    Operands are no answers: "3 * 4" has no number, "3 * 4 = 12" has one.
    Thousands' commas, currency, units, Markdown, LaTeX and typographic minus signs are read through.

    >>> extract_number("3 * 4 = 13? No: the answer is **12** apples.")
    '12'
    >>> extract_number("It costs $1,234.50, so -1,234.50 remain")
    '-1234.5'
    """
    text = SUM.sub(" ", _plain(text))
    if boxed := re.findall(r"\\boxed\s*\{([^{}]*)\}", text):
        return _first(boxed[-1], after=r"=")
    if marks := list(MARKER.finditer(text)):
        clause = CLAUSE.split(text[marks[-1].end() :].lstrip())[0]
        if (
            found := _first(re.sub(r"\([^()]*\)", " ", clause), after=r"=|\bis\b|\bequals\b")
        ) is not None:
            return found
    numbers = re.findall(NUMBER, text)
    return _canonical(numbers[-1]) if numbers else None


def _plain(text: str) -> str:
    """Return the text with ASCII minus signs that are signs, no others, and without what may stand inside a number."""
    text = re.sub(r"[−–‒﹣-]", "-", text)
    text = (
        text.replace("{,}", ",")
        .replace("\\,", "")
        .replace("\\$", "")
        .replace("$", "")
        .replace("*", " * ")
    )
    text = re.sub(r"^\s*-\s+", "", text, flags=re.MULTILINE)  # a list's bullet
    text = re.sub(
        r"(?<![\d)])(?<![\d)] )\b(?:negative|minus)\s+(?=\d)", "-", text, flags=re.IGNORECASE
    )
    text = re.sub(
        r"(?<=[\d)\]])[ \t]*-[ \t]*(?=[\d(-])|(?<=[A-Za-z])-(?=\d)", " ~ ", text
    )  # an operator, no sign
    return re.sub(r"-[ \t]+(?=\d)", "-", text)


def _first(text: str, after: str) -> str | None:
    """Return the first number after the last match of `after` that has one behind it."""
    for part in reversed(re.split(after, text, flags=re.IGNORECASE)):
        if found := re.search(NUMBER, part):
            return _canonical(found[0])
    return None


def _canonical(number: str) -> str:
    value = Decimal(number.replace(",", ""))
    return str(int(value)) if value == int(value) else str(value.normalize())
