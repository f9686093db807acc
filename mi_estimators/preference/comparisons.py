"""Preference losses that are no cell of bound × mix, to compare with: functions of log-ratios z and β.

Unlike `preference_loss`, which takes scores T = βz, these take z = ln π/π_ref and β apart, since most of them use z on
another scale than β's. Notation: z_w of the chosen, z_l of the rejected response, sp(t) = ln(1 + eᵗ), σ the logistic.

`ALTERNATIVES` holds a row for each: its function, and what is known of it. A new loss is a function, its name in
`__all__`, and a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from ..display.style import NAMES
from .loss import preference_loss

__all__ = [
    "ALTERNATIVES",
    "Comparison",
    "bco",
    "cal_dpo",
    "dpo_sft",
    "dpop",
    "ipo",
    "kto",
    "sft",
]

Scale = float | Float[Tensor, "..."]
"""A positive number, or a tensor of them that broadcasts with the log-ratios (one β for each replica, say)."""


def ipo(
    chosen: Float[Tensor, "*batch"], rejected: Float[Tensor, "*batch"], beta: Scale
) -> Float[Tensor, "*batch"]:
    """Return IPO's loss (z_w − z_l − 1/(2β))², in nats².

    The margin is drawn to 1/(2β) and kept there, but only the margin: the common mode (1, 1) is flat, as DPO's. β is
    the paper's τ.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β that is not positive.

    Reference: Azar et al. 2024 (arXiv 2310.12036), eq. 17.

    >>> z = torch.tensor([1.0], dtype=torch.float64)
    >>> ipo(z, -z, beta=0.25).item(), ipo(z + 7, 7 - z, beta=0.25).item()
    (0.0, 0.0)
    """
    _pair(chosen, rejected, beta)
    return (chosen - rejected - 1 / (2 * beta)).square()


def kto(
    chosen: Float[Tensor, "*batch n"],
    rejected: Float[Tensor, "*batch n"],
    beta: Scale,
    reference_point: Scale | None = None,
) -> Float[Tensor, "*batch n"]:
    """Return KTO's loss of a pair, 2 − σ(βz_w − z₀) − σ(z₀ − βz_l), with both its weights λ at 1.

    The reference point z₀ ≥ 0 stands for β KL(π‖π_ref) and passes no gradient. The paper estimates it from prompts
    matched with other prompts' responses, which a function of the pairs alone cannot; left to itself it is here the
    mean of βz over both halves of the batch (the last dimension), not below 0.

    Args:
        chosen: z_w = ln π/π_ref of the chosen responses of a batch, shape (..., B).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.
        reference_point: z₀, if the caller has an estimate; broadcasts with the log-ratios.

    Returns:
        Losses, shape (..., B), each in (0, 2); 1 at z = 0. Not convex: far from z₀ the gradient vanishes on both
        sides.

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β that is not positive.

    Reference: Ethayarajh et al. 2024 (arXiv 2402.01306), eq. 8.

    >>> zero = torch.zeros(2, dtype=torch.float64)
    >>> kto(zero, zero, beta=0.1).tolist()
    [1.0, 1.0]
    """
    _pair(chosen, rejected, beta, dims=1)
    own, other = beta * chosen, beta * rejected
    if reference_point is None:
        reference_point = torch.cat([own, other], -1).mean(-1, keepdim=True).clamp_min(0)
    if isinstance(reference_point, Tensor):
        reference_point = reference_point.detach()
    return 2 - torch.sigmoid(own - reference_point) - torch.sigmoid(reference_point - other)


def bco(
    chosen: Float[Tensor, "*batch"],
    rejected: Float[Tensor, "*batch"],
    beta: Scale,
    shift: Scale = 0.0,
) -> Float[Tensor, "*batch"]:
    """Return BCO's loss sp(δ − βz_w) + sp(βz_l − δ), in nats: the logistic cell of JS with its threshold moved.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.
        shift: δ, which the paper keeps at a moving average of βz over both responses; it passes no gradient.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β that is not positive.

    Reference: Jung et al. 2024 (arXiv 2404.04656), "binary classifier optimization".

    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> round(bco(zero, zero, beta=0.1).item(), 6)
    1.386294
    """
    _pair(chosen, rejected, beta)
    shift = shift.detach() if isinstance(shift, Tensor) else shift
    return preference_loss(beta * chosen - shift, beta * rejected - shift, bound="js", mix=1.0)


def cal_dpo(
    chosen: Float[Tensor, "*batch"],
    rejected: Float[Tensor, "*batch"],
    beta: Scale,
    weight: Scale = 1.0,
) -> Float[Tensor, "*batch"]:
    """Return Cal-DPO's loss −ln σ(z_w − z_l) + weight · [(z_w − 1/(2β))² + (z_l + 1/(2β))²].

    β sets the targets and does not multiply the margin. Strictly convex, with its minimum on z_l = −z_w.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.
        weight: of the squares; the authors' code has ½.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β or weight that is not positive.

    Reference: Xiao et al. 2024 (arXiv 2412.14516); the authors' repository, Cal-DPO.

    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> round(cal_dpo(zero, zero, beta=1.0).item(), 6)  # ln 2 + ½
    1.193147
    """
    _pair(chosen, rejected, beta, weight=weight)
    target = 1 / (2 * beta)
    squares = (chosen - target).square() + (rejected + target).square()
    return preference_loss(chosen, rejected, bound="dv", mix=0.5) + weight * squares


def dpop(
    chosen: Float[Tensor, "*batch"],
    rejected: Float[Tensor, "*batch"],
    beta: Scale,
    weight: Scale = 50.0,
) -> Float[Tensor, "*batch"]:
    """Return DPO-Positive's loss −ln σ(β(z_w − z_l − weight · max(0, −z_w))), in nats.

    DPO where z_w ≥ 0, its gradient at the kink; below, the chosen response is pulled up 1 + weight times as hard as
    the rejected one is pushed down.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.
        weight: the paper's λ, > 0.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β or weight that is not positive.

    Reference: Pal et al. 2024 (arXiv 2402.13228), eq. 3, λ = 50.

    >>> z = torch.tensor([0.5], dtype=torch.float64)
    >>> round(dpop(z, -z, beta=1.0).item(), 6)  # ln(1 + 1/e)
    0.313262
    """
    _pair(chosen, rejected, beta, weight=weight)
    return preference_loss(
        beta * (chosen - weight * torch.relu(-chosen)), beta * rejected, bound="dv", mix=0.5
    )


def dpo_sft(
    chosen: Float[Tensor, "*batch"],
    rejected: Float[Tensor, "*batch"],
    beta: Scale,
    weight: Scale = 1.0,
) -> Float[Tensor, "*batch"]:
    """Return DPO with a likelihood term on the chosen response, −ln σ(β(z_w − z_l)) − weight · z_w.

    Up to the constant −weight · ln π_ref(y_w), the term is weight times the response's negative log-likelihood,
    summed over its tokens; where others average it, divide `weight` by the length.
    In a linearised model whose responses share features, ⟨φ_w, φ_l⟩ > ‖φ_w‖², the rejected one rises in the end.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape.
        beta: inverse temperature, > 0.
        weight: of the likelihood term, > 0.

    Returns:
        Losses in nats, shape (...); unbounded below in z_w, which normalisation bounds by −ln π_ref(y_w).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β or weight that is not positive.

    Theorem: disentanglement_band.

    Reference: Pang et al. 2024 (arXiv 2404.19733), eq. 1; Liu et al. 2024 (arXiv 2405.16436).

    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> round(dpo_sft(zero, zero, beta=0.1).item(), 6)
    0.693147
    """
    _pair(chosen, rejected, beta, weight=weight)
    return preference_loss(beta * chosen, beta * rejected, bound="dv", mix=0.5) - weight * chosen


def sft(
    chosen: Float[Tensor, "*batch"], rejected: Float[Tensor, "*batch"], beta: Scale
) -> Float[Tensor, "*batch"]:
    """Return −z_w: the negative log-likelihood of the chosen response up to the constant −ln π_ref(y_w), in nats.

    Args:
        chosen: z_w = ln π/π_ref of the chosen response, shape (...).
        rejected: z_l, of the same shape; it and β are ignored, so that all rows of `ALTERNATIVES` are called alike.
        beta: inverse temperature, > 0.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty log-ratios, different shapes, or β that is not positive.

    >>> sft(torch.ones(1), torch.zeros(1), beta=0.1).tolist()
    [-1.0]
    """
    _pair(chosen, rejected, beta)
    return -chosen


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A loss of log-ratios and what is known of it; a row is called as its function is.

    Attributes:
        name: the key in `ALTERNATIVES`.
        label: the name in print.
        function: (chosen, rejected, beta, …) → losses.
        start: the loss at z = 0 as a function of β.
        floor: the infimum, where it is known; a loss that is unbounded below has none.
        threshold: turns the mean reward βz of a batch, over both responses, into the option that keeps the loss's
            threshold there.
    """

    name: str
    label: str
    function: Callable[..., Tensor]
    start: Callable[[float], float]
    floor: float | None = None
    threshold: Callable[[Tensor], dict[str, Tensor]] | None = None

    def __call__(self, chosen: Tensor, rejected: Tensor, beta: Scale, **options: Scale) -> Tensor:
        """Return the losses, shape (...), as the function does."""
        return self.function(chosen, rejected, beta, **options)


