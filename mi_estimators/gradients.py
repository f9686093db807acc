"""Gradient statistics of an objective over minibatches: how much signal, how much noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from . import _checks
from .bounds import Bound
from .scores import joint_and_product


@dataclass(frozen=True)
class GradientStatistics:
    """Mean and covariance of the minibatch gradient of an objective with respect to the critic's parameters.

    Attributes:
        mean_norm: norm of the mean over the minibatches, in nats per unit of parameter; on average its square exceeds
            ‖E ĝ‖² by trace_covariance / batches.
        trace_covariance: tr Cov ĝ over minibatches.
        snr: mean_norm / √trace_covariance (Rainforth et al. 2018).
        noise_scale: batch · trace_covariance / ‖E ĝ‖² with that excess taken off (McCandlish et al. 2018), in rows;
            infinite where nothing is left.
        batches: number of minibatches the figures rest on.
    """

    mean_norm: float
    trace_covariance: float
    snr: float
    noise_scale: float
    batches: int


def gradient_statistics(
    objective: Bound, critic: nn.Module, x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"], *, batch_size: int = 64
) -> GradientStatistics:
    """Measure the minibatch gradient of an objective at a critic, over the disjoint minibatches of the rows.

    Each minibatch takes its `batch_size` pairs as positives and all its other pairs as negatives.

    Args:
        objective: a bound of (joint, product), such as `mi.dv`, `mi.nwj` or `mi.js`.
        critic: module with critic(x, y) → score matrix of shape (n, n).
        x, y: paired rows, shapes (n, dx) and (n, dy), n ≥ 2·batch_size; rows beyond a whole minibatch are left out.
        batch_size: rows of a minibatch, ≥ 2.

    Returns:
        `GradientStatistics`.

    Raises:
        ValueError: rows that do not pair, non-finite entries, or fewer than two minibatches.

    Reference: Rainforth et al. 2018 (arXiv 1802.04537); McCandlish et al. 2018 (arXiv 1812.06162), appendix A.
    """
    _checks.scores("x", x, dims=2)
    _checks.scores("y", y, dims=2)
    batches = len(x) // _checks.count("batch_size", batch_size, low=2)
    if len(x) != len(y) or batches < 2:
        raise ValueError(
            f"x, y: expected paired rows for at least 2 batches of {batch_size}, got {len(x)} and {len(y)}"
        )

    def value(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return objective(*joint_and_product(functional_call(critic, parameters, (x, y))))

    parameters = {name: p.detach() for name, p in critic.named_parameters()}
    rows = batches * batch_size
    gradients = vmap(grad(value), in_dims=(None, 0, 0))(
        parameters, x[:rows].reshape(batches, batch_size, -1), y[:rows].reshape(batches, batch_size, -1)
    )
    flat = torch.cat([g.flatten(1) for g in gradients.values()], 1)
    mean, variance = flat.mean(0), flat.var(0)
    norm, trace = float(mean.norm()), float(variance.sum())
    snr = norm / trace**0.5 if trace > 0 else (float("inf") if norm > 0 else 0.0)
    signal = norm**2 - trace / batches
    noise_scale = batch_size * trace / signal if signal > 0 else float("inf")
    return GradientStatistics(norm, trace, snr, noise_scale, batches)
