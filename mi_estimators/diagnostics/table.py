"""All bounds side by side at one critic: value, gradient, signal, noise, and how many negatives carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vmap

from .. import _validate
from ..bounds.scores import joint_and_product
from ..bounds.variational import infonce
from .gradients import GradientStatistics, gradient_statistics, matrix_objective, minibatches
from .weights import OBJECTIVES, score_weights


@dataclass(frozen=True)
class GradientRow(GradientStatistics):
    """One bound of a `GradientTable`: the statistics of its gradient, and these.

    Attributes:
        bound: its name.
        value: mean over the minibatches, in nats.
        effective_negatives: (Σ|b|)²/Σb² of the weights b on the negatives' ∇T (`score_weights`), averaged over the
            minibatches: how many negatives of a minibatch carry the gradient.
        negatives: how many negatives a minibatch has.
    """

    bound: str
    value: float
    effective_negatives: float
    negatives: int


class GradientTable(tuple[GradientRow, ...]):
    """The rows of `gradient_table`, in the order of its argument; prints as a table."""

    def __str__(self) -> str:
        head = ("bound", "value", "‖E ĝ‖", "tr Cov ĝ", "SNR", "noise scale", "eff. negatives")
        lines = [f"{head[0]:<12}" + "".join(f"{text:>15}" for text in head[1:])]
        for row in self:
            numbers = (row.mean_norm, row.trace_covariance, row.snr, row.noise_scale)
            text = f"{row.bound:<12}{row.value:>15.4f}" + "".join(
                f"{number:>15.4g}" for number in numbers
            )
            lines.append(f"{text}{f'{row.effective_negatives:.1f} of {row.negatives}':>15}")

        return "\n".join(lines)


def gradient_table(
    critic: nn.Module,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    bounds: Sequence[str] = ("dv", "nwj", "js", "infonce"),
    *,
    batch_size: int = 64,
) -> GradientTable:
    """Compare bounds by the minibatch gradient that each gives the same critic.

    Bounds are in different units of information (`js` bounds 2·JSD), and their gradients have different scales. So
    compare SNR, noise scale and effective negatives across rows, not the norms. A signal may be bias: at T = ln dP/dQ
    all population gradients are 0, and what `dv` shows there is its bias (`minibatch_bias`).

    Args:
        critic: module with critic(x, y) → score matrix of shape (n, n).
        x, y: paired rows, shapes (n, dx) and (n, dy), n ≥ 2·batch_size; rows that do not fill a minibatch are left out.
        bounds: names in `BOUNDS`, "infonce" or "smile".
        batch_size: rows of a minibatch, ≥ 2.

    Returns:
        `GradientTable`.

    Raises:
        ValueError: an unknown bound, or as for `gradient_statistics`.

    >>> from mi_estimators import laws
    >>> from mi_estimators.estimation.critics import Separable
    >>> x, y = laws.Gaussian(0.8).sample(256, torch.Generator().manual_seed(0))
    >>> table = gradient_table(Separable(1, 1, hidden=8), x, y, ["dv", "js"], batch_size=32)
    >>> [(row.bound, row.batches, row.negatives) for row in table]
    [('dv', 8, 992), ('js', 8, 992)]
    """
    for name in bounds:
        _validate.choice("bounds", name, OBJECTIVES)
    batch_x, batch_y = minibatches(x, y, batch_size)

    with torch.no_grad():
        scores = vmap(critic)(batch_x, batch_y)
    joint, product = joint_and_product(scores)

    rows = []
    for name in bounds:
        objective = OBJECTIVES[name]
        statistics = gradient_statistics(objective, critic, x, y, batch_size=batch_size)
        negatives = (
            product.unflatten(-1, (batch_size, batch_size - 1)) if objective is infonce else product
        )
        weights = score_weights(name, joint, negatives)[1].flatten(1).abs()
        squares = (weights**2).sum(1)
        # Zero where no weight is left
        effective = (weights.sum(1) ** 2 / squares.where(squares > 0, 1)).mean()
        value = vmap(matrix_objective(objective))(scores).mean()
        rows.append(
            GradientRow(
                **vars(statistics),
                bound=name,
                value=float(value),
                effective_negatives=float(effective),
                negatives=product.shape[1],
            )
        )

    return GradientTable(rows)
