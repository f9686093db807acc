"""One expectation, for a minibatch and for an exact law.

Without `log_weights` the last dimension holds equally likely samples. With them it holds the atoms of a finite law, and
`log_weights` are their log-probabilities. So theorems are tested on the shipped code, without Monte-Carlo noise.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate


def mean(
    values: Float[Tensor, "*batch n"], log_weights: Float[Tensor, "*#batch n"] | None = None
) -> Tensor:
    """Return E[values] over the last dimension.

    Args:
        values: shape (..., n). Entries without mass do not count, whatever they are (NaN, too).
        log_weights: log-probabilities, shape (..., n); None means 1/n each.

    Returns:
        Shape (...).

    Raises:
        ValueError: empty, non-floating or NaN values, or log-weights of another shape or that do not sum to 1.

    Theorem: starvation_on_policy.

    >>> import torch
    >>> float(mean(torch.tensor([1.0, 5.0]), torch.tensor([0.75, 0.25]).log()))
    2.0
    """
    _check(values, log_weights)
    return expectation(values, log_weights)


def log_mean_exp(
    values: Float[Tensor, "*batch n"], log_weights: Float[Tensor, "*#batch n"] | None = None
) -> Tensor:
    """Return ln E[exp(values)] over the last dimension, computed in log space.

    Args, Returns, Raises: as for `mean`.

    Theorem: gibbs_dv_duality.

    >>> import torch
    >>> float(log_mean_exp(torch.tensor([1000.0, 1000.0])))
    1000.0
    """
    _check(values, log_weights)
    return log_expectation_exp(values, log_weights)


def _check(values: Tensor, log_weights: Tensor | None) -> None:
    _validate.log_weights("log_weights", log_weights, _validate.floating("values", values))
    _validate.values("values", values, log_weights)


def expectation(values: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return `mean` of arguments that need no check."""
    if log_weights is None:
        return values.mean(-1)
    return (on_support(values, log_weights) * log_weights.exp()).sum(-1)


def log_expectation_exp(values: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return `log_mean_exp` of arguments that need no check."""
    if log_weights is None:
        return torch.logsumexp(values, -1) - math.log(values.shape[-1])
    return torch.logsumexp(on_support(values, log_weights) + log_weights, -1)


def on_support(values: Tensor, log_weights: Tensor | None, elsewhere: float = 0.0) -> Tensor:
    """Set values without mass to `elsewhere`, so that neither 0·∞ nor its gradient can appear."""
    return values if log_weights is None else values.where(log_weights > -math.inf, elsewhere)
