"""The page of the collapse sweep: what collapses, what merely dips, and what a tuned loss is worth, from rows
alone."""

from __future__ import annotations

from mi_estimators.display import Page

from ...rows import Row, of
from . import figures, tables
from .losses import ALPHA, HINGE, TOLERANCE

_RULES = f"""Rules, on the median over replicas of the mean z_w over pairs: diverges, not finite; else holds, never
below −{TOLERANCE:g}; else reverses, regains at least half of its loss; else drifts, falls by more than {TOLERANCE:g}
over the last quarter of the steps; else sinks, fell and stands."""


def section(page: Page, rows: list[Row]) -> None:
    """Add the section, of those parts that have rows."""
    kernels, planes = of(rows, "Kernel"), of(rows, "Plane")
    responses, sequences = of(rows, "Responses"), of(rows, "Sequences")
    if not kernels + planes + responses + sequences:
        return

    page.heading("Collapse, swept: kernels, losses, learning rates")
    page.text(
        f"""Who sinks, how deep, and who comes back? DPO and MIO beside IPO, α-MIO (α = {ALPHA:g}), BCE (JS at α = 1),
        KTO (its reference point the batch's mean βz, not below 0), Cal-DPO, DPOP (hinge {HINGE:g}) and DPO with a
        likelihood term (weight β/2). z = ln π/π_ref, in nats, is summed over a response's tokens."""
    )

    if {row["spec"]["bound"] for row in kernels} == {"dv", "js"}:
        _kernel(page, kernels)
    if planes:
        _plane(page, planes[0])
    if responses + sequences:
        _networks(page, responses, sequences)


def _kernel(page: Page, rows: list[Row]) -> None:
    spec = rows[0]["spec"]
    page.figure(
        "collapse_kernel",
        figures.kernel_figure(rows),
        f"""Exact flow of one pair under a frozen kernel a = 1, c = κ, ad − c² = {spec["excess"]:g} (left and middle),
        both losses at the same β. Colours: z_w at time {spec["horizon"]:g}; dashed: theory's boundary κ = 1 (c = a).
        Left: DPO; thin contours are the closed form. Middle: MIO; the dotted contour is where it has come back to 0.
        Right: the lowest βz_w of MIO on the way; points: flows at the two largest β and three kernels; solid line:
        the least that any frozen kernel of that κ allows, the root u of 3/2 σ(u) − 1 + κ/2 σ(κu) = 0, approached as
        ad → c²; dashed: the barrier logit(⅔(1 − κ/4)) for kernels that may change; dotted: the end of the no-collapse
        interval, for any architecture. To see: DPO's colour changes sign exactly at κ = 1. Its z_w never turns, so
        its lowest value is this one or 0 (table). It sinks deepest at medium κ: at large κ the rejected response
        makes almost all of the margin. MIO's z_w dips on the same side and returns, after a time of order 1/β²: at
        small β it has not returned by the time shown (the return slows as ad → c²). κ = 4 is where a proof ends, not
        where MIO changes: beyond κ = 2.2 the interval is the stronger bound, and with a frozen kernel βz_w never
        falls below −0.363.""",
    )
    page.table("Frozen kernels: flow beside theory", tables.kernels_table(rows), folded=True)


def _plane(page: Page, row: Row) -> None:
    spec = row["spec"]
    page.figure(
        "collapse_plane",
        figures.plane_figure(row),
        f"""What a loss asks for, in the plane of a pair's log-ratios (chosen z_w, rejected z_l) at β = 1. Arrows:
        direction of −∇L by automatic differentiation; blue where it raises z_w, red where it lowers it. Dotted: the
        common mode z_w = z_l. Dash-dotted: theory's rests, the anchors −ln(1 − α) of MIO and α-MIO and IPO's margin
        ½. Orange: descent from 0 of a log-linear policy with the kernel a = 1, c = {spec["kappa"]:g}, d =
        {spec["kappa"] ** 2 + 1:g} ({spec["steps"]} steps of {spec["rate"]:g}), its end a dot. To see: only IPO, MIO,
        α-MIO and Cal-DPO ask for a lower z_w, and beyond their rests only; DPO's path goes down because the kernel
        drags z_w after z_l, and nothing in its arrows, parallel everywhere, resists. IPO stops at its margin, below
        0. The others dip and turn, except DPOP, which slides along z_w = 0. DPO+SFT has no rest of its own. (KTO's
        batch is here the pair alone.)""",
    )

    page.table(
        "Curvature of the common mode, ½ (1, 1) ∇²L (1, 1)ᵀ at z = (½, −½), and the path",
        tables.plane_table(row),
    )


