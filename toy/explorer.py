"""The report's explorer: sliders that integrate a pair's flows in the reader's browser, beside the closed forms."""

from __future__ import annotations

from importlib.resources import files

from mi_estimators.display import Page


def fragment() -> str:
    """Return the explorer as HTML: style, markup and a script that loads nothing. A page holds it once."""
    return files("toy").joinpath("explorer.html").read_text(encoding="utf-8")


def section(page: Page) -> None:
    """Put the explorer on the page, and what it shows."""
    page.heading("Explorer: one pair under four losses")
    page.text(
        """Move a slider: both flows are integrated anew in this page, for all four losses; the panels draw the
        selected one. Time is learning rate × step."""
    )
    page.html(fragment())
    page.text(
        """Left: a free logit for each of K responses: one chosen, one rejected, the others unseen. The chosen one
        starts at ε; all others share 1 − ε equally. RLHF is on-policy with reward 1 for the chosen response and no KL
        term, so β and α do not enter it, nor SFT. The equal split keeps closed forms for every K: RLHF and SFT take
        2(K − 1)/K times their two-response time; DPO leaves the unseen logits alone, and its margin's time holds.
        α-MIO has no closed time; with an unseen response it ends at min(1, (1 − α)^(−1/β) ε), its anchor, if β > ½
        or the anchor is at least 1, and else there or at 1. It may pass the anchor on the way. With K = 2 it ends
        higher, at the first zero of its drift, or at 1.""",
        soft=True,
    )

    page.text(
        """Right: log-ratios z of the pair under a frozen kernel, ż = −G∇L with G = [[a, c], [c, d]], a = 1, c = κ and
        d = 1 + κ², so that ad − c² = 1: positive definite for every κ. A frozen kernel knows no normalisation; RLHF and
        SFT, which have nothing else to stop them, are followed to π_w = 1, that is z_w = −ln ε. DPO moves along a fixed
        direction, its chosen response sinking iff c > a; α-MIO ends at its anchor −ln(1 − α)/β, and βz_w stays in the
        no-collapse interval (an upper end off the panel is not drawn). At α = 0 α-MIO does not move.""",
        soft=True,
    )
