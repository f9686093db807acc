"""The section of the report on escape times."""

from __future__ import annotations

from mi_estimators.display import Page

from ..rows import Row, of
from . import figures, tables


def section(page: Page, rows: list[Row]) -> None:
    """Put the escape times on the page."""
    if not of(rows, "EscapeFlow"):
        return

    page.heading("Starvation of a policy: how long from ε to ½")
    page.text(
        """A softmax policy over two responses gives the correct one the probability ε. How long until it is ½?
        On-policy RLHF must first draw what it is to reinforce and needs a time like 1/ε. The other losses are handed
        the correct answer: DPO needs ε^(−β), but ε^(−2β) once a third response has mass (theorem escape_exponents);
        likelihood on the chosen a logarithm; and MIO may stop short, at its anchor."""
    )

    page.figure(
        "escape",
        figures.escape_figure(rows),
        """Time until p(correct) = ½ for a two-response softmax policy that starts at ε (harder to the right; both axes
        logarithmic). Lines: closed forms. Points: gradient flow in the logits, integrated with the gradient that
        automatic differentiation takes of the library's own loss. Open points in the colour of the axes: policy
        gradient with the group's mean reward as baseline, n answers a step, learning rate η = 0.5, median and
        quartiles of the runs; time is η × step. Right: MIO (α = ½), a fixed α, and the α of each ε that theory
        recommends, 1 − α = ε^β. Open points in the grey band come to rest below ½ and never arrive: every fixed α has
        its own threshold in ε (theorems mio_escapes_two_arms and escape_times; α = 0.9, β = 1: (1 − ε)² + 0.1² = 1, ε
        = 0.005). Compare slopes, not heights: the losses differ in the scale of their gradient (DPO's first one is
        proportional to β), which an adaptive optimiser would divide out. To see: RLHF's slope is 1, by exact flow and
        by sampling alike, and so is DPO's at β = 1; at smaller β DPO's bends towards β; SFT's goes to 0; α-MIO with
        the recommended α escapes from every ε, with a slope of β/(1 + β): at first the chosen term alone pushes, as
        ε^β (p^(−β) − 1), and from p of about ε^(β/(1 + β)) on the push off the rejected response is stronger. With an
        unseen response that push goes elsewhere, and the slope is β (section on the anchor).""",
    )

    page.table("Exponent of the escape time in 1/ε, fitted over ε ≤ 0.01", tables.exponents(rows))
    page.text(
        """Flow points are deterministic: their interval shows how far the curve is from a power law, not noise. At β =
        0.1 DPO's limit is far off at ε = 1e-6, where ε^(−β) is still only 4; the closed form has the whole curve, and
        is met. Intervals of sampled gradients are over replicas; theory there is the exact mean number of steps."""
    )

    page.table("All escape times", tables.escape_times(rows), folded=True)

    if of(rows, "EscapeSampled", objective="rlhf"):
        page.figure(
            "escape_sampled",
            figures.sampled_figure(rows),
            """Group-relative policy gradient on two responses, Σ (r_i − r̄) ∇ ln π(y_i)/(n − 1), reward 1 for the
            correct one, from p = ε. Left: steps to p = ½ against 1/(nε), mean and two standard errors. Circles and
            solid lines: η = 0.5; squares and dashed lines: η = 2n, where one success multiplies p by e⁴. Lines: exact
            mean, by its renewal equation; crosses: runs that take every single step, the others count the steps whose
            gradient is exactly 0 and draw their number at once. Dotted: 1/(nε), the wait for one success. Right:
            steps until one of n answers is correct, in the runs that take every step, on 1/(1 − (1 − ε)ⁿ). To see:
            the time grows like 1/(nε) throughout. A small rate needs several successes one after the other, in all
            1/(nε) · 1/(1 − e^(−2η/n)) steps. The smaller η/n, the closer this is to 1/(2ηε), the exact flow's time,
            which does not depend on n: a larger group lowers the noise, not the time. It shortens the wait only where
            one success is worth more than a nat.""",
        )
        page.table("Sampled gradients", tables.sampled(rows), folded=True)

    if of(rows, "WhoSamples"):
        _who(page, rows)

    arms = sorted({row["spec"]["arms"] for row in of(rows, "MioLift")})
    if arms:
        page.figure(
            "lift",
            figures.lift_figure(rows),
            f"""Where MIO's exact flow (α = ½) comes to rest (its state at time 200/β²), as a multiple of ε, with
            {" or ".join(map(str, arms))} responses, of which one is correct and chosen, one rejected; all but the
            correct one share 1 − ε equally. Lines are theory: with unseen responses the anchor, min(2^(1/β), 1/ε);
            with two responses the first zero of the flow's drift. That lies higher, since mass pushed off the
            rejected response can then only go to the chosen one, and MIO passes ½ from much smaller ε than the anchor
            alone would allow.""",
        )
        page.table("MIO's lift p(correct)/ε", tables.lifts(rows), folded=True)


def _who(page: Page, rows: list[Row]) -> None:
    spec = of(rows, "WhoSamples")[0]["spec"]
    page.figure(
        "who_samples",
        figures.who_figure(rows),
        f"""Who supplies the correct answer decides, more than which bound it is. Left: the weight on ∇ ln π(correct)
        at π = π_ref, by automatic differentiation of the library's bounds and losses (points) on theory (lines;
        theorem who_samples_starves). Solid: π draws the answer. There π is the Q of a bound, P is all on the correct
        answer, and the critic is ln dP/dπ, held; or DPO takes two answers of π and uses them if just one is correct.
        Dashed: the correct answer is supplied (β = 1; α-MIO: α = {spec["mix"]:g}). Crosses: what groups of
        {spec["samples"]} answers show of DV's weight, mean of {spec["groups"]} groups, on 1 − (1 − ε)ⁿ. Right: time
        from ε to ½, exact flow (open points) and {spec["samples"]} answers a step (crosses, η = 0.5, mean), on
        theory. To see: drawn, JS's weight falls like ε ln 1/ε and DPO's like ε. DV's and NWJ's do not fall on
        average, but no group shows that average: one group in 1/(nε) holds a correct answer, and then DV's whole
        weight is on it. So DV's population flow would escape in a logarithm of 1/ε, and its samples take 1/(nε), as
        JS's do. Supplied, no weight depends on ε; what remains is each loss's own exponent or anchor.""",
    )

    page.table(
        f"Who samples: weight on ∇ ln π(correct) at the base policy, groups of n = {spec['samples']}",
        tables.who_samples(rows),
    )
