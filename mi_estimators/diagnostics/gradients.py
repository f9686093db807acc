"""Gradient statistics of an objective: how much signal and how much noise, over minibatches or from one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, jacrev, vmap

from .. import _validate
from .._validate import unchecked
from ..bounds.scores import joint_and_product, paired_rows
from ..bounds.variational import Bound, infonce

Parameters = dict[str, Tensor]

MatrixBound = Callable[..., Tensor]
"""(scores (n, n) with the positives on the diagonal, log-weights of the rows (n,) or None) → value."""


@dataclass(frozen=True)
class GradientStatistics:
    """Mean and covariance of the minibatch gradient of an objective with respect to the critic's parameters.

    Attributes:
        mean_norm: norm of the mean gradient over the minibatches, in nats per unit of parameter. On average its square
            exceeds ‖E ĝ‖² by trace_covariance / batches.
        trace_covariance: tr Cov ĝ over minibatches.
        snr: mean_norm / √trace_covariance (Rainforth et al. 2018).
        noise_scale: batch · trace_covariance / ‖E ĝ‖², with that excess subtracted (McCandlish et al. 2018), in rows;
            infinite if the subtraction leaves nothing.
        batches: number of minibatches behind the figures.
    """

    mean_norm: float
    trace_covariance: float
    snr: float
    noise_scale: float
    batches: int


def gradient_statistics(
    objective: Bound,
    critic: nn.Module,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    *,
    batch_size: int = 64,
) -> GradientStatistics:
    """Measure the minibatch gradient of an objective at a critic, over disjoint minibatches of the rows.

    The `batch_size` pairs of a minibatch are its positives; all other pairs of its rows are its negatives.

    Args:
        objective: a bound of (joint, product), such as `mi.dv`, `mi.nwj` or `mi.js`, or `mi.infonce`.
        critic: module with critic(x, y) → score matrix of shape (n, n).
        x, y: paired rows, shapes (n, dx) and (n, dy), n ≥ 2·batch_size; rows that do not fill a minibatch are left out.
        batch_size: rows of a minibatch, ≥ 2.

    Returns:
        `GradientStatistics`.

    Raises:
        ValueError: rows that do not pair, non-finite entries, or fewer than two minibatches.

    Reference: Rainforth et al. 2018 (arXiv 1802.04537); McCandlish et al. 2018 (arXiv 1812.06162), appendix A.

    >>> from mi_estimators import nwj
    >>> from mi_estimators.estimation.critics import Bilinear
    >>> x = torch.tensor([[1.0], [-1.0]]).repeat(4, 1)  # every minibatch of two rows is the same
    >>> measured = gradient_statistics(nwj, Bilinear(1, 1), x, x, batch_size=2)
    >>> measured.mean_norm, measured.trace_covariance  # at T = 0 in the weight of x y: 1 − (−1), and 0 in the others
    (2.0, 0.0)
    """
    x, y = minibatches(x, y, batch_size)
    gradients = batch_gradients(matrix_objective(objective), critic, x, y)
    return summary(
        float(gradients.mean(0).norm()), float(gradients.var(0).sum()), batch_size, len(gradients)
    )


def sample_gradients(
    objective: Bound,
    critic: nn.Module,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    *,
    chunk_size: int | None = None,
) -> Float[Tensor, "n p"]:
    """Split the gradient of an objective into the contributions of the rows, which sum to ∇θ.

    Give row i the log-weight ω_i, as a positive and in all its product pairs. Its contribution is
        g_i = ∇θ V/n + ∂∇θ V/∂ω_i,
    the infinitesimal jackknife's pseudo-value over n. They sum to ∇θ V exactly, since V does not change when all rows
    weigh more. For a mean over rows, V = (1/n) Σ φ(x_i, y_i), it is the plain per-sample gradient ∇φ_i/n. Where rows
    share negatives it also counts how row i moves the normaliser of every other row. So Σ (g_i − ḡ)(g_i − ḡ)ᵀ estimates
    the covariance of the gradient from these n rows alone (`jackknife_statistics`).

    Args:
        objective: a bound of (joint, product, log_p, log_q), such as `mi.dv`, or `mi.infonce`.
        critic: module with critic(x, y) → score matrix of shape (n, n).
        x, y: paired rows, shapes (n, dx) and (n, dy), n ≥ 2. The time is that of n backward passes over all pairs.
        chunk_size: number of backward passes made at once, which bounds the memory; None means all n.

    Returns:
        Shape (n, p), the parameters flat in the order of `critic.named_parameters()`.

    Raises:
        ValueError: rows that do not pair, fewer than two, or non-finite entries.

    Reference: Efron 1982, chapter 6 (infinitesimal jackknife).

    >>> from mi_estimators import dv
    >>> from mi_estimators.estimation.critics import Bilinear
    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> sample_gradients(dv, Bilinear(1, 1), x, x)[:, 0].tolist()  # in the weight of x y; together 1 − (−1)
    [1.0, 1.0]
    """
    _validate.scores("x", x, dims=2)
    _validate.scores("y", y, dims=2)
    n, value = paired_rows(x, y, low=2), _value(matrix_objective(objective), critic)

    def contributions(parameters: Parameters) -> Tensor:
        def weighted(log_weights: Tensor) -> Tensor:
            return value(parameters, x, y, log_weights.log_softmax(-1))

        influence, total = grad_and_value(weighted)(x.new_zeros(n))
        return influence + total / n

    return _flat(jacrev(contributions, chunk_size=chunk_size)(_parameters(critic)))


def jackknife_statistics(gradients: Float[Tensor, "n p"]) -> GradientStatistics:
    """Estimate from the `sample_gradients` of one minibatch what `gradient_statistics` measures over many of its size.

    trace_covariance is n/(n − 1) Σ ‖g_i − ḡ‖². It is right to first order in 1/n. It is too small where the gradient
    rests on a few negatives that this minibatch has not met (see `effective_sample_size`).

    Args:
        gradients: contributions of n ≥ 2 rows, shape (n, p).

    Returns:
        `GradientStatistics` with batches = 1.

    Raises:
        ValueError: not a matrix of at least two rows, or non-finite entries.

    >>> measured = jackknife_statistics(torch.tensor([[1.0], [0.0], [0.0], [1.0]]))
    >>> measured.mean_norm, round(measured.trace_covariance, 6), round(measured.noise_scale, 6)
    (2.0, 1.333333, 2.0)
    """
    n = len(_validate.scores("gradients", gradients, dims=2))
    if gradients.dim() != 2 or n < 2:
        raise ValueError(
            f"gradients: expected shape (n, p) with n of at least 2, got {tuple(gradients.shape)}"
        )

    return summary(float(gradients.sum(0).norm()), n * float(gradients.var(0).sum()), n, 1)


def summary(norm: float, trace: float, batch_size: int, batches: float) -> GradientStatistics:
    """Derive signal-to-noise ratio and noise scale from ‖mean over batches‖ and the trace of the covariance."""
    snr = norm / trace**0.5 if trace > 0 else (float("inf") if norm > 0 else 0.0)
    signal = norm**2 - trace / batches
    noise_scale = batch_size * trace / signal if signal > 0 else float("inf")
    return GradientStatistics(norm, trace, snr, noise_scale, round(batches))


def matrix_objective(objective: Bound) -> MatrixBound:
    """Turn an objective into a function of a square score matrix: the diagonal is P, the rest is Q.

    `infonce` is such a function already. Row i with log-weight ω_i has weight e^{ω_i} as a positive, and its product
    pairs have weight e^{ω_i + ω_j}. The function does not check its arguments.
    """
    if objective is infonce:
        return unchecked(infonce)

    bound = unchecked(objective)

    def value(
        scores: Float[Tensor, "n n"], log_weights: Float[Tensor, " n"] | None = None
    ) -> Tensor:
        joint, product = joint_and_product(scores)
        if log_weights is None:
            return bound(joint, product)
        log_pairs = joint_and_product(log_weights.unsqueeze(-1) + log_weights)[1]
        return bound(joint, product, log_p=log_weights, log_q=log_pairs.log_softmax(-1))

    return value


def minibatches(x: Tensor, y: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Cut paired rows into at least two minibatches: shapes (batches, batch_size, d)."""
    _validate.scores("x", x, dims=2)
    _validate.scores("y", y, dims=2)
    batches = len(x) // _validate.count("batch_size", batch_size, low=2)

    if len(x) != len(y) or batches < 2:
        raise ValueError(
            f"x, y: expected paired rows for at least 2 batches of {batch_size}, got {len(x)} and {len(y)}"
        )

    rows = batches * batch_size
    return x[:rows].reshape(batches, batch_size, -1), y[:rows].reshape(batches, batch_size, -1)


