"""The field's words as sympy expressions, written once for all theorems: finite laws, their divergences, their bounds.

A law is a tuple of probabilities and a critic a tuple of scores, in nats, one for each atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import sympy as sp

from mi_estimators.theory import chosen_term

Scalar = sp.Expr | int
Vector = Sequence[Scalar]
Term = sp.Basic | complex
"""What sympy's own functions take: an expression (`subs` promises no more than a Basic) or a number of Python."""
HALF = sp.Rational(1, 2)
Values = dict[Any, Any]
"""symbol → value, for `subs`"""


def positives(names: str) -> tuple[sp.Symbol, ...]:
    """Return positive symbols; the names are separated by blanks."""
    return tuple(sp.symbols(names.split(), positive=True))


def reals(names: str) -> tuple[sp.Symbol, ...]:
    """Return real symbols; the names are separated by blanks."""
    return tuple(sp.symbols(names.split(), real=True))


def integers(names: str) -> tuple[sp.Symbol, ...]:
    """Return symbols for positive integers; the names are separated by blanks."""
    return tuple(sp.symbols(names.split(), positive=True, integer=True))


def normalised(weights: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Return weights over their sum: any law with full support, as the positive weights range freely.

    >>> normalised(positives("a b"))
    (a/(a + b), b/(a + b))
    """
    total = sp.Add(*weights)
    return tuple(w / total for w in weights)


def two_laws(atoms: int) -> list[tuple[sp.Expr, ...]]:
    """Return any two laws with mass at every atom, their weights a1, a2, … and b1, b2, ….

    >>> two_laws(2)[1]
    (b1/(b1 + b2), b2/(b1 + b2))
    """
    names = ([f"{letter}{i + 1}" for i in range(atoms)] for letter in "ab")
    return [normalised(positives(" ".join(weights))) for weights in names]


class Word(sp.Symbol):
    """A name for an expression: statements are written and rendered with it, checks see what it means.

    >>> x = sp.Symbol("x", positive=True)
    >>> chance = word("p", x / (1 + x))
    >>> 1 - chance, unfolded(1 - chance)
    (1 - p, -x/(x + 1) + 1)
    """

    plain: str
    tex: str
    meaning: sp.Expr

    def __new__(cls, plain: str, tex: str, meaning: sp.Expr) -> Word:
        symbol = sp.Symbol.__xnew__(
            cls, plain, real=True
        )  # not cached by name alone, as a plain symbol is
        symbol.plain, symbol.tex, symbol.meaning = plain, tex, meaning
        return symbol

    def _hashable_content(self) -> tuple:
        return (*super()._hashable_content(), getattr(self, "meaning", None))


def word(plain: str, meaning: Term, tex: str = "") -> Word:
    """Return a name for an expression, as text and as LaTeX.

    >>> word("z_w", 1).tex, word("DV", 1).tex
    ('z_{w}', '\\\\text{DV}')
    """
    letter, _, index = plain.partition("_")
    indexed = len(letter) == 1 and index.isalnum()
    return Word(
        plain,
        tex or (rf"{letter}_{{{index}}}" if indexed else rf"\text{{{plain}}}"),
        expression(meaning),
    )


def unfolded(expr: Any) -> Any:
    """Return an expression with what its words mean in their place."""
    while words := expr.atoms(Word):
        expr = expr.xreplace({word: word.meaning for word in words})
    return expr


def expression(value: Term) -> sp.Expr:
    """Return sympy's expression of a number or an expression."""
    expr = sp.sympify(value)
    if not isinstance(expr, sp.Expr):
        raise TypeError(f"{value}: expected an expression or a number, got {type(value).__name__}")
    return expr


def placed(value: Term, at: Values) -> sp.Expr:
    """Return what an expression means, with the given values in it."""
    return expression(unfolded(expression(value)).subs(at, simultaneous=True))


def softplus(u: Scalar) -> sp.Expr:
    """sp(u) = ln(1 + eᵘ)."""
    return sp.log(1 + sp.exp(u))


def sigmoid(u: Scalar) -> sp.Expr:
    """σ(u) = 1/(1 + e^{−u})."""
    return 1 / (1 + sp.exp(-u))


def ratios(p: Vector, q: Vector) -> list[sp.Expr]:
    """Return dP/dQ at each atom."""
    return [expression(a) / b for a, b in zip(p, q, strict=True)]


def log_ratios(p: Vector, q: Vector) -> list[sp.Expr]:
    """Return ln dP/dQ at each atom."""
    return [sp.log(r) for r in ratios(p, q)]


def mixture(p: Sequence[Any], q: Sequence[Any], share: Any) -> list[Any]:
    """Return the law (1 − share) p + share q, of expressions or of numbers."""
    return [(1 - share) * a + share * b for a, b in zip(p, q, strict=True)]


def expect(law: Vector, values: Vector) -> sp.Expr:
    """Return E_law[values]."""
    return sp.Add(*(p * v for p, v in zip(law, values, strict=True)))


def kl(p: Vector, q: Vector) -> sp.Expr:
    """KL(p‖q); an atom with p = 0 counts 0."""
    return sp.Add(*(a * sp.log(a / b) for a, b in zip(p, q, strict=True) if a != 0))


def twice_jsd(p: Vector, q: Vector) -> sp.Expr:
    """2·JSD(p, q) = KL(p‖m) + KL(q‖m), m the law in the middle."""
    middle = mixture(p, q, HALF)
    return kl(p, middle) + kl(q, middle)


def partition(q: Vector, t: Vector) -> sp.Expr:
    """E_q eᵗ."""
    return expect(q, [sp.exp(s) for s in t])


def tilted(q: Vector, t: Vector) -> tuple[sp.Expr, ...]:
    """Q_T, the law proportional to eᵗ q."""
    return tuple(b * sp.exp(s) / partition(q, t) for b, s in zip(q, t, strict=True))


def dv(p: Vector, q: Vector, t: Vector) -> sp.Expr:
    """Donsker–Varadhan: E_p t − ln E_q eᵗ."""
    return expect(p, t) - sp.log(partition(q, t))


def nwj(p: Vector, q: Vector, t: Vector) -> sp.Expr:
    """Nguyen–Wainwright–Jordan, for a critic t ≈ ln p/q: 1 + E_p t − E_q eᵗ."""
    return 1 + expect(p, t) - partition(q, t)


def js(p: Vector, q: Vector, t: Vector) -> sp.Expr:
    """Jensen–Shannon (logistic), a lower bound of 2·JSD(p, q): 2 ln 2 − E_p sp(−t) − E_q sp(t)."""
    return (
        2 * sp.log(2) - expect(p, [softplus(-s) for s in t]) - expect(q, [softplus(s) for s in t])
    )


def infonce_row(own: Scalar, others: Scalar, candidates: Scalar) -> sp.Expr:
    """One row of InfoNCE: t − ln (1/K)(eᵗ + Σ over the others), `others` their sum of eᵗ."""
    return own - sp.log((sp.exp(own) + others) / candidates)


def two_by_two(names: str = "a b c d") -> tuple[dict, Vector, Vector]:
    """Return any joint law p(x, y) on two values each, with its marginals p(x) and p(y)."""
    joint = dict(zip(product((0, 1), repeat=2), normalised(positives(names)), strict=True))
    px, py = (
        [joint[i, 0] + joint[i, 1] for i in (0, 1)],
        [joint[0, i] + joint[1, i] for i in (0, 1)],
    )
    return joint, px, py


def dpo_loss(chosen: Scalar, rejected: Scalar) -> sp.Expr:
    """L_DPO = sp(v − u) of the rewards u = βz_w and v = βz_l."""
    return softplus(rejected - chosen)


def js_loss(chosen: Scalar, rejected: Scalar, mix: Scalar = HALF) -> sp.Expr:
    """L_α = sp(−u) + (1 − α) sp(u) + α sp(v) of the rewards u = βz_w and v = βz_l; MIO by default."""
    return chosen_term(expression(chosen), mix) + mix * softplus(rejected)
