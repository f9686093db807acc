"""Where the symbols of a claim range, and exact points there at which ball arithmetic sees it fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sympy as sp
from flint import ctx

from .certify import PRECISION, compile_ball, exact


@contextmanager
def positive_logarithms() -> Iterator[None]:
    """Refuse, for a while, an exponential of the logarithm of a symbol that may be negative: sympy makes it the symbol.

    >>> with positive_logarithms():
    ...     sp.exp(2 * sp.log(sp.Symbol("u", real=True)))
    Traceback (most recent call last):
    TypeError: ln u: expected a positive symbol
    """
    right = sp.exp.eval

    def evaluate(cls: type, value: sp.Expr) -> sp.Expr | None:
        for logarithm in value.atoms(sp.log):
            symbol = logarithm.args[0]
            if type(symbol) is sp.Symbol and not symbol.is_positive:
                raise TypeError(f"ln {symbol}: expected a positive symbol")
        return right(value)

    sp.exp.eval = classmethod(evaluate)  # type: ignore
    try:
        yield
    finally:
        sp.exp.eval = right


def kind(symbol: sp.Basic) -> str:
    """Return where a symbol ranges, in words."""
    if symbol.is_positive:
        return "positive integer" if symbol.is_integer else "> 0"
    if (
        symbol.is_real
        and symbol.is_nonnegative
        is symbol.is_nonzero
        is symbol.is_integer
        is symbol.is_nonpositive
        is None
    ):
        return "real"

    raise TypeError(f"{symbol}: expected a symbol declared real, positive, or positive and integer")


def domain(*exprs: sp.Expr) -> str:
    """Return the free symbols and where they range, in words; refuse other symbols, and numbers that are not exact."""
    if any(e.has(sp.Float) for e in exprs):
        raise TypeError(f"symbolic: expected exact numbers, got a float in {exprs}")
    kinds: dict[str, list[str]] = {}
    for symbol in sorted(set().union(*(e.free_symbols for e in exprs)), key=str):
        kinds.setdefault(kind(symbol), []).append(str(symbol))
    return "; ".join(f"{', '.join(names)} {where}" for where, names in kinds.items()) or "constants"


def points(symbols: list[sp.Basic], tries: int = 12) -> Iterator[dict[sp.Basic, sp.Rational]]:
    """Yield rational points of the symbols' domain, in a fixed order; the first is 0 and 1 throughout."""
    sizes = [sp.Rational(s) for s in ("1", "2", "1/2", "5/3", "1/7", "6", "3/4", "1/11", "9")]
    for k in range(tries):
        steps = [k * (2 * j + 1) + 3 * j * bool(k) for j in range(len(symbols))]
        choices = {
            "> 0": lambda i: sizes[i % len(sizes)],
            "positive integer": lambda i: sp.Integer(1 + i % 5),
            "real": lambda i: (-1) ** (i // 2) * sizes[i % len(sizes)] if i else sp.Integer(0),
        }
        yield {s: choices[kind(s)](i) for s, i in zip(symbols, steps, strict=True)}


def counterexample(expr: sp.Expr, fails: Callable) -> str:
    """Return a rational point at which ball arithmetic shows that the claim fails, or "" if none of the tries does.

    Raises:
        ValueError: the expression has no finite value at one of the points, though they are in its symbols' domain.
    """
    value = compile_ball(expr)
    for point in points(sorted(expr.free_symbols, key=str)):
        where = ", ".join(f"{s} = {v}" for s, v in point.items()) or "no free symbol"
        for precision in (PRECISION, 16 * PRECISION):
            with ctx.workprec(precision):
                ball = value({s: exact(v) for s, v in point.items()})
                if ball.is_finite():
                    break
        else:
            raise ValueError(f"symbolic: no finite value at {where}")

        if fails(ball):
            return f"{where}: value {ball.str(8)}"

    return ""
