"""Questions: split by their operands, drawn without repetition, verified; the number in a response, on many texts."""

import math
import re

import pytest

from llm_adapter.evaluation import tasks
from llm_adapter.evaluation.tasks import (
    TaskArguments,
    dataset,
    draw_questions,
    extract_number,
)

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)

EXTRACTED = {
    # bare, with units, currency, Markdown, LaTeX
    "12": "12",
    "7.": "7",
    "12.0": "12",
    "012": "12",
    "0": "0",
    "-0": "0",
    "12 apples": "12",
    "7%": "7",
    "It costs $1,234.50.": "1234.5",
    "**7**": "7",
    "$7$": "7",
    r"\(7\)": "7",
    "1{,}234": "1234",
    "100,000,000": "100000000",
    "1, 2, 3": "3",
    "1,2": "2",
    "10^2 = 100": "100",
    # signs
    "-5": "-5",
    "−5": "-5",
    "= -5": "-5",
    "(-4)": "-4",
    "x=-3.50": "-3.5",
    "5 - 9": None,
    "Solve: 7 * 8": None,
    "The answer is 3 * 4.": None,
    "(3 + 4) * 2 = 14": "14",
    "10 / 2 = 5": "5",
    "5 x 9 is 45": "45",
    "5-9=-4": "-4",
    "5 - 9 = - 4": "-4",
    "4–1 = 3": "3",
    "3*-4=-12": "-12",
    "The answer is negative 4.": "-4",
    "The answer is minus 4.": "-4",
    "9 minus 5": "5",
    "- 5 apples": "5",
    # equations and announced answers
    "3 * 4 = 12": "12",
    "5 x 9 = 50 is the final answer.": "50",
    "The answer is 12.": "12",
    "The answer is **12** apples": "12",
    "Answer:\n\n7": "7",
    "The answer is:\n7": "7",
    "the answer is -1,000.": "-1000",
    "answer: 3 * 4 is 12": "12",
    "The answer is 12 (3 times 4).": "12",
    "The answer is 12, not 13.": "12",
    "The answer is not 5, it is 7": "7",
    "The answer is 3 + 4 = 7, which is prime.": "7",
    "The final answer to the arithmetic problem 3 + 4 is 7.": "7",
    "The result of 1 + 5 = 6 in mathematics.": "6",
    "The sum is 13, no, 12, so the answer is 12": "12",
    "3 * 4 = 13? No: the answer is 12. I checked it 2 times.": "12",
    "1. 4 * 1 = 4\n\nThe answer is 4.": "4",
    "#### 1,234": "1234",
    "The difference between 5 and 9 is -4.": "-4",
    "The GCD of 12 and 18 is 6 because 6 divides both 12 and 18.": "6",
    "The GCD of these numbers: 12, 18 is 6.": "6",
    r"\boxed{42}, though the answer is 3": "42",
    r"\boxed{3 + 4 = 7}": "7",
    # said by SmolLM2-135M
    "To solve it: 5 * 9 = 45.\n\nThe answer is not available, but the more accurate answer is 45.": "45",
    "The final answer to this arithmetic problem is 4 since 1 + 5 = 6, which is the sum of 1 and 5.": "4",
    "The Greatest Common Divisor of 12 and 18 is 3, which is exactly 3.": "3",
    "What a delightful task. Here is the result:\n\n1\n\nThe answer is: 1": "1",
    "To solve: 5 * 4, the result will be 20, not 25.": "20",
    "The final answer would still be 3 when adding 1 and 2 together.": "3",
    "Solve the multiplication:\n\n1 * 0.": None,
    # none
    "": None,
    "No, I'm not here to solve the problem.": None,
    "five": None,
}


@pytest.mark.parametrize("text", EXTRACTED)
def test_number(text):
    assert extract_number(text) == EXTRACTED[text]


@pytest.mark.parametrize(
    ("arguments", "evaluate"),
    [
        (TaskArguments("products", 3, 2), lambda numbers, text: math.prod(numbers)),
        (
            TaskArguments("chain_sum", 3, 1),
            lambda numbers, text: eval(re.search(r"\d+( [+-] \d+)+", text)[0]),
        ),
        (TaskArguments("gcd", 2, max_value=20), lambda numbers, text: math.gcd(*numbers)),
        (TaskArguments("lcm", 2, max_value=20), lambda numbers, text: math.lcm(*numbers)),
    ],
)
def test_answers(arguments, evaluate):
    """Answers are right and the verifier knows it."""
    verifier = dataset(arguments)
    for question in draw_questions(arguments, "train", 30, seed=1):
        numbers = [int(number) for number in re.findall(r"\d+", question.text)]
        assert len(numbers) == arguments.operands

        right = evaluate(numbers, question.text)
        assert question.answer == str(right)
        assert (
            verifier.score_answer(extract_number(f"So the answer is {right:,}."), question.entry)
            == 1
        )
        assert verifier.score_answer(str(right + 1), question.entry) < 1


@pytest.mark.parametrize("task", tasks.TASKS)
def test_splits(task):
    """The splits share no operands and cover everything."""
    train, held_out = (
        draw_questions(TaskArguments(task), split, None, seed)
        for split, seed in (("train", 0), ("held_out", 5))
    )

    def operands(questions):
        return {
            tuple(sorted(map(int, re.findall(r"\d+", question.text)))) for question in questions
        }

    assert not operands(train) & operands(held_out)
    assert len({question.text for question in train}) == len(train)

    if task == "products":
        assert len(train) + len(held_out) == 100  # all products of two digits
        assert operands(train) | operands(held_out) == {
            (i, j) for j in range(10) for i in range(j + 1)
        }
        assert 15 <= len(held_out) <= 35


def test_seeded_questions():
    """Questions are the seed's."""
    arguments = TaskArguments("chain_sum", 3, 2)
    one, again, other = (draw_questions(arguments, "train", 20, seed) for seed in (0, 0, 1))

    assert one == again
    # reasoning-gym draws entry i from seed + i: seeds 0 and 1 as they are would share 19 of 20
    assert len({question.text for question in one} & {question.text for question in other}) < 3
    assert draw_questions(arguments, "train", 5, 0) == one[:5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dataset(TaskArguments("sums")),
            "task: expected one of products, chain_sum, gcd, lcm, got sums",
        ),
        (
            lambda: dataset(TaskArguments("gcd", 1)),
            "operands: expected an integer from 2 to 9, got 1",
        ),
        (
            lambda: dataset(TaskArguments("products", 2, 0)),
            "digits: expected an integer from 1 to 9, got 0",
        ),
        (
            lambda: dataset(TaskArguments("gcd", max_value=1)),
            "max_value: expected an integer ≥ 2, got 1",
        ),
        (lambda: dataset(TaskArguments("gcd"), -1), "seed: expected an integer ≥ 0, got -1"),
        (
            lambda: draw_questions(TaskArguments("gcd"), "test", 1, 0),
            "split: expected one of train, held_out, got test",
        ),
        (
            lambda: draw_questions(TaskArguments("gcd"), "train", 0, 0),
            "count: expected an integer ≥ 1, got 0",
        ),
        (
            lambda: draw_questions(TaskArguments("products"), "held_out", 99, 0),
            "count: expected at most 23, the held_out questions of products 2×1, got 99",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match="expected") as error:
        call()
    assert str(error.value) == message


def test_no_reasoning_gym(monkeypatch):
    """Without reasoning-gym the message says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    message = r"^reasoning_gym: not installed; run pip install 'mi-estimators\[tasks\]'$"
    with pytest.raises(ImportError, match=message):
        dataset(TaskArguments("gcd"))
