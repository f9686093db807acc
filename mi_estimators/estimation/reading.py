"""Reading one critic: the value of its held-out scores, its variance, every other read-out, statistics of negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..bounds.expectation import log_mean_exp
from ..diagnostics.tails import pareto_k
from ..diagnostics.weights import effective_sample_size
from .table import READOUTS, Estimator


@dataclass(frozen=True)
class Reading:
    """One critic's readings on the rows of one fold: value, variance, and statistics of its negatives.

    `slope` is by what the scores would be multiplied to become the log-ratio of these rows, to first order, with its
    standard error.
    """

    rows: int
    value: float
    variance: float
    seen: float
    readouts: dict[str, float]
    ess: float
    negatives: int
    candidates: int
    log_normaliser: float
    pareto_k: float
    slope: tuple[float, float]


def read(
    row: Estimator,
    held: tuple[Float[Tensor, " n"], Float[Tensor, "n k"]],
    seen: tuple[Float[Tensor, " m"], Float[Tensor, "m k"]] | None = None,
    clusters: Tensor | None = None,
) -> Reading:
    """Read a critic's scores of held-out rows, and of rows it was trained on.

    The variance is the infinitesimal jackknife: the influence of a row is the derivative of the value with respect to
    its weight. A row counts as a positive and in all its negative pairs. `clusters` labels the rows; those of one
    cluster count as one draw.

    Reference: Efron 1982, chapter 6; Giordano et al. 2019.
    """
    joint, product = _finite(held)
    n, k = product.shape
    reported, influence = influences(row, (joint, product))
    if clusters is not None:
        labels = clusters[:n].to(influence.device)
        sums = influence.new_zeros(int(labels.max()) + 1)
        influence = sums.index_add(0, labels, influence)

    with torch.no_grad():
        flat = product.flatten()
        others = {name: bound for name, bound in READOUTS.items() if bound is not row.reported}
        return Reading(
            rows=n,
            value=reported,
            variance=float((influence**2).sum()),
            seen=math.nan if seen is None else value_of(row, seen),
            readouts=dict.fromkeys(READOUTS, reported)
            | {n: float(b(joint, product)) for n, b in others.items()},
            ess=float(effective_sample_size(flat)),
            negatives=len(flat),
            candidates=k + 1,
            log_normaliser=float(log_mean_exp(flat)),
            pareto_k=pareto_k(flat),
            slope=slope_of(joint, product),
        )


def slope_of(joint: Float[Tensor, " n"], product: Float[Tensor, "n k"]) -> tuple[float, float]:
    """Return the factor on scores that best tells pairs from products, by one step of Newton's, and its standard error.

    It is 1 at the log-ratio, where E_P σ(−T) T = E_Q σ(T) T.

    >>> from mi_estimators import laws
    >>> law = laws.Gaussian(0.8)
    >>> x, y = law.sample(4000, torch.Generator().manual_seed(0))
    >>> scores = law.log_ratio(x, y), law.log_ratio(x, y.roll(1, 0))[:, None]
    >>> [round(slope_of(scale * scores[0], scale * scores[1])[0], 1) for scale in (0.5, 1.0)]
    [1.6, 1.0]
    """
    pull = (joint * (-joint).sigmoid(), (product * product.sigmoid()).mean(1))
    bend = (joint**2 * joint.sigmoid() * (-joint).sigmoid()).mean()
    bend = bend + (product**2 * product.sigmoid() * (-product).sigmoid()).mean()
    steps = (pull[0] - pull[1]) / bend.clamp(min=1e-300)
    return 1 + float(steps.mean()), float(steps.std()) / math.sqrt(len(steps))


def influences(
    row: Estimator, scores: tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]
) -> tuple[float, Float[Tensor, " n"]]:
    """Return what an estimator reports from scores, and each row's influence on it, shape (n,): they sum to 0."""
    joint, product = scores
    n, k = product.shape

    log_weights = joint.new_zeros(n).requires_grad_()
    with torch.enable_grad():
        grouped = log_weights.view(-1, k + 1)
        own = torch.eye(k + 1, dtype=torch.bool, device=joint.device)
        pairs = grouped.unsqueeze(-1) + grouped.unsqueeze(-2)
        pairs = pairs[:, ~own].view(n, k)
        value = row.reported(joint, product, log_weights.log_softmax(-1), pairs)
        (influence,) = torch.autograd.grad(value, log_weights)

    return float(value.detach()), influence


def value_of(row: Estimator, scores: tuple[Tensor, Tensor]) -> float:
    """Return what an estimator reports from scores, in nats."""
    return float(row.reported(*_finite(scores)))


def _finite(scores: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return scores if they are finite."""
    if not all(bool(torch.isfinite(part).all()) for part in scores):
        raise ValueError(
            "x, y: expected rows on which the critic's scores are finite, got overflow; lower learning_rate"
        )
    return scores
