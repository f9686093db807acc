"""A Jensen–Shannon value certifies nats of KL: a convex curve and one step of Jensen."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import jsd_shortfall
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Limit,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    compiled,
    gradient,
    instead,
    kl,
    normalised,
    numerics,
    off,
    on_law,
    oracles,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    tensor,
    twice_jsd,
    two_laws,
)

p, q, v, x = positives("p q v x")
k, m = reals("k m")
ln2 = sp.log(2)


log_ratio = sp.log(p / q)
shortfall = p * sp.log((p + q) / p) + q * sp.log((p + q) / q)  # one atom's share in 2 ln 2 − 2·JSD
chord = v - 1 - sp.log(v)  # c''(k) = e^{−k} (v − 1 − ln v) at v = σ(−k)
tangent_gap = jsd_shortfall(k) - jsd_shortfall(m) - sp.diff(jsd_shortfall(m), m) * (k - m)

P, Q = two_laws(2)
Q3, P3 = normalised(positives("b1 b2 b3")), (*normalised(positives("a1 a2")), sp.S(0))
share = 1 / (1 + x)  # q = e^{−k} on the boundary, k = ln(1 + x) > 0
BOUNDARY = (sp.S(1), sp.S(0)), (share, 1 - share)
written_out = (
    sp.log(2 / (1 + share)) + share * sp.log(2 * share / (1 + share)) + (1 - share) * ln2
) / 2


def shipped(p, q, t):
    """The shipped certificate on a finite law."""
    return on_law(mi.bounds.jsd_certificate, p, q, t)


def slope_at(t):
    """The certificate k of the scores t on P and −t on Q, where the JS value is 2 ln 2 − 2 sp(−t), and dk/dt."""

    def value(score):
        return mi.bounds.jsd_certificate(score, -score)

    return float(value(tensor([t]))), float(gradient(value, [t]))


on_curve, in_t = compiled(jsd_shortfall(k)), compiled(2 * sigmoid(-m) * sp.exp(k) / softplus(k))
LAWS = {"p": strategies.laws(3, zeros=True), "q": strategies.laws(3), "t": strategies.vectors(3)}


def certified(p, q):
    """Ξ(2·JSD): the k at which c(k) = 2 ln 2 − 2·JSD, by bisection."""
    short = 2 * (oracles.ln(2) - oracles.jsd(p, q))
    return numerics.root(lambda k: jsd_shortfall(k) - short, 0.0, 60.0)


THEOREM = Theorem(
    slug="jsd_certificate",
    title="KL ≥ Ξ(JSD): what a Jensen–Shannon value certifies in nats",
    purpose="To turn a Jensen–Shannon value into nats of information that are certain.",
    setting="Let c(k) = sp(−k) + e^{−k} sp(k).",
    formula=r"""\mathrm{KL}(P\|Q) \ge k \quad\text{where}\quad 2 \ln 2 - 2\,\mathrm{JSD}(P, Q) = \mathrm{sp}(-k) +
    e^{-k}\,\mathrm{sp}(k), \quad k \ge 0""",
    assumptions=(
        "P and Q are laws on one finite set and share an atom; if P ≪ Q fails, KL is infinite",
        "population values: on samples V is random and Ξ(V) biased up",
    ),
    parts=(
        Part(
            "a",
            """On k ≥ 0 it decreases strictly from 2 ln 2 to the limit 0 and is strictly convex; let Ξ(j) for 0 ≤
            j < 2 ln 2 be the k ≥ 0 with c(k) = 2 ln 2 − j.""",
            checks=(
                Identity(
                    "c' = −e^{−k} sp(k)", sp.diff(jsd_shortfall(k), k), -sp.exp(-k) * softplus(k)
                ),
                Sign("c decreases with k", -sp.exp(-k) * softplus(k), "<"),
                Identity(
                    "c'' = e^{−k} (v − 1 − ln v), v = σ(−k)",
                    sp.diff(jsd_shortfall(k), k, 2),
                    sp.exp(-k) * chord.subs(v, sigmoid(-k)),
                ),
                Minimum("v − 1 − ln v", chord, v, 1),
                Sign("σ(−k) is not 1", 1 - sigmoid(-k), ">"),
                Identity("c(0) = 2 ln 2", jsd_shortfall(sp.S(0)), 2 * ln2),
                Limit(
                    "c(k) → 0: sp(−k) does",
                    softplus(-x),
                    x,
                    sp.oo,
                    0,
                    sp.exp(-x),
                    because=(Minimum("v − 1 − ln v ≥ 0", chord, v, 1), 1 + sp.exp(-x)),
                ),
                Identity(
                    "c(k) → 0: e^{−k} sp(k) is below 2 e^{−k} (√(1 + eᵏ) − 1), off by v − 1 − ln v at √(1 + eᵏ)",
                    2 * sp.exp(-x) * (sp.sqrt(1 + sp.exp(x)) - 1) - sp.exp(-x) * softplus(x),
                    2 * sp.exp(-x) * chord.subs(v, sp.sqrt(1 + sp.exp(x))),
                ),
            ),
            by_hand=(
                """the inverse function's slope and convexity; c continuous with limit 0 takes each value in (0, 2
                ln 2] once""",
            ),
        ),
        Part(
            "b",
            """For any laws P and Q on a finite set that share an atom, KL(P‖Q) ≥ Ξ(2·JSD(P, Q)); for P ≪ Q
            equality holds iff dP/dQ takes one value on P, that is iff it takes the values 0 and eᵏ only, and
            every k ≥ 0 occurs: no better function of JSD bounds KL.""",
            checks=(
                Identity(
                    "one atom's shortfall is p c(ln p/q)", shortfall, p * jsd_shortfall(log_ratio)
                ),
                Identity("an atom without P-mass has none", q * ln2 - q * sp.log(q / (q / 2)), 0),
                Identity(
                    "2 ln 2 − 2·JSD = E_P c(ln r), 3 atoms, one of them without P-mass",
                    2 * ln2 - twice_jsd(P3, Q3),
                    sum(
                        a * jsd_shortfall(sp.log(a / b))
                        for a, b in zip(P3[:2], Q3[:2], strict=True)
                    ),
                ),
                Identity("the tangent at m touches there", tangent_gap.subs(k, m), 0),
                Identity(
                    "the tangent at m has the curve's slope", sp.diff(tangent_gap, k).subs(k, m), 0
                ),
                Identity(
                    "equality: Q has e^{−k} on P's one atom",
                    2 * ln2 - twice_jsd(*BOUNDARY),
                    jsd_shortfall(sp.log(1 + x)),
                ),
                Identity(
                    "equality: JSD of these laws, written out",
                    twice_jsd(*BOUNDARY) / 2,
                    written_out,
                ),
                Identity("equality: KL of these laws is k", kl(*BOUNDARY), sp.log(1 + x)),
                Holds(
                    "mi.bounds.jsd_certificate never exceeds KL(P‖Q)",
                    LAWS,
                    lambda p, q, t: shipped(p, q, t) <= oracles.kl(p, q) + 1e-9,
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
                """the mean of the tangent inequality (Jensen): c'' > 0 puts c strictly above its tangents
                elsewhere""",
            ),
        ),
        Part(
            "c",
            """Ξ is strictly increasing and convex with dΞ/dj = eᵏ/sp(k), so Ξ(j) ≥ j/ln 2. For every critic, the
            JS value V ≤ 2·JSD gives KL(P‖Q) ≥ Ξ(max(V, 0)) ≥ V/ln 2.""",
            checks=(
                Identity(
                    "dΞ/dj at 0 is 1/ln 2", -1 / sp.diff(jsd_shortfall(k), k).subs(k, 0), 1 / ln2
                ),
                Shipped(
                    "c(mi.bounds.jsd_certificate) is the shortfall of max(JS value, 0)",
                    LAWS,
                    lambda p, q, t: on_curve(k=shipped(p, q, t)),
                    lambda p, q, t: 2 * oracles.ln(2) - max(oracles.js(p, q, t), 0),
                ),
                Shipped(
                    "mi.bounds.jsd_certificate on the boundary is KL",
                    {"rate": strategies.rates()},
                    lambda rate: shipped((1, 0), (rate, 1 - rate), (-oracles.ln(rate), -1e4)),
                    lambda rate: -oracles.ln(rate),
                ),
                Shipped(
                    "the slope of mi.bounds.jsd_certificate in the JS value is eᵏ/sp(k), times 2σ(−t) in t",
                    {"t": strategies.rates(8)},
                    lambda t: slope_at(t)[1],
                    lambda t: in_t(k=slope_at(t)[0], m=t),
                ),
            ),
            by_hand=(
                """the inverse function's slope and convexity; c continuous with limit 0 takes each value in (0, 2
                ln 2] once""",
            ),
        ),
    ),
    proof="""An atom with masses p, q > 0 adds p ln((p + q)/p) + q ln((p + q)/q) = p c(ln p/q) to 2 ln 2 − 2·JSD,
    and an atom without P-mass adds 0. So for P ≪ Q the shortfall is E_P c(ln r), while KL = E_P ln r. Now c'(k) =
    −e^{−k} sp(k) < 0 and c''(k) = e^{−k} (v − 1 − ln v) > 0 with v = σ(−k) < 1: Jensen's inequality says E_P c(ln
    r) ≥ c(KL), with equality iff ln r is constant on P. As c decreases, that is KL ≥ Ξ(2·JSD). The inverse of a
    decreasing convex function is convex, with the slope 1/c'; c(0) = 2 ln 2 and dΞ/dj = 1/ln 2 at j = 0 give the
    line.""",
    example=Example(
        "the nats that JSD certifies, beside KL(P‖Q)",
        certified,
        oracles.kl,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5)},
        relation="≤",
    ),
    false_neighbours=(
        Sign("KL is at most Ξ(2·JSD)", 2 * ln2 - twice_jsd(P, Q) - jsd_shortfall(kl(P, Q)), "<="),
        Sign(
            "KL ≥ 4·JSD, as for two laws close to each other",
            kl(*BOUNDARY) - 2 * twice_jsd(*BOUNDARY),
            ">=",
        ),
        Identity(
            "the curve of the reverse KL: the shortfall is c(−k)",
            2 * ln2 - twice_jsd(*BOUNDARY),
            jsd_shortfall(-sp.log(1 + x)),
        ),
        Sign(
            "on one pair of samples of P = Q too: V ≤ 0 at the scores x and −x",
            2 * ln2 - 2 * softplus(-x),
            "<=",
        ),
    ),
    mutants=(
        off("bounds.jsd_certificate"),
        instead("bounds.jsd_certificate", "js"),
        Mutant(
            "bounds.jsd_certificate",
            "detached",
            lambda f: lambda *a: f(*a).detach() + 0 * a[0].sum(),
        ),
    ),
    uses=("js_value_and_gap",),
    about=("bounds.jsd_certificate", "theory.jsd_shortfall"),
    reference="""Dorent, Golland & Wells 2025 (arXiv 2510.20644); joint ranges: Harremoës & Vajda 2011, IEEE T-IT
    57(6), 3230–3235.""",
)