def batch_gradients(
    objective: MatrixBound,
    critic: nn.Module,
    x: Float[Tensor, "b n dx"],
    y: Float[Tensor, "b n dy"],
) -> Float[Tensor, "b p"]:
    """Return the gradient of each minibatch, flat."""
    per_batch = vmap(grad(_value(objective, critic)), in_dims=(None, 0, 0))
    return _flat(per_batch(_parameters(critic), x, y))


def full_gradient(
    objective: MatrixBound, critic: nn.Module, x: Tensor, y: Tensor
) -> Float[Tensor, " p"]:
    """Return the gradient over all rows and all their product pairs, flat."""
    return batch_gradients(objective, critic, x.unsqueeze(0), y.unsqueeze(0))[0]


def _value(objective: MatrixBound, critic: nn.Module) -> Callable[..., Tensor]:
    """Return the objective as a function of (parameters, x, y, log-weights of the rows)."""

    def value(
        parameters: Parameters, x: Tensor, y: Tensor, log_weights: Tensor | None = None
    ) -> Tensor:
        return objective(functional_call(critic, parameters, (x, y)), log_weights)

    return value


def _parameters(critic: nn.Module) -> Parameters:
    return {name: p.detach() for name, p in critic.named_parameters()}


def _flat(gradients: Parameters) -> Float[Tensor, "n p"]:
    """Join the gradients of all parameters behind their common first dimension."""
    return torch.cat([g.flatten(1) for g in gradients.values()], 1)
