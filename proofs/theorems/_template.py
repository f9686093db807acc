"""The squared Hellinger distance is at most the KL divergence."""

# To add a theorem, copy this file to <chapter>/<slug>.py, set `slug`, and run `python -m proofs SLUG`.
# Names that begin with an underscore are no theorems, so the ledger passes this file over.

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Sign,
    Sum,
    Theorem,
    kl,
    logs,
    on_law,
    oracles,
    positives,
    scaled,
    strategies,
    two_laws,
)

# Symbols range over all positive numbers; `two_laws` gives any laws on so many atoms.
(s,) = positives("s")  # √(dP/dQ) at one atom
P, Q = two_laws(2)
excess = 2 * s**2 * sp.log(s) - (s**2 - 1) - (s - 1) ** 2  # one atom's share of KL − H²
hellinger2 = sum((sp.sqrt(p) - sp.sqrt(q)) ** 2 for p, q in zip(P, Q, strict=True))


def tight(bound, p, q):
    """A shipped bound at its best critic, ln p/q. Call the library here, so that a mutant is noticed."""
    return on_law(bound, p, q, logs(p) - logs(q))


def ordered(p, q):
    """Whether the shipped H² is at most the shipped KL."""
    return tight(mi.DIVERGENCES["hellinger2"], p, q) <= tight(mi.nwj, p, q) + 1e-12


least = Minimum("s ln s − s + 1", s * sp.log(s) - s + 1, s, 1)
THEOREM = Theorem(
    slug="_template",  # the file's name
    # tier="certified" or "tested": where it earns less than "symbolic".
    title="H² ≤ KL",
    purpose="To bound a Hellinger distance by information.",  # what a reader uses it for
    # Explain every symbol. A number in the words must stand in a check.
    setting="Let P and Q be laws on a finite set, each with mass at every atom, r = dP/dQ and H² = E_Q (√r − 1)².",
    formula=r"""\mathbb{E}_Q \bigl(\sqrt{r} - 1\bigr)^2 \le \mathbb{E}_P \ln r, \qquad r = \tfrac{dP}{dQ}""",
    assumptions=("P and Q are laws on one finite set, each with mass at every atom",),
    parts=(
        # A claim or an expression between the words is rendered from what is checked: statement and check are one.
        Part(
            "a",
            ("With s = √r, one atom's share of KL − H² is 2s (s ln s − s + 1), and ", least, "."),
            checks=(
                # Identity and Sign hold for all values of the symbols, Certified on a box; Tested only tries to refute.
                Identity("KL − H² at one atom", excess, 2 * s * (s * sp.log(s) - s + 1)),
            ),
        ),
        Part(
            "b",
            "So H² never exceeds KL, and they are equal iff P and Q are.",
            checks=(
                Sign("the factor of the bracket", 2 * s, ">"),
                # Shipped and Holds compare the library. They raise no tier, but a theorem needs one.
                Holds(
                    "mi.nwj and mi.DIVERGENCES['hellinger2'] are so ordered",
                    strategies.law_pairs(),
                    ordered,
                ),
            ),
            # A `Sum` only adds up over atoms. Any other granted step marks the part `hand`.
            by_hand=(Sum("the mean of terms ≥ 0 is ≥ 0, and 0 iff each is"),),
        ),
    ),
    proof="""With s = √r, one atom's share of KL − H² is 2s (s ln s − s + 1), as E_Q(r − 1) = 0. The bracket is least
    at s = 1, where it is 0. Take the mean under Q.""",
    # A number by computation and by what the theorem says; `proofs.value(slug, p=…)` asks for others.
    example=Example(
        "H² of two coins, beside their KL",
        oracles.hellinger2,
        oracles.kl,
        {"p": (0.9, 0.1), "q": (0.5, 0.5)},
        relation="≤",
    ),
    false_neighbours=(
        # One change away from the theorem. Each must be refuted with a witness.
        Sign("the other way round: KL ≤ H²", hellinger2 - kl(P, Q), ">="),
        Sign("KL ≥ 2 H²", kl(P, Q) - 2 * hellinger2, ">="),
    ),
    mutants=(scaled("nwj"),),  # a wrong library, which the comparisons above must notice
    uses=("log_ratio_optimality",),  # slugs of theorems that the proof rests on
    about=("bounds.FDivergence.__call__", "nwj"),  # public names of the library
    reference="Tsybakov 2009, Introduction to Nonparametric Estimation, lemma 2.4.",
)