def _networks(page: Page, responses: list[Row], sequences: list[Row]) -> None:
    both = responses + sequences
    for row in responses[:1]:
        spec = row["spec"]
        page.text(
            f"""Ten responses: the network of the collapse section (after Yan et al. 2024), {spec["prompts"]} prompts,
            {spec["replicas"]} replicas, {spec["steps"]} steps. A fair coin prefers one of two responses drawn from
            the base policy. Gain: rise of the mean of π_w − π_l."""
        )

    for row in sequences[:1]:
        spec = row["spec"]
        page.text(
            f"""Sequences: a causal transformer of two layers and width {spec["width"]}, vocabulary
            {spec["vocabulary"]}, prompts of {spec["prompt"]} and responses of {spec["response"]} tokens,
            {spec["pairs"]} pairs, {spec["replicas"]} replicas, {spec["steps"]} steps. The pair's responses agree at
            the stated number of positions; the one whose tokens are worth more on average is chosen. The base policy
            imitates both responses of the pairs (fine-tuning on the preference data first, as is usual) or, as a
            control, fresh sequences of the law. Gain: rise of the mean reward of responses sampled to new prompts."""
        )

    page.text(
        f"""All by plain descent. Every loss is scaled so that its first gradient in (z_w, z_l) is as long as (−½, ½);
        η is the learning rate of the scaled loss. {_RULES}"""
    )
    page.figure(
        "collapse_verdicts",
        figures.verdict_figure(both),
        """Fate of the mean chosen log-ratio for every loss, β and learning rate η (columns), one panel a task; the
        number is its last value, median over replicas, in nats. Classes by the rules in the text. To see: where the
        base policy knows the pairs, DPO at small β drifts or sinks, the further the more tokens they share, and holds
        at β = 1; IPO and KTO do so at fewer settings. MIO, α-MIO and BCE dip at β = 0.05; where training stops in the
        dip their class is drifts, too, and at the larger η they have turned. Cal-DPO, DPOP and DPO+SFT never drift.
        With a base policy that never saw the pairs ("base: law") nothing drifts: the chosen response is then
        unlikely, and there is room above.""",
    )

    if sequences:
        page.figure(
            "collapse_curves",
            figures.curves_figure(sequences),
            """Mean chosen log-ratio z_w of the transformer over training, median over replicas, at the smallest β and
            the largest learning rate of the sweep; the axis is linear within ±1 and logarithmic beyond. No theory
            lines: the lower bounds of MIO and α-MIO, −0.855/β and −1.06/β nats, lie far below. To see: where the base
            policy knows the pairs, DPO falls deeper the more tokens are shared; MIO, α-MIO, BCE and KTO dip and turn;
            the rest hardly dip, but for IPO, whose margin 1/(2β) is far at this β.""",
        )

    page.figure(
        "collapse_tuned",
        figures.tuned_figure(both),
        """Is a loss better once tuned? For every loss β and η are chosen by the mean gain of the even replicas; shown
        are the odd ones (dots), their mean and standard error (diamond, bar). Gain: as the text defines it for each
        task; it does not ask how far the policy went from its base. To see: on ten responses, judged on the training
        pairs themselves, MIO beats DPO far beyond the error. So does every other loss with an anchor or a likelihood
        term, by as much; DPOP does not. On sequences, judged by the reward at new prompts, nothing beats DPO beyond
        the error, not even where its chosen responses sink deepest: few replicas are held out there, so a small
        advantage would not be seen.""",
    )

    page.table("Tuned losses, on held-out replicas", tables.tuned_table(both))
    page.table(
        "The JS family's lowest mean βz_w over all settings and replicas, and its bound",
        tables.floor_table(both),
        folded=True,
    )
