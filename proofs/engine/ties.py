"""What ties the words of a statement to its checks: every number in them must be a number of the checks.

Words that hold a number or a relation are prose. A number that is not in the checks is a defect of the theorem; that a
relation says what the checks check is left to the reader, and the page says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache, partial
from math import isfinite
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import sympy as sp

from .vocabulary import Term, Word, unfolded

if TYPE_CHECKING:
    from .theorem import Claim

_FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5"}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_NUMBER = re.compile(
    r"(?P<times>\d+(?:\.\d+)?) ?· ?(?=10⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹])(?P<scale>10(?P<order>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))"
    r"|(?P<ratio>(?<![√\d])\d+/[1-9]\d*)(?![\d.])|(?P<plain>\d+(?:\.\d+)?|(?<!\d)\.\d+)(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
    r"|(?P<fraction>[½⅓⅔¼¾⅕])|(?P<alone>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
)
_NOT_NUMBERS = re.compile(r"\([a-z](?:–[a-z])?\)|_\{?[a-z0-9,]+\}?|[A-Za-z_]\w*_\w+|[A-Za-z]\d+")
_DECIMAL = re.compile(r"-?\d+(?:\.\d+|/\d+)?")
_RELATION = re.compile(r"[=<>≤≥≪→∈∞]")


def numbers_of_text(text: str) -> list[tuple[str, Fraction]]:
    """Return the numbers in a text, as written and as values; letters of parts and indices are none.

    >>> numbers_of_text("(b) x₁ ≥ ½ e^{−7/β}, at most 10⁻⁵ or 0.25")
    [('½', Fraction(1, 2)), ('7', Fraction(7, 1)), ('10⁻⁵', Fraction(1, 100000)), ('0.25', Fraction(1, 4))]
    """
    numbers = []
    for match in _NUMBER.finditer(_NOT_NUMBERS.sub(" ", text)):
        written, parts = match.group(), match.groupdict()
        if parts["times"]:
            value = Fraction(parts["times"]) * Fraction(10) ** int(
                parts["order"].translate(_RAISED)
            )
        elif parts["ratio"]:
            value = Fraction(written)
        elif parts["fraction"]:
            value = Fraction(_FRACTIONS[written])
        elif parts["alone"]:
            value = Fraction(written.translate(_RAISED))
        else:
            base = Fraction(parts["plain"])
            value = base ** int((parts["raised"] or "¹").translate(_RAISED))

        numbers.append((written, value))

    return numbers


def has_formula(text: str) -> bool:
    """Tell whether a text holds a number or a relation."""
    return bool(numbers_of_text(text) or _RELATION.search(text))


def _constants(code: CodeType) -> Iterator[object]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        elif isinstance(constant, tuple | frozenset):
            yield from constant
        else:
            yield constant


def _of_function(function: FunctionType, seen: set[int]) -> Iterator[object]:
    """Yield the constants of a function, and those of the theorem's own functions and values that it names."""
    yield from _constants(function.__code__)
    yield from function.__defaults__ or ()
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if not isinstance(value, FunctionType) or value.__module__.startswith("proofs.theorems"):
            yield value


def leaves(value: object, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield the numbers and expressions that a claim holds, inside its fields, containers and functions."""
    seen = set() if seen is None else seen
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = Fraction(value)  # an end of a box
    if isinstance(value, bool | str | type) or value is None or id(value) in seen:
        return
    if isinstance(value, int | float | Fraction | sp.Basic):
        yield value
        return

    seen.add(id(value))
    if isinstance(value, Mapping):
        inner: Iterable[object] = (*value.keys(), *value.values())
    elif isinstance(value, sp.MatrixBase):
        inner = value.flat()
    elif isinstance(value, list | tuple | set | frozenset):
        inner = value
    elif isinstance(value, FunctionType):
        inner = _of_function(value, seen)
    elif is_dataclass(value):
        inner = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, partial):
        inner = (value.func, *value.args, *value.keywords.values())
    else:
        return

    for item in inner:
        yield from leaves(item, seen)


def _layers(expr: sp.Basic) -> Iterator[sp.Basic]:
    """Yield an expression, and what its words mean."""
    yield expr
    for word in expr.atoms(Word):
        yield from _layers(word.meaning)


def _terms(value: Fraction) -> set[Fraction]:
    """A fraction without its sign, and n for 1/n."""
    return {abs(value)} | ({Fraction(value.denominator)} if abs(value.numerator) == 1 else set())


@cache
def _of_expression(expr: sp.Basic) -> frozenset[Fraction]:
    numbers = [n for layer in _layers(expr) for n in layer.atoms(sp.Rational)]
    return frozenset().union(*(_terms(Fraction(int(n.p), int(n.q))) for n in numbers))


@cache
def _values(expr: sp.Basic) -> frozenset[float]:
    """The closed subexpressions of an expression, as floats."""
    closed = {e for e in sp.preorder_traversal(unfolded(expr)) if not e.free_symbols}
    values = (complex(e.evalf(17)) for e in closed if isinstance(e, sp.Expr))
    return frozenset(abs(v.real) for v in values)


def _order(written: str) -> int:
    """Return n of a number a·10ⁿ."""
    return int(written.split("10")[-1].translate(_RAISED)) if "·" in written else 0


def untied(text: str, claims: Iterable[Claim]) -> list[str]:
    """Return the numbers of a text that stand in none of the claims.

    A decimal also stands for a closed expression of a claim that rounds to it, or is cut off to it.
    """
    missing = [pair for pair in numbers_of_text(text) if pair[1] not in (0, 1)]
    if not missing:
        return []

    terms = [leaf for claim in claims for leaf in leaves(claim)]
    exprs = [term for term in terms if isinstance(term, sp.Basic)]
    numbers = [
        Fraction(str(t)) for t in terms if isinstance(t, int | float | Fraction) and isfinite(t)
    ]
    exact = set().union(*map(_terms, numbers), *map(_of_expression, exprs))

    def stands(written: str, value: Fraction) -> bool:
        if value in exact:
            return True
        if "." not in written:
            return False

        digits = re.split("[ ·]", written.partition(".")[2])[0]
        unit = 10.0 ** -len(digits) * (10.0**order if (order := _order(written)) else 1)
        floats = {float(number) for number in exact}.union(*map(_values, exprs))
        excesses = ((number - float(value)) / unit for number in floats)

        return any(-0.5 <= excess < 1 for excess in excesses)

    return [written for written, value in missing if not stands(written, value)]


def contains(claims: Iterable[Claim], term: Term) -> bool:
    """Tell whether an expression stands in one of the claims, as a part of an expression or as a number."""
    expr = unfolded(sp.sympify(term))
    terms = [leaf for claim in claims for leaf in leaves(claim)]
    if expr.is_number and any(
        not isinstance(t, sp.Basic)
        and isfinite(t)
        and sp.sympify(Fraction(str(t))) in (expr, -expr)
        for t in terms
    ):
        return True

    return any(unfolded(t).has(expr) for t in terms if isinstance(t, sp.Basic))
