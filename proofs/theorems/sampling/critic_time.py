"""How long plain gradient flow takes to teach a critic a rare region: JS in 1/ε, DV and NWJ in ln 1/ε."""

import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import (
    critic_time_dv,
    critic_time_js,
    critic_time_nwj,
    two_level_optimum,
)
from proofs.engine import (
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    compiled,
    expression,
    gradient,
    logs,
    positives,
    scaled,
    softplus,
    strategies,
    tensor,
    word,
)

# p and ε as numbers of their own; where their ranges matter, p = u/(1 + u) and ε = p/(1 + d).
P, E, c, th, u, d, x, y = positives("p epsilon c theta u d x y")
SHARES: Values = {P: u / (1 + u), E: u / (1 + u) / (1 + d)}
GAP: Values = {**SHARES, c: sp.log(1 + x)}  # any c > 0
# Any c in (0, ln p/ε): then (1 − ε/p)/(1 − e^{−c}) is 1 + y.
BELOW: Values = {**SHARES, c: -sp.log((1 + y + d * y) / ((1 + d) * (1 + y)))}
EXAMPLE: Values = {P: sp.Rational(1, 2), E: sp.Rational(1, 10**4), c: sp.log(2)}

OBJECTIVES = {
    "js": -P * softplus(-th) - E * softplus(th),
    "dv": P * th - sp.log(1 - E + E * sp.exp(th)),
    "nwj": P * th - E * sp.exp(th),
}
SPEEDS = {name: sp.diff(value, th) for name, value in OBJECTIVES.items()}
# The time from 0 to the score θ.
TIMES = {
    "js": th / P - (P + E) / (P * E) * sp.log((P - E * sp.exp(th)) / (P - E)),
    "dv": th / P - sp.log((P * (1 - E) - (1 - P) * E * sp.exp(th)) / (P - E)) / (P * (1 - P)),
    "nwj": (th - sp.log((P - E * sp.exp(th)) / (P - E))) / P,
}
FORMS = {
    "js": critic_time_js(P, E, c),
    "dv": critic_time_dv(P, E, c),
    "nwj": critic_time_nwj(P, E, c),
}
BEST = {name: two_level_optimum(P, E, name) for name in FORMS}
CURVATURES = {"js": P * E / (P + E), "dv": P * (1 - P), "nwj": P}
NUMBERS = {
    "js": ("6946.5055", "6946.5065"),
    "dv": ("19.8063745", "19.8063755"),
    "nwj": ("17.0339855", "17.0339865"),
}


def time_checks(name):
    """The time's slope is 1/θ̇, it is 0 at the start, and c below the optimum it is the library's form."""
    speed, time = SPEEDS[name], TIMES[name]
    yield Identity(
        f"{name.upper()}: the time's slope is 1/θ̇", sp.diff(time, th) * speed, 1, at=SHARES
    )
    yield Identity(f"{name.upper()}: the time is 0 at θ = 0", time, 0, at={**SHARES, th: 0})
    yield Identity(f"{name.upper()}: θ̇ is 0 at θ*", speed.subs(th, BEST[name]), 0, at=SHARES)
    yield Identity(
        f"{name.upper()}: the time at θ* − c", time.subs(th, BEST[name] - c), FORMS[name], at=GAP
    )


def bracket(name):
    """The example's time, to the digits shown."""
    low, high = map(sp.Rational, NUMBERS[name])
    yield Sign(
        f"{name.upper()}: the time is above {float(low):.12g}", FORMS[name], ">", low, at=EXAMPLE
    )
    yield Sign(
        f"{name.upper()}: the time is below {float(high):.12g}", FORMS[name], "<", high, at=EXAMPLE
    )


def shipped_speed(bound, mass, rate, score):
    """θ̇ of the critic θ·1_A from the shipped bound, on the two-point laws."""
    own, other = logs([mass, 1 - mass]), logs([rate, 1 - rate])
    levels = tensor([1.0, 0.0])
    return float(
        gradient(lambda t: getattr(mi, bound)(t * levels, t * levels, own, other), [score])
    )


def proved_speed(bound, mass, rate, score):
    """θ̇ by its formula."""
    return compiled(SPEEDS[bound])(p=mass, epsilon=rate, theta=score)


t_js, t_dv, t_nwj = (
    word(f"t_{name.upper()}", form, rf"t_{{\mathrm{{{name.upper()}}}}}")
    for name, form in FORMS.items()
)
best_dv, best = (
    word(name, value, r"\theta^*") for name, value in (("θ*_DV", BEST["dv"]), ("θ*", BEST["js"]))
)
phi = word("φ", (1 - E / P) / (1 - E), r"\varphi")
excess = word("ℓ", sp.log((1 - E / P) / (1 - sp.exp(-c))), r"\ell")
CURVED = [
    Identity(
        f"{name.upper()}: the curvature at θ*",
        word(
            f"κ_{name.upper()}",
            -expression(sp.diff(SPEEDS[name], th).subs(th, BEST[name])),
            rf"\kappa_{{\mathrm{{{name}}}}}",
        ),
        curvature,
        at=SHARES,
    )
    for name, curvature in CURVATURES.items()
]


def integrated(mass, rate, gap):
    """The time of JS's flow θ̇ = pσ(−θ) − εσ(θ) to `gap` below its optimum, by quadrature."""
    from scipy.integrate import quad

    def slowness(score):
        up = 1 / (1 + float(sp.exp(score)))
        return 1 / (mass * up - rate * (1 - up))

    return quad(slowness, 0, theory.two_level_optimum(mass, rate, "js") - gap, epsrel=1e-10)[0]


