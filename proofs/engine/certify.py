"""Ball arithmetic: decide an inequality on a compact box with exact rational ends, or say that it is undecided.

Every real operation is an enclosure (Arb, by python-flint), so "proved" and "refuted" are theorems about the box as
stated, rounding included. The expression is a sympy one; its numbers are converted exactly, never through floats.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import count
from operator import ge, gt, le, lt
from typing import Any, ClassVar

import sympy as sp
from flint import arb, ctx, fmpq

from .render import SIGNS, where
from .theorem import Outcome
from .vocabulary import Term, Values, expression, placed, unfolded

Ball = Callable[[Mapping[sp.Basic, arb]], arb]
Box = dict[sp.Basic, tuple[Fraction, Fraction]]

RELATIONS: dict[str, tuple[Callable[[arb, int], bool], Callable[[arb, int], bool]]] = {
    ">": (gt, le),
    ">=": (ge, lt),
    "<": (lt, ge),
    "<=": (le, gt),
}
"""relation to 0 → (certainly true, certainly false); a ball compares as true only if all of its points do."""

PRECISION = 128  # bits

_FUNCTIONS: dict[type, Callable[..., arb]] = {
    sp.exp: arb.exp,
    sp.log: arb.log,
    sp.tanh: arb.tanh,
    sp.Abs: arb.__abs__,
    sp.Min: lambda *balls: reduce(arb.min, balls),
    sp.Max: lambda *balls: reduce(arb.max, balls),
}


def softplus(ball: arb) -> arb:
    """Enclose ln(1 + eᵘ) by its values at the two ends, as it increases: on a wide ball 1 + eᵘ would lose its sign.

    >>> softplus(arb(0)).overlaps(arb(2).log()), softplus(arb(0, 1000)).is_finite()
    (True, True)
    """
    low, high = ball.lower(), ball.upper()
    return low.exp().log1p().union(high.exp().log1p())


def power(ball: arb, n: int) -> arb:
    """Enclose an integer power ≠ 0; flint's own is not a number on a ball centred at exactly 0.

    >>> ball = power(arb(0, 2), 3)
    >>> ball.contains(arb(-8)) and ball.contains(arb(8)), (arb(0, 2) ** 3).is_finite()
    (True, False)
    """
    if n < 0 or ball.mid() != 0:
        return ball**n
    top = ball.upper() ** n
    return top.union(-top if n % 2 else arb(0))


def compile_ball(expr: sp.Basic) -> Ball:
    """Return the function that encloses a sympy expression, given an enclosure of each free symbol."""
    if expr.is_Symbol:
        return lambda env: env[expr]
    if isinstance(expr, sp.Rational):
        exact = fmpq(int(expr.p), int(expr.q))
        return lambda env: arb(exact)
    if expr is sp.E or expr is sp.pi:
        constant = arb.const_e if expr is sp.E else arb.pi
        return lambda env: constant()
    if isinstance(expr, sp.log) and isinstance(expr.args[0] - 1, sp.exp):
        inner = compile_ball((expr.args[0] - 1).args[0])
        return lambda env: softplus(inner(env))

    arguments = [compile_ball(argument) for argument in expr.args]
    if expr.is_Add:
        return lambda env: sum((f(env) for f in arguments), arb(0))
    if expr.is_Mul:
        return lambda env: math.prod((f(env) for f in arguments), start=arb(1))
    if isinstance(expr, sp.Pow) and expr.exp.is_Integer:
        return lambda env: power(arguments[0](env), int(expr.exp))
    if expr.is_Pow:
        return lambda env: arguments[0](env) ** arguments[1](env)

    for function, enclose in _FUNCTIONS.items():
        if isinstance(expr, function):
            return lambda env: enclose(*(f(env) for f in arguments))

    raise TypeError(f"ball arithmetic: no enclosure for {expr.func.__name__} in {expr}")


def exact(value: Fraction | sp.Rational) -> arb:
    """Return a ball that contains the rational number (a single point wherever it is a dyadic one)."""
    value = (
        Fraction(int(value.p), int(value.q)) if isinstance(value, sp.Rational) else Fraction(value)
    )
    return arb(fmpq(value.numerator, value.denominator))


def show(box: Box) -> str:
    """Return the box in words, exactly."""
    return (
        ", ".join(f"{s} = {a}" if a == b else f"{s} ∈ [{a}, {b}]" for s, (a, b) in box.items())
        or "no free symbol"
    )


def _exact(box: Mapping) -> Box:
    return {s: (Fraction(str(a)), Fraction(str(b))) for s, (a, b) in box.items()}


def _halves(box: Box) -> list[Box]:
    """Cut a box in two across its widest side; nothing where it is a point."""
    widest = max(box, key=lambda s: box[s][1] - box[s][0], default=None)
    if widest is None or box[widest][0] == box[widest][1]:
        return []

    low, high = box[widest]
    cut = (low + high) / 2
    return [box | {widest: side} for side in ((low, cut), (cut, high))]


def certify(expr: Term, relation: str, box: Mapping, budget: int = 4000) -> Outcome:
    """Decide `expr relation 0` on the whole box by adaptive subdivision.

    Args:
        expr: expression whose free symbols are exactly the box's.
        relation: one of ">", ">=", "<", "<=".
        box: symbol → (low, high), rationals (integers, Fractions, sympy Rationals or strings such as "1/3").
        budget: the most sub-boxes to look at.

    Returns:
        "proved"; "refuted", with a sub-box or point on which the relation is certainly false; or "undecided", as where
        a relation holds with equality somewhere.

    Raises:
        ValueError: a box whose ends are not in order or whose symbols are not the expression's.
        TypeError: a function that has no enclosure here.

    >>> x = sp.Symbol("x", real=True)
    >>> [certify(x**2 - x + c, ">=", {x: (0, 1)}, budget=8).verdict for c in (1, 0, sp.Rational(1, 4))]
    ['proved', 'refuted', 'undecided']
    """
    holds, fails = RELATIONS[relation]
    start = _exact(box)
    term: Any = unfolded(expression(expr))

    if term.free_symbols != set(start) or any(a > b for a, b in start.values()):
        raise ValueError(
            f"box: expected ordered ends for {sorted(map(str, term.free_symbols))}, got {show(start)}"
        )

    value = compile_ball(term)
    slopes = (
        {s: compile_ball(sp.diff(term, s)) for s in start}
        if not term.has(sp.Abs, sp.Min, sp.Max)
        else {}
    )

    ticket = count(1)
    queue: list[tuple[float, int, Box]] = [(0.0, 0, start)]
    with ctx.workprec(PRECISION):
        for looked_at in range(1, budget + 1):
            _, _, part = heapq.heappop(queue)
            balls = {s: exact(a).union(exact(b)) for s, (a, b) in part.items()}
            middle = {s: ((a + b) / 2, (a + b) / 2) for s, (a, b) in part.items()}
            centre = {s: exact(a) for s, (a, _) in middle.items()}
            at_centre, enclosure = value(centre), value(balls)

            for where, ball in ((middle, at_centre), (part, enclosure)):
                if fails(ball, 0):
                    witness = f"{show(where)}: value {ball.str(8)}"
                    return Outcome("refuted", f"sub-box {looked_at}", witness)

            if slopes:  # the mean value form is the sharper one on small boxes
                centred = at_centre + sum(
                    (f(balls) * (balls[s] - centre[s]) for s, f in slopes.items()), arb(0)
                )

            done = holds(enclosure, 0) or (bool(slopes) and holds(centred, 0))
            if not done:
                halves = _halves(part)
                if not halves:
                    return Outcome(
                        "undecided", f"the sign at {show(part)} is below {PRECISION} bits"
                    )
                for half in halves:
                    width = max(float(b - a) for a, b in half.values())
                    heapq.heappush(queue, (-width, next(ticket), half))

            if not queue:
                boxes = f"{looked_at} sub-boxes of {show(start)}"
                return Outcome("proved", boxes if start else "the number is enclosed")

    return Outcome("undecided", f"{budget} sub-boxes of {show(start)} were not enough")


@dataclass(frozen=True)
class Certified:
    """The claim `expr relation than` on a compact box, the values of `at` being given.

    `tail` says what settles the values outside of it.

    Tier: certified.
    """

    name: str
    expr: Term
    relation: str
    box: Mapping = field(default_factory=dict)
    tail: str = ""
    budget: int = 4000
    than: Term = 0
    at: Values = field(default_factory=dict)
    cross_check: bool = False
    tier: ClassVar[str] = "certified"

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """expr relation than, on the box."""
        box = f" for {show(_exact(self.box))}" if self.box else ""
        return (self.expr, f" {SIGNS[self.relation]} ", self.than, *where(self.at), box)

    def decide(self) -> Outcome:
        """Decide by ball arithmetic."""
        excess = placed(self.expr, self.at) - placed(self.than, self.at)
        outcome = certify(excess, self.relation, self.box, self.budget)
        tail = f"; outside: {self.tail}" if self.tail else ""
        return Outcome(outcome.verdict, outcome.detail + tail, outcome.witness)
