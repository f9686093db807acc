"""The JS bound misses 2·JSD by twice the mean divergence between two coins, the posterior's and the critic's."""

from math import exp, log

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    HALF,
    Example,
    Holds,
    Identity,
    Limit,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    instead,
    js,
    kl,
    log_ratios,
    mixture,
    off,
    on_law,
    oracles,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    twice_jsd,
    two_laws,
)

p, q = positives("p q")  # the masses of one atom
(t,) = reals("t")
ln2, eta = sp.log(2), p / (p + q)


def coins(eta, t):
    """KL(Bern(η)‖Bern(σ(t))) for η in (0, 1)."""
    return kl((eta, 1 - eta), (sigmoid(t), sigmoid(-t)))


def share(p, q, t):
    """The share of one atom in the value V(T); the constant 2 ln 2 is that of Σ (p + q) ln 2."""
    return p * (ln2 - softplus(-t)) + q * (ln2 - softplus(t))


divergence = p * sp.log(2 * p / (p + q)) + q * sp.log(2 * q / (p + q))  # the atom's share in 2·JSD
gap = (p + q) * coins(eta, t)
loss = p * sp.log(1 + q / p) + q * sp.log(1 + p / q)  # its share in 2 ln 2 − 2·JSD

(P, Q), T = two_laws(2), reals("t1 t2")
log_ratio = log_ratios(P, Q)
M = mixture(P, Q, HALF)


def brute_gap(p, q, t):
    """2 E_M KL(Bern(p/(p + q))‖Bern(σ(T))) by brute force."""
    total = 0.0
    for a, b, s in zip(p, q, t, strict=True):
        if a + b > 0:
            total += (a + b) * oracles.kl(
                (a / (a + b), b / (a + b)), (1 / (1 + exp(-s)), 1 / (1 + exp(s)))
            )
    return total


