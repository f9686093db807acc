"""What is run: arms, matchings, a grid of β and seeds, in the order of llm_adapter/PROTOCOL.md; and two sizes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from llm_adapter.loss.objective import Objective, calibrated_mix
from mi_estimators.theory import freeing_mix

HERE = Path(os.path.relpath(Path(__file__).parent))
"""Relative: commands and files name no folder of this machine."""
BETA = 0.1  # of DPO, to which the others are matched
GRID = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Size:
    """How large the experiment is; `depths` are falls of z_l, in nats, at which z_w is compared."""

    name: str
    model: str
    steps: int
    batch: int
    every: int
    learning_rate: float
    negatives: int
    seeds: int
    depths: tuple[float, ...]
    predicted: int  # held-out prompts whose turn is predicted
    samples: int  # responses of each for that
    grid: tuple[float, ...] = GRID


FULL = Size("full", "smollm2", 200, 8, 5, 2e-5, 3, 5, (2, 5, 10, 15), 40, 16)
QUICK = Size("quick", "builtin", 40, 8, 4, 1e-3, 3, 2, (0.5, 1, 2, 4), 8, 4, (0.05, 0.4))

EPSILON = 0.2  # base success, from the samples of benchmarks.smollm2_arithmetic (0.23 and 0.18)
ARMS: dict[str, Objective] = {
    "DPO": Objective("dv", 0.5),
    "MIO": Objective("js", 0.5),
    "α-MIO, K/(K + 1)": Objective("js", calibrated_mix(3)),
    "α-MIO, 1 − ε^β": Objective("js", round(float(freeing_mix(EPSILON, BETA)), 3)),
    "SFT": Objective(loss="sft"),
    "BCE": Objective("js", 1.0),
    "NWJ": Objective("nwj"),
    "InfoNCA": Objective("infonce"),
    "DPO + SFT": Objective(loss="dpo_sft"),
    "IPO": Objective(loss="ipo"),
}
MAIN = ("DPO", "MIO", "α-MIO, K/(K + 1)", "α-MIO, 1 − ε^β", "SFT")
MATCHINGS = ("gradient", "optimum")


@dataclass(frozen=True)
class Run:
    """One training run: an arm, the matching of its β to DPO's, DPO's β, and a seed."""

    arm: str
    matching: str = "gradient"
    beta: float = BETA
    seed: int = 0

    def own_beta(self, negatives: int) -> float:
        """Return the β of its loss, to the digits that the command line takes.

        >>> [round(Run("MIO", matching).own_beta(3), 6) for matching in MATCHINGS]
        [0.2, 0.05]
        >>> [round(Run("BCE", matching).own_beta(3), 6) for matching in MATCHINGS]
        [0.1, 0.1]
        """
        objective = ARMS[self.arm]
        if self.matching == "optimum" and objective.loss is None and objective.bound == "js":
            return float(f"{self.beta * float(objective.mix):.6g}")
        return float(f"{matched(objective, self.beta, negatives):.6g}")

    def flags(self, size: Size) -> list[str]:
        """Return the command's flags that make this run this run."""
        objective = ARMS[self.arm]
        loss = ["--loss", objective.loss] if objective.loss else ["--bound", objective.bound]
        if objective.loss is None and objective.bound != "infonce":
            loss += ["--mix", f"{objective.mix}"]
        return [*loss, "--beta", f"{self.own_beta(size.negatives):g}", "--seed", f"{self.seed}"]

    def key(self, size: Size) -> dict[str, Any]:
        """Return what names the run in the file of rows."""
        return {"size": size.name, **asdict(self)}


def matched(objective: Objective, beta: float, negatives: int) -> float:
    """Return the β at which the first gradient on ln π(chosen) is DPO's at `beta`; losses without one keep `beta`."""
    if objective.loss:
        return beta
    zero = torch.zeros(1, negatives, dtype=torch.float64)
    pull, _ = objective.coefficients(zero[:, 0], zero, torch.ones_like(zero, dtype=torch.bool))
    return beta / 2 / pull.item()


def runs(size: Size) -> Iterator[Run]:
    """Yield the runs in the protocol's order: seed 0 of the main arms, their seeds, the other arms, the grid."""
    for seed in range(size.seeds):
        for arm in MAIN:
            for matching in MATCHINGS:
                run = Run(arm, matching, seed=seed)
                twin = Run(arm, seed=seed)
                if run == twin or run.own_beta(size.negatives) != twin.own_beta(size.negatives):
                    yield run
    others = [arm for arm in ARMS if arm not in MAIN]
    yield from (Run(arm) for arm in others)
    for beta in size.grid:
        yield from (Run(arm, beta=beta) for arm in ARMS if arm != "SFT" and beta != BETA)
