"""The words tie: on three atoms, sympy's vocabulary equals Coq's, word by word.

The statements by hand are in Coq's words and the claims in sympy's; this file is generated from the sympy functions and
proved by unfolding, so that ln(q/p) for ln(p/q), or a lost factor, in either is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from mi_estimators import theory

from ..engine import vocabulary as words
from .goals import quantified
from .printer import coq, variable

P, Q, T = (words.positives(f"{x}1 {x}2 {x}3") for x in "pqt")
(a, u, v) = words.positives("a u v")

_THREE = {
    name: f"(three {' '.join(map(variable, law))})"
    for name, law in zip("pqt", (P, Q, T), strict=True)
}

# Coq's word, with {p}, {q}, {t} for the two laws and the critic on three atoms → the same in sympy
WORDS: dict[str, Callable[[], Any]] = {
    "E atoms {p} {t}": lambda: words.expect(P, T),
    "kl atoms {p} {q}": lambda: words.kl(P, Q),
    "2 * jsd atoms {p} {q}": lambda: words.twice_jsd(P, Q),
    "mixed v_a {p} {q} 1%nat": lambda: words.mixture(P, Q, a)[1],
    "mgf atoms {q} {t}": lambda: words.partition(Q, T),
    "tilt atoms {q} {t} 2%nat": lambda: words.tilted(Q, T)[2],
    "dv atoms {p} {q} {t}": lambda: words.dv(P, Q, T),
    "nwj atoms {p} {q} {t}": lambda: words.nwj(P, Q, T),
    "js atoms {p} {q} {t}": lambda: words.js(P, Q, T),
    "sp v_u": lambda: words.softplus(u),
    "sg v_u": lambda: words.sigmoid(u),
    "dpo v_u v_v": lambda: words.dpo_loss(u, v),
    "js_loss v_a v_u v_v": lambda: words.js_loss(u, v, a),
    "floor_at v_a": lambda: theory.preference_loss_floor(a),
    "v_u - ln (mean [v_u; v_v] exp)": lambda: words.infonce_row(u, sp.exp(v), 2),
}


def text() -> str:
    """Return the generated file."""
    symbols = [*P, *Q, *T, a, u, v]
    forall, names = quantified(symbols)
    lines = [
        "From MI Require Import generated.",
        "Definition atoms : list nat := [0; 1; 2]%nat.",
        "Definition three (x y z : R) (i : nat) : R := match i with 0%nat => x | 1%nat => y | _ => z end.",
    ]

    for word, meaning in WORDS.items():
        stated = f"{word.format(**_THREE)} = {coq(meaning())}"
        lines += [
            f"Goal {forall}{stated}.",
            "Proof.",
            f"  intros {names}.",
            "  cbv [atoms three E kl jsd mixed mgf tilt dv nwj js sp sg dpo js_loss floor_at mean length INR sum].",
            "  same_words.",
            "Qed.",
        ]

    return "\n".join(lines) + "\n"
