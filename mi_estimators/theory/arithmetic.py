"""exp, log and their kin on any number: a float, a numpy array, a torch tensor, or a sympy expression.

A formula of this package is written once with these functions. A number keeps full precision; a symbol gives an
expression, which the proofs reduce. sympy is never imported here: who passes a symbol has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from .. import _validate

Number = Any
"""A float, a numpy array, a torch tensor, or a sympy expression."""


def is_symbolic(x: Number) -> bool:
    """Tell whether x is an expression of sympy."""
    return hasattr(x, "free_symbols")


def within(name: str, x: Number, **interval: Any) -> Number:
    """Return x if all its entries are in the interval, as for `_validate.number`; a symbol is taken at its word."""
    if isinstance(x, torch.Tensor | np.ndarray):
        if 0 in x.shape:
            raise ValueError(f"{name}: expected at least one entry, got shape {tuple(x.shape)}")
        for end in (x.min(), x.max()):
            _validate.number(name, end.item(), **interval)
    elif not is_symbolic(x):
        _validate.number(name, x, **interval)

    return x


def share(mix: Number) -> Number:
    """Return α, a share of true negatives in (0, 1]."""
    return within("mix", mix, low=0, high=1, closed="]")


def probability(name: str, x: Number) -> Number:
    """Return x, a probability in (0, 1)."""
    return within(name, x, low=0, high=1)


def positive(name: str, x: Number) -> Number:
    """Return x > 0."""
    return within(name, x, low=0)


def at_least(name: str, x: Number, low: float) -> Number:
    """Return x ≥ low."""
    return within(name, x, low=low, closed="[")


def exp(x: Number) -> Number:
    """Return eˣ; infinite where it overflows."""
    return _apply(x, torch.exp, np.exp, lambda sympy: sympy.exp(x))


def expm1(x: Number) -> Number:
    """Return eˣ − 1 without cancellation; infinite where it overflows."""
    return _apply(x, torch.expm1, np.expm1, lambda sympy: sympy.exp(x) - 1)


def log(x: Number) -> Number:
    """Return ln x; −∞ at 0."""
    return _apply(x, torch.log, np.log, lambda sympy: sympy.log(x))


def log1p(x: Number) -> Number:
    """Return ln(1 + x) without cancellation; −∞ at −1."""
    return _apply(x, torch.log1p, np.log1p, lambda sympy: sympy.log(1 + x))


def sqrt(x: Number) -> Number:
    """Return √x."""
    return _apply(x, torch.sqrt, np.sqrt, lambda sympy: sympy.sqrt(x))


def softplus(x: Number) -> Number:
    """Return sp(x) = ln(1 + eˣ)."""
    return _apply(
        x,
        lambda t: -logsigmoid(-t),
        lambda a: np.logaddexp(0, a),
        lambda sympy: sympy.log(1 + sympy.exp(x)),
    )


def sigmoid(x: Number) -> Number:
    """Return σ(x) = 1/(1 + e^{−x})."""
    return _apply(
        x,
        torch.sigmoid,
        lambda a: np.exp(-np.logaddexp(0, -a)),
        lambda sympy: 1 / (1 + sympy.exp(-x)),
    )


def at_most(x: Number, ceiling: float) -> Number:
    """Return min(x, ceiling)."""
    return _apply(
        x,
        lambda t: t.clamp(max=ceiling),
        lambda a: np.minimum(a, ceiling),
        lambda sympy: sympy.Min(x, ceiling),
    )


def reflection(x: Number) -> Number:
    """Return π/sin πx, which is ∫₀^∞ s^{x−1}/(1 + s) ds for x in (0, 1)."""
    return _apply(
        x,
        lambda t: torch.pi / torch.sin(torch.pi * t),
        lambda a: np.pi / np.sin(np.pi * a),
        lambda sympy: sympy.pi / sympy.sin(sympy.pi * x),
    )


def x_log_x(x: Number) -> Number:
    """Return x ln x; 0 at 0."""
    return _apply(
        x,
        lambda t: torch.xlogy(t, t),
        lambda a: a * np.log(np.where(a == 0, 1, a)),
        lambda sympy: x * sympy.log(x),
    )


def _apply(
    x: Number,
    of_tensor: Callable[[torch.Tensor], torch.Tensor],
    of_array: Callable[[Any], Any],
    of_symbol: Callable[[Any], Any],
) -> Number:
    """Return the function of x by the library that x belongs to; a float of Python stays one."""
    if isinstance(x, torch.Tensor):
        return of_tensor(x)
    if is_symbolic(x):
        return of_symbol(sys.modules["sympy"])

    with np.errstate(divide="ignore", over="ignore"):
        value = of_array(x)
    return value if isinstance(x, np.ndarray) else float(value)
