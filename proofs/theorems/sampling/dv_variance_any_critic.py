"""The price of an accurate DV critic: its minibatch noise, for every law and every critic."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import gaussian_information
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    dv,
    expect,
    kl,
    logs,
    on_law,
    oracles,
    partition,
    positives,
    ratios,
    reals,
    scaled,
    strategies,
    tensor,
    tilted,
    two_laws,
    word,
)

(P, Q), T = two_laws(3), reals("t1 t2 t3")
DOUBLE = [2 * t for t in T]
HALF_LOG = [sp.log(r) / 2 for r in ratios(P, Q)]


def second_moment(t):
    """E_Q e^{2T}/(E_Q eᵀ)², that is 1 + relVar."""
    return partition(Q, [2 * s for s in t]) / partition(Q, t) ** 2


moment = word("(1 + relVar)", second_moment(T), r"(1 + \mathrm{relVar})")
value = word("V", dv(P, Q, T))
information = word("I", kl(P, Q))
gap = word("KL(P‖Q_2T)", kl(P, tilted(Q, DOUBLE)), r"\mathrm{KL}(P\|Q_{2T})")
affinity = word("A", expect(Q, [sp.sqrt(r) for r in ratios(P, Q)]), "A")
tempered = word("(1 + relVar)", second_moment(HALF_LOG), r"(1 + \mathrm{relVar})")
value_half = word("V", dv(P, Q, HALF_LOG))

# One Gaussian pair.
(b,) = positives("b")
rho, dull = (b**2 - 1) / (b**2 + 1), 2 * b / (b**2 + 1)  # any ρ in (−1, 1), and √(1 − ρ²)
nats = -sp.log(dull)
square = dull / (1 - rho**2 / 4)  # (E_Q √r)² of one pair
give_up = -sp.log(1 - rho**2 / 4) / 2
AT = {b: 2}  # ρ = 0.6


def price(p, q, t):
    """1 + relVar and e^{2V − I} by the library and by brute force."""
    scores, law = tensor(t), logs(q)
    second = float((mi.log_mean_exp(2 * scores, law) - 2 * mi.log_mean_exp(scores, law)).exp())
    return second, float(sp.exp(2 * on_law(mi.dv, p, q, t) - oracles.kl(p, q)))


def paid(p, q, t):
    """Whether the shipped value pays its price."""
    second, least = price(p, q, t)
    return second >= least * (1 - 1e-9)


LAWS = strategies.law_pairs() | {"t": strategies.vectors(3, 3)}


def second_moment_at(p, q, share):
    """1 + relVar at T = share·ln dP/dQ, by plain sums."""
    t = [share * oracles.ln(a / b) for a, b in zip(p, q, strict=True)]
    doubled = oracles.log_mean_exp(q, [2 * score for score in t])
    return float(sp.exp(doubled - 2 * oracles.log_mean_exp(q, t)))


def least_price(p, q, share):
    """e^{2V − I}."""
    t = [share * oracles.ln(a / b) for a, b in zip(p, q, strict=True)]
    return float(sp.exp(2 * oracles.dv(p, q, t) - oracles.kl(p, q)))


THEOREM = Theorem(
    slug="dv_variance_any_critic",
    title="a DV critic within g nats of I has minibatch noise of at least e^{I − 2g} − 1, whatever its form",
    purpose="To see that noise is the price of a tight DV critic, whatever its form.",
    setting="""Let P ≪ Q be laws on a finite set, I = KL(P‖Q), T a real critic with the DV value V = E_P T − ln E_Q
    eᵀ, and relVar = Var_Q(eᵀ)/(E_Q eᵀ)², so that M·Var of the minibatch mean of eᵀ, over its mean squared, is
    relVar. Q_2T is the law proportional to e^{2T} Q.""",
    formula=r"""1 + \frac{\mathrm{Var}_Q(e^T)}{(\mathbb{E}_Q e^T)^2} \;\ge\; e^{2V - I}""",
    assumptions=(
        "P ≪ Q on a finite set, T real; population value and variance",
        "a statement about accuracy and noise of one critic: tempering, T = ½ ln r, pays the least",
    ),
    parts=(
        Part(
            "a",
            """So 1 + relVar is at least the exponential of 2V − I: a critic that is within g nats of I has relVar
            of at least the exponential of I − 2g, less one. For T = ln r it is χ², at least the exponential of I
            less one.""",
            formula=(
                Identity("the exact price, 3 atoms", sp.log(moment), 2 * value - information + gap),
            ),
            checks=(Holds("mi.dv pays the price", LAWS, paid),),
        ),
        Part(
            "b",
            """It is tight for every law: at T = ½ ln r, plus a constant, Q_2T is P and the price is the least. With
            A = E_Q √r:""",
            formula=(
                Identity("the noise at ½ ln r, 3 atoms", tempered, 1 / affinity**2),
                Identity("V at ½ ln r, 3 atoms", value_half, information / 2 - sp.log(affinity)),
                Identity(
                    "at ½ ln r the price is met exactly",
                    sp.log(tempered),
                    2 * value_half - information,
                ),
            ),
            checks=(
                Shipped(
                    "mi.dv at ½ ln r",
                    strategies.law_pairs(),
                    lambda p, q: price(p, q, ((logs(p) - logs(q)) / 2).tolist())[0],
                    lambda p, q: price(p, q, ((logs(p) - logs(q)) / 2).tolist())[1],
                ),
            ),
        ),
        Part(
            "c",
            """Gaussian pairs need not pay the square: T = ½ ln r gives up −(d/2) ln(1 − ρ²/4) nats and has 1 +
            relVar = e^I (1 − ρ²/4)^d, where T = ln r has e^{2I}. At ρ = 0.6 and d = 1: V = 0.175988 and 1.1375,
            against 1.5625.""",
            checks=(
                Identity("I of a Gaussian pair", gaussian_information(rho), nats),
                Identity("1 + relVar, one pair", 1 / square, sp.exp(nats) * (1 - rho**2 / 4)),
                Identity("I − V, one pair", nats - (nats / 2 - sp.log(square) / 2), give_up),
                Identity("ρ = 0.6: 1.1375", 1 / square, sp.Rational("1.1375"), at=AT),
                Identity("T = ln r: 1.5625", sp.exp(2 * nats), sp.Rational("1.5625"), at=AT),
                Identity("ρ is 0.6", rho, sp.Rational("0.6"), at=AT),
                Sign("V > 0.1759875", nats - give_up, ">", sp.Rational("0.1759875"), at=AT),
                Sign("V < 0.1759885", nats - give_up, "<", sp.Rational("0.1759885"), at=AT),
            ),
            by_hand=(
                "the Gaussian integral E_Q √r = (1 − ρ²)^{1/4} (1 − ρ²/4)^{−1/2} of one pair; d pairs multiply",
            ),
        ),
    ),
    proof="""(a) DV at the critic 2T: I − (2 E_P T − ln E_Q e^{2T}) = KL(P‖Q_2T) by dv_representation; and ln(1 +
    relVar) = ln E_Q e^{2T} − 2 ln E_Q eᵀ. With V ≥ I − g, 2V − I ≥ I − 2g. (b) Q_2T ∝ r Q = P iff 2T = ln r + c.""",
    example=Example(
        "1 + relVar of eᵀ at a share of the best critic (at ½ it is the least), beside e^{2V − I}",
        second_moment_at,
        least_price,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "share": 1.0},
        relation="≥",
    ),
    false_neighbours=(
        Sign("1 + relVar ≥ e^I for every critic", second_moment(T) - sp.exp(kl(P, Q)), ">="),
        Identity(
            "the gap is KL(P‖Q_T)", sp.log(moment), 2 * value - information + kl(P, tilted(Q, T))
        ),
        Identity(
            "tight at ln r too", kl(P, tilted(Q, [2 * s for s in map(sp.log, ratios(P, Q))])), 0
        ),
        Identity("Gaussians: tempering costs nothing", give_up, 0),
    ),
    mutants=(scaled("dv", 2),),
    uses=("dv_representation",),
    about=("dv",),
    reference="This project; at T = ln r: Song & Ermon 2020 (arXiv 1910.06222), theorem 2.",
)
