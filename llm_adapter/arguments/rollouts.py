"""Fields of the commands that ask a model questions: the task, the model and how its responses are drawn."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from .fields import SEED, DataFields, ModelFields
from .flags import (
    COUNT,
    Parser,
    Rule,
    check_fields,
    flag,
    flag_of,
    groups_of,
    require,
)
from .names import BUILTIN, check_model_name
from .outputs import Own, refuse_outputs

FROM_TWO_TO_NINE = Rule("an integer from 2 to 9", lambda value: 2 <= value <= 9)
FROM_ONE_TO_NINE = Rule("an integer from 1 to 9", lambda value: 1 <= value <= 9)
MOST = 200  # questions that are asked where no number is given

Settings = Callable[["TaskArguments"], dict[str, int]]


def _terms(arguments: TaskArguments) -> dict[str, int]:
    operands, digits = arguments.operands, arguments.digits
    terms = {"min_terms": operands, "max_terms": operands}
    return terms | {"min_digits": digits, "max_digits": digits}


def _numbers(arguments: TaskArguments) -> dict[str, int]:
    operands = arguments.operands
    numbers = {"min_numbers": operands, "max_numbers": operands}
    return numbers | {"max_value": arguments.max_value}


TASKS: dict[str, Settings] = {  # reasoning-gym's name → its settings
    "products": _terms,
    "chain_sum": _terms,
    "gcd": _numbers,
    "lcm": _numbers,
}


@dataclass(frozen=True)
class TaskArguments:
    """Task: what is asked, and the size of its numbers."""

    task: str = flag(MISSING, "Arithmetic task to ask.", choices=tuple(TASKS))
    operands: int = flag(2, "Number of operands in a question.", rule=FROM_TWO_TO_NINE)
    digits: int = flag(
        1, "Number of digits of each operand (products and chain_sum).", rule=FROM_ONE_TO_NINE
    )
    max_value: int = flag(
        20,
        "Largest operand (gcd and lcm).",
        rule=Rule("an integer ≥ 2", lambda value: value >= 2),
    )

    def __str__(self) -> str:
        """Return a short name: products 2×1, gcd 2≤20."""
        size = f"≤{self.max_value}" if self.task in ("gcd", "lcm") else f"×{self.digits}"
        return f"{self.task} {self.operands}{size}"

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        check_fields(self, type(self))


@dataclass(frozen=True, kw_only=True)
class RolloutArguments(TaskArguments):
    """Model and responses: who is asked, and how the answers are drawn."""

    model: str = flag(BUILTIN, "Model: 'builtin', a folder, a .gguf file, or a name on the hub.")
    count: int | None = flag(
        None, "Number of different questions.", rule=COUNT, shown=f"all, at most {MOST}"
    )
    samples: int = flag(8, "Number of responses to each question.", rule=COUNT)
    temperature: float = flag(
        0.8,
        "Sampling temperature.",
        rule=Rule("a finite number ≥ 1e-6", lambda value: 1e-6 <= value < math.inf),
    )
    max_new_tokens: int = flag(
        32,
        "Maximum number of tokens in a response. A response that is cut off counts as wrong.",
        rule=COUNT,
    )
    seed: int = flag(0, "Seed for drawing the questions and sampling the responses.", rule=SEED)
    chat_template: str | None = flag_of(DataFields, "chat_template")
    chat_template_kwargs: str | None = flag_of(DataFields, "chat_template_kwargs")
    batch: int = flag(16, "Number of questions in a batch.", rule=COUNT)
    out: str = flag(MISSING, "File to write. A journal of all responses is kept next to it.")
    trust_remote_code: bool = flag_of(ModelFields, "trust_remote_code")
    disable_tqdm: bool = flag(False, "Hide progress bars.")

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        super().check()
        require(self, ("out", bool(self.out) and not Path(self.out).is_dir(), "a file to write"))
        check_model_name(self.model)


def refuse_taken(arguments: RolloutArguments, outputs: Mapping[Path, Own], *inputs: str) -> None:
    """Refuse outputs that are the model, the template or another input, and files that the command did not write."""
    names = ("model", "chat_template", *inputs)
    refuse_outputs("out", outputs, {name: getattr(arguments, name) for name in names})


def facts(command: str, argv: Sequence[str], arguments: RolloutArguments) -> dict[str, Any]:
    """Return what repeats a command, for the file of its results."""
    return {"command": shlex.join(["python", "-m", command, *argv]), "arguments": asdict(arguments)}


Arguments = TypeVar("Arguments", bound=RolloutArguments)


def parse(
    kind: type[Arguments], argv: Sequence[str], command: str, description: str, epilog: str
) -> Arguments:
    """Return the arguments that the flags give, each within its range.

    Raises:
        ValueError: an unknown flag, a missing one, a value of the wrong type or outside its range.
    """
    parser = Parser(
        command,
        groups_of(kind),
        usage=f"python -m {command} --out FILE [--FLAG VALUE ...]",
        description=description,
        epilog=epilog,
    )

    arguments = kind(**parser.read(argv))
    arguments.check()
    return arguments
