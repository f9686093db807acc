"""The report's section on who carries an estimator's gradient, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page

from ..rows import Row, of
from . import figures, tables


def section(page: Page, rows: list[Row]) -> None:
    """Put the effective sample size and the variance at the optimal critic on the page."""
    sizes, variances = of(rows, "EffectiveSampleSize"), of(rows, "GradientVariance")
    if sizes or variances:
        page.heading("Starvation of an estimator: who carries the gradient")

    if sizes:
        page.figure(
            "ess",
            figures.ess_figure(rows),
            """Effective sample size of the Donsker–Varadhan weights, the softmax of T = ln dP/dQ over M product pairs,
            as a share of M, for d independent pairs of unit Gaussians with information I in all. Line: the population
            value 1/(1 + χ²) = e^(−2I). Points: median and quartiles over repeats, set side by side. To see: the share
            falls exponentially, and a finite sample overstates it by orders of magnitude, having missed the tail that
            would carry the weight; no affordable M mends that at 4 nats. Judge the count, not the share.""",
        )
        page.table("ESS/M", tables.sample_sizes(rows), folded=True)

    if variances:
        spec = variances[0]["spec"]
        page.figure(
            "variance",
            figures.variance_figure(variances[0]),
            f"""Left: trace of the covariance of the minibatch gradient at the optimal critic, Gaussian law with d =
            {spec["dim"]}, N = {spec["batch"]} positives and as many independent negatives, {spec["repeats"]}
            minibatches (bars: two standard errors from ten groups). Critics ln dP/dQ + θ·(1, Σxy, Σ(x² − 1), Σ(y² −
            1)), sums divided by √d. Lines: NWJ, exact; DV, its large-N limit, which needs N ≫ e^(2I) and overshoots
            beyond, because self-normalised weights are bounded; JS, the bound (E_P‖∇T‖² + E_Q‖∇T‖²)/N. Right: N times
            the variance of the NWJ value, on its exact line. To see: NWJ's noise grows like e^(2I), until the
            minibatches no longer hold the pairs that cause it and it looks smaller than it is; JS's stays below a
            bound without an exponential. (DV's gradient in the constant direction is exactly zero, by shift
            invariance; NWJ's is not.)""",
        )
        page.table("Variance at the optimal critic", tables.variances(rows), folded=True)
