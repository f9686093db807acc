"""Draw arithmetic questions of reasoning-gym, split them by their operands, and read the number in a response.

Training and held-out questions never share their operands: `7 + 5`, `5 + 7` and `7 - 5` are in the same split. Seeds
alone would not separate them: there are only 100 products of two digits, so every seed asks all of them.
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
HELD_OUT = 4  # of so many sets of operands, one is held out
PATIENCE = 20_000  # draws without a new question, after which there are no more


@dataclass(frozen=True)
class Question:
    """A question and its right answer; `entry` is reasoning-gym's record, which its verifier reads."""

    text: str
    answer: str
    entry: dict[str, Any]


def dataset(arguments: TaskArguments, seed: int = 0):
    """Return reasoning-gym's dataset of the task: `dataset[i]` is an entry, `score_answer(answer, entry)` verifies.

    Raises:
        ValueError: an unknown task, or a number out of range.
        ImportError: reasoning-gym is not installed.
    """
    check_fields(arguments, TaskArguments)
    if seed < 0:
        raise ValueError(f"seed: expected an integer ≥ 0, got {seed}")

    from mi_estimators.extras import need  # it loads torch

    need("tasks")
    import reasoning_gym

    # entry i depends on seed + i alone: neighbouring seeds would give the same entries
    return reasoning_gym.create_dataset(
        arguments.task, seed=seed * 10**9, **TASKS[arguments.task](arguments)
    )


def is_held_out(text: str) -> bool:
    """Return whether a question is held out, which only its set of numbers decides.

    >>> is_held_out("What is 7 + 5?") == is_held_out("5 - 7 = ?")
    True
    """
    operands = sorted(map(int, re.findall(r"\d+", text)))
    return hashlib.sha256(str(operands).encode()).digest()[0] % HELD_OUT == 0


def draw_questions(
    arguments: TaskArguments, split: str, count: int | None, seed: int
) -> list[Question]:
    """Return `count` different questions of a split, the same for the same seed; None: all, but at most `MOST`.

    Raises:
        ValueError: what `dataset` refuses, an unknown split, count < 1, or a count of more questions than there are.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split}")
    if count is not None and count < 1:
        raise ValueError(f"count: expected an integer ≥ 1, got {count}")

    source, index, last = dataset(arguments, seed), 0, 0
    questions: dict[str, Question] = {}
    while len(questions) < (count or MOST):
        entry = source[index]
        text = entry["question"]
        if is_held_out(text) == (split == "held_out") and text not in questions:
            questions[text], last = Question(text, entry["answer"], entry), index

        index += 1
        if index - last > PATIENCE:
            if count is None:
                break
            raise ValueError(
                f"count: expected at most {len(questions)}, the {split} questions of {arguments}, "
                f"got {count}"
            )

    return list(questions.values())


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
# An expression that is not yet a number
SUM = re.compile(rf"{NUMBER}(?:[ \t]*(?:[+*/^×÷~]|\bx\b)+[ \t]*\(*{NUMBER}\)*)+")


def extract_number(text: str) -> str | None:
    r"""Return the number that a response gives as its answer, in plain decimal form, or None if it has none.

    It is looked for in the last \boxed{…}, then in the clause after the last "answer is", "answer:", "GCD of … is" or
    "####", then in the whole response. In a clause it is the first number after the last "=", "is" or "equals"; in a
    response it is the last number. Operands are no answers: "3 * 4" has no number, "3 * 4 = 12" has one. Thousands'
    commas, currency, units, Markdown, LaTeX and typographic minus signs are understood.

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
        number = _first(re.sub(r"\([^()]*\)", " ", clause), after=r"=|\bis\b|\bequals\b")
        if number is not None:
            return number

    numbers = re.findall(NUMBER, text)
    return _canonical(numbers[-1]) if numbers else None


def _plain(text: str) -> str:
    """Return the text with "-" for signs only, and without the characters that may stand inside a number."""
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
    # An operator, no sign
    text = re.sub(r"(?<=[\d)\]])[ \t]*-[ \t]*(?=[\d(-])|(?<=[A-Za-z])-(?=\d)", " ~ ", text)

    return re.sub(r"-[ \t]+(?=\d)", "-", text)


def _first(text: str, after: str) -> str | None:
    """Return the first number after the last match of `after` that a number follows."""
    for part in reversed(re.split(after, text, flags=re.IGNORECASE)):
        if match := re.search(NUMBER, part):
            return _canonical(match[0])
    return None


def _canonical(number: str) -> str:
    value = Decimal(number.replace(",", ""))
    return str(int(value)) if value == int(value) else str(value.normalize())
