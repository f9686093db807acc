"""What is run: arms, matchings, a grid of β and seeds, in the order of llm_adapter/PROTOCOL.md; and its sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import small_model
from llm_adapter.loss.objective import Objective, calibrated_mix
from mi_estimators.theory import freeing_mix

HERE = Path(os.path.relpath(Path(__file__).parent))
"""Relative: commands and files name no folder of this machine."""
BETA = 0.1  # of DPO, to which the others are matched
GRID = (0.05, 0.1, 0.2, 0.4, 0.8)

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
OTHERS = tuple(arm for arm in ARMS if arm not in MAIN)


@dataclass(frozen=True)
class Task:
    """A task of reasoning-gym, with the number of its questions in both splits."""

    task: str
    operands: int
    digits: int
    train: int
    held_out: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.task}-{self.operands}x{self.digits}"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiment is.

    `depths` are falls of z_l in nats, `kls` values of KL in nats, at which z_w is compared. Curves are
    measured every `every` steps on `curve` pairs and on `probes` questions with `probe_samples` responses each; the end
    of a run on all. A size that names a `twin` takes that size's start and data.
    """

    name: str
    model: str
    small: bool = False
    tasks: tuple[Task, ...]
    drawn: int = 8  # responses to a question, which give its pair
    new_tokens: int = 24
    steps: int
    batch: int
    every: int
    learning_rate: float
    negatives: int
    seeds: int
    grid_seeds: int = 1
    depths: tuple[float, ...]
    kls: tuple[float, ...]
    predicted: int  # held-out prompts whose turn is predicted
    samples: int  # responses of each for that
    curve: int
    probes: int
    probe_samples: int = 2
    end_samples: int = 1
    windows: int = 4  # of other text, 256 tokens each
    main: tuple[str, ...] = MAIN
    matchings: tuple[str, ...] = MATCHINGS
    others: tuple[str, ...] = OTHERS
    grid: tuple[float, ...] = GRID
    grid_arms: tuple[str, ...] = tuple(arm for arm in ARMS if arm != "SFT")
    least: int = 200  # held-out pairs
    seen: int = 0  # every so many-th pair of the training questions is held out, in place of other questions
    epsilon: float = 0.38  # the share of right answers with which the small model is taught
    teaching: int = small_model.STEPS
    twin: str = ""

    @property
    def source(self) -> str:
        """The name of the size that makes the start and the data."""
        return self.twin or self.name


FULL = Size(
    name="full", model="SmolLM2-135M-Instruct, dequantised from a 4-bit file (Q4_1)",
    tasks=(
        Task("products", 2, 1, 77, 23),
        Task("chain_sum", 2, 1, 154, 46),
        Task("chain_sum", 2, 2, 200, 60),
        Task("chain_sum", 3, 1, 200, 560),
    ),
    steps=40, batch=4, every=5, learning_rate=5e-5, negatives=1, seeds=5, depths=(2, 5, 10, 15),
    kls=(0.5, 1, 2, 4), predicted=24, samples=8, curve=48, probes=24, grid_arms=("DPO", "MIO"),
)  # fmt: skip
SLOW = replace(
    FULL, name="slow", twin=FULL.name, learning_rate=5e-6, steps=160, every=20,
    seeds=3, main=("DPO", "MIO"), matchings=MATCHINGS[:1], others=(), grid=(), grid_arms=(),
)  # fmt: skip
"""The first question again, at a tenth of the rate."""
QUICK = Size(
    name="quick", model=small_model.NAME, small=True, tasks=(Task("products", 2, 1, 77, 23),),
    drawn=16, new_tokens=6, steps=60, batch=8, every=4, learning_rate=1e-3, negatives=3, seeds=3,
    grid_seeds=3, depths=(1, 2, 5, 10), kls=(0.2, 0.5, 1, 1.5), predicted=12, samples=8,
    curve=64, probes=77, probe_samples=4, end_samples=16, grid=(0.05, 0.4), least=10, seen=4,
)  # fmt: skip
TINY = Size(
    name="tiny", model=small_model.NAME, small=True, tasks=(Task("products", 2, 1, 12, 4),),
    drawn=24, new_tokens=4, steps=4, batch=2, every=2, learning_rate=1e-3, negatives=2, seeds=2,
    depths=(0.01, 0.1), kls=(0.001, 0.01), predicted=2, samples=2, curve=4, probes=3, windows=1,
    grid=(0.4,), least=1, seen=2, teaching=100,
)  # fmt: skip
SIZES = {size.name: size for size in (FULL, SLOW, QUICK, TINY)}


def common(size: Size) -> list[str]:
    """Return the flags that all trainings share."""
    return [
        *("--per_device_train_batch_size", f"{size.batch}", "--lr_scheduler_type"),
        *("constant_with_warmup", "--warmup_steps", "5", "--save_strategy", "no"),
        *("--completions", "0", "--diagnostics_steps", "0", "--disable_tqdm", "true"),
        *("--max_negatives", f"{size.negatives}", "--use_cpu", "true"),
    ]


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

    @property
    def name(self) -> str:
        """A name, by which the runner is asked for this run alone."""
        return f"{self.arm}/{self.matching}/{self.beta:g}/{self.seed}"

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
        for arm in size.main:
            for matching in size.matchings:
                run = Run(arm, matching, seed=seed)
                twin = Run(arm, seed=seed)
                if run == twin or run.own_beta(size.negatives) != twin.own_beta(size.negatives):
                    yield run

    for seed in range(size.grid_seeds):
        yield from (Run(arm, seed=seed) for arm in size.others)
        for beta in size.grid:
            yield from (Run(arm, beta=beta, seed=seed) for arm in size.grid_arms if beta != BETA)
