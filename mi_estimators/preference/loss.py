"""A preference loss is a bound on a mixed product law.

The chosen response is the one positive. The negatives come from Q_α = (1 − α) P + α Q: the chosen response itself with
weight 1 − α, and the rejected ones with weight α between them. Scores are T = β ln π/π_ref, in nats. At α = ½ the
Donsker–Varadhan bound gives DPO, and the Jensen–Shannon bound gives MIO, which is pairwise NCA (Chen et al. 2024).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import _validate
from .._validate import checked, unchecked
from ..bounds.divergences import DIVERGENCES
from ..bounds.relative import log_shares, mixed_product
from ..bounds.variational import BOUNDS, dv
from ..theory.anchors import preference_anchor

PREFERENCE_BOUNDS: tuple[str, ...] = (*BOUNDS, "infonce")
"""Legal names of `preference_loss(bound=…)`."""


def _check(
    chosen: Tensor,
    rejected: Tensor,
    bound: str = "js",
    mix: float = 0.5,
    *,
    mask: Tensor | None = None,
) -> None:
    """Raise for arguments that `preference_loss` does not take."""
    _validate.choice("bound", bound, PREFERENCE_BOUNDS)
    _validate.mix(mix)
    _validate.scores("chosen", chosen, dims=0)
    _validate.floating("rejected", rejected, dims=0)
    if rejected.shape == chosen.shape:
        rejected = rejected.unsqueeze(-1)

    if rejected.shape[:-1] != chosen.shape:
        raise ValueError(
            f"rejected: expected shape {tuple(chosen.shape)}, or that and K responses, got {tuple(rejected.shape)}"
        )

    if mask is not None:
        _check_mask(rejected, mask)
        rejected = rejected.where(mask, 0.0)

    _validate.scores("rejected", rejected)


def _check_mask(rejected: Tensor, mask: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != rejected.shape:
        got = (
            f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        )
        raise ValueError(
            f"mask: expected a bool tensor of shape {tuple(rejected.shape)}, got {got}"
        )

    if not _validate.all_true(mask.any(-1)):
        raise ValueError(
            "mask: expected at least one negative in every example, got an example with none"
        )


@checked(_check)
def preference_loss(
    chosen: Float[Tensor, "*batch"],
    rejected: Float[Tensor, "*batch"] | Float[Tensor, "*batch k"],
    bound: str = "js",
    mix: float = 0.5,
    *,
    mask: Bool[Tensor, "*batch k"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Return the preference loss `constant − bound` of each example, in nats.

    | bound, mix | loss | at zero scores |
    |---|---|---|
    | dv, ½ | DPO: −ln σ(T_w − T_l) | ln 2 |
    | dv, 1 | T_l − T_w (for K > 1: ln (1/K) Σ e^{T_l} − T_w) | 0 |
    | js, ½ | MIO = NCA pair: sp(−T_w) + ½ sp(T_w) + ½ sp(T_l) | 2 ln 2 |
    | js, 1 | logistic (BCE): sp(−T_w) + sp(T_l) | 2 ln 2 |
    | infonce | InfoNCA, Plackett–Luce top-1: −ln softmax of the chosen among K + 1 | ln(K + 1) |

    The constant is −ln(1 − mix) for dv (0 at mix = 1), ln(K + 1) for infonce, and `FDivergence.loss_constant` for the
    other rows: 2 ln 2 for js, else 0. `infonce` gives its K + 1 candidates equal weights, so it ignores `mix`: its mix
    is always K/(K + 1).

    Args:
        chosen: T of the chosen response, β ln π/π_ref, shape (...).
        rejected: T of the rejected response(s), shape (...) or (..., K); K negatives share the weight `mix` equally.
        bound: one of `preference.PREFERENCE_BOUNDS`.
        mix: α, the share of true negatives, in (0, 1].
        mask: True where a negative exists, shape (..., K), if K differs between examples; at least one per example.
            Scores elsewhere do not count, whatever they are (NaN and infinity, too), and get a gradient of zero.

    Returns:
        Losses, shape (...).

    Raises:
        ValueError: non-finite or empty scores, shapes that do not fit, an unknown bound, or mix outside (0, 1].

    Theorem: preference_table, loss_certifies_margin.
    Reference: Lv et al. 2025 (arXiv 2506.22578); Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; Chen et al. 2024
        (arXiv 2402.05369), NCA; the mixed marginal: Yamada et al. 2011 (arXiv 1106.4729).

    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> [round(float(preference_loss(zero, zero, bound=name)), 6) for name in ("dv", "js", "infonce")]
    [0.693147, 1.386294, 0.693147]
    """
    if rejected.shape == chosen.shape:
        rejected = rejected.unsqueeze(-1)
    if mask is None:
        mask = torch.ones_like(rejected, dtype=torch.bool)

    rejected = rejected.where(mask, 0.0)
    positive = chosen.unsqueeze(-1)
    log_own, log_each, count = _log_weights(bound, mix, mask, rejected.dtype)

    if bound in DIVERGENCES:
        row = DIVERGENCES[bound]
        candidates, log_q = mixed_product(positive, rejected, log_own, log_each)
        return row.loss_constant - row.unchecked(positive, candidates, log_q=log_q)

    # DV does not change under T + c. Relative to the chosen score its own term is an exact constant, and the two
    # gradients stay equal and opposite however far apart the responses are.
    positive, rejected = torch.zeros_like(positive), rejected - positive
    candidates, log_q = mixed_product(positive, rejected, log_own, log_each)
    constant = torch.log1p(count) if bound == "infonce" else _dv_constant(mix)

    return constant - unchecked(dv)(positive, candidates, log_q=log_q)


def _dv_constant(mix: float) -> float:
    """Return −ln(1 − α), the most that DV can read against Q_α; 0 at α = 1, where it has no ceiling."""
    return preference_anchor(mix) if mix < 1 else 0.0


def _log_weights(
    bound: str, mix: float, mask: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ln Q_α of the chosen (..., 1) and of each rejected (..., K), and the number of negatives (...)."""
    count = mask.sum(-1, keepdim=True).to(dtype)
    if bound == "infonce":
        log_own = log_each = -torch.log1p(count)
    else:
        log_own, log_other = log_shares(mix)
        log_own, log_each = torch.full_like(count, log_own), log_other - count.log()

    return log_own, log_each.expand(mask.shape).where(mask, -math.inf), count.squeeze(-1)
