"""Is the minibatch gradient right on average? Its mean against the gradient with all negatives, sampled and exact.

The rows of `DIVERGENCES` are sums over positives and negatives, so their minibatch gradient is unbiased.
Donsker–Varadhan (and so MINE) and InfoNCE normalise within the minibatch, so their gradient is biased, as is their
value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import grad, vmap

from .. import _validate
from ..bounds.scores import paired_rows
from ..bounds.variational import Bound, infonce
from ..laws import Finite
from .gradients import batch_gradients, full_gradient, matrix_objective

_BATCHES = 10**6  # minibatches that the exact version enumerates, at most
_AT_ONCE = 16  # minibatches whose graphs are held in memory together
_TUPLES = 2**15  # minibatches that are evaluated at a time


@dataclass(frozen=True)
class MinibatchBias:
    """The mean minibatch gradient ḡ against the gradient g with all negatives.

    Attributes:
        relative: ‖ḡ − g‖/‖g‖; on average its square exceeds that of the true bias by noise².
        noise: root mean square of `relative` if there is no bias: √(tr Cov ĝ/batches)/‖g‖. 0 if exact.
        along: ⟨ḡ − g, g⟩/‖g‖², the part of the bias along g, without that excess. −0.1 is a step a tenth too short.
        along_stderr: standard error of `along`. 0 if exact.
        cosine: cosine of the angle between ḡ and g; about 1/√(1 + noise²) if there is no bias.
        batches: number of minibatches behind ḡ.
    """

    relative: float
    noise: float
    along: float
    along_stderr: float
    cosine: float
    batches: int


def minibatch_bias(
    objective: Bound,
    critic: nn.Module,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    *,
    batch_size: int = 64,
    batches: int = 256,
    generator: torch.Generator | None = None,
) -> MinibatchBias:
    """Measure the bias of the mean minibatch gradient against the gradient over all rows and all their product pairs.

    Each minibatch is drawn from the rows without replacement, independently of the others. For a sum over positives and
    negatives (`mi.nwj`, `mi.js`) the mean over all such minibatches is exactly the full gradient. For other objectives,
    whatever exceeds `noise` is bias.

    Args:
        objective: a bound of (joint, product), such as `mi.dv`, or `mi.infonce`.
        critic: module with critic(x, y) → score matrix of shape (n, n).
        x, y: paired rows, shapes (n, dx) and (n, dy), n ≥ batch_size.
        batch_size: rows of a minibatch, ≥ 2.
        batches: number of minibatches, ≥ 2.
        generator: source of the minibatches; None means torch's global one.

    Returns:
        `MinibatchBias`.

    Raises:
        ValueError: rows that do not pair, non-finite entries, a count out of range, or a full gradient of norm 0.

    Reference: Belghazi et al. 2018 (arXiv 1801.04062), section 3.2.

    >>> from mi_estimators import nwj
    >>> from mi_estimators.estimation.critics import Bilinear
    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> measured = minibatch_bias(nwj, Bilinear(1, 1), x, x, batch_size=2, batches=4)  # each minibatch has all the rows
    >>> measured.relative, measured.along, round(measured.cosine, 6)
    (0.0, 0.0, 1.0)
    """
    _validate.scores("x", x, dims=2)
    _validate.scores("y", y, dims=2)
    n = paired_rows(x, y, low=2)
    _validate.count("batch_size", batch_size, low=2, high=n)
    _validate.count("batches", batches, low=2)
    matrix = matrix_objective(objective)
    full = full_gradient(matrix, critic, x, y)

    total, squares, along = torch.zeros_like(full), torch.zeros_like(full), []
    for start in range(0, batches, _AT_ONCE):
        count = min(_AT_ONCE, batches - start)
        rows = torch.stack(
            [torch.randperm(n, generator=generator)[:batch_size] for _ in range(count)]
        )
        # Centred, so that the squares do not cancel.
        apart = batch_gradients(matrix, critic, x[rows], y[rows]) - full
        total, squares = total + apart.sum(0), squares + (apart**2).sum(0)
        along.append(apart @ full)

    mean, along = total / batches, torch.cat(along)
    trace = float((squares / batches - mean**2).sum()) * batches / (batches - 1)
    stderr = float(along.std()) / math.sqrt(batches)

    return _bias(mean, full, math.sqrt(max(trace, 0) / batches), stderr, batches)


def exact_minibatch_bias(
    objective: Bound, law: Finite, critic: Float[Tensor, "nx ny"], *, batch_size: int = 2
) -> MinibatchBias:
    """Compute the bias of the minibatch gradient on a finite law by enumerating all minibatches: no sampling, no error.

    The critic is a table, and its entries are the parameters. A minibatch is `batch_size` independent pairs of the law,
    and all other pairs of its rows are its negatives. g is the gradient of the bound's exact value on the law.

    Args:
        objective: a bound of (joint, product, log_p, log_q), such as `mi.dv`.
        law: finite law of nx·ny cells.
        critic: T(x, y), shape (nx, ny), in nats.
        batch_size: rows of a minibatch, ≥ 2. There are (nx·ny)^batch_size minibatches, and may be 10⁶.

    Returns:
        `MinibatchBias` with noise 0.

    Raises:
        ValueError: `infonce`, a critic of another shape or not finite, too many minibatches, or an exact gradient of
            norm 0.

    Theorem: mine_gradient_bias.

    >>> import mi_estimators as mi
    >>> law = mi.laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> critic = law.log_ratio_matrix / 2
    >>> [round(exact_minibatch_bias(bound, law, critic).relative, 6) for bound in (mi.nwj, mi.js, mi.dv)]
    [0.0, 0.0, 0.85]
    """
    if objective is infonce:
        raise ValueError(
            "objective: expected a bound of (joint, product, log_p, log_q), got infonce"
        )

    _validate.scores("critic", critic, dims=2)
    size = _validate.count("batch_size", batch_size, low=2)
    cells = law.log_joint.numel()
    if cells**size > _BATCHES:
        raise ValueError(f"batch_size: expected at most {_BATCHES} minibatches, got {cells}^{size}")

    value = matrix_objective(objective)

    def exact(table: Tensor) -> Tensor:
        return law.exact(objective, table)

    def batch_value(table: Tensor, atoms: Tensor) -> Tensor:
        x, y = atoms // table.shape[1], atoms % table.shape[1]
        return value(table[x][:, y])

    full = grad(exact)(critic).flatten()
    mean = torch.zeros_like(full)
    tuples = torch.cartesian_prod(*[torch.arange(cells, device=critic.device)] * size)

    for atoms in tuples.split(_TUPLES):
        chance = law.log_joint.flatten()[atoms].sum(-1).exp()
        gradients = vmap(grad(batch_value), in_dims=(None, 0))(critic, atoms)
        mean = mean + chance.to(full.dtype) @ gradients.flatten(1)

    return _bias(mean - full, full, 0.0, 0.0, len(tuples))


def _bias(
    apart: Tensor, full: Tensor, error: float, along_error: float, batches: int
) -> MinibatchBias:
    """Put the difference ḡ − g and its errors in units of ‖g‖."""
    norm = float(full.norm())
    if norm == 0:
        raise ValueError(
            "critic: expected a full gradient other than 0, since the bias is relative to it, got norm 0"
        )

    cosine = float(torch.nn.functional.cosine_similarity(apart + full, full, dim=0))
    along = float(apart @ full) / norm**2
    return MinibatchBias(
        float(apart.norm()) / norm, error / norm, along, along_error / norm**2, cosine, batches
    )
