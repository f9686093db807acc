"""The report's explorers: sliders that compute flows and bounds in the reader's browser, beside the closed forms."""

from __future__ import annotations

from pathlib import Path

from mi_estimators.display import Page

HERE = Path(__file__).parent


def fragment(name: str) -> str:
    """Return the explorer "flows" or "bounds" as HTML: markup and a script that loads nothing.

    A page holds each once, and `shared` before the first.
    """
    return (HERE / f"{name}.html").read_text(encoding="utf-8")


def shared() -> str:
    """Return the style and the script that both explorers use."""
    style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "panel.js")
    )
    return f"<style>\n{style}</style>\n<script>\n{script}</script>"


def section(page: Page) -> None:
    """Put the explorers on the page, and what they show."""
    page.heading("Explorer: one pair under four losses")
    page.text(
        """Tick two losses and move a slider: all flows are integrated anew in this page. Time is learning rate × step.
        Play moves the cursor through it; a pointer over a panel reads the curves off."""
    )
    page.html(shared())
    page.html(fragment("flows"))
    page.notes("How to read the three panels", FLOWS)

    page.heading("Explorer: what a bound reads on a batch")
    page.text(
        """How far is each bound from the information, and how noisy is one batch? All numbers are computed in this
        page, from closed forms of the Gaussian law and from exact sums; nothing is simulated."""
    )
    page.html(fragment("bounds"))
    page.notes("What is computed", BOUNDS)


FLOWS = (
    """Left: a free logit for each of K responses: one chosen, one rejected, the others unseen. The chosen one
    starts at ε; all others share 1 − ε equally. RLHF is on-policy with reward 1 for the chosen response and no KL
    term, so β and α do not enter it, nor SFT. The equal split keeps closed forms for every K: RLHF and SFT take
    2(K − 1)/K times their two-response time; DPO leaves the unseen logits alone, and its margin's time holds.
    α-MIO has no closed time; with an unseen response it ends at min(1, (1 − α)^(−1/β) ε), its anchor, if β > ½
    or the anchor is at least 1, and else there or at 1. It may pass the anchor on the way. With K = 2 it ends
    higher, at the first zero of its drift, or at 1.""",
    """Middle: log-ratios z of the pair under a frozen kernel, ż = −G∇L with G = [[a, c], [c, d]], a = 1, c = κ and
    d = 1 + κ², so that ad − c² = 1: positive definite for every κ. A frozen kernel knows no normalisation; RLHF and
    SFT, which have nothing else to stop them, are followed to π_w = 1, that is z_w = −ln ε. DPO moves along a fixed
    direction, its chosen response sinking iff c > a; α-MIO ends at its anchor −ln(1 − α)/β, and βz_w stays in the
    no-collapse interval (an upper end off the panel is not drawn). At α = 0 α-MIO does not move.""",
    """Right: the exact softmax path of DPO with fixed features, and a third response that was never in a pair. h_y =
    ⟨φ_y, φ_w − φ_l⟩ is how far y moves with the pair: h_w = a − c and h_l = c − d as in the middle, and the slider sets
    the third. The chosen probability turns where the mean of h is h_w (late_decline).""",
)
BOUNDS = (
    """P = N(√(2I), 1) against Q = N(0, 1), which have KL(P‖Q) = I; the critic is T = (1 + η) ln r, exact at η = 0. A
    batch has M positives and M independent negatives; InfoNCE has M candidates a row, and its M rows are taken as
    independent. NWJ and JS are means of independent terms. For DV, SMILE and InfoNCE mean and variance of the
    logarithm of a mean come from its Laplace transform, by a sum over its argument.""",
    """The dash-dotted line is where the Q-mass of the upper half of the positives, Φ(−√(2I)), falls below
    1 − (1 − ½)^(1/M): from there on the mean of minibatch DV grows without bound as a critic is raised on that half
    (minibatch_dv_unbounded). It is sufficient, and not necessary.""",
)
"""What stands below the explorers, folded."""
