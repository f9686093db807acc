"""Signs that an expression shows as it is written: a sum and a product of positive parts."""

from __future__ import annotations

from typing import cast

import sympy as sp


def shows(expr: sp.Basic) -> bool:
    """Tell whether each part of an expression is positive as it is written, ln f where f is 1 and more.

    >>> x = sp.Symbol("x", positive=True)
    >>> shows(x * sp.log(1 + sp.exp(-x))), shows(1 - x), shows(sp.log(x))
    (True, False, False)
    """
    if isinstance(expr, sp.exp):
        return True
    if isinstance(expr, sp.log):
        rest = cast(sp.Expr, expr.args[0]) - 1
        return rest != 0 and shows(rest)
    if isinstance(expr, sp.Add | sp.Mul):
        return all(map(shows, expr.args))
    if isinstance(expr, sp.Pow):
        return not expr.exp.is_Integer or shows(expr.base)

    return bool(expr.is_positive)


def with_plain_factors(expr: sp.Expr) -> sp.Expr:
    """Return a sum whose factors without a logarithm are one fraction wherever they show no sign as they stand."""
    terms = []
    for term in sp.Add.make_args(expr):
        logarithms = [f for f in sp.Mul.make_args(term) if f.has(sp.log)]
        others = sp.Mul(*(f for f in sp.Mul.make_args(term) if not f.has(sp.log)))
        plain = others if shows(others) else sp.factor(sp.together(others))
        terms.append(sp.Mul(plain, *logarithms))

    return sp.Add(*terms)
