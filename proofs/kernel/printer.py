"""Expressions of sympy as text of Coq."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import sympy as sp


class Untranslated(Exception):
    """An expression holds something that has no word in Coq here."""


def variable(symbol: sp.Basic) -> str:
    """Return the name of a symbol in Coq.

    >>> variable(sp.Symbol("pi_w")), variable(sp.Symbol("z·"))
    ('v_pi_w', 'v_z_')
    """
    return "v_" + re.sub(r"\W", "_", str(symbol))


def number(value: sp.Rational) -> str:
    """Return a rational number.

    >>> number(sp.Rational(-2, 3)), number(sp.Integer(5))
    ('(- (2 / 3))', '5')
    """
    size: Any = abs(value)  # sympy's abs may be infinite in general
    text = str(size.p) if size.q == 1 else f"({size.p} / {size.q})"
    return f"(- {text})" if value < 0 else text


def coq(expr: sp.Basic, names: Mapping[sp.Basic, str] | None = None) -> str:
    """Return an expression in Coq's real numbers; b^e with a positive base and any real exponent is e^{e ln b}.

    >>> x, y = sp.symbols("x y", positive=True)
    >>> coq(sp.log(1 + sp.exp(-x)) / y - x**2)
    '((- (v_x ^ 2)) + ((ln (1 + (exp (- v_x)))) / v_y))'
    >>> coq(x**y)
    '(exp (v_y * (ln v_x)))'
    """
    names = names or {}

    def text(node: Any) -> str:
        if node in names:
            return names[node]
        if isinstance(node, sp.Rational):
            return number(node)
        if node is sp.E:
            return "(exp 1)"
        if node is sp.pi:
            return "PI"
        if node.is_Symbol:
            return variable(node)
        if node.is_Add:
            return f"({' + '.join(map(text, ordered(node.args)))})"
        if node.is_Mul:
            return product(node)
        if isinstance(node, sp.exp):
            return f"(exp {text(node.args[0])})"
        if isinstance(node, sp.log):
            return f"(ln {text(node.args[0])})"
        if isinstance(node, sp.tanh):
            double = text(sp.exp(2 * cast(Any, node.args[0])))
            return f"(({double} - 1) / ({double} + 1))"
        if isinstance(node, sp.Abs):
            return f"(Rabs {text(node.args[0])})"
        if node.is_Pow:
            return power(node.base, node.exp)

        raise Untranslated(f"{type(node).__name__} in {node}")

    def power(base: Any, exponent: Any) -> str:
        if exponent.is_Integer:
            size = abs(int(exponent))
            raised = text(base) if size == 1 else f"({text(base)} ^ {size})"
            return raised if exponent > 0 else f"(/ {raised})"

        if not base.is_positive:
            raise Untranslated(f"a real power of {base}, which may not be positive")

        return text(
            sp.exp(sp.Mul(exponent, sp.log(base, evaluate=False), evaluate=False), evaluate=False)
        )

    def product(node: Any) -> str:
        coefficient, rest = node.as_coeff_Mul()
        above, below = [], []
        for factor in ordered(sp.Mul.make_args(rest)):
            flipped = factor.is_Pow and factor.exp.is_Integer and factor.exp < 0
            side = below if flipped else above
            side.append(text(factor.base ** (-factor.exp)) if flipped else text(factor))

        size = abs(coefficient)
        if size.p != 1 or not above:
            above.insert(0, str(size.p))
        if size.q != 1:
            below.insert(0, str(size.q))

        shown = " * ".join(above)
        if below:
            divisor = below[0] if len(below) == 1 else f"({' * '.join(below)})"
            shown = f"{shown if len(above) == 1 else f'({shown})'} / {divisor}"

        return (
            f"(- ({shown}))"
            if coefficient < 0 and (len(above) > 1 or below)
            else (f"(- {shown})" if coefficient < 0 else f"({shown})")
        )

    return text(cast(Any, expr))


def ordered(terms: Any) -> list[Any]:
    """Return terms in an order that does not change from run to run."""
    return sorted(terms, key=sp.default_sort_key)