LAWS = {
    "p": strategies.laws(3, zeros=True),
    "q": strategies.laws(3, zeros=True),
    "t": strategies.vectors(3),
}
THEOREM = Theorem(
    slug="js_value_and_gap",
    title="the JS bound of 2·JSD and its exact gap",
    purpose="To read what a GAN-style critic's loss says, and what it misses.",
    setting="""Let P and Q be laws on a finite set, M = (P + Q)/2, T a real critic, η = p/(p + q) (which is r/(1 +
    r) with r = dP/dQ, and 1 where Q has no mass), and V(T) = 2 ln 2 − E_P sp(−T) − E_Q sp(T).""",
    formula=r"""2\,\mathrm{JSD}(P, Q) - \bigl(2 \ln 2 - \mathbb{E}_P\,\mathrm{sp}(-T) -
    \mathbb{E}_Q\,\mathrm{sp}(T)\bigr) = 2\,\mathbb{E}_M\,\mathrm{KL}\bigl(\mathrm{Bern}(\tfrac{r}{1+r})
    \,\|\, \mathrm{Bern}(\sigma(T))\bigr)""",
    assumptions=(
        "P and Q are laws on one finite set; neither need be absolutely continuous",
        "T is finite on the support of M",
        "JSD = ½ KL(P‖M) + ½ KL(Q‖M), in nats; the value carries the constant 2 ln 2, so that T = 0 reads 0",
    ),
    parts=(
        Part(
            "a",
            """Then 2·JSD(P, Q) − V(T) = 2 E_M KL(Bern(η)‖Bern(σ(T))) ≥ 0, and it is 0 iff T = ln r on the support
            of M, which a real T attains iff P and Q have the same support.""",
            checks=(
                Identity(
                    "the gap, one atom of a law of any size", divergence - share(p, q, t), gap
                ),
                Minimum("the gap at one atom", gap, t, sp.log(p / q)),
                Identity("η = r/(1 + r)", eta, (p / q) / (1 + p / q)),
                Identity(
                    "the gap, 2 atoms",
                    twice_jsd(P, Q) - js(P, Q, T),
                    2 * sum(m * coins(a / (2 * m), s) for a, m, s in zip(P, M, T, strict=True)),
                ),
                Shipped(
                    "2·JSD − mi.js is the gap, zero atoms included",
                    LAWS,
                    lambda p, q, t: 2 * oracles.jsd(p, q) - on_law(mi.js, p, q, t),
                    brute_gap,
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (2 atoms are also checked in
                full)"""),
                Sum("0 ln 0 = 0 at atoms without mass"),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R),
                  law l p -> law l q ->
                  2 * jsd l p q - js l p q T
                    = 2 * E l (mixed (1/2) p q) (fun x => bern (p x / (p x + q x)) (sg (T x)))
                  /\ 0 <= 2 * jsd l p q - js l p q T
                  /\ (2 * jsd l p q - js l p q T = 0 <->
                      forall x, In x l -> 0 < p x + q x -> 0 < p x /\ 0 < q x /\ T x = ln (p x / q x))
                """,
        ),
        Part(
            "b",
            "In every case 2·JSD is the supremum of V over T,",
            checks=(
                Identity(
                    "the gap at an atom with p = 0", q * ln2 - share(0, q, t), q * softplus(t)
                ),
                Identity(
                    "the gap at an atom with q = 0", p * ln2 - share(p, 0, t), p * softplus(-t)
                ),
                Sign("the gaps at atoms with p = 0 or q = 0 are positive", q * softplus(t), ">"),
                Limit(
                    "these gaps tend to 0 as T → −∞ (T → ∞)",
                    softplus(-p),
                    p,
                    sp.oo,
                    0,
                    sp.exp(-p),
                    because=(Minimum("y − 1 − ln y", q - 1 - sp.log(q), q, 1), 1 + sp.exp(-p)),
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (2 atoms are also checked in
                full)"""),
                Sum("0 ln 0 = 0 at atoms without mass"),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R),
                  law l p -> law l q -> is_lub (fun v => exists T, v = js l p q T) (2 * jsd l p q)
                """,
        ),
        Part(
            "c",
            "V(T) < 2 ln 2, and 2·JSD ≤ 2 ln 2 with equality iff P and Q share no atom.",
            checks=(
                Sign(
                    "2 ln 2 − V at one atom: p sp(−T) + q sp(T)",
                    p * softplus(-t) + q * softplus(t),
                    ">",
                ),
                Identity("2 ln 2 − 2·JSD at one atom", (p + q) * ln2 - divergence, loss),
                Sign("2 ln 2 − 2·JSD is positive where both laws have mass", loss, ">"),
                Identity("2 ln 2 − 2·JSD is 0 where q = 0", p * ln2 - p * sp.log(2 * p / p), 0),
                Holds(
                    "mi.js stays below 2·JSD and below 2 ln 2",
                    LAWS,
                    lambda p, q, t: (
                        on_law(mi.js, p, q, t) <= min(2 * oracles.jsd(p, q) + 1e-12, 2 * log(2))
                    ),
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (2 atoms are also checked in
                full)"""),
                Sum("0 ln 0 = 0 at atoms without mass"),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R),
                  law l p -> law l q ->
                  (forall T, js l p q T < 2 * ln 2)
                  /\ 2 * jsd l p q <= 2 * ln 2
                  /\ (2 * jsd l p q = 2 * ln 2 <-> forall x, In x l -> p x = 0 \/ q x = 0)
                """,
        ),
    ),
    proof="""An atom with masses p, q adds p ln(p/m) + q ln(q/m), m = (p + q)/2, to 2·JSD, and p (ln 2 + ln σ(T)) +
    q (ln 2 + ln σ(−T)) to V. With η = p/(p + q) the difference is (p + q) [η ln(η/σ(T)) + (1 − η) ln((1 −
    η)/σ(−T))], and Σ (p + q) is 2 E_M. In T it is strictly convex with its minimum 0 at T = ln p/q. Where p = 0 it
    is q sp(T) > 0, with the infimum 0 as T → −∞; where q = 0 it is p sp(−T). Finally 2 ln 2 − V = E_P sp(−T) + E_Q
    sp(T) > 0, and 2 ln 2 − 2·JSD = Σ p ln(1 + q/p) + q ln(1 + p/q), with terms > 0 where both masses are, 0
    elsewhere.""",
    example=Example(
        "what JS misses at a critic, 2·JSD − V(T), beside the mean KL of the coins",
        lambda p, q, t: 2 * oracles.jsd(p, q) - oracles.js(p, q, t),
        brute_gap,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity("the gap is E_M KL, without the factor 2", divergence - share(p, q, t), gap / 2),
        Identity(
            "the coins the other way round",
            divergence - share(p, q, t),
            (p + q) * kl((sigmoid(t), sigmoid(-t)), (eta, 1 - eta)),
        ),
        Identity("tight at ln r plus any constant", gap.subs(t, sp.log(p / q) + t), 0),
        Sign(
            "the value bounds JSD, without the factor 2",
            twice_jsd(P, Q) / 2 - js(P, Q, log_ratio),
            ">=",
        ),
    ),
    mutants=(
        off("js", -2 * log(2)),
        instead("js", "nwj"),
    ),
    about=("js",),
    reference="""Goodfellow et al. 2014 (arXiv 1406.2661), section 4.1, proposition 1 and theorem 1; Hjelm et al.
    2019 (arXiv 1808.06670), eq. 4.""",
)
