"""Injective maps of whole rows with their inverses: rotations that grow with the norm, and embeddings."""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import inside_unit_interval, nearest
from .transformed import InjectiveMap


def _rotate(
    x: Tensor,
    speed: float,
    plane: tuple[int, int],
    power: int,
) -> Tensor:
    angle = speed * torch.linalg.vector_norm(x, dim=-1) ** power
    columns = list(x.unbind(-1))
    a, b = (columns[k] for k in plane)
    columns[plane[0]] = angle.cos() * a - angle.sin() * b
    columns[plane[1]] = angle.sin() * a + angle.cos() * b

    return torch.stack(columns, -1)


def spiral(
    speed: float,
    plane: tuple[int, int] = (0, 1),
    power: int = 1,
) -> InjectiveMap:
    """Return x ↦ R(speed·‖x‖^power) x, a rotation in one plane by an angle that grows with the norm.

    It keeps ‖x‖, so its inverse is the spiral of the opposite speed. The spirals of the benchmark have power 2.

    Args:
        speed: radians per unit of ‖x‖^power.
        plane: the two columns that turn.
        power: 1 or 2.

    Returns:
        The map with its inverse, on the last dimension.

    Raises:
        ValueError: a speed that is not finite, a plane that is not two different columns, or another power.

    >>> quarter = spiral(math.pi / 2).forward(torch.tensor([1.0, 0.0]))
    >>> [round(float(entry), 6) + 0.0 for entry in quarter]
    [0.0, 1.0]
    """
    _validate.number("speed", speed)
    if not isinstance(plane, tuple) or len(plane) != 2 or plane[0] == plane[1]:
        raise ValueError(f"plane: expected two different columns, got {plane!r}")

    dim_low = 1 + max(_validate.count("plane", column, low=0) for column in plane)
    _validate.count("power", power, high=2)
    forward, inverse = (
        partial(_rotate, speed=v, plane=plane, power=power) for v in (speed, -speed)
    )

    return InjectiveMap("spiral", forward, inverse, dim_low=dim_low)


def _roll(u: Tensor) -> Tensor:
    t = 1.5 * math.pi * (1 + 2 * inside_unit_interval("swiss_roll", u))
    return torch.cat([t * t.cos(), t * t.sin()], -1) / 21


def _unroll(point: Tensor) -> Tensor:
    """Read u off the distance 21‖(x₁, x₂)‖ = 3π/2·(1 + 2u) from the centre, and refuse what is not on the curve."""
    u = (torch.linalg.vector_norm(point, dim=-1, keepdim=True) * (21 / (1.5 * math.pi)) - 1) / 2
    u = inside_unit_interval("swiss_roll", u)
    if not _validate.all_true((_roll(u) - point).abs() <= 256 * torch.finfo(point.dtype).eps):
        raise ValueError("swiss_roll: expected points of the curve, got one off it")
    return u


SWISS_ROLL = InjectiveMap("swiss_roll", _roll, _unroll, dim_in=1, dim_out=2)
"""u in (0, 1) ↦ (t cos t, t sin t)/21 with t = 3π/2·(1 + 2u): one column becomes a curve in the plane."""


def _row(index: Tensor, points: Tensor) -> Tensor:
    return points[index].to(torch.get_default_dtype())


def embedding(points: Float[Tensor, "k d"]) -> InjectiveMap:
    """Return index ↦ its row of a table: the indices of a `Finite` law become vectors.

    Args:
        points: shape (k, d), a different row for each index.

    Returns:
        The map, from indices of shape (...) to rows (..., d), with its inverse.

    Raises:
        ValueError: not a matrix of finite numbers, or two equal rows.

    >>> from mi_estimators.laws import Finite, Transformed
    >>> bits = embedding(torch.eye(2))
    >>> law = Transformed(Finite(torch.eye(2).div(2).log()), bits, bits)
    >>> law.log_ratio(torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])).exp().tolist()
    [2.0, 0.0]
    """
    if _validate.scores("points", points, dims=2).dim() != 2:
        raise ValueError(f"points: expected a matrix, got shape {tuple(points.shape)}")

    table = points.detach().to(torch.float64, copy=True)
    if len(table.unique(dim=0)) != len(table):
        raise ValueError("points: expected rows that differ, got two that are equal")

    forward, inverse = partial(_row, points=table), partial(nearest, "embedding", points=table)
    return InjectiveMap("embedding", forward, inverse, dim_in=0, dim_out=table.shape[1])
