"""The losses of the sweep at matched first gradients, and the rules that say who collapses."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import mi_estimators as mi

from ...models.training import descend

ALPHA, HINGE = 0.9, 5.0
"""α of α-MIO; weight of DPOP's hinge (the paper has 50, whose pull below 0 would be 51 times DPO's)."""
TOLERANCE = 0.05  # nats
_POINTS = 40


def _cell(
    bound: str,
    mix: float,
    chosen: Tensor,
    rejected: Tensor,
    beta: Tensor,
) -> Tensor:
    return mi.preference_loss(beta * chosen, beta * rejected, bound=bound, mix=mix)


def _with_sft(chosen: Tensor, rejected: Tensor, beta: Tensor) -> Tensor:
    # This weight is at first as strong as DPO's own pull on z_w.
    return mi.preference.dpo_sft(chosen, rejected, beta, weight=beta / 2)


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dpo": partial(_cell, "dv", 0.5),
    "ipo": mi.preference.ipo,
    "mio": partial(_cell, "js", 0.5),
    "alpha_mio": partial(_cell, "js", ALPHA),
    "bce": partial(_cell, "js", 1.0),
    "kto": mi.preference.kto,
    "cal_dpo": mi.preference.cal_dpo,
    "dpop": partial(mi.preference.dpop, weight=HINGE),
    "dpo_sft": _with_sft,
}
"""Name → loss (z_w, z_l, β), log-ratios of shape (replicas, pairs), β of shape (replicas, 1)."""


def repeat(tensor: Tensor, times: int) -> Tensor:
    """Return `times` copies one after another in the first dimension."""
    return tensor.repeat(times, *[1] * (tensor.dim() - 1))


def intervals() -> dict[str, float]:
    """Return the JS family's lower end of the mean βz_w while the loss is at most its start; the others have none.

    Theorem: mio_no_collapse

    >>> {name: round(end, 6) for name, end in intervals().items()}  # bce: −ln 3
    {'mio': -0.854527, 'alpha_mio': -1.058704, 'bce': -1.098612}
    """
    return {
        name: mi.no_collapse_interval(mix)[0]
        for name, mix in (("mio", 0.5), ("alpha_mio", ALPHA), ("bce", 1.0))
    }


def matched_scale(name: str, beta: Tensor) -> Tensor:
    """Return the factor that makes the gradient in (z_w, z_l) of a pair at z = 0 as long as (−½, ½), shape of β.

    Theorem: matched_gradients

    >>> [round(matched_scale(name, torch.tensor([0.1])).item(), 4) for name in ("dpo", "mio")]  # 1/β and 2/β
    [10.0, 20.0]
    """
    zero = torch.zeros(2, *beta.shape, dtype=beta.dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[name](zero[0], zero[1], beta).sum(), zero)
    return math.sqrt(0.5) / gradient.square().sum(0).sqrt()


def verdict(curve: list[float]) -> str:
    """Return what a curve of the mean chosen log-ratio does, by these rules in this order.

    diverges: not finite at the end; holds: never below −0.05 nats; reverses: regains at least half of what it lost;
    drifts: falls by more than 0.05 nats over the last quarter of the steps; sinks: fell and stands still.

    >>> verdict([0.0, -1.0, -0.5]), verdict([0.0, -1.0, -0.6, -0.6])
    ('reverses', 'sinks')
    """
    end = curve[-1]
    if not all(map(math.isfinite, curve)):
        return "diverges"

    lowest = min(curve)
    if lowest >= -TOLERANCE:
        return "holds"
    if end - lowest >= -lowest / 2:
        return "reverses"

    return "drifts" if curve[-1 - len(curve) // 4] - end > TOLERANCE else "sinks"


def train(
    name: str,
    log_ratios: Callable[[list[Tensor]], tuple[Tensor, Tensor]],
    parameters: list[Tensor],
    settings: list[tuple[float, float]],
    steps: int,
) -> tuple[list[dict], list[Tensor]]:
    """Descend one loss from the base policy at every setting (β, learning rate) and replica at once.

    Args:
        name: a key of `LOSSES`.
        log_ratios: parameters → z_w and z_l, (settings · replicas, pairs) each; settings run slowest.
        parameters: of the base policy, first dimension settings · replicas.
        settings: pairs (β, η); η multiplies the matched loss.
        steps: number of descent steps.

    Returns:
        A summary for each setting, and the last parameters. A replica whose log-ratios overflow is left alone.
    """
    replicas = len(parameters[0]) // len(settings)
    beta, rate = (
        torch.tensor(column).repeat_interleave(replicas)[:, None]
        for column in zip(*settings, strict=True)
    )
    scale = matched_scale(name, beta) * rate
    lowest = torch.zeros(len(beta))
    lowest_below = torch.zeros(len(beta))
    curves = []
    zero = torch.zeros(len(beta), 1)
    start = (scale * LOSSES[name](zero, zero, beta)).squeeze(-1)
    every = max(1, steps // _POINTS)

    def loss(p: list[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        z_w, z_l = log_ratios(p)
        finite = (z_w.isfinite() & z_l.isfinite()).all(-1, keepdim=True)
        safe_w, safe_l = (torch.where(finite, z, 0.0) for z in (z_w, z_l))
        return (scale * LOSSES[name](safe_w, safe_l, beta)).mean(-1), (z_w.detach(), z_l.detach())

    def observe(step: int, losses: Tensor, details: tuple[Tensor, Tensor]) -> None:
        z_w, z_l = details
        mean = z_w.mean(-1)
        torch.minimum(lowest, mean, out=lowest)
        below = losses <= start + 1e-6 * start.abs()
        torch.minimum(lowest_below, torch.where(below, mean, 0.0), out=lowest_below)
        if step % every == 0 or step == steps:
            means = [mean, z_l.mean(-1), (z_w < 0).float().mean(-1), (z_w > z_l).float().mean(-1)]
            curves.append((step, torch.stack(means)))

    last = descend(loss, parameters, steps, 1.0, observe)
    points = torch.stack([values for _, values in curves]).unflatten(-1, (-1, replicas))
    medians = points.median(-1).values  # of (points, quantities, settings, replicas)
    lowest, lowest_below = (part.view(-1, replicas) for part in (lowest, lowest_below))

    return [
        {
            "beta": beta,
            "rate": rate,
            "step": [step for step, _ in curves],
            "z_chosen": medians[:, 0, k].tolist(),
            "z_rejected": medians[:, 1, k].tolist(),
            "final": points[-1, 0, k].tolist(),
            "lowest": lowest[k].tolist(),
            "lowest_below_start": lowest_below[k].tolist(),
            "fallen": points[-1, 2, k].tolist(),
            "accuracy": points[-1, 3, k].tolist(),
            "verdict": verdict(medians[:, 0, k].tolist()),
        }
        for k, (beta, rate) in enumerate(settings)
    ], last


def tuned(settings: list[dict]) -> dict:
    """Choose the setting with the best mean gain on even replicas and return its gains on the odd ones.

    Every setting's "gain" is a list over replicas; one with a value that is not finite cannot be chosen.
    """
    best = max(
        settings, key=lambda s: torch.tensor(s["gain"][0::2]).mean().nan_to_num(-math.inf).item()
    )
    gains = torch.tensor(best["gain"][1::2])
    error = float(gains.std() / math.sqrt(len(gains))) if len(gains) > 1 else math.nan

    return {
        **{key: best[key] for key in ("beta", "rate", "verdict")},
        "gain": float(gains.mean()),
        "stderr": error,
        "z_chosen": best["z_chosen"][-1],
        "held_out": gains.tolist(),
    }
