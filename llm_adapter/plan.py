"""Plan the memory of a training before it starts: python -m llm_adapter.plan --model DIR --gpu_memory 80.

For each recipe of `--memory` it counts the bytes of weights, optimiser, gradients and activations, and proposes how
many tokens a pass may have. Only the model's config is read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from .arguments.command import run_command
from .arguments.fields import RECIPES, DataFields, ModelFields
from .arguments.flags import (
    COUNT,
    POSITIVE,
    Parser,
    check_fields,
    flag,
    flag_of,
    groups_of,
)

COMMAND = "llm_adapter.plan"
DESCRIPTION = "Count the memory of a training, and propose a setting that fits."
EXAMPLES = """\
examples:
  python -m llm_adapter.plan --model DIR --gpu_memory 80
      Compare the recipes on one GPU of 80 GiB.
  python -m llm_adapter.plan --model DIR --gpu_memory 80 --gpus 8 --max_length 2048 --negatives 3
      The same for eight GPUs that share the weights (FSDP2), with three rejected responses.
"""
GIB = 2**30
SPARE = 0.08  # of the memory, for the allocator and the device's own libraries
SMALLEST = 256  # tokens of a pass that is worth a proposal
LEAN = RECIPES["lean"]


@dataclass(frozen=True, kw_only=True)
class PlanArguments:
    """Plan: the model, the devices and the data."""

    model: str = flag(MISSING, "Model to train: a folder, a .gguf file, or a name on the hub.")
    gpu_memory: float = flag(MISSING, "Memory of one device in GiB.", rule=POSITIVE)
    gpus: int = flag(1, "Number of devices. More than one share weights and states.", rule=COUNT)
    max_length: int = flag_of(DataFields, "max_length")
    negatives: int = flag(1, "Number of rejected responses of an example.", rule=COUNT)
    tokens: int | None = flag(
        None,
        "Tokens of a pass to count.",
        rule=COUNT,
        shown="the longest shared row that max_length allows",
    )
    bf16: bool = flag(True, "Compute in bfloat16 where the weights are fp32.")
    trust_remote_code: bool = flag_of(ModelFields, "trust_remote_code")


@dataclass(frozen=True)
class Plan:
    """The bytes of a recipe's parts, whether they fit, and the largest pass that does."""

    name: str
    flags: dict[str, object]
    parts: dict[str, int]
    tokens: int
    largest: int

    @property
    def fits(self) -> bool:
        """Whether the pass that was asked for fits."""
        return self.largest >= self.tokens


def recipes(gpus: int) -> dict[str, dict[str, object]]:
    """Return the flags of each recipe, most exact first; several GPUs cannot release gradients."""
    again = {"gradient_checkpointing": True, "selective_checkpointing": False}
    eight = LEAN | {"adam_states": "8bit"}
    rows = {
        "exact": RECIPES["exact"],
        "exact, selective": RECIPES["exact"] | {"selective_checkpointing": True},
        "exact, checkpointing": RECIPES["exact"] | {"gradient_checkpointing": True},
        "balanced": RECIPES["balanced"],
        "balanced, checkpointing": RECIPES["balanced"] | again,
        "lean": LEAN,
        "lean, 8-bit states": eight,
        "lean, 8-bit states, several passes": eight | {"release_gradients": False},
    }

    if gpus == 1:
        return rows

    return {
        name: row | ({"release_gradients": False} if "release_gradients" in row else {})
        for name, row in rows.items()
        if not name.startswith("balanced") and not name.endswith("several passes")
    }


def plan(config: Any, arguments: PlanArguments) -> list[Plan]:
    """Return a plan for each recipe."""
    from .training.memory import Setting, parts

    responses = 1 + arguments.negatives
    tokens = arguments.tokens or arguments.max_length * responses
    room = arguments.gpu_memory * GIB * (1 - SPARE)

    plans = []
    for name, row in recipes(arguments.gpus).items():
        fields = {key: value for key, value in row.items() if key in Setting.__annotations__}
        values: dict[str, Any] = {"gpus": arguments.gpus} | fields
        values["bf16"] = arguments.bf16 and values.get("weights") != "bf16"
        values["several_passes"] = not row.get("release_gradients")
        setting = Setting(**values)
        counted = parts(config, setting, tokens, responses)
        double = parts(config, setting, 2 * tokens, responses)
        slope = (double["peak"] - counted["peak"]) / tokens
        largest = tokens + int((room - counted["peak"]) / slope) if slope > 0 else 0
        plans.append(Plan(name, row, counted, tokens, max(0, largest)))

    return plans


def page(plans: Sequence[Plan], arguments: PlanArguments) -> str:
    """Return the table of the plans and the proposal."""
    from mi_estimators.display import Table

    names = list(plans[0].parts)
    body = [
        [
            candidate.name,
            *(f"{candidate.parts[name] / GIB:.1f}" for name in names),
            str(candidate.largest) if candidate.largest >= SMALLEST else "none",
        ]
        for candidate in plans
    ]

    head = ["recipe", *(f"{name} GiB" for name in names), "largest pass, tokens"]
    lines = [
        f"{arguments.model}: {plans[0].tokens} tokens a pass, {arguments.gpus} × {arguments.gpu_memory:g} GiB\n",
        Table(head, body).markdown(),
        "",
        proposal(plans, arguments),
    ]

    return "\n".join(lines)


def proposal(plans: Sequence[Plan], arguments: PlanArguments) -> str:
    """Return the flags of the most exact recipe that fits, or what is missing."""
    fitting = [candidate for candidate in plans if candidate.fits]
    if not fitting:
        best = min(plans, key=lambda candidate: candidate.parts["peak"])
        return (
            f"Nothing fits: {best.name} needs {best.parts['peak'] / GIB:.1f} GiB. Take more GPUs, "
            "--lora_rank, or a smaller --max_length."
        )

    best = fitting[0]
    flags = " ".join(f"--{name} {_shown(value)}" for name, value in best.flags.items())
    released = best.flags.get("release_gradients")
    row = arguments.max_length * (1 + arguments.negatives)
    size = (
        f"--per_device_train_batch_size {max(1, best.largest // row)}"
        if released
        else f"--max_tokens_per_batch {best.largest}"
    )

    precision = " --bf16 true" if arguments.bf16 and best.flags.get("weights") != "bf16" else ""
    return f"Proposed ({best.name}): {flags}{' ' if flags else ''}{size}{precision}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, make, argv)


def make(argv: Sequence[str]) -> None:
    """Print the plans for the model that the command line names."""
    parser = Parser(
        COMMAND,
        groups_of(PlanArguments),
        usage=f"python -m {COMMAND} --model DIR --gpu_memory GIB [--FLAG VALUE ...]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )

    arguments = PlanArguments(**parser.read(argv))
    check_fields(arguments, PlanArguments)

    from .models import load_config

    config = load_config(arguments.model, arguments.trust_remote_code)
    print(page(plan(config, arguments), arguments))


if __name__ == "__main__":
    sys.exit(main())
