"""The report: what each experiment was, what it found, and what theory says, from rows alone."""

from __future__ import annotations

from pathlib import Path

from . import logs, plots, starvation_plots, tables
from .page import Page
from .rows import Row, of
from .summary import summary

FILE = "report.html"


def build(rows: list[Row], folder: Path) -> Path:
    """Write report.html and the figures of these rows, and of what other rooms left in the folder; return its path.

    Raises:
        ValueError: a folder with nothing to report.
    """
    page = Page("What mutual-information bounds and preference losses do")
    if rows:
        _lab(page, rows)
    _other_rooms(page, folder)
    if not page.parts:
        raise ValueError(f"out: expected rows or runs in {folder}, got none; run `python -m toy demo` first")
    page.write(folder / FILE)
    return folder / FILE


def _lab(page: Page, rows: list[Row]) -> None:
    versions = sorted({", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows})
    seconds = sum(row["seconds"] for row in rows)
    page.text(
        """Small exact experiments, every number beside the theory's. Information in nats; time in units of learning
        rate × step."""
    )
    page.text(
        f"""{len(rows)} experiments of the {rows[0]["suite"]} suite, seed {rows[0]["seed"]}, {seconds:.0f} s of
        computing; {"; ".join(versions)}.""",
        soft=True,
    )
    if rows[0]["suite"] == "quick":
        page.text("A quick run: its numbers are rough, and the captions say what the full suite shows.")
    page.table("The main numbers", summary(rows))
    for section in (_escape, _collapse, _starvation, _estimate):
        section(page, rows)


def _escape(page: Page, rows: list[Row]) -> None:
    if not of(rows, "EscapeFlow"):
        return
    page.heading("Starvation of a policy: how long from ε to ½")
    page.text(
        """A softmax policy over two responses gives the correct one the probability ε. How long until it is ½?
        On-policy RLHF must first draw what it is to reinforce and needs a time like 1/ε. The other losses are handed
        the correct answer: DPO needs ε^(−β), likelihood on the chosen a logarithm, and MIO may stop short, at its
        anchor."""
    )
    samples = of(rows, "EscapeSampled")
    diamonds = ""
    if samples:
        spec = samples[0]["spec"]
        diamonds = f"""Open diamonds: policy gradient with {spec["samples"]} sampled answers a step, their mean reward
        as baseline, learning rate {spec["learning_rate"]:g}; median and quartiles of {spec["replicas"]} runs. Their
        time is step × learning rate, comparable to the flow's as long as one step moves the logits little."""
    page.figure(
        "escape",
        plots.escape_figure(rows),
        f"""Time until p(correct) = ½ for a two-response softmax policy that starts at ε (harder to the right; both
        axes logarithmic). Lines: closed forms. Points: gradient flow in the logits, integrated with the gradient that
        automatic differentiation takes of the library's own loss. {diamonds} Open points in the tinted band: MIO (α =
        ½) comes to rest below ½ and never arrives. Compare slopes, not heights: the losses differ in the scale of
        their gradient (DPO's first one is proportional to β), which an adaptive optimiser would divide out. To see:
        RLHF's slope is 1, by exact flow and by sampling alike, and so is DPO's at β = 1; at smaller β DPO's bends
        towards β; SFT's goes to 0.""",
    )
    page.table("Exponent of the escape time in 1/ε, fitted over ε ≤ 0.01", tables.exponents(rows))
    page.text(
        """Steps of finite size lengthen the sampled escape, most at large ε, which flattens its slope.
        Flow points are deterministic: their interval shows how far the curve is from a power law, not noise. At β =
        0.1 the limit is far off at ε = 1e-6, where ε^(−β) is still only 4; the closed form has the whole curve, and is
        met."""
    )
    page.table("All escape times", tables.escape_times(rows), folded=True)
    arms = sorted({row["spec"]["arms"] for row in of(rows, "MioLift")})
    if arms:
        page.figure(
            "lift",
            plots.lift_figure(rows),
            f"""Left: where MIO's exact flow (α = ½) comes to rest (its state at time 200/β²), as a multiple of ε, with
            {" or ".join(map(str, arms))} responses, of which one is correct and chosen, one rejected; all but the
            correct one share 1 − ε equally. Lines are theory: with unseen responses the anchor, min(2^(1/β), 1/ε);
            with two responses the first zero of the flow's drift. That lies higher, since mass pushed off the rejected
            response can then only go to the chosen one, and MIO passes ½ from much smaller ε than the anchor alone
            would allow. Right: steps until a sampled answer is correct (mean, two standard errors) on 1/(1 − (1 −
            ε)ⁿ); until then the gradient is exactly zero.""",
        )
        page.table("MIO's lift p(correct)/ε", tables.lifts(rows), folded=True)
    page.table("Sampled policy gradients", tables.sampled(rows), folded=True)


def _collapse(page: Page, rows: list[Row]) -> None:
    found = of(rows, "Collapse")
    if not found:
        return
    spec = found[0]["spec"]
    page.heading("Collapse: DPO at β against MIO at 2β")
    page.text(
        f"""After the toy model of Yan et al. 2024 (arXiv 2406.07327), a three-layer network with a softmax over 10
        responses; the rest is our design. {spec["prompts"]} prompts with {spec["inputs"]} coordinates share a random
        direction; the two hidden layers have {spec["width"]} units. A base policy imitates a random softmax law per
        prompt ({spec["sft_steps"]} steps of SFT). Per prompt, two responses are drawn from the base policy and a fair
        coin says which one is preferred. Both losses start there, with the same first gradient, and take
        {spec["steps"]} steps of full-batch gradient descent at learning rate {spec["reward_rate"]:g}/β."""
    )
    page.figure(
        "collapse",
        plots.collapse_figure(found[0]),
        f"""The network with {spec["activation"]} units. Left and middle: probability of the chosen, the rejected and
        the eight other responses of a prompt (unseen in its pair), mean over prompts, under DPO at β and MIO at 2β.
        Right: mean over pairs of z_w = ln π/π_ref of the chosen response, for both losses in nats of log-probability.
        Lines are medians and bands quartiles of {spec["replicas"]} independent networks, laws and pairs. Dotted: the
        interval that holds MIO's mean z_w while its mean loss is at most 2 ln 2, [−0.855, 2.546]/(2β). Its upper end
        is left out where it lies off the panel. Dash-dotted: its anchor ln 2/(2β), out of reach where −ln π_ref is
        smaller. To see: at the smaller β DPO's mean z_w falls while MIO's rises to what normalisation allows. At the
        larger β the median of neither falls, and MIO's anchor holds the chosen mass below DPO's. The chosen mass rises
        even where z_w falls, for it averages probabilities: some chosen responses are lost and others gain (last
        column of the table).""",
    )
    page.table("End of training: medians over replicas", tables.collapses(rows))
    page.text(
        """chosen, rejected, unseen: probability mass, start → end. z_w: mean over pairs of ln π/π_ref of the chosen,
        at the end. Lowest: its least value at any step of any replica. Replicas, pairs below: share of them that end
        with z_w < 0, that is below the base policy. MIO's interval is about its own reward 2βz_w; at small β it is
        wide. A tabular softmax shares nothing between responses and prompts and never collapses, as theory says."""
    )
    page.table("Mean chosen reward and MIO's no-collapse interval, every step of every replica", tables.intervals(rows))
    lazy = of(rows, "Lazy")
    if lazy:
        spec = lazy[0]["spec"]
        page.figure(
            "lazy",
            plots.lazy_figure(rows),
            f"""The mechanism alone: gradient flow of one pair under a frozen kernel, ż_w = −g_w a − g_l c, ż_l = −g_w
            c − g_l d, with a = {spec["a"]:g}, c = {spec["c"]:g}, d = {spec["d"]:g}, β = {spec["beta"]:g} for both
            losses (g: the loss's gradient in z). Since c > a, pushing the rejected response down drags the chosen one
            along: DPO's z_w falls without bound, like the logarithm of time; MIO's falls first too, then returns to
            its anchor ln 2.""",
        )
        page.table("Frozen-kernel flow", tables.lazies(rows))


def _starvation(page: Page, rows: list[Row]) -> None:
    sizes, variances = of(rows, "EffectiveSampleSize"), of(rows, "GradientVariance")
    if sizes or variances:
        page.heading("Starvation of an estimator: who carries the gradient")
    if sizes:
        page.figure(
            "ess",
            starvation_plots.ess_figure(rows),
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
            starvation_plots.variance_figure(variances[0]),
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


def _estimate(page: Page, rows: list[Row]) -> None:
    if not of(rows, "Estimate"):
        return
    page.heading("One estimate with its interval")
    page.table("mi_estimators.estimate_mi on laws of known information", tables.estimates(rows))
    page.text(
        """Invertible maps of x alone and of y alone leave the information as it is. The interval covers the bound at
        the trained critic; for a lower bound it is one for I only as far as the critic is right."""
    )


def _other_rooms(page: Page, folder: Path) -> None:
    ledger, runs = logs.read_ledger(folder), logs.read_runs(folder)
    if runs:
        page.heading("The same losses on a language model")
        page.figure(
            "language_model",
            logs.runs_figure(runs),
            """Left panels, one a run: mean rewards β ln π/π_ref of the chosen (solid) and rejected (dashed) responses
            over training steps, with the anchor and the no-collapse interval where theory has them. Right: training
            losses, their start at zero scores (dotted) and their floor (dash-dotted). Values are minibatch means as
            logged; the interval is a statement about means over the whole training set.""",
        )
        page.table("Runs", logs.runs_table(runs))
    if ledger:
        page.heading("The theorems")
        page.table("Ledger", logs.ledger_table(ledger))
