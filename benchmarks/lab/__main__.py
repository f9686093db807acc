"""Measure the lab's speed: train many small policies at once, and one at a time in a plain loop.

The unit is policies × steps a second: full-batch gradient steps of DPO on a network with a softmax over responses. The
plain loop is torch.nn and torch.optim.SGD, one network after another. Seconds are processor time of the one thread, so
that other work on the machine does not count as ours; each number is the median of repeats, the ratio with its range,
and the two loops take turns.
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
from mi_estimators.display import Table
from toy.models.policies import network, network_logits
from toy.models.training import descend

TABLES = Path(__file__).with_name("tables.md")
PROMPTS, INPUTS, WIDTH, BETA, RATE = 16, 8, 32, 0.1, 0.1
SETTINGS = {
    "How cost grows with seeds (policies)": [
        (policies, 10, 30) for policies in (1, 8, 64, 512, 4096)
    ],
    "With arms": [(512, arms, 10) for arms in (2, 10, 100, 1000)],
    "With steps": [(64, 10, steps) for steps in (10, 100, 500)],
}
"""Table → settings (policies, arms, steps)."""
COLUMNS = ("policies", "arms", "steps", "policies × steps a second", "plain loop", "ratio (range)", "seconds in all",
           "GFLOP/s", "plain")  # fmt: skip
NOTES = """A plain step costs about the same from 2 to 100 arms: it is the overhead of some sixty small calls. The
batched loop pays that overhead once for all policies, so its ratio climbs with the policies, until what
grows with policies × arms is all that is left: the three products, the softmax and its way back. With 1000
arms these are a large part of the plain step too, and no batching divides them. GFLOP/s: three times the
products of a forward pass over the time of a step; so small products do not reach the speed of a large one.
A step costs the same whether few or many are taken."""


def vectorised(policies: int, arms: int, steps: int) -> None:
    """Train all policies in one batch of tensors, as the lab does."""
    generator = torch.Generator().manual_seed(0)
    parameters = network(policies, (INPUTS, WIDTH, WIDTH, arms), generator)
    prompts = torch.randn(policies, PROMPTS, INPUTS, generator=generator)
    pair = torch.tensor([0, 1]).expand(policies, PROMPTS, 2)
    reference = network_logits(parameters, prompts, "tanh").log_softmax(-1).gather(-1, pair)

    def loss(p: list[torch.Tensor]) -> tuple[torch.Tensor, None]:
        scores = BETA * (
            network_logits(p, prompts, "tanh").log_softmax(-1).gather(-1, pair) - reference
        )
        return mi.preference_loss(scores[..., 0], scores[..., 1], bound="dv").mean(-1), None

    descend(loss, parameters, steps, RATE)


def plain(policies: int, arms: int, steps: int) -> None:
    """Train the policies one after another."""
    torch.manual_seed(0)
    for _ in range(policies):
        layers = (
            torch.nn.Linear(INPUTS, WIDTH),
            torch.nn.Linear(WIDTH, WIDTH),
            torch.nn.Linear(WIDTH, arms),
        )

        policy = torch.nn.Sequential(
            layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2]
        )
        optimizer = torch.optim.SGD(policy.parameters(), lr=RATE)
        prompts = torch.randn(PROMPTS, INPUTS)
        pair = torch.tensor([0, 1]).expand(PROMPTS, 2)
        reference = policy(prompts).log_softmax(-1).gather(-1, pair).detach()

        for _ in range(steps):
            scores = BETA * (policy(prompts).log_softmax(-1).gather(-1, pair) - reference)
            optimizer.zero_grad()
            mi.preference_loss(scores[:, 0], scores[:, 1], bound="dv").mean().backward()
            optimizer.step()


def flops(arms: int) -> float:
    """Return the floating-point operations of one policy's step: its products forward, and twice as many back."""
    return 3 * 2 * PROMPTS * (INPUTS * WIDTH + WIDTH * WIDTH + WIDTH * arms)


def rate(train: Callable[[int, int, int], None], policies: int, arms: int, steps: int) -> float:
    """Return policies × steps a second of processor time."""
    started = time.process_time()
    train(policies, arms, steps)
    return policies * steps / (time.process_time() - started)


def peak(size: int = 1024) -> float:
    """Return the floating-point operations a second of a large product of matrices, best of five."""
    square, best = torch.randn(size, size), 0.0
    for _ in range(5):
        started = time.process_time()
        square.mm(square)
        best = max(best, 2 * size**3 / (time.process_time() - started))

    return best


def row(policies: int, arms: int, steps: int, repeats: int) -> list[str]:
    """Measure one setting; return its row of the table."""
    ours, theirs, ratios = [], [], []
    for _ in range(repeats):
        ours.append(rate(vectorised, policies, arms, steps))
        theirs.append(rate(plain, 2, arms, steps))  # a policy more is as much time more
        ratios.append(ours[-1] / theirs[-1])

    spread = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
    middle = [statistics.median(rates) for rates in (ours, theirs)]
    speeds = [f"{m * flops(arms) / 1e9:.2g}" for m in middle]
    seconds = policies * steps / middle[0]
    rates = [f"{middle[0]:,.0f}", f"{middle[1]:,.0f}"]

    return [f"{policies}", f"{arms}", f"{steps}", *rates, spread, f"{seconds:.2g}", *speeds]


def main(argv: list[str] | None = None) -> int:
    """Print the tables, and write them beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lab", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="number of times to measure each row (default: 5)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=TABLES,
        help="file to write the tables to (default: next to the code)",
    )

    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    for train in (vectorised, plain):
        train(2, 10, 20)  # first calls cost more

    lines = ["# Policies × steps a second", ""]
    lines += [
        f"`python -m benchmarks.lab`, torch {torch.__version__}, one thread, seconds of its processor time."
    ]
    lines += [f"A product of 1024 × 1024 matrices ran at {peak() / 1e9:.0f} GFLOP/s."]
    print(*lines, sep="\n")

    for title, settings in SETTINGS.items():
        body = [row(*setting, options.repeats) for setting in settings]
        table = ["", f"## {title}", "", Table(COLUMNS, body).markdown()]
        print(*table, sep="\n", flush=True)
        lines += table

    options.out.write_text("\n".join([*lines, "", NOTES]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
