"""Summed or averaged over tokens: MIO's anchor holds the response in one case, each token in the other."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import chosen_pull, freeing_mix, mio_target
from proofs.engine import (
    AS_DPO,
    HALF,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    integers,
    pair_gradient,
    positives,
    scaled,
    strategies,
    word,
)

x, a, beta, h, g = positives("x a beta h g")
(n,) = integers("n")  # tokens of the response
share, e = a / (1 + a), x / (1 + x)  # α and ε
cap = (1 - share) ** (-1 / beta)
anchor = word("anchor", -sp.log(1 - share))
cap_summed = word("cap", mio_target(sp.exp(-h * n), beta, share))
MODEL: Values = {x: 1 / (sp.exp(h * n) - 1)}  # ε = e^{−h|y|}, h nats a token


def ceiling(rate, tokens, beta, mix, averaged):
    """ln of where the chosen term rests, for a response of `tokens` tokens of `rate` nats each, by bisection."""
    low, high = -1e4, 1e4
    for _ in range(80):
        z = (low + high) / 2
        pull = chosen_pull(beta * z / (tokens if averaged else 1), mix)
        low, high = (z, high) if pull > 0 else (low, z)
    return min(0.0, low - rate * tokens)


def slope_at_rest(tokens, beta, mix, averaged):
    """The shipped loss's slope in the chosen reward at the growth that the closed form gives, n-fold if averaged."""
    growth = float(mi.preference_anchor(mix)) / beta * (tokens if averaged else 1)
    return pair_gradient(beta * growth / (tokens if averaged else 1), 0.0, "js", mix)[0]


def in_closed_form(rate, tokens, beta, mix, averaged):
    """min(0, anchor/β − h|y|), the anchor's share being |y| times as large where z is averaged."""
    slope = beta / tokens if averaged else beta
    return min(0.0, float(mi.preference_anchor(mix)) / slope - rate * tokens)


CASES = {
    "tokens": strategies.counts(64),
    "beta": strategies.temperatures(),
    "mix": strategies.counts(15).map(lambda i: i / 16),
    "averaged": strategies.st.booleans(),
}
THEOREM = Theorem(
    slug="length_of_the_anchor",
    tier="certified",
    title="MIO's cap is (1 − α)^{−1/β} per response if z is summed over tokens, per token if it is averaged",
    purpose="""To choose between summed and averaged log-ratios: the anchor frees long answers only where z is
    averaged.""",
    setting="""A response of n tokens, ε = π_ref(response), z = ln π/π_ref of the whole response; the loss sees
    βz where z is summed over tokens, and βz/n where it is averaged. The anchor is −ln(1 − α), α in (0, 1).""",
    formula=r"""\pi_w \le (1 - \alpha)^{-1/\beta}\, \pi_{\mathrm{ref},w} \;\;(\text{summed}), \qquad \pi_w \le (1 -
    \alpha)^{-|y|/\beta}\, \pi_{\mathrm{ref},w} \;\;(\text{averaged})""",
    assumptions=(
        "the chosen term at its anchor, where the cap of mio_population_optimum or mio_tabular_limit holds",
        "(b) a reference of h nats a token: ε = e^{−hn}",
    ),
    parts=(
        Part(
            "a",
            """Averaging divides β by n: the response may grow (1 − α)^{−1/β}-fold where z is summed, and that to
            the power n where it is averaged; each token's mean factor is then (1 − α)^{−1/β}.""",
            checks=(
                Identity("summed", mio_target(e, beta, share), e * cap),
                Identity(
                    "averaged", sp.log(mio_target(e, beta / n, share)), sp.log(e) + n * sp.log(cap)
                ),
                Shipped(
                    "the chosen pull of mi.preference_loss(js) rests there",
                    CASES,
                    slope_at_rest,
                    lambda tokens, beta, mix, averaged: 0.0,
                ),
            ),
        ),
        Part(
            "b",
            (
                "The cap reaches 1 iff the anchor is at least βhn where z is summed, and βh where it is averaged: ",
                Identity(
                    "the sum's excess",
                    beta * sp.log(cap_summed),
                    anchor - beta * h * n,
                ),
                ". So the least mix that frees it depends on the length in one case alone.",
            ),
            checks=(
                Identity(
                    "the average's excess",
                    beta / n * sp.log(mio_target(e, beta / n, share)),
                    anchor - beta * h,
                    at=MODEL,
                ),
                Identity(
                    "the least mix, summed",
                    -sp.log(1 - freeing_mix(e, beta)),
                    beta * h * n,
                    at=MODEL,
                ),
                Identity(
                    "the least mix, averaged",
                    -sp.log(1 - freeing_mix(e, beta / n)),
                    beta * h,
                    at=MODEL,
                ),
            ),
        ),
    ),
    proof="""The chosen term is stationary at the reward −ln(1 − α) (mio_anchor): βz = −ln(1 − α), or βz/n =
    −ln(1 − α). Then π_w = ε e^z.""",
    example=Example(
        "ln of the chosen response's cap, summed: 20 tokens of 0.1 nats, β = 1, MIO",
        ceiling,
        in_closed_form,
        {"rate": 0.1, "tokens": 20, "beta": 1.0, "mix": 0.5, "averaged": False},
    ),
    false_neighbours=(
        Identity(
            "averaging changes nothing", mio_target(e, beta / n, share), mio_target(e, beta, share)
        ),
        Sign("MIO frees every response where z is summed", beta * h * n - sp.log(2), "<"),
        Identity("the least mix is ½ in both", freeing_mix(e, beta / n), HALF),
    ),
    mutants=(AS_DPO, scaled("preference_anchor", 1.01)),
    uses=("mio_anchor", "alpha_frees_the_anchor"),
    about=("preference_loss", "preference_anchor", "theory.mio_target", "theory.freeing_mix"),
    reference="This project.",
)
