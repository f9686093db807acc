"""What is run, in the order of llm_adapter/PROTOCOL.md: arms, levels of base success, seeds and groups; three sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import small_model
from benchmarks.smollm2_arithmetic.records import rounded
from mi_estimators.theory import (
    escape_time_grpo,
    escape_time_mio,
    escape_time_rlhf,
    escape_time_sft,
)

HERE = Path(os.path.relpath(Path(__file__).parent))
"""Relative: commands and files name no folder of this machine."""
BETA = 0.1
LEVELS = (0.3, 0.05, 0.01)
SMOLLM2 = (
    "SmolLM2-135M-Instruct, dequantised from a 4-bit file (Q4_1), taught to finish as part 1 starts"
)


@dataclass(frozen=True)
class Size:
    """How large the experiment is."""

    name: str
    model: str
    optimizer: str
    rate: float  # the learning rate; with "sgd" that of the plain policy gradient, divided by `Arm.gradient`
    rounds: int  # at most, of 16 questions each
    seeds: int  # of groups of two; one seed has the larger group, at the middle level
    count: int  # training questions
    new_tokens: int  # of a response at most
    eval_count: int  # questions asked before and after a run
    eval_samples: int  # responses to each of them
    eval_split: str  # whether they are held out or those of training
    teaching: int = small_model.STEPS  # of the small model
    group: int = 8  # the larger group


FULL = Size("full", SMOLLM2, "adamw", 2e-5, 40, 3, 64, 24, 64, 16, "held_out")
QUICK = Size("quick", small_model.NAME, "sgd", 0.03, 800, 3, 77, 6, 64, 16, "train")
TINY = Size("tiny", small_model.NAME, "sgd", 0.1, 3, 1, 16, 4, 4, 2, "train", teaching=20, group=3)
SIZES = {size.name: size for size in (FULL, QUICK, TINY)}

CANDIDATES = (  # tasks from which the real model's levels are chosen: the nearest success to each
    ("products", 2, 1),
    ("chain_sum", 2, 1),
    ("chain_sum", 2, 2),
    ("chain_sum", 3, 1),
    ("products", 2, 2),
    ("chain_sum", 4, 2),
    ("chain_sum", 4, 1),
    ("chain_sum", 5, 1),
)
SMALL_TASK = ("products", 2, 1)
TAUGHT = {0.3: 0.38, 0.05: 0.105, 0.01: 0.01}
"""Level → the share of right answers with which the small model is taught: it ends below its teacher (measured)."""


@dataclass(frozen=True)
class Arm:
    """An arm: its flags, what its gradient is worth beside the plain one, and the theorem's time to ½ from ε."""

    flags: tuple[str, ...]
    gradient: float
    on_policy: bool
    theorem: str

    def time(self, epsilon: float, group: int) -> float | None:
        """Return the theorem's escape time, in rate × steps of this arm's loss; None where there is none."""
        if self.theorem == "centred":  # the group's own mean is the baseline: E[ĝ] = (1 − 1/n) ∇ε
            return float(escape_time_rlhf(epsilon)) / (1 - 1 / group)
        if self.theorem == "grpo":
            return escape_time_grpo(epsilon, group)
        if self.theorem == "mio":
            return escape_time_mio(epsilon, BETA, 0.5)

        return float(escape_time_sft(epsilon)) if self.theorem == "sft" else None


MIO = ("--bound", "js", "--mix", "auto", "--beta", f"{BETA}")
SUPPLIED = ("--positives", "supplied")
ARMS = {
    "GRPO": Arm(("--objective", "policy_gradient"), 1.0, True, "centred"),
    "GRPO, normalised": Arm(("--objective", "policy_gradient_normalised"), 1.0, True, "grpo"),
    "online MIO": Arm(MIO, BETA, True, ""),
    "offline MIO": Arm((*MIO, "--sampler", "base", *SUPPLIED), BETA, False, "mio"),
    "SFT, answer supplied": Arm(("--loss", "sft", *SUPPLIED), 4.0, False, "sft"),
}
"""`gradient` divides the rate of SGD: that on ln π of a right response in a group of two, in quarters.

The normalised arm keeps the plain one's rate, so that what division multiplies, n/√(n − 1), shows in its rounds.
"""


@dataclass(frozen=True)
class Run:
    """One training: an arm, a level of base success, the size of its groups, and a seed."""

    arm: str
    level: float
    group: int = 2
    seed: int = 0

    def key(self, size: Size) -> dict[str, Any]:
        """Return what names the run in the file of rows."""
        return {"size": size.name, **asdict(self)}

    @property
    def name(self) -> str:
        """A name for its files."""
        arm = self.arm.split(",")[0].lower().replace(" ", "-")
        normalised = "-normalised" if "normalised" in self.arm else ""
        return f"{arm}{normalised}-{self.level:g}-{self.group}-{self.seed}"

    def flags(self, size: Size, model: str, task: tuple[str, int, int], out: Path) -> list[str]:
        """Return the flags of `llm_adapter.online` that make this run this run."""
        arm = ARMS[self.arm]
        sgd = size.optimizer == "sgd"
        rate = rounded(size.rate / arm.gradient) if sgd else size.rate
        kind, operands, digits = task

        return [
            *(
                "--model",
                model,
                "--task",
                kind,
                "--operands",
                f"{operands}",
                "--digits",
                f"{digits}",
            ),
            *("--count", f"{size.count}", "--samples", f"{self.group}", "--seed", f"{self.seed}"),
            *("--max_new_tokens", f"{size.new_tokens}", "--rounds", f"{size.rounds}", *arm.flags),
            *("--optimizer", size.optimizer, "--learning_rate", f"{rate:g}", "--stop_at", "0.5"),
            *("--max_grad_norm", "1e9" if sgd else "1"),  # a clipped step is no gradient step
            *("--eval_count", f"{size.eval_count}", "--eval_samples", f"{size.eval_samples}"),
            *("--eval_split", size.eval_split, "--save_rounds", "1000" if sgd else "10"),
            *("--disable_tqdm", "true", "--out", out.as_posix()),
        ]


def pairs_differ(arm: str, size: Size) -> bool:
    """Whether an arm is one of its own in groups of two.

    There a normalised advantage is a constant times the plain one, and AdamW does not see a constant.
    """
    return arm != "GRPO, normalised" or size.optimizer != "adamw"


def runs(size: Size) -> Iterator[Run]:
    """Yield the runs, arm by arm, each seed from the highest level down; the larger group comes last."""
    for arm in ARMS:
        if not pairs_differ(arm, size):
            continue
        for seed in range(size.seeds):
            yield from (Run(arm, level, seed=seed) for level in LEVELS)

    yield from (Run(arm, LEVELS[1], size.group) for arm in ARMS if ARMS[arm].on_policy)
