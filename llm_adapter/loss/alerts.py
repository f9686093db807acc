"""Alerts in words, from the values of the last log lines: a run that collapses, starves or stands still."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .metrics import STARVED
from .objective import Objective

EXAMPLES = 32  # over which values are averaged; the mean z_w of a few examples is below −1 nat now and then in any run
SUNK = 1.0  # nats, summed over tokens, that the chosen responses may lose on average
MOST = 0.9  # share of examples that makes "most"
FEW = 0.1  # effective share of the negatives (of EXAMPLES or more: there are enough to say so) that is few


def alerts(objective: Objective, values: Mapping[str, float]) -> dict[str, str]:
    """Return kind → sentence for what is wrong in means over EXAMPLES or more; often nothing.

    `docs/guides/metrics.md` defines the names of the values.

    >>> sunk = {"rewards/chosen": -0.2, "movement/margin": 3.0, "gradient/chosen_starved": 0.0}
    >>> [list(alerts(Objective("dv", beta=beta), sunk)) for beta in (0.1, 1.0)]  # mean z_w: −2 and −0.2 nats
    [['collapse'], []]
    """
    found = {}
    moved = values["rewards/chosen"] / objective.beta
    sunk = SUNK / values["tokens/chosen"] if objective.log_ratio == "mean" else SUNK
    if moved < -sunk and values["movement/margin"] > sunk:
        inside = values.get("collapse/margin")
        held = "an anchor (bound js) or a larger beta holds it"
        if inside is not None:
            held = (
                "the no-collapse interval bounds this"
                if inside >= 0
                else "a lower learning rate or larger beta holds it"
            )
        unit = "nats a token" if objective.log_ratio == "mean" else "nats"
        found["collapse"] = (
            f"chosen responses are {-moved:.2f} {unit} below the reference while the margin is at "
            f"{values['movement/margin']:.2f} {unit}: probability goes to responses that nobody ranked; {held}"
        )
    if values.get("collapse/margin", 0) < 0:
        found["interval"] = (
            f"mean chosen reward {values['rewards/chosen']:+.3f} left the no-collapse interval: the mean loss is above "
            "its start, training diverges; lower the learning rate"
        )
    if values["gradient/chosen_starved"] > MOST and moved < 0:
        found["starved"] = (
            f"{values['gradient/chosen_starved']:.0%} of the chosen responses pull with less than {STARVED:.0%} of "
            "their first strength while they stand below the reference: the loss no longer sees them"
        )
    if abs(values.get("anchor/gap", math.inf)) < 0.05 and objective.mix < 1:
        found["plateau"] = (
            f"mean chosen reward {values['rewards/chosen']:+.3f} is at the anchor −ln(1 − mix): more steps will not "
            "raise it; a mix nearer to 1 would"
        )
    if values.get("ess/fraction", 1.0) < FEW:
        count = values["ess/negatives"] / values["ess/fraction"]
        found["few_negatives"] = (
            f"{values['ess/negatives']:.1f} of {count:.0f} rejected responses carry the gradient of the negatives"
        )
    return found
