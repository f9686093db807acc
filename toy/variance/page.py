"""The report's section on the noise of the bounds, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page, Table, label

from ..rows import Row, of
from . import figures


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    exact, sampled, trained = (
        of(rows, kind) for kind in ("ExactNoise", "GaussianNoise", "TrainedNoise")
    )
    if not (exact or sampled or trained):
        return

    page.heading("Noise of the bounds: variance, signal and effective sample size")

    if exact:
        spec = exact[0]["spec"]
        n = spec["batches"][figures.middle(spec)]
        page.figure(
            "noise_exact",
            figures.exact_figure(exact[0]),
            f"""A symbol copied with probability {spec["copy"]:g}, else drawn anew, K = {spec["symbols"][0]} …
            {spec["symbols"][-1]}; N = {n} positives and as many independent negatives; points: all batches
            enumerated, no sampling. Values and gradients (in T on the diagonal and off it) at T = ln dP/dQ, SNR at T
            = {spec["scale"]:g} ln dP/dQ. Lines: NWJ, Var_P(ln r) + χ², exact (DV's limit for large N); e^I − 1, the
            least χ² (dotted); JS, {exact[0]["theory"]["js"]:.3f}, above N Var for every law, and 2 for the gradient;
            the α-relative law (α = {spec["mix"]:g}), its large-N limit; ESS/M: 1/(1 + χ²). To see: on this law, whose
            r is nearly one number on P, the noise of NWJ lies within a factor of 1.6 of the floor e^I − 1. DV is
            noisier than NWJ where χ² is near N, and below it only where the batches miss the diagonal and bias takes
            the place of variance (table). There ESS/M rises, and overstates the population's. JS and the α-relative
            law stay low, and with NWJ have the clearest signal on the way.""",
        )

    if sampled:
        spec = sampled[0]["spec"]
        n = spec["batches"][figures.middle(spec)]
        page.figure(
            "noise_gaussian",
            figures.gaussian_figure(sampled[0]),
            f"""{spec["dim"]} pairs of normals, N = {n} positives and as many independent negatives, {spec["repeats"]}
            batches, T = ln dP/dQ (SNR: {spec["scale"]:g} ln dP/dQ); bars: two standard errors from ten groups.
            Gradients in θ of T + θ·(1, Σxy, Σ(x² − 1), Σ(y² − 1)), sums divided by √d. Lines: NWJ, exact, which is
            DV's limit for N ≫ e^(2I) in the first panel; JS's bounds; dotted, e^I − 1; ESS/M: e^(−2I). To see: here
            χ² = e^(2I) − 1, far above the floor. From 2 nats on NWJ's sampled variance falls short of its exact one,
            being a mean over events that {spec["repeats"]} batches do not hold: a small sample variance does not mean
            a small variance. JS and the α-relative law lose noise as I grows, and the α-relative one its signal as
            well; half-way, where e^T is still light-tailed, NWJ has the clearest signal. A batch's own ESS/M
            overstates the population's more and more.""",
        )

    if exact and sampled:
        page.figure(
            "noise_scaling",
            figures.scaling_figure(exact[0], sampled[0]),
            """Exponent s of Var ∝ N^s, value at T = ln dP/dQ, against I. Left: the enumerated law, least squares over
            all N (bars: 95 % interval of the fit, which shows curvature, not noise). Right: the Gaussian law (bars:
            95 % interval over ten groups). Line: −1, exact for NWJ and JS. To see: JS keeps −1 everywhere, the
            α-relative law within 0.2 of it. DV, SMILE and InfoNCE have it while N ≫ χ². Where N is near χ², DV's is
            steeper on the copied symbol; beyond, a larger batch meets more of the tail, and their variance falls more
            slowly or even grows. NWJ's sampled exponent misses its exact −1 at high information, with wide intervals:
            the tail again.""",
        )

        page.table(
            "Exponents of the value's variance in N, with 95 % intervals",
            exponents(exact[0], sampled[0]),
        )

    if exact:
        page.table(
            "Bias of the value at T = ln dP/dQ, nats, all batches enumerated",
            biases(exact[0]),
            folded=True,
        )

    if trained:
        spec, theory = trained[0]["spec"], trained[0]["theory"]
        page.figure(
            "noise_training",
            figures.training_figure(trained[0]),
            f"""Critics θ·(1, Σxy, Σ(x² − 1), Σ(y² − 1)) trained from 0 by JS on {spec["dim"]} pairs of normals with
            {spec["nats"]:g} nats, plain gradient steps on batches of {spec["batch"]}; at each checkpoint all bounds
            are read from the same critic on {spec["probes"]} fresh batches, all other pairs of a batch its negatives;
            medians of {spec["replicas"]} replicas. Values: dashed I. Variance of the value: line, NWJ's exact one at
            T = ln dP/dQ, {theory["nwj_variance"]:.3g}. SNR of the minibatch gradient. ESS of the negatives' e^T as a
            share (circles; line: population, e^(−2I)) and the share that carries each gradient. To see: the better
            the critic, the fewer negatives carry DV's and NWJ's gradient; InfoNCE keeps twice their share and JS a
            third of all. Signals fall towards the optimum, where there is none: without a signal the mean of
            {spec["probes"]} batches still has an SNR of 1/√{spec["probes"]}. SMILE's does not fall there: its
            gradient is not 0 at ln dP/dQ.""",
        )


def exponents(exact: Row, sampled: Row) -> Table:
    """One line for each law and bound."""
    body = []
    for law, row in (("copied symbol", exact), ("Gaussian", sampled)):
        nats, slopes = figures.slopes_of(row)
        picks = sorted({0, len(nats) // 2, len(nats) - 1})
        for name, pairs in slopes.items():
            cells = [f"{nats[k]:.2f} nats: {pairs[k][0]:.2f} ± {pairs[k][1]:.2f}" for k in picks]
            body.append((law, label(name), *cells, *[""] * (3 - len(cells))))

    return Table(("law", "bound", "low I", "middle", "high I"), body)


_OF_INFORMATION = ("dv", "nwj", "infonce", "smile")  # those whose value is read as I itself


def biases(row: Row) -> Table:
    """Bias of every read-out of I at every N and I."""
    body = []
    for name in _OF_INFORMATION:
        for k, n in enumerate(row["spec"]["batches"]):
            cells = [f"{line[k]:+.3f}" for line in row["measured"]["bias"][name]]
            body.append((label(name), f"{n}", *cells))
    return Table(("bound", "N", *(f"I = {nats:.2f}" for nats in row["theory"]["nats"])), body)
