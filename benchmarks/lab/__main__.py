"""The lab's speed: `python -m benchmarks.lab` trains many small policies at once, and one at a time in a plain loop.

The unit is policies × steps a second: full-batch gradient steps of DPO on a network with a softmax over responses. The
plain loop is torch.nn and torch.optim.SGD, one network after another. Each number is the median of repeats, with their
range, on one thread; the two loops take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import mi_estimators as mi
from toy.policy import network, network_logits
from toy.train import descend

TABLES = Path(__file__).with_name("tables.md")
PROMPTS, INPUTS, WIDTH, BETA, RATE = 16, 8, 32, 0.1, 0.1


def vectorised(policies: int, arms: int, steps: int) -> None:
    """Train all policies in one batch of tensors, as the lab does."""
    generator = torch.Generator().manual_seed(0)
    parameters = network(policies, (INPUTS, WIDTH, WIDTH, arms), generator)
    prompts = torch.randn(policies, PROMPTS, INPUTS, generator=generator)
    reference = network_logits(parameters, prompts, "tanh").log_softmax(-1)

    def loss(p: list[torch.Tensor]) -> tuple[torch.Tensor, None]:
        scores = BETA * (network_logits(p, prompts, "tanh").log_softmax(-1) - reference)
        return mi.preference_loss(scores[..., 0], scores[..., 1], bound="dv").mean(-1), None

    descend(loss, parameters, steps, RATE)


def plain(policies: int, arms: int, steps: int) -> None:
    """Train the policies one after another."""
    torch.manual_seed(0)
    for _ in range(policies):
        layers = (torch.nn.Linear(INPUTS, WIDTH), torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, arms))
        policy = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
        optimizer = torch.optim.SGD(policy.parameters(), lr=RATE)
        prompts = torch.randn(PROMPTS, INPUTS)
        reference = policy(prompts).log_softmax(-1).detach()
        for _ in range(steps):
            scores = BETA * (policy(prompts).log_softmax(-1) - reference)
            optimizer.zero_grad()
            mi.preference_loss(scores[:, 0], scores[:, 1], bound="dv").mean().backward()
            optimizer.step()


def rate(train: Callable[[int, int, int], None], policies: int, arms: int, steps: int) -> float:
    """Return policies × steps a second."""
    started = time.perf_counter()
    train(policies, arms, steps)
    return policies * steps / (time.perf_counter() - started)


def line(policies: int, arms: int, steps: int, repeats: int) -> str:
    """Measure one setting; return its row of the table."""
    ours, theirs, ratios = [], [], []
    for _ in range(repeats):
        ours.append(rate(vectorised, policies, arms, steps))
        theirs.append(rate(plain, 2, arms, steps))  # a policy more is as much time more
        ratios.append(ours[-1] / theirs[-1])
    spread = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
    medians = f"{statistics.median(ours):,.0f} | {statistics.median(theirs):,.0f}"
    return f"| {policies} | {arms} | {steps} | {medians} | {spread} |"


def main(argv: list[str] | None = None) -> int:
    """Print the table, and write it beside this file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=TABLES, help="file of the table (default: beside the code)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    settings = [
        *((policies, 10, 100) for policies in (1, 8, 64, 512, 4096)),
        *((512, arms, 100) for arms in (2, 100, 1000)),
        *((512, 10, steps) for steps in (10, 1000)),
    ]
    for train in (vectorised, plain):
        train(2, 10, 20)  # first calls cost more
    head = [
        "| policies | arms | steps | policies × steps a second | plain loop | ratio (range) |",
        "|---|---|---|---|---|---|",
    ]
    print(*head, sep="\n")
    rows = []
    for setting in settings:
        rows.append(line(*setting, options.repeats))
        print(rows[-1], flush=True)
    text = f"# Policies × steps a second\n\n`python -m benchmarks.lab`, torch {torch.__version__}, one thread.\n\n"
    options.out.write_text(text + "\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