ALTERNATIVES: dict[str, Comparison] = {
    row.name: row
    for row in (
        Comparison(
            name="ipo",
            label="IPO",
            function=ipo,
            start=lambda beta: 1 / (4 * beta**2),
            floor=0.0,
        ),
        Comparison(
            name="kto",
            label="KTO",
            function=kto,
            start=lambda beta: 1.0,
            floor=0.0,
            threshold=lambda reward: {"reference_point": reward.clamp_min(0)},
        ),
        Comparison(
            name="bco",
            label="BCO",
            function=bco,
            start=lambda beta: 2 * math.log(2),
            floor=0.0,
            threshold=lambda reward: {"shift": reward},
        ),
        Comparison(
            name="cal_dpo",
            label="Cal-DPO",
            function=cal_dpo,
            start=lambda beta: math.log(2) + 1 / (2 * beta**2),
        ),
        Comparison(
            name="dpop",
            label="DPOP",
            function=dpop,
            start=lambda beta: math.log(2),
            floor=0.0,
        ),
        Comparison(
            name="dpo_sft",
            label="DPO+SFT",
            function=dpo_sft,
            start=lambda beta: math.log(2),
        ),
        Comparison(
            name="sft",
            label="SFT",
            function=sft,
            start=lambda beta: 0.0,
        ),
    )
}
"""Name → row."""

NAMES.update({row.name: row.label for row in ALTERNATIVES.values()})  # figures print them, too


def _pair(
    chosen: Tensor,
    rejected: Tensor,
    beta: Scale,
    *,
    weight: Scale = 1.0,
    dims: int = 0,
) -> None:
    """Check what every loss takes."""
    _validate.scores("chosen", chosen, dims=dims)
    _validate.scores("rejected", rejected, dims=dims)
    if rejected.shape != chosen.shape:
        raise ValueError(
            f"rejected: expected shape {tuple(chosen.shape)}, got {tuple(rejected.shape)}"
        )

    for name, value in (("beta", beta), ("weight", weight)):
        if not isinstance(value, Tensor):
            _validate.number(name, value, low=0)
            continue
        _validate.scores(name, value, dims=0)
        if not _validate.all_true(value > 0):
            raise ValueError(f"{name}: expected positive numbers, got one that is not")
        _validate.batch_shapes(chosen=tuple(chosen.shape), **{name: tuple(value.shape)})
