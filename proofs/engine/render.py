"""What is checked, as text: claims and expressions on one line, or as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from .vocabulary import Term, Values, Word, expression

if TYPE_CHECKING:
    from .theorem import Piece

SIGNS = {">": ">", "<": "<", ">=": "≥", "<=": "≤"}
"""relation of a claim → its sign on paper"""

_TEX = {"≥": r"\ge", "≤": r"\le", "<": r"\lt", ">": r"\gt", "→": r"\to", "∞": r"\infty"}


_STAR = "⋆"
"""An asterisk in the name of a word, s* say, until those of products are dots."""


class _Plain(StrPrinter):
    """Prints ln, e^x and the symbols of words."""

    def _print_log(self, expr: sp.Expr) -> str:
        return f"ln({self._print(expr.args[0])})"

    def _print_exp(self, expr: sp.Expr) -> str:
        return f"e^({self._print(expr.args[0])})"

    def _print_Exp1(self, expr: sp.Expr) -> str:
        return "e"

    def _print_Infinity(self, expr: sp.Expr) -> str:
        return "∞"

    def _print_Word(self, expr: Word) -> str:
        return expr.plain.replace("*", _STAR)


class _Latex(LatexPrinter):
    """Prints the symbols of words."""

    def _print_Word(self, expr: Word) -> str:
        return expr.tex


def plain(value: Any) -> str:
    """Return an expression on one line.

    >>> x, beta = sp.symbols("x beta", positive=True)
    >>> plain(sp.log(1 + x) / 2 - sp.exp(-beta * x))
    'ln(x + 1)/2 − e^(−β·x)'
    >>> plain(2 * Word("t*", "t^*", x))
    '2·t*'
    """
    text = _Plain().doprint(expression(value)).replace("**", "^").replace("*", "·")
    text = text.replace("-", "−").replace(_STAR, "*")
    for name, letter in _GREEK.items():
        text = text.replace(name, letter)
    return text


_GREEK = {
    "Gamma": "Γ",
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "sigma": "σ",
    "eta": "η",
    "rho": "ρ",
    "tau": "τ",
    "mu": "μ",
    "nu": "ν",
    "ell": "ℓ",
}


def where(at: Values) -> tuple[Term | str, ...]:
    """Return given values as pieces to be shown."""
    groups = [(", " if number else " at ", s, " = ", v) for number, (s, v) in enumerate(at.items())]
    return tuple(piece for group in groups for piece in group)


def latex(value: Any) -> str:
    """Return an expression as LaTeX."""
    return _Latex({"ln_notation": True}).doprint(expression(value))


def claim(shown: Iterable[object]) -> str:
    """Return what a claim shows, on one line: its expressions, with the words between them."""
    return "".join(piece if isinstance(piece, str) else plain(piece) for piece in shown)


def display(shown: Iterable[object]) -> str:
    """Return what a claim shows, as LaTeX."""
    pieces = []
    for piece in shown:
        if not isinstance(piece, str):
            pieces.append(latex(piece))
        elif piece.strip() in _TEX or piece.strip() in "=→":
            pieces.append(_TEX.get(piece.strip(), piece.strip()))
        elif piece.startswith(","):
            pieces.append(rf",\;\text{{{piece[1:].strip()}}}\;" if piece[1:].strip() else r",\;")
        else:
            pieces.append(rf"\quad\text{{{piece.strip()}}}\;")

    return " ".join(pieces)


def letters(shown: Iterable[object]) -> set[sp.Symbol]:
    """Return the symbols in what a claim shows; a word is none."""
    expressions = [expression(piece) for piece in shown if not isinstance(piece, str)]  # type: ignore
    symbols = {symbol for expr in expressions for symbol in expr.atoms(sp.Symbol)}
    return {symbol for symbol in symbols if not isinstance(symbol, Word)}


def trivial(shown: Iterable[object]) -> bool:
    """Tell whether both sides of an equality are printed alike, so that it tells a reader nothing."""
    pieces = list(shown)
    return pieces[1:2] == [" = "] and plain(pieces[0]) == plain(pieces[2])


def sentence(pieces: Iterable[Piece]) -> str:
    """Return a statement on one line."""
    texts = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        shown = getattr(piece, "shown", None)  # a claim's
        texts.append(plain(piece) if shown is None else claim(shown) or piece.name)  # type: ignore

    return " ".join("".join(texts).split())
