"""Symbolic claims: identities reduced to exactly 0, and signs read off positive terms.

Every free symbol ranges over the whole domain that its sympy assumptions state: the reals, the positive reals or the
positive integers, no other. A restriction is a parametrisation: a share α in (0, 1) is a/(1 + a) with a > 0, a law is
positive weights over their sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, cast

import sympy as sp

from .certify import RELATIONS
from .points import counterexample, domain
from .render import SIGNS, where
from .theorem import Claim, Outcome
from .vocabulary import Term, Values, expression, placed


class Atoms:
    """Rewrites expressions as rational functions of symbols, exponentials e^m and logarithms of irreducible factors.

    e^{Σ c·m} becomes Π G_m^c and ln Π f^k becomes Σ k·L_f, where each G_m and L_f is one new symbol. Only rules that
    hold for positive f are used, so a result of 0 proves an identity. Any other result proves nothing: the new symbols
    need not be independent.
    """

    def __init__(self, expr: sp.Expr) -> None:
        self.roots: dict[sp.Expr, int] = {}  # monomial m → d, where G_m = e^{m/d}
        for node in sp.preorder_traversal(expr):
            for monomial, c in exponents(node).items():
                self.roots[monomial] = sp.ilcm(self.roots.get(monomial, 1), c.q)
        self.symbols: dict[tuple[str, sp.Expr], sp.Expr] = {}
        self.meaning: dict[sp.Expr, sp.Expr] = {}  # G_m → m/d
        self.done: dict[sp.Basic, sp.Expr] = {}

    def __call__(self, expr: sp.Basic) -> sp.Expr:
        """Rewrite the expression or a part of it."""
        if expr not in self.done:
            self.done[expr] = self.rewrite(expression(expr))
        return self.done[expr]

    def rewrite(self, expr: sp.Expr) -> sp.Expr:
        """Rewrite by the outermost function."""
        powers = exponents(expr)
        if powers:
            return math.prod((self.power(m, c) for m, c in powers.items()), start=sp.Integer(1))
        if isinstance(expr, sp.log):
            return self.log(expression(sp.together(self(expr.args[0]))))
        return expr.func(*map(self, expr.args)) if expr.args else expr

    def power(self, monomial: sp.Expr, c: sp.Rational) -> sp.Expr:
        """Return e^{c·m} as a power of the symbol e^{m/d}, which is 1 + a positive one if m > 0; e^{c·ln y} is y^c."""
        if isinstance(monomial, sp.log) and c.is_Integer:
            return self(monomial.args[0]) ** c
        key = ("exp", monomial)
        if key not in self.symbols:
            self.symbols[key] = sp.Dummy("G", positive=True) + (1 if monomial.is_positive else 0)
            self.meaning[self.symbols[key]] = monomial / self.roots[monomial]
        return self.symbols[key] ** (c * self.roots[monomial])

    def log(self, argument: sp.Expr) -> sp.Expr:
        """Return the logarithm of a rational function as a sum over its factors, if each of them is positive."""
        total, sign, factors = sp.Integer(0), sp.Integer(1), []
        for side, power in zip(sp.fraction(argument), (1, -1), strict=True):
            # sympy has no types here, and pyright infers what options would give besides
            constant, parts = sp.factor_list(side)  # type: ignore
            primes: dict[int, int] = sp.factorrat(abs(constant))  # type: ignore
            sign *= sp.sign(constant)
            factors += [(sp.Integer(prime), k * power) for prime, k in primes.items()]
            factors += [(-f, k * power) if f.is_negative else (f, k * power) for f, k in parts]
            sign *= sp.prod((-1) ** k for f, k in parts if f.is_negative)

        if sign != 1 or not all(sp.expand(f).is_positive for f, _ in factors):
            return self.atom(argument)

        for factor, k in factors:
            total += k * self.atom(factor)
        return total

    def atom(self, factor: sp.Expr) -> sp.Expr:
        """Return the symbol of ln f: m/d itself where f is e^{m/d}, positive where f > 1."""
        if factor in self.meaning:
            return self(self.meaning[factor])

        key = ("log", sp.expand(factor))
        if key not in self.symbols:
            above_one = sp.expand(factor - 1).is_positive
            self.symbols[key] = sp.Dummy(
                "L", **({"positive": True} if above_one else {"real": True})
            )

        return self.symbols[key]


@cache
def exponents(node: sp.Basic) -> dict[sp.Expr, sp.Rational]:
    """Return {monomial m: rational c} with node = e^{Σ c·m}; empty if node is no exponential and no such power."""
    if node is sp.E:
        return {sp.Integer(1): sp.Integer(1)}
    if isinstance(node, sp.exp):
        exponent = node.args[0]
    elif isinstance(node, sp.Pow) and not node.exp.is_Integer and node.base.is_positive:
        exponent = node.exp * sp.log(node.base)
    else:
        return {}

    factored = exponent.replace(sp.log, lambda argument: sp.log(sp.factor(argument)))
    terms = sp.expand(sp.expand_log(sp.expand(factored)))
    return dict(terms.as_coefficients_dict())  # type: ignore  # its defaultdict(int) holds Rationals


def residual(expr: sp.Expr) -> sp.Expr:
    """Return the numerator of the rewritten expression: 0 proves that the expression vanishes identically.

    >>> x, y = sp.symbols("x y", positive=True)
    >>> residual(sp.log(x**2 * y) - 2 * sp.log(x) - sp.log(y))
    0
    >>> residual(sp.log(1 + sp.exp(x)) - sp.log(1 + sp.exp(-x)) - x)  # sp(x) − sp(−x) = x
    0
    """
    return sp.expand(sp.fraction(sp.together(Atoms(expr)(expr)))[0])


def sign(expr: sp.Expr) -> str:
    """Return the relation to 0 (">", ">=", "<", "<=", "==") that holds on the whole domain, or "" if none is seen.

    >>> x = sp.Symbol("x", positive=True)
    >>> sign(sp.log(1 + x)), sign(1 - sp.exp(x)), sign(x - 1)
    ('>', '<', '')
    """
    rewritten = sp.factor(sp.together(Atoms(expr)(expr)))
    above, below = map(sp.expand, sp.fraction(rewritten))
    for form in (expr, rewritten, above / below):
        for relation, holds in (
            ("==", form.is_zero),
            (">", form.is_positive),
            ("<", form.is_negative),
            (">=", form.is_nonnegative),
            ("<=", form.is_nonpositive),
        ):
            if holds:
                return relation

    return ""


IMPLIED = {">": {">"}, "<": {"<"}, ">=": {">", ">=", "=="}, "<=": {"<", "<=", "=="}}
"""relation → the signs that imply it"""


@dataclass(frozen=True)
class Identity:
    """The claim `left = right` for all values of the free symbols, those of `at` being given. Tier: symbolic.

    >>> x = sp.Symbol("x", positive=True)
    >>> Identity("a square", (1 + x) ** 2, 1 + 2 * x + x**2).decide().verdict
    'proved'
    >>> Identity("a false one", (1 + x) ** 2, 1 + x**2).decide().witness
    'x = 1: value 2.0000000'
    """

    name: str
    left: Term
    right: Term
    at: Values = field(default_factory=dict)
    cross_check: bool = False
    tier: ClassVar[str] = "symbolic"

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """left = right."""
        return (self.left, " = ", self.right, *where(self.at))

    def decide(self) -> Outcome:
        """Reduce the difference to 0, or find a point where it is not 0."""
        left, right = placed(self.left, self.at), placed(self.right, self.at)
        ranges = domain(left, right)
        witness = counterexample(left - right, lambda ball: not ball.contains(0))
        if witness:
            return Outcome("refuted", f"left − right is not 0 there; {ranges}", witness)
        if residual(left - right) == 0:
            return Outcome("proved", f"left − right reduces to 0; {ranges}")

        return Outcome("undecided", f"left − right does not reduce to 0; {ranges}")


@dataclass(frozen=True)
class Sign:
    """The claim `expr relation than` for all values of the free symbols, those of `at` being given. Tier: symbolic."""

    name: str
    expr: Term
    relation: str
    than: Term = 0
    at: Values = field(default_factory=dict)
    cross_check: bool = False
    tier: ClassVar[str] = "symbolic"

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """expr relation than."""
        return (self.expr, f" {SIGNS[self.relation]} ", self.than, *where(self.at))

    def decide(self) -> Outcome:
        """Read the sign off a form all of whose terms have it, or find a point where it is another."""
        expr = placed(self.expr, self.at) - placed(self.than, self.at)
        ranges = domain(expr)
        fails = RELATIONS[self.relation][1]
        witness = counterexample(expr, lambda ball: fails(ball, 0))
        if witness:
            return Outcome("refuted", f"the sign differs there; {ranges}", witness)

        relation = sign(expr)
        if relation in IMPLIED[self.relation]:
            return Outcome("proved", f"its terms show {relation} 0; {ranges}")
        if relation == "==":
            return Outcome(
                "refuted", "it reduces to 0", f"every point of its domain ({ranges}): value 0"
            )

        return Outcome("undecided", f"sign {relation or 'not seen'}; {ranges}")


@dataclass(frozen=True)
class Minimum:
    """The claim that f(x) ≥ value on all of x's domain, an interval, with equality at `at` only. Tier: symbolic.

    `at` must lie in the domain; there f' = 0 and f = value, and f'' > 0 everywhere.

    >>> x = sp.Symbol("x", positive=True)
    >>> Minimum("x − 1 − ln x", x - 1 - sp.log(x), x, 1).decide().verdict
    'proved'
    >>> Minimum("x³ + 3x², at −2", x**3 + 3 * x**2, x, -2, 4).decide().verdict
    'refuted'
    """

    name: str
    f: Term
    x: sp.Symbol
    at: Term
    value: Term = 0
    cross_check: bool = False
    tier: ClassVar[str] = "symbolic"

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """f ≥ value, equality iff x = at."""
        return (self.f, " ≥ ", self.value, ", with equality iff ", self.x, " = ", self.at)

    @property
    def steps(self) -> tuple[Claim, ...]:
        """What together proves it."""
        f, at = expression(self.f), expression(self.at)
        inside = [Sign(f"{self.at} is in the domain", at, ">")] if self.x.is_positive else []
        return (
            *inside,
            Identity(f"the value at {self.at}", f.subs(self.x, at), self.value),
            Identity(f"stationary at {self.at}", sp.diff(f, self.x).subs(self.x, at), 0),
            Sign(f"strictly convex in {self.x}", sp.diff(f, self.x, 2), ">"),
        )

    def decide(self) -> Outcome:
        """Decide the steps; the first that does not hold is the outcome."""
        if self.x.is_integer:
            raise TypeError(f"{self.x}: expected a symbol that ranges over an interval")

        outcome = Outcome("undecided", "no step")
        for step in self.steps:
            outcome = step.decide()
            if outcome.verdict != "proved":
                return Outcome(outcome.verdict, f"{step.name}: {outcome.detail}", outcome.witness)

        return outcome


@dataclass(frozen=True)
class Limit:
    """The claim that expr → value as x → `to`, 0 (from above) or ∞, by |expr − value| ≤ bound. Tier: symbolic.

    Where no sign shows that, `because` gives a `Minimum` and the point at which its f − value is what one side of the
    bound leaves. The bound is c·xᵏ or c·e^{−kx}, where k is a positive rational for x → 0 and for e^{−kx}, a negative
    one for x → ∞, and c is free of x; it holds for all x > 0.

    >>> x = sp.Symbol("x", positive=True)
    >>> Limit("x/(1 + x) → 1", x / (1 + x), x, sp.oo, 1, 1 / x).decide().verdict
    'proved'
    >>> Limit("x/(1 + x) → 2", x / (1 + x), x, sp.oo, 2, 1 / x).decide().verdict
    'refuted'
    """

    name: str
    expr: Term
    x: sp.Symbol
    to: Term
    value: Term
    bound: Term
    because: tuple[Minimum, Term] | None = None
    cross_check: bool = False
    tier: ClassVar[str] = "symbolic"

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """expr → value as x → to, off by at most the bound."""
        to = (" as ", self.x, " → ", self.to, ", off by at most ", self.bound)
        return (self.expr, " → ", self.value, *to)

    def vanishes(self) -> bool:
        """Whether the bound is one of the forms that tend to 0."""
        c, factor = expression(self.bound).as_independent(self.x, as_Add=False)
        base, power = factor.as_base_exp()
        if factor.func is sp.exp:
            rate: Any = -cast(Any, factor.args[0]) / self.x
            return self.to == sp.oo and rate.is_positive is True and not rate.has(self.x)
        downward = power.is_positive if self.to == 0 else power.is_negative
        return base == self.x and downward is True and power.is_Rational and not c.has(self.x)

    def decide(self) -> Outcome:
        """Prove both sides of the bound, or find a point outside of it."""
        if self.to not in (0, sp.oo) or not self.x.is_positive:
            raise TypeError(f"{self.name}: expected a positive symbol that tends to 0 or ∞")
        if not self.vanishes():
            return Outcome("undecided", f"{self.bound} is no form that is known to tend to 0")

        error = expression(self.expr) - expression(self.value)
        outcome = Outcome("undecided", "no step")
        bound = expression(self.bound)
        for side in (bound - error, bound + error):
            outcome = Sign(self.name, side, ">=").decide()
            if outcome.verdict == "undecided" and self.because:
                outcome = self.by_minimum(side, *self.because)
            if outcome.verdict != "proved":
                return outcome

        return outcome

    def by_minimum(self, side: sp.Expr, least: Minimum, at: Term) -> Outcome:
        """Prove that one side of the bound is not negative: it is f − value of a minimum at a point of its domain."""
        rest = (expression(least.f) - expression(least.value)).subs(least.x, at)
        inside = Sign("the point is in the domain", at, ">").decide()
        same = Identity("the side is f − value there", side, rest).decide()
        return max((inside, same, least.decide()), key=lambda step: step.verdict != "proved")
