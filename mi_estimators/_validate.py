"""Checks of arguments, made once, in public functions: a message names the argument, what was expected and what came.

A public function that training also calls is `checked`; the training loop calls its `unchecked` core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import wraps
from numbers import Integral, Real
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")


def checked(check: Callable[..., object]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function to call `check` on its arguments first; `unchecked` returns the function without it."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def public(*args: P.args, **kwargs: P.kwargs) -> R:
            check(*args, **kwargs)
            return function(*args, **kwargs)

        vars(public)["unchecked"] = function
        return public

    return decorate


def unchecked(function: F) -> F:
    """Return a function without its checks, or the function itself if it has none."""
    return getattr(function, "unchecked", function)


def all_true(condition: Tensor) -> bool:
    """Tell whether every entry is true; inside torch.func.vmap, where values cannot be read, assume that it is."""
    try:
        return bool(condition.all())
    except RuntimeError as error:
        if "vmap" in str(error):
            return True
        raise


def floating(name: str, value: Tensor, *, dims: int = 1) -> Tensor:
    """Return `value` if it is a non-empty floating-point tensor with at least `dims` dimensions."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a torch tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got dtype {value.dtype}")
    if value.dim() < dims:
        raise ValueError(
            f"{name}: expected at least {dims} dimension(s), got shape {tuple(value.shape)}"
        )

    if value.numel() == 0:
        raise ValueError(f"{name}: expected at least one entry, got shape {tuple(value.shape)}")

    return value


def values(name: str, value: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return `value` if it is a non-empty tensor without NaN where it has mass; infinite values are allowed."""
    if not all_true(~torch.isnan(floating(name, value)) | _massless(log_weights)):
        raise ValueError(f"{name}: expected values without NaN, got NaN")
    return value


def scores(
    name: str,
    value: Tensor,
    *,
    dims: int = 1,
    log_weights: Tensor | None = None,
) -> Tensor:
    """Return `value` if it is a non-empty tensor of scores that are finite where they have mass."""
    floating(name, value, dims=dims)
    if not all_true(torch.isfinite(value) | _massless(log_weights)):
        raise ValueError(f"{name}: expected finite scores, got NaN or infinity")
    return value


def _massless(log_weights: Tensor | None) -> Tensor | bool:
    return False if log_weights is None else log_weights == -math.inf


def log_weights(name: str, value: Tensor | None, like: Tensor) -> Tensor | None:
    """Return `value` if it is None or log-probabilities over the last dimension of `like` (−inf means no mass)."""
    if value is None:
        return None

    floating(name, value)
    try:
        # numpy's, here and below: torch's loads sympy
        fits = np.broadcast_shapes(value.shape, like.shape)[-1] == like.shape[-1] == value.shape[-1]
    except ValueError:
        fits = False

    if not fits:
        raise ValueError(
            f"{name}: expected log-weights for shape {tuple(like.shape)}, got shape {tuple(value.shape)}"
        )

    log_total = torch.logsumexp(value.double(), dim=-1)
    # The rounding of a log-softmax in that precision.
    tolerance = min(max(1e-8, 500 * torch.finfo(value.dtype).eps), 0.02)

    if not all_true(log_total.abs() <= tolerance):
        raise ValueError(
            f"{name}: expected log-weights with logsumexp 0, got weights that do not sum to 1 (or NaN)"
        )

    return value


def joint_and_product(
    joint: Tensor,
    product: Tensor,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
) -> None:
    """Check the four arguments that every bound takes."""
    for name, value, name_weights, weights in (
        ("joint", joint, "log_p", log_p),
        ("product", product, "log_q", log_q),
    ):
        log_weights(name_weights, weights, floating(name, value))
        scores(name, value, log_weights=weights)

    arguments = {"joint": joint, "product": product, "log_p": log_p, "log_q": log_q}
    batch_shapes(
        **{name: value.shape[:-1] for name, value in arguments.items() if value is not None}
    )


def batch_shapes(**shapes: tuple[int, ...]) -> None:
    """Check that the named shapes broadcast."""
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        names, got = ", ".join(shapes), ", ".join(str(tuple(shape)) for shape in shapes.values())
        raise ValueError(f"{names}: expected batch dimensions that broadcast, got {got}") from None


def broadcasts(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Check that a tensor broadcasts to a shape."""
    try:
        fits = np.broadcast_shapes(value.shape, shape) == tuple(shape)
    except ValueError:
        fits = False

    if not fits:
        raise ValueError(
            f"{name}: expected a shape that broadcasts to {tuple(shape)}, got {tuple(value.shape)}"
        )


def choice(name: str, value: str, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
    return value


def number(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    closed: str = "",
) -> float:
    """Return `value` if it is a real number in the interval; `closed` lists the ends that it includes, as in "[]"."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    above = is_number and (value >= low if "[" in closed else value > low)
    below = is_number and (value <= high if "]" in closed else value < high)

    if not (above and below):
        left, right = ("[" if "[" in closed else "("), ("]" if "]" in closed else ")")
        raise ValueError(
            f"{name}: expected a number in {left}{low:g}, {high:g}{right}, got {value!r}"
        )

    return float(value)


def mix(value: float) -> float:
    """Return `value` if it is a share of true negatives, in (0, 1]."""
    return number("mix", value, low=0, high=1, closed="]")


def count(
    name: str,
    value: int,
    *,
    low: int = 1,
    high: int = 2**63 - 1,
) -> int:
    """Return `value` if it is an integer from `low` to `high`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name}: expected an integer of at least {low}, got {value!r}")
    if value > high:
        raise ValueError(f"{name}: expected an integer of at most {high}, got {value!r}")
    return int(value)
