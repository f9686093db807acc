"""`MIEstimate`: a number in nats with its error, its interval, its verdict, the report in words and in pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from ..display.files import strict
from ..display.readings import readings_svg
from ..display.style import BLUE, RED
from .table import Estimator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VALUE = "estimate"  # its name beside those of the read-outs
_UNFLAGGED = ("ok", "nothing_found")
_KINDS = {
    "lower": "a lower bound of I",
    "upper": "an upper bound of I",
    "neither": "not a bound of I",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class MIEstimate:
    """A held-out estimate of mutual information; print it for the report.

    Attributes:
        nats: the value, as its expert reads it. Estimators read by `bridge`, "js" and "relative", report a best guess:
            the critics' value half-way between held-out and training rows. To first order a critic reads held-out rows
            as much too low as it reads its training rows too high (Akaike). It is the nearest neighbours' value if they
            read clearly more, and that of counts where their tables are full. All other estimators report critics on
            held-out rows alone.
        stderr: its standard error given the trained critics (infinitesimal jackknife over rows), in nats.
        interval: 95 %, from 1.96 stderr below the held-out value to 1.96 stderr above it, and further up by the
            shortfall: what critics trained on this many rows are expected to miss. The shortfall is the largest of
            (1) the gap between training and held-out rows;
            (2) the error of the copula anchor, r (dx + dy − r)/(2n) at rank r, which the gap hardly shows, since the
            correlations are measured out of fold;
            (3) 1/(√2 − 1) = 2.4 times what a critic trained on half the rows reads less: if that falls as n^(−½), so
            much is still missing;
            (4) 5 % of the value, unless a copula alone carries it, as measured on the laws of `benchmarks/estimators`.
            Where the steps ended training, twice what the last third of them gave is added.
            The upper end is at least that of nearest neighbours. It is open where the critics may miss any amount.
            The interval does not cover dependence that no expert can see.
        estimator: the row of `ESTIMATORS` that was used.
        expert: what carries the value: "network"; "copula" or "additive", an anchor alone; "classifier" (of a label);
            "neighbours"; "counts"; or "critics" where fresh rows were read.
        verdict: "ok"; or "nothing_found" if the value is not above noise (this is no evidence of independence); or
            the first reason not to believe the number: "dependent_rows", "repeated_rows", "low_ess", "ceiling",
            "drift", "overfit", "anchor_misfit", "unfinished", "disagreement".
        readouts: every read-out of the same scores by name, in nats.
        history: for each fold a list with one dict per evaluation: `step`; the objective on the batch (`train`) and on
            the validation rows (`validation`); from the second step on `gradient_snr`, and `noise_scale` in rows.
        diagnostics: the numbers behind the verdict.
        warnings: the reasons in words, and notes on how the rows were read.
        scores: a sample of at most 2000 held-out scores of joint pairs and as many of product pairs, in nats; None if
            there is none. Two estimates that differ in it alone are equal.
    """

    nats: float
    stderr: float
    interval: tuple[float, float]
    estimator: Estimator
    expert: str
    verdict: str
    readouts: dict[str, float]
    history: list[list[dict[str, float]]]
    diagnostics: dict[str, float]
    warnings: tuple[str, ...] = ()
    scores: tuple[Float[Tensor, " n"], Float[Tensor, " m"]] | None = field(
        default=None, compare=False
    )

    @property
    def bits(self) -> float:
        """The value in bits: nats / ln 2."""
        return self.nats / math.log(2)

    @property
    def flagged(self) -> bool:
        """Whether the verdict gives a reason not to believe the number."""
        return self.verdict not in _UNFLAGGED

    def to_dict(self) -> dict[str, Any]:
        """Return all but the scores as plain data that strict JSON can hold: null for each number that is not finite.

        So an upper end of null is open.
        """
        return strict(
            {
                "nats": self.nats,
                "bits": self.bits,
                "stderr": self.stderr,
                "interval": self.interval,
                "estimator": self.estimator.name,
                "expert": self.expert,
                "verdict": self.verdict,
                "warnings": self.warnings,
                "readouts": self.readouts,
                "diagnostics": self.diagnostics,
                "history": self.history,
            }
        )

    def plot(self) -> Figure:
        """Draw the training of each fold, the read-outs with the interval, and the scores; needs matplotlib.

        Returns:
            A matplotlib figure: a notebook shows it, and its `savefig` writes it.
        """
        from ..display.panels import estimate_figure

        return estimate_figure(self.history, self._readings(), self.interval, _VALUE, self.scores)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return f"MIEstimate({self._headline()}, {self.estimator.name}, {self.verdict})"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def to_html(self) -> str:
        """Return the report and a picture of the read-outs, as a notebook shows them."""
        tint = RED if self.flagged else BLUE
        picture = readings_svg(self._readings(), self.interval, _VALUE, tint)
        report = escape(str(self))
        return f'<div>{picture}<pre style="white-space:pre-wrap">{report}</pre></div>'

    def _headline(self) -> str:
        return f"{self.nats:.3f} nats, 95 % {interval_text(self.interval)}"

    def _readings(self) -> dict[str, float]:
        """Return the value, every read-out, and the nearest-neighbour estimate where there is one."""
        ksg = {"ksg": self.diagnostics["ksg"]} if "ksg" in self.diagnostics else {}
        return {_VALUE: self.nats, **self.readouts, **ksg}

    def _lines(self) -> list[str]:
        """Return the report line by line."""
        d = self.diagnostics
        others = ", ".join(
            f"{k} {v:.3f}" if abs(v) < 1e6 else f"{k} {v:.2g}" for k, v in self.readouts.items()
        )
        flows = int(d.get("flows", 0))
        behind = f", {flows} of 2 sides behind a flow to normal rows" if flows else ""

        lines = [
            f"{self._headline()}  ({self.estimator.name}, {_KINDS[self.estimator.kind]})",
            f"verdict: {self.verdict}",
            *(f"  {text}" for text in self.warnings),
            f"expert: {self.expert}{behind}; its critics read {d['held_out']:.3f} nats on held-out rows",
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

        return lines


def interval_text(interval: tuple[float, float]) -> str:
    """Return an interval as text, an end that is not known as "open".

    >>> interval_text((0.4, 0.5)), interval_text((0.4, math.inf))
    ('[0.400, 0.500]', '[0.400, open)')
    """
    low, high = interval
    left = f"[{low:.3f}" if math.isfinite(low) else "(open"
    right = f"{high:.3f}]" if math.isfinite(high) else "open)"
    return f"{left}, {right}"
