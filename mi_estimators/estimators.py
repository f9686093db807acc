"""Estimators: a named pair of what is ascended and what is reported. Value and gradient are different things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from .bounds import Bound, dv, infonce, js, nwj, smile
from .scores import joint_and_product

MatrixBound = Callable[..., Tensor]
"""(scores (n, n) with the positives on the diagonal, log-weights of the rows (n,) or None) → value."""


def on_matrix(bound: Bound) -> MatrixBound:
    """Read a bound on a square score matrix: the diagonal is P, everything off it is Q."""

    def value(scores: Float[Tensor, "n n"], log_weights: Float[Tensor, " n"] | None = None) -> Tensor:
        joint, product = joint_and_product(scores)
        if log_weights is None:
            return bound(joint, product)
        log_pairs = joint_and_product(log_weights.unsqueeze(-1) + log_weights)[1]
        return bound(joint, product, log_p=log_weights, log_q=log_pairs.log_softmax(-1))

    return value


@dataclass(frozen=True)
class Estimator:
    """A row of `ESTIMATORS`.

    Attributes:
        name: key of the row.
        objective: what is ascended, on an in-batch score matrix.
        reported: what is read, in nats, from the held-out score matrix.
        kind: "lower" (a population lower bound of I) or "neither".
        cap: the largest value it can report on K rows, as text, or "none".
        reference: source.
    """

    name: str
    objective: MatrixBound
    reported: MatrixBound
    kind: str
    cap: str
    reference: str


_DV = Estimator("dv", on_matrix(dv), on_matrix(dv), "lower", "none", "Donsker & Varadhan 1983; Belghazi et al. 2018")

ESTIMATORS: dict[str, Estimator] = {
    "dv": _DV,
    "mine": _DV,
    "nwj": Estimator("nwj", on_matrix(nwj), on_matrix(nwj), "lower", "none", "Nguyen, Wainwright & Jordan 2010"),
    "js": Estimator("js", on_matrix(js), on_matrix(dv), "lower", "none", "Hjelm et al. 2019; Poole et al. 2019, 2.4"),
    "infonce": Estimator("infonce", infonce, infonce, "lower", "ln K", "van den Oord et al. 2018"),
    "smile": Estimator("smile", on_matrix(js), on_matrix(smile), "neither", "none", "Song & Ermon 2020"),
}
"""Estimators by name. "mine" is "dv": the same bound and, here, the same plain gradient."""
