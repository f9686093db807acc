"""`MIEstimate`: a number in nats with its error, its interval, its verdict, and the report in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .table import Estimator


@dataclass(frozen=True, kw_only=True)
class MIEstimate:
    """A held-out estimate of mutual information; print it for the report.

    Attributes:
        nats: the reported read-out, averaged over the folds' held-out rows.
        stderr: its standard error given the trained critics (infinitesimal jackknife over rows), in nats.
        interval: 95 %, from nats − 1.96 stderr to nats + 1.96 stderr + shortfall. The shortfall is what critics trained
            on this many rows are expected to miss, the largest of three estimates. (1) The gap between training and
            held-out rows: to first order, a critic reads held-out rows as much too low as it reads its training rows
            too high (Akaike). (2) The error of the copula anchor, r (dx + dy − r)/(2n) at rank r. The gap hardly shows
            it, because the correlations are measured out of fold. (3) The learning curve, if a network was kept: the
            critic is trained once more, on half the rows. If what a critic misses falls as n^(−½), the full critic
            still misses 1/(√2 − 1) = 2.4 times the difference between the two. The upper end is at least that of the
            nearest-neighbour estimate. The interval does not cover dependence that no critic of the class can see.
        estimator: the row of `ESTIMATORS` that was used.
        verdict: "ok"; or "nothing_found" if the value is not above its noise (this is no evidence of independence); or
            the first reason not to believe the number: "dependent_rows", "repeated_rows", "low_ess", "ceiling",
            "drift", "overfit", "anchor_misfit", "disagreement".
        readouts: every read-out of the same scores by name, in nats.
        history: for each fold a list with one dict per evaluation: `step`; the objective on the batch (`train`) and on
            the validation rows (`validation`); from the second step on `gradient_snr`, and `noise_scale` in rows.
        diagnostics: the numbers behind the verdict.
        warnings: the reasons in words, and notes on how the rows were read.
    """

    nats: float
    stderr: float
    interval: tuple[float, float]
    estimator: Estimator
    verdict: str
    readouts: dict[str, float] = field(repr=False)
    history: list[list[dict[str, float]]] = field(repr=False)
    diagnostics: dict[str, float] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        low, high = self.interval
        kind = {
            "lower": "a lower bound of I",
            "upper": "an upper bound of I",
            "neither": "not a bound of I",
        }
        d = self.diagnostics
        others = ", ".join(
            f"{k} {v:.3f}" if abs(v) < 1e6 else f"{k} {v:.2g}" for k, v in self.readouts.items()
        )
        lines = [
            f"{self.nats:.3f} nats, 95 % [{low:.3f}, {high:.3f}]  ({self.estimator.name}, held out,"
            f" {kind[self.estimator.kind]})",
            f"verdict: {self.verdict}",
            *(f"  {text}" for text in self.warnings),
            f"read-outs of the same scores: {others}",
            f"effective sample size {d['effective_sample_size']:.1f} of {d['negatives']:.0f} negatives"
            f" ({d['effective_sample_fraction']:.2g}), Pareto k {d['pareto_k']:.2f}, ln Z {d['log_normaliser']:+.3f}",
            f"training rows read {d['train_gap']:+.3f} above held-out rows; folds differ by {d['fold_spread']:.3f}",
        ]
        if "ksg" in d:
            lines.append(f"KSG (k = 3 nearest neighbours): {d['ksg']:.3f}")
        lines.append(
            f"nats / ln K = {self.nats / math.log(d['candidates']):.2f},"
            f" nats / (½ ln n) = {2 * self.nats / math.log(d['held_out_rows']):.2f}"
        )
        return "\n".join(lines)
