"""A law whose batches are two counts. Symbols are one of K, equally likely; y is x with probability w, else drawn anew.

The log-ratio has one value on the region A = {x = y}, of mass Q(A) = ε = 1/K, and another off it. So a critic of two
numbers, T on A and T off A, is general. A bound's value on a batch is its exact value with the batch's shares in and
off A as weights: all batches can be enumerated, and a batch can be drawn by its counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import _validate
from mi_estimators.bounds.variational import infonce_rows

# They bound other divergences than KL(P‖Q) and say nothing of I; the noise of chi2 would set the scale of every panel.
_OTHERS = ("reverse_kl", "chi2", "hellinger2")

BOUNDS = (*(name for name in mi.BOUNDS if name not in _OTHERS), "infonce", "smile", "relative")
"""The bounds whose noise and starvation the lab shows: a new row of the library is among them."""


@dataclass(frozen=True)
class TwoLevel:
    """The law with `symbols` = K and `copy` = w. Tensors have the shape (2,): in A, off A; float64.

    >>> law = TwoLevel(4, 0.6)
    >>> round(law.mutual_information, 6), round(law.table().mutual_information, 6)
    (0.445846, 0.445846)
    """

    symbols: int
    copy: float

    def __post_init__(self) -> None:
        _validate.count("symbols", self.symbols, low=2)
        _validate.number("copy", self.copy, low=0, high=1)

    @property
    def region(self) -> float:
        """Q(A) = ε = 1/K."""
        return 1 / self.symbols

    @property
    def hit(self) -> float:
        """P(A) = w + (1 − w)ε."""
        return self.copy + (1 - self.copy) / self.symbols

    @property
    def log_p(self) -> Tensor:
        """ln P of A and of its complement."""
        return _pair(self.hit).log()

    @property
    def log_q(self) -> Tensor:
        """ln Q of A and of its complement."""
        return _pair(self.region).log()

    @property
    def log_ratio(self) -> Tensor:
        """ln dP/dQ on A and off it."""
        return self.log_p - self.log_q

    @property
    def mutual_information(self) -> float:
        """I = E_P ln dP/dQ, in nats."""
        return float(mi.mean(self.log_ratio, self.log_p))

    @property
    def chi2(self) -> float:
        """χ²(P‖Q) = E_P r − 1."""
        return float(mi.mean(self.log_ratio.exp(), self.log_p)) - 1

    def gap(self, critic: Tensor) -> Tensor:
        """Return I − DV(T) = KL(P‖Q_T) of a critic (..., 2) on the law itself, in nats: the same measure for all."""
        return self.mutual_information - mi.dv(critic, critic, self.log_p, self.log_q)

    def table(self) -> mi.laws.Finite:
        """Return the law as a table of K × K cells."""
        joint = torch.full(
            (self.symbols,) * 2,
            (1 - self.copy) / self.symbols**2,
            dtype=torch.float64,
        )

        return mi.laws.Finite(
            joint.add(torch.eye(self.symbols, dtype=torch.float64) * self.copy / self.symbols).log()
        )


def _pair(share: float) -> Tensor:
    return torch.tensor([share, 1 - share], dtype=torch.float64)


def log_shares(hits: Tensor, size: int) -> Tensor:
    """Return the log-shares (..., 2) in and off A of a batch of `size` with `hits` (...) in A."""
    return torch.stack([hits, size - hits], -1).double().div(size).log()


def batches(
    size: int,
    share: float,
    least: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return `log_shares` (b, 2) and chances (b,) of all batches of `size` draws, each in A with probability `share`.

    Counts with a chance below `least` are left out.

    >>> [round(chance, 6) for chance in batches(2, 0.5)[1].tolist()]  # no hit, one, two
    [0.25, 0.5, 0.25]
    """
    hits = torch.arange(size + 1, dtype=torch.float64)
    size_log = torch.lgamma(torch.tensor(size + 1.0, dtype=torch.float64))
    log_ways = size_log - torch.lgamma(hits + 1) - torch.lgamma(size - hits + 1)
    chance = (log_ways + hits * math.log(share) + (size - hits) * math.log1p(-share)).exp()
    kept = chance >= least
    return log_shares(hits[kept], size), chance[kept]


def batches_of(shares: list[float], size: int) -> tuple[Tensor, Tensor]:
    """Return `batches` of several shares: shapes (shares, size + 1, 2) and (shares, size + 1)."""
    logs, chance = zip(*(batches(size, share) for share in shares), strict=True)
    return torch.stack(logs), torch.stack(chance)


def value(
    bound: str,
    joint: Tensor,
    product: Tensor,
    log_p: Tensor,
    log_q: Tensor,
    negatives: int,
    mix: float,
) -> Tensor:
    """Return a bound's value (...) on batches that are given by their log-shares in and off A.

    Args:
        bound: one of `BOUNDS`; "relative" is DV against the α-relative product law.
        joint, product: the critic T ≈ ln dP/dQ in and off A, shape (..., 2), for the positives and for the negatives.
        log_p, log_q: log-shares of the positives and of the negatives, shape (..., 2).
        negatives: number of negatives; InfoNCE compares each positive with all of them.
        mix: α of "relative".

    >>> law = TwoLevel(2, 0.5)
    >>> best = value("dv", law.log_ratio, law.log_ratio, law.log_p, law.log_q, negatives=64, mix=0.9)
    >>> round(best.item(), 6), round(law.mutual_information, 6)  # DV is tight at ln dP/dQ
    (0.130812, 0.130812)
    """
    _validate.choice("bound", bound, BOUNDS)
    if bound == "relative":
        scores = (mi.bounds.log_ratio_to_relative(scores, mix) for scores in (joint, product))
        return mi.bounds.relative(mi.dv, mix)(*scores, log_p, log_q)
    if bound == "infonce":
        total = math.log(negatives + 1)
        own = torch.full_like(log_q[..., :1], -total)
        candidates = torch.cat([own, log_q + math.log(negatives) - total], -1).unsqueeze(-2)
        rows = infonce_rows(
            joint,
            product.unsqueeze(-2).expand(*product.shape, 2),
            candidates,
        )
        return mi.mean(rows, log_p)

    return (mi.smile if bound == "smile" else mi.BOUNDS[bound])(
        joint, product, log_p=log_p, log_q=log_q
    )


def mean_ess(law: TwoLevel, size: int) -> float:
    """Return the exact mean of ESS/M over all batches of M = `size` negatives, at T = ln dP/dQ.

    As M grows it falls to 1/(1 + χ²) (theorem ess_law).

    >>> law = TwoLevel(2, 0.5)  # r is 3/2 or 1/2: two negatives are alike, or (3/2 + 1/2)²/(2·(9/4 + 1/4)) = 4/5
    >>> [round(mean_ess(law, size), 6) for size in (1, 2)], round(1 / (1 + law.chi2), 6)
    ([1.0, 0.9], 0.8)
    """
    log_q, chance = batches(size, law.region)
    return float(chance @ (1 - mi.starvation_index(law.log_ratio.expand_as(log_q), log_q)))
