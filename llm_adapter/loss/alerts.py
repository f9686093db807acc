"""Turn the last log lines of a run into warnings that it collapses, starves or has stopped improving."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .metrics import STARVED
from .objective import Objective

EXAMPLES = 32  # the fewest to average: over fewer a mean z_w below −1 nat is chance
LOST = 1.0  # nats that chosen responses may lose on average
MOST = 0.9  # share of the examples
FEW = 0.1  # effective share of the negatives
IID_FLOOR = 2.25 * math.log(3) - math.log(2) - 0.5  # nats
IID_SPREAD = 0.187  # nats: the standard deviation of a pair's loss at that floor
ERRORS = 3  # standard errors below the floor before an evaluation says so
DRIFT = 0.75  # share of the movement that is common: three times the margin
SWING = 10.0  # nats of common movement, below which it is no swing (with LOST nats as the unit)
NEAR = 0.05  # nats from the anchor


def alerts(objective: Objective, values: Mapping[str, float]) -> dict[str, str]:
    """Return kind → sentence for each problem that the mean values show; empty for a healthy run.

    Args:
        objective: the objective of the run.
        values: means over `EXAMPLES` or more, by the names in docs/guides/metrics.md.

    >>> fallen = {"rewards/chosen": -0.2, "movement/margin": 3.0, "gradient/chosen_starved": 0.0}
    >>> [list(alerts(Objective("dv", beta=beta), fallen)) for beta in (0.1, 1.0)]  # mean z_w: −2 and −0.2 nats
    [['collapse'], []]
    """
    reward, margin = values["rewards/chosen"], values["movement/margin"]
    moved = reward / objective.beta
    per_token = objective.log_ratio == "mean"
    limit = LOST / values["tokens/chosen"] if per_token else LOST
    sentences = {}

    if moved < -limit and margin > limit:
        unit = "nats per token" if per_token else "nats"
        sentences["collapse"] = (
            f"the chosen responses have lost {-moved:.2f} {unit} on average, while the margin is "
            f"{margin:.2f} {unit}: probability moves to responses outside the data. "
            f"{_remedy(values.get('collapse/margin'))}"
        )

    common = values.get("movement/common", 0.0)
    if values.get("movement/drift", 0.0) > DRIFT and abs(common) > SWING * limit:
        sentences["drift"] = (
            f"chosen and rejected responses have moved together, by {common:+.1f} nats in sum, and "
            f"apart by {abs(margin):.1f}: "
            + (
                "the loss resists this movement; a lower learning rate avoids it"
                if objective.anchored
                else "the loss does not see this movement, which can turn back as fast. Lower the "
                "learning rate, or use bound js, which sees it"
            )
        )

    if values.get("collapse/margin", 0) < 0:
        sentences["interval"] = (
            f"the mean chosen reward {reward:+.3f} is outside the no-collapse interval: the mean "
            "loss is above its initial value, so training diverges. Lower the learning rate"
        )

    starved = values["gradient/chosen_starved"]
    if starved > MOST and moved < 0:
        sentences["starved"] = (
            f"for {starved:.0%} of the chosen responses the gradient is below {STARVED:.0%} of its "
            "initial value, although they are less likely than under the reference: the loss no "
            "longer raises their probability"
        )

    if abs(values.get("anchor/gap", math.inf)) < NEAR and objective.mix != 1:
        sentences["plateau"] = (
            f"the mean chosen reward {reward:+.3f} has reached the anchor −ln(1 − mix): more steps "
            "will not raise it; a larger mix will"
        )

    if values.get("ess/fraction", 1.0) < FEW:
        effective = values["ess/negatives"]
        count = effective / values["ess/fraction"]
        sentences["few_negatives"] = (
            f"only {effective:.1f} of {count:.0f} rejected responses carry the gradient of the negatives"
        )

    return sentences


def evaluation_alerts(
    objective: Objective, values: Mapping[str, float], examples: float
) -> dict[str, str]:
    """Return kind → sentence for what a held-out loss says of the pairs themselves.

    MIO's mean loss over the law of pairs of two independent draws is at least (9/4) ln 3 − ln 2 − ½, whatever the
    scores. The mean over a sample varies about it, and is an alert once it is three standard errors below.

    Theorem: mio_learns_win_rates

    >>> [list(evaluation_alerts(Objective("js"), {"loss": 1.25}, examples)) for examples in (100, 1000)]
    [[], ['filtered']]
    """
    plain = objective.anchored and objective.mix == 0.5
    if not plain or examples < EXAMPLES:
        return {}

    chance = ERRORS * IID_SPREAD / math.sqrt(examples)
    if values["loss"] >= IID_FLOOR - chance:
        return {}

    return {
        "filtered": (
            f"the held-out loss {values['loss']:.4f} is more than {ERRORS} standard errors "
            f"({chance:.4f}) below {IID_FLOOR:.4f}, the least mean that pairs of two independent "
            "samples of one model allow: the pairs were filtered, or their responses come from two "
            "models"
        )
    }


def _remedy(margin: float | None) -> str:
    """Return what limits the lost probability, given the distance to the end of the no-collapse interval, if any."""
    if margin is None:
        return "Use bound js, which has an anchor, or a larger beta"

    return (
        "The no-collapse interval limits this loss"
        if margin >= 0
        else "Lower the learning rate or raise beta"
    )
