"""Measure the batches of a run: sums over examples, which add up over steps and processes, and their means.

docs/guides/metrics.md defines each name. No quantity needs a second pass through the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators.theory import no_collapse_share

from .logprobs import split_rows
from .objective import Objective, masked_mean

LOST_NATS = 5.0  # a chosen reward below minus this counts as lost
STARVED = 0.1  # share of its first value below which a gradient coefficient counts as starved


@torch.no_grad()
def window_sums(
    objective: Objective,
    log_probs: Tensor,
    log_ratios: tuple[Tensor, Tensor],
    batch: Mapping[str, Tensor],
    counted: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return sums over a batch's examples, one float64 scalar for each logged quantity.

    Args:
        objective: the objective of the run.
        log_probs: summed log-probabilities of the R responses, shape (R,), nats.
        log_ratios: z_w, shape (B,), and z_l, shape (B, K), as the objective takes them.
        batch: what `collate` returns.
        counted: True for the examples that count, shape (B,); by default all.
    """
    negatives = batch["negatives"]
    chosen, rejected = (values.detach() for values in log_ratios)
    log_probs, per_token = log_probs.detach(), log_probs.detach() / batch["lengths"]
    pull, push = objective.coefficients(chosen, rejected, negatives)
    first_pull, first_push = objective.coefficients(
        torch.zeros_like(chosen), torch.zeros_like(rejected), negatives
    )
    if counted is None:
        counted = torch.ones_like(chosen, dtype=torch.bool)

    weights = push.where(negatives & counted.unsqueeze(-1), 0).abs().double()
    logps_chosen, logps_rejected = split_rows(log_probs, negatives)
    token_chosen, token_rejected = split_rows(per_token, negatives)
    beta, lower = objective.beta, masked_mean(rejected, negatives)
    losses = objective.losses(chosen, rejected, negatives)
    of_examples = {
        "loss": losses,
        "rewards/chosen": beta * chosen,
        "rewards/rejected": beta * lower,
        "rewards/margins": beta * (chosen - lower),
        "rewards/accuracies": masked_mean(
            (chosen.unsqueeze(-1) > rejected).to(chosen.dtype), negatives
        ),
        "logps/chosen": logps_chosen,
        "logps/rejected": masked_mean(logps_rejected, negatives),
        "logps/chosen_per_token": token_chosen,
        "logps/rejected_per_token": masked_mean(token_rejected, negatives),
        "tokens/chosen": split_rows(batch["lengths"], negatives)[0],
        "movement/common": chosen + lower,
        "movement/margin": chosen - lower,
        "gradient/chosen": pull,
        "gradient/rejected": push.sum(-1),
        "gradient/chosen_starved": (pull.abs() < STARVED * first_pull.abs()).float(),
        "gradient/rejected_starved": masked_mean(
            (push.abs() < STARVED * first_push.abs()).float(), negatives
        ),
        "mi/bound": objective.start(negatives) - losses,
        "examples": torch.ones_like(chosen),
    }

    if objective.anchored:
        mixes = [objective.mix_of(count) for count in negatives.sum(-1).tolist()]
        anchors = [mi.preference_anchor(mix) for mix in mixes]
        of_examples["anchor"] = torch.tensor(anchors, device=chosen.device)

    # of equal shapes in any case: a device need not say how many count
    sums = {name: values.double().where(counted, 0.0).sum() for name, values in of_examples.items()}
    return sums | {
        "weight": weights.sum(),
        "weight²": weights.square().sum(),
        "negatives": (negatives & counted.unsqueeze(-1)).sum().double(),
    }


def last_windows(windows: Sequence[dict[str, float]], examples: int) -> list[dict[str, float]]:
    """Return the fewest last windows (sums) that hold this many examples together; all of them if there are fewer.

    >>> [len(last_windows([{"examples": 8.0}] * 9, count)) for count in (8, 9, 1000)]
    [1, 2, 9]
    """
    held, first = 0.0, len(windows)
    while first and held < examples:
        first -= 1
        held += windows[first]["examples"]
    return list(windows[first:])


def window_metrics(objective: Objective, *windows: dict[str, float]) -> dict[str, float]:
    """Return the values that are logged for one window or several, from their sums."""
    sums = {name: math.fsum(window[name] for window in windows) for name in windows[0]}
    examples = sums.pop("examples")
    weight, square, count = (sums.pop(name) for name in ("weight", "weight²", "negatives"))
    values = {name: total / examples for name, total in sums.items()}
    if not objective.theory([math.ceil(count / examples)])["bounds"]:  # some hold for K = 1 alone
        del values["mi/bound"]
    if square > 0:
        values |= {"ess/negatives": weight**2 / square, "ess/fraction": weight**2 / square / count}

    common, margin = abs(values["movement/common"]), abs(values["movement/margin"])
    nat = 1 / values["tokens/chosen"] if objective.log_ratio == "mean" else 1.0  # of a response
    values["movement/drift"] = common / (nat + common + margin)
    if "anchor" in values:
        values["anchor/gap"] = values["rewards/chosen"] - values.pop("anchor")
        values |= derived_metrics(objective, values)

    return values


def derived_metrics(objective: Objective, values: Mapping[str, float]) -> dict[str, float]:
    """Return what the theorems on JS's loss say about these means.

    Theorem: mio_no_collapse, label_noise

    >>> values = {"rewards/chosen": math.log(2), "rewards/rejected": math.log(0.18), "loss": 2 * math.log(2)}
    >>> metrics = derived_metrics(Objective("js", mix=0.5), values)
    >>> [round(value, 4) for value in metrics.values()]  # ln 2 + 0.8545 from the lower end; 4 · 0.1 · 0.9 = 0.36
    [1.5477, 0.1064, 0.1]
    """
    if isinstance(objective.mix, str):
        return {}

    low, high = mi.no_collapse_interval(objective.mix)
    reward = values["rewards/chosen"]
    metrics = {
        "collapse/margin": min(reward - low, high - reward),
        "collapse/share": lost_share_bound(values["loss"], objective.mix),
    }
    if objective.mix == 0.5:  # noise moves the half-mix alone by nothing
        metrics["labels/noise"] = flipped_share(reward + values["rewards/rejected"])

    return metrics


def flipped_share(common: float) -> float:
    """Return the share of flipped labels at MIO's plateau, from the mean reward of both responses, added.

    A log's means go over what the *labels* call chosen and rejected. A share η of either has the other's plateau, and
    so the two means add up to ln 2(1 − η) + ln 2η.

    >>> plateaus = [math.log(2 * 0.9), math.log(2 * 0.1)]
    >>> means = [0.9 * plateaus[0] + 0.1 * plateaus[1], 0.9 * plateaus[1] + 0.1 * plateaus[0]]
    >>> round(flipped_share(sum(means)), 12)
    0.1
    """
    return (1 - math.sqrt(-math.expm1(min(common, 0.0)))) / 2


def lost_share_bound(loss: float, mix: float, lost: float = LOST_NATS) -> float:
    """Return the largest share of chosen responses with βz_w ≤ −`lost` that a mean JS loss allows.

    It is `theory.no_collapse_share`, kept between 0 and 1: 0 at a loss below the floor.

    >>> [round(lost_share_bound(2 * math.log(2), 0.5, lost), 4) for lost in (2.0, 5.0, 10.0)]
    [0.3492, 0.1064, 0.0477]
    """
    floor = mi.preference_loss_floor(mix)
    return min(1.0, float(no_collapse_share(lost, max(floor, loss), mix)))