THEOREM = Theorem(
    slug="critic_time",
    title="plain gradient flow on a JS critic takes a time of order 1/ε for a region of Q-mass ε, DV and NWJ ln 1/ε",
    purpose="To choose a bound for training a critic: JS is exact but slow on rare events, DV and NWJ are fast.",
    setting="""A critic that is θ on a region A and 0 elsewhere; p = P(A) and ε = Q(A) are in (0, 1) and ε < p. θ
    moves from 0 by the exact gradient flow of a bound's population value; θ* is the bound's best score, ln p/ε for
    JS and NWJ. Let t be the time to θ* − c, 0 < c < θ*, and ℓ = ln((1 − ε/p)/(1 − e^{−c})).""",
    formula=r"""t_{\mathrm{JS}} = \frac{\theta^* - c}{p} + \frac{p + \varepsilon}{p\,\varepsilon} \ln \frac{1 -
    \varepsilon/p}{1 - e^{-c}} = \Theta(1/\varepsilon), \qquad t_{\mathrm{DV}},\, t_{\mathrm{NWJ}} = \Theta(\ln
    \tfrac1\varepsilon)""",
    assumptions=(
        "plain gradient flow in the one parameter θ: a Newton step, or an optimiser that rescales, removes the 1/ε",
        "population values; what minibatches do to DV is minibatch_dv_unbounded",
    ),
    parts=(
        Part(
            "a",
            "JS: the time lies between two multiples of ℓ/ε, where ℓ tends to −ln(1 − e^{−c}) with ε: of order 1/ε.",
            formula=(
                Identity("JS: the time", t_js, (best - c) / P + (1 / P + 1 / E) * excess, at=BELOW),
                Sign("JS: more than ℓ/ε", t_js, ">", excess / E, at=BELOW),
                Sign(
                    "JS: less than 2ℓ/ε more than (θ* − c)/p",
                    t_js,
                    "<",
                    (best - c) / P + 2 * excess / E,
                    at=BELOW,
                ),
            ),
            checks=tuple(time_checks("js")),
            by_hand=("a score that increases reaches a value at the time ∫ dθ/θ̇; ε → 0 in ℓ",),
        ),
        Part(
            "b",
            "DV and NWJ: the time is at most a multiple of θ*, of order ln 1/ε, and a number free of ε.",
            formula=(
                Identity(
                    "DV: the time",
                    t_dv,
                    (best_dv - c) / P + (sp.log(phi) - sp.log(1 - sp.exp(-c))) / (P * (1 - P)),
                    at=GAP,
                ),
                Sign("DV: φ is below 1", phi, "<", 1, at=SHARES),
                Identity(
                    "NWJ: the time",
                    t_nwj,
                    (best - c + sp.log(1 - E / P) - sp.log(1 - sp.exp(-c))) / P,
                    at=GAP,
                ),
                Sign("NWJ: the factor in its logarithm is below 1", 1 - E / P, "<", 1, at=SHARES),
            ),
            checks=(
                *time_checks("dv"),
                *time_checks("nwj"),
                *[
                    Shipped(
                        f"θ̇ through mi.{name}",
                        {
                            "mass": strategies.rates(0.9),
                            "rate": strategies.rates(0.9),
                            "score": strategies.rates(6),
                        },
                        lambda name=name, **v: shipped_speed(name, **v),
                        lambda name=name, **v: proved_speed(name, **v),
                    )
                    for name in SPEEDS
                ],
            ),
            by_hand=("a score that increases reaches a value at the time ∫ dθ/θ̇",),
        ),
        Part(
            "c",
            "What starves JS is conditioning: the curvatures at θ*, of which JS's alone vanishes with ε.",
            formula=tuple(CURVED),
        ),
        Part(
            "d",
            "At p = ½, ε = 10⁻⁴ and c = ln 2: 6946.506 for JS, 19.806375 for DV, 17.033986 for NWJ.",
            checks=tuple(claim for name in NUMBERS for claim in bracket(name)),
        ),
    ),
    proof="""θ̇ = pσ(−θ) − εσ(θ) = (p − εe^θ)/(1 + e^θ) for JS, p − εe^θ/(1 − ε + εe^θ) for DV, p − εe^θ for NWJ.
    Each closed form has the slope 1/θ̇ and is 0 at θ = 0. With e^{−c} > ε/p, ℓ > 0; and 1/p < 1/ε. In DV's and
    NWJ's logarithm the factor (1 − ε/p)/(1 − ε) or 1 − ε/p is below 1.""",
    example=Example(
        "the time of plain gradient flow on a JS critic",
        integrated,
        theory.critic_time_js,
        {"mass": 0.5, "rate": 0.01, "gap": 0.5},
    ),
    false_neighbours=(
        Sign(
            "JS too is done after (θ* − c)/p and a number free of ε",
            FORMS["js"],
            "<",
            (BEST["js"] - c - sp.log(1 - sp.exp(-c))) / P,
            at=GAP,
        ),
        Sign("NWJ takes longer than JS", FORMS["nwj"], ">", FORMS["js"], at=BELOW),
        Identity("DV's best score is ln p/ε as well", BEST["dv"], BEST["js"], at=SHARES),
        Identity(
            "all bounds have the same curvature at θ*",
            CURVATURES["js"],
            CURVATURES["dv"],
            at=SHARES,
        ),
    ),
    mutants=(scaled("js"), scaled("dv"), scaled("nwj")),
    uses=("log_ratio_optimality",),
    about=(
        "js",
        "theory.critic_time_js",
        "theory.critic_time_dv",
        "theory.critic_time_nwj",
        "theory.two_level_optimum",
    ),
    reference="This project. Conditioning of logistic critics: known for separable logistic regression.",
)
