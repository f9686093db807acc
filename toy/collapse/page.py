"""The section of the report on collapse: the small network and the frozen kernel."""

from __future__ import annotations

from mi_estimators.display import Page

from ..rows import Row, of
from . import figures, tables


def section(page: Page, rows: list[Row]) -> None:
    """Put the network of ten responses and the frozen kernel on the page."""
    networks = of(rows, "Collapse")
    if not networks:
        return

    spec = networks[0]["spec"]
    page.heading("Collapse: DPO at β against MIO at 2β")
    page.text(
        f"""After the toy model of Yan et al. 2024 (arXiv 2406.07327), a three-layer network with a softmax over 10
        responses; the rest is our design. {spec["prompts"]} prompts with {spec["inputs"]} coordinates share a random
        direction; the two hidden layers have {spec["width"]} units. A base policy imitates a random softmax law per
        prompt ({spec["sft_steps"]} steps of SFT). Per prompt, two responses are drawn from the base policy and a fair
        coin says which one is preferred. Both losses start there, with the same first gradient, and take
        {spec["steps"]} steps of full-batch gradient descent at learning rate {spec["reward_rate"]:g}/β. Equal first
        gradients are not equal regularisation: for weak i.i.d. preferences MIO has DPO's optimum at half of DPO's β
        (theorem mio_learns_win_rates); the section on the late decline shows both matchings."""
    )

    page.figure(
        "collapse",
        figures.collapse_figure(networks[0]),
        f"""The network with {spec["activation"]} units. Left and middle: probability of the chosen, the rejected and
        the eight other responses of a prompt (unseen in its pair), mean over prompts, under DPO at β and MIO at 2β.
        Right: mean over pairs of z_w = ln π/π_ref of the chosen response, for both losses in nats of log-probability.
        Lines are medians and bands quartiles of {spec["replicas"]} independent networks, laws and pairs. Dotted: the
        interval that holds MIO's mean z_w while its mean loss is at most 2 ln 2, [−0.855, 2.546]/(2β). Its upper end
        is left out where it lies off the panel. Dash-dotted: its anchor ln 2/(2β), out of reach where −ln π_ref is
        smaller. The interval is a safety net for the mean:
        it explains the difference between the losses only where DPO's mean leaves it. To see: at the smaller β DPO's
        mean z_w falls while MIO's rises to what normalisation allows. At the
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

    page.table(
        "Mean chosen reward and MIO's no-collapse interval, every step of every replica",
        tables.intervals(rows),
    )

    lazy = of(rows, "Lazy")
    if lazy:
        spec = lazy[0]["spec"]
        page.figure(
            "lazy",
            figures.lazy_figure(rows),
            f"""The mechanism alone: gradient flow of one pair under a frozen kernel, ż_w = −g_w a − g_l c, ż_l = −g_w
            c − g_l d, with a = {spec["a"]:g}, c = {spec["c"]:g}, d = {spec["d"]:g}, β = {spec["beta"]:g} for both
            losses (g: the loss's gradient in z). Since c > a, pushing the rejected response down drags the chosen one
            along: DPO's z_w falls without bound, like the logarithm of time; MIO's falls first too, then returns to
            its anchor ln 2.""",
        )
        page.table("Frozen-kernel flow", tables.lazies(rows))
