"""How often a model finds a chosen response more likely than a rejected one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from tqdm import tqdm

from ..data.collate import collate
from ..data.tokens import TokenizedExample
from ..loss.logprobs import choose_log_probs, split_rows, sum_responses
from .rates import bootstrap, wilson

TIED = (
    "every pair is a tie, and a tie counts as lost: the model tells no two responses apart; check that "
    "--model has trained weights, and that the responses of a pair differ within --max_length"
)


@torch.no_grad()
def rank(
    examples: Sequence[TokenizedExample], model: nn.Module, batch: int, disable_tqdm: bool = False
) -> dict:
    """Return how often a rejected response has a lower ln π than the chosen one, summed and per token.

    Returns:
        `examples`, `rejected` (their numbers), and for `sum` and `per_token`: `pairs`, the share of rejected responses
        that rank below their chosen one, with the bootstrap's interval over prompts; `first`, the share of prompts
        whose chosen response ranks above all rejected ones, with Wilson's; `margin`, the mean difference in nats; and
        `ties`, the number of rejected responses that are as likely as their chosen one. `advice` is a line where all
        are, else None.
    """
    device = next(model.parameters()).device
    counts = [len(example.completions) - 1 for example in examples]
    below: dict[str, list[int]] = {"sum": [], "per_token": []}
    margins: dict[str, list[float]] = {"sum": [], "per_token": []}
    ties = {"sum": 0, "per_token": 0}
    log_probs = None

    starts = range(0, len(examples), batch)
    for start in tqdm(starts, "ranking", unit="batch", disable=disable_tqdm):
        rows = collate(examples[start : start + batch])
        rows = {name: value.to(device) for name, value in rows.items()}
        log_probs = log_probs or choose_log_probs(model, rows)
        sums = sum_responses(log_probs(model, rows), rows["lengths"])

        for name, values in (("sum", sums), ("per_token", sums / rows["lengths"])):
            chosen, rejected = split_rows(values, rows["negatives"])
            margin = torch.where(rows["negatives"], chosen.unsqueeze(1) - rejected, 0.0)
            below[name] += (margin > 0).sum(-1).tolist()
            ties[name] += int(((margin == 0) & rows["negatives"]).sum())
            margins[name] += margin.sum(-1).tolist()

    def shares(name: str) -> dict:
        lower = below[name]
        pairs = {"mean": sum(lower) / sum(counts), "interval": bootstrap(lower, counts)}
        first = sum(low == count for low, count in zip(lower, counts, strict=True))
        interval = wilson(first, len(counts))

        return {
            "pairs": pairs,
            "first": {"mean": first / len(counts), "interval": interval},
            "margin": sum(margins[name]) / sum(counts),
            "ties": ties[name],
        }

    totals = {
        "examples": len(counts),
        "rejected": sum(counts),
        "advice": TIED if sum(counts) in ties.values() else None,
    }
    return totals | {name: shares(name) for name in below}
