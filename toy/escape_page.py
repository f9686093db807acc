"""The section of the report on escape times."""

from __future__ import annotations

from . import plots, tables
from .page import Page
from .rows import Row, of


def section(page: Page, rows: list[Row]) -> None:
    """Put the escape times on the page."""
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
