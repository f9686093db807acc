"""Whether an elliptical copula can be the law of the rows: a test of what it says about squares.

Under a Gaussian copula the normal scores of y, less what x predicts linearly, are independent of x: no square of one is
correlated with an entry or a square of the other. Under Student's copula the same holds once each row is divided by its
radius, but for the correlation that the division makes. Anything beyond noise is dependence that the copula lacks.
Nothing beyond noise proves nothing: parity of many bits has no such correlation.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from .experts.copula import canonical_correlations, canonical_directions, student_scores

_COLUMNS = 48  # of a side, those most correlated with the other
_ROWS = 20_000  # at most: more show nothing new
_FEWEST = 4  # rows to a column


def copula_misfit(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    degrees_of_freedom: float = math.inf,
    *,
    jointly: bool = False,
    noise: str | None = None,
) -> float:
    """Return how far squares contradict a copula, in standard errors: about standard normal under it.

    Args:
        x, y: normal scores of paired rows, shapes (n, dx) and (n, dy).
        degrees_of_freedom: of Student's copula; infinity is the Gaussian one.
        jointly: x and y are not normal scores but columns whose joint law is itself Gaussian or Student.
        noise: "y" where y is linear in x plus independent noise of any law, and nothing more; "x" the other way.

    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> x, noise = torch.randn(2, 1000, 2, generator=generator, dtype=torch.float64)
    >>> copula_misfit(x, x + noise) < 3
    True
    >>> copula_misfit(x, x.square() + noise) > 100
    True
    """
    if len(x) < _FEWEST * (x.shape[1] + y.shape[1]):  # too few to whiten
        return 0.0

    nu = degrees_of_freedom
    x, y = (rows[:_ROWS].double() for rows in (x, y))
    if not jointly:
        x, y = student_scores(x, nu), student_scores(y, nu)

    x, y = x - x.mean(0), y - y.mean(0)
    left, right = canonical_directions(x, y, nu)
    u, v = x @ left, y @ right

    # What either side keeps, once its partner has told what it can.
    rho = canonical_correlations(u, v, nu)
    paired, spread = len(rho), (1 - rho**2).sqrt()
    pair_u, pair_v = u[:, :paired], v[:, :paired]
    rest_u, rest_v = u.clone(), v.clone()
    rest_u[:, :paired] = (pair_u - rho * pair_v) / spread
    rest_v[:, :paired] = (pair_v - rho * pair_u) / spread

    ways = {"y": _misfit(u, rest_v, nu), "x": _misfit(v, rest_u, nu)}
    return max(ways.values()) if noise is None else ways[noise]


def _misfit(
    side: Float[Tensor, "n k"],
    residual: Float[Tensor, "n l"],
    nu: float,
) -> float:
    """Return the largest of three standardised sums of squared correlations."""
    expected = 0.0
    if nu < math.inf:
        columns = side.shape[1] + residual.shape[1]
        if columns < 3:  # on a circle each square tells the other
            return 0.0
        radius = (side.square().sum(1) + residual.square().sum(1)).sqrt()
        side, residual = side / radius[:, None], residual / radius[:, None]
        expected = -1 / (columns - 1)

    side, residual = side[:, :_COLUMNS], residual[:, :_COLUMNS]
    return max(
        _standardised(side.square(), residual, 0.0),
        _standardised(side, residual.square(), 0.0),
        _standardised(side.square(), residual.square(), expected),
    )


def _standardised(
    a: Float[Tensor, "n k"],
    b: Float[Tensor, "n l"],
    expected: float,
) -> float:
    """Return the sum of squared correlations beyond the expected one, standardised."""
    a, b = _unit(a), _unit(b)
    if not a.shape[1] * b.shape[1]:
        return 0.0

    correlations = a.T @ b / len(a)
    scores = (correlations - expected) * math.sqrt(len(a))
    excess = float((scores.square() - 1).sum())
    return excess / math.sqrt(2 * scores.numel())


def _unit(values: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    centred = values - values.mean(0)
    spread = centred.std(0)
    varies = spread > 1e-9
    return centred[:, varies] / spread[varies]
