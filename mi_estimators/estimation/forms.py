"""What anchors read and assume: columns of a margin, and a law of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from .components import Components
from .experts.closed_form import columns_at
from .misfit import copula_misfit
from .neighbours import normal_scores
from .scoring import Sides
from .transforms import Even, Margin, Standard, uniform_columns

_NEAR_ENDS = 3.0  # normal scores from which a uniform column is near its ends
_FEW = 64  # columns, beyond which principal components are tested in their place
_MARGINS: dict[Margin, Callable[[Tensor], Tensor]] = {
    "rank": normal_scores,
    "standard": lambda rows: Standard(rows)(rows),
    "even": lambda rows: Even(rows)(rows),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Columns that an anchor may read, among all of a side.

    Attributes:
        starts: the first of them, in x and in y.
        columns: their number, in x and in y.
        margin: what they are. Normal scores have a copula alone; of the others the joint law is meant.
    """

    starts: tuple[int, int]
    columns: tuple[int, int]
    margin: Margin

    def of(self, rows: Sides) -> Sides:
        """Return the columns of x and of y."""
        return columns_at(*rows, self.starts, self.columns)


@dataclass(frozen=True, kw_only=True)
class Form:
    """What an anchor assumes of the rows.

    Attributes:
        margin: of its columns.
        degrees_of_freedom: of an elliptical law; infinity is the Gaussian one.
        noise: "y" where y is linear in x plus noise of any law, "x" the other way; None for an elliptical law.
    """

    margin: Margin
    degrees_of_freedom: float = math.inf
    noise: Literal["x", "y"] | None = None

    def misfit(
        self,
        x: Float[Tensor, "n dx"],
        y: Float[Tensor, "n dy"],
    ) -> float:
        """Return how far columns of this margin contradict the form, as `copula_misfit`."""
        return copula_misfit(
            x,
            y,
            self.degrees_of_freedom,
            jointly=self.margin != "rank",
            noise=self.noise,
        )

    @property
    def expert(self) -> str:
        """The row of `EXPERTS`."""
        return "copula" if self.noise is None else "additive"


def _away_from_ends(
    rows: Float[Tensor, "n d"],
    scores: Float[Tensor, "n d"],
) -> Bool[Tensor, " n"]:
    """Tell in which rows no uniform column is near its ends, which are known to one part in n only."""
    return ((scores.abs() < _NEAR_ENDS) | ~uniform_columns(rows)).all(1)


def anchor_misfit(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    forms: set[Form],
) -> float:
    """Return the misfit of the anchors' forms, or of their light-tailed versions if that is less; 0 without an anchor.

    Args:
        x, y: paired rows.
        forms: what the anchors assume.
    """

    def misfit(form: Form) -> float:
        columns = [_MARGINS[form.margin](side) for side in (x, y)]
        jointly = form.margin != "rank"
        if form.margin == "even":
            inner = _away_from_ends(x, columns[0]) & _away_from_ends(y, columns[1])
            columns = [side[inner] for side in columns]
        if max(side.shape[1] for side in columns) > _FEW:
            # Sums of jointly Gaussian columns are jointly Gaussian, too.
            columns, jointly = [Components(side, _FEW)(side) for side in columns], True

        nu = form.degrees_of_freedom
        return copula_misfit(columns[0], columns[1], nu, jointly=jointly, noise=form.noise)

    # A few outlying rows may choose a Student law where all others are Gaussian.
    limits = {replace(form, degrees_of_freedom=math.inf) for form in forms}
    return min(map(misfit, forms | limits), default=0.0)
