"""How long an objective takes from a rare correct answer to an even chance: two arms, exact gradient flow."""

from functools import partial

import sympy as sp
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.theory import (
    dpo_time,
    escape_time_dpo,
    escape_time_rlhf,
    escape_time_sft,
    mio_drift,
)
from proofs.engine import (
    HALF,
    NEARLY,
    Example,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    compiled,
    dpo_loss,
    gradient,
    js_loss,
    positives,
    reals,
    scaled,
    softplus,
    strategies,
    tensor,
)

# ε = 1/(1 + e^L); u = θ_w − θ_l runs from −L to 0; p = σ(u). α = a/(1 + a).
(u,) = reals("u")
L, beta, a, e, c, k, s, x = positives("L beta a e c k s x")
alpha = a / (1 + a)
sinh, E = (sp.exp(L) - sp.exp(-L)) / 2, (sp.exp(beta * L) - 1) / (2 * beta**2)
start = 1 / (1 + sp.exp(L))
ln_p, ln_rest = -softplus(-u), -softplus(u)
z_w, z_l = ln_p + softplus(L), ln_rest + softplus(-L)


# name: the objective, the claimed time from −L to u, and the library's time to ½
ROWS = {
    "RLHF": (sp.exp(ln_p), u + L + (sp.exp(u) - sp.exp(-u)) / 2 + sinh, escape_time_rlhf(start)),
    "DPO": (
        -dpo_loss(beta * (u + L), 0),
        dpo_time(u + L, beta),
        escape_time_dpo(start, beta),
    ),
    "SFT": (ln_p, (u + L + sp.exp(u) - sp.exp(-L)) / 2, escape_time_sft(start)),
}

# MIO: p = k/(1 + k) and ε = e/(1 + e).
eps, p = e / (1 + e), k / (1 + k)
at_p: Values = {u: sp.log(k), L: -sp.log(e)}
N = (p - (1 - alpha)) ** 2 + 1 - (1 - eps) ** 2 - (1 - alpha) ** 2
N_mio = (x - HALF) ** 2 + 2 * eps - eps**2 - sp.Rational(1, 4)  # as a function of p = x, α = ½
(first,) = positives("epsilon_0")  # where the flow starts
LOW, HIGH = ({first: sp.Rational(start)} for start in ("4e-5", "5e-5"))
ODDS = (sp.Rational(43, 20), (2 + sp.Rational(63, 25) * s) / (1 + s), sp.Rational(63, 25))


def tenth(start, odds, rejected):
    """2(1 + x)/β times half of MIO's speed at β = 1/10, p = εx¹⁰, with σ(βz_l) replaced by a constant."""
    here = start * odds**10
    return (1 - here) * (2 - odds) + here * rejected * (1 + odds)


def speed(objective):
    """u̇ = ∂J/∂θ_w − ∂J/∂θ_l = 2 dJ/du under θ̇ = ∇J."""
    return 2 * sp.diff(objective, u)


SPEEDS = {name: speed(objective) for name, (objective, *_) in ROWS.items()}
SPEEDS["MIO"] = mio_drift(u, start, beta, HALF)


def shipped_speed(name, odds, ell, b):
    """u̇ at many u at once, from the shipped functions."""

    def objective(logits):
        log_pi = logits.log_softmax(-1)
        if name == "RLHF":
            return mi.mean(tensor([1.0, 0.0]), log_pi)
        z = b * (log_pi - tensor([-ell, 0.0]).log_softmax(-1))
        return -mi.preference_loss(z[:, 0], z[:, 1], {"DPO": "dv", "MIO": "js"}[name])

    slopes = gradient(objective, [[y, 0.0] for y in odds])
    return (slopes[:, 0] - slopes[:, 1]).numpy()


def proved_speed(name, odds, ell, b):
    """u̇ at the same u, from the objective."""
    value = compiled(SPEEDS[name])
    return [value(u=y, L=ell, beta=b) for y in odds]


GIVEN = {
    "ell": st.integers(1, 32).map(lambda i: i / 4),
    "b": strategies.temperatures(),
    "odds": st.lists(strategies.scores(6), min_size=1, max_size=4),
}


def rlhf_time(eps):
    """∫ dp/(2p²(1 − p)²) from ε to ½, by quadrature in the log-odds."""
    from scipy.integrate import quad

    def slowness(odds):
        p = 1 / (1 + float(sp.exp(-odds)))
        return 1 / (2 * p * (1 - p))

    return quad(slowness, float(sp.log(eps / (1 - eps))), 0, epsrel=1e-10)[0]


THEOREM = Theorem(
    slug="escape_times",
    title="two responses: ε to ½ takes ε^{−1} for RLHF, ε^{−β} for DPO (2β with a third), ln 1/ε for SFT, MIO may stop",
    purpose="To compare how long objectives take to lift a rare correct answer to one half.",
    setting="""Two responses, π = softmax(θ_w, θ_l) = (p, 1 − p), from π_ref = (ε, 1 − ε), 0 < ε < ½, under the exact
    gradient flow θ̇ = ∇J; L = ln((1 − ε)/ε) > 0. The time t from p = ε to p = ½ is:""",
    formula=r"""t_{\mathrm{RLHF}} = L + \sinh L,\quad t_{\mathrm{DPO}} = \tfrac{1}{2\beta}\bigl(L + \tfrac{e^{\beta
    L} - 1}{\beta}\bigr),\quad t_{\mathrm{SFT}} = \tfrac12 (L + 1 - e^{-L})""",
    assumptions=(
        "two responses only, logits as parameters, exact expectations, continuous time, π_ref the start; β > 0",
        "RLHF samples from π (its population gradient); DPO, SFT and MIO are given the pair",
    ),
    parts=(
        Part(
            "a",
            "RLHF, J = p (binary reward, no KL term): L + sinh L, in [sinh L, 2 sinh L];",
            checks=(
                *[
                    Identity(f"{n}: T'(u) u̇ = 1", sp.diff(t, u) * speed(j), 1)
                    for n, (j, t, _) in ROWS.items()
                ],
                *[Identity(f"{n}: T(−L) = 0", t.subs(u, -L), 0) for n, (_, t, _) in ROWS.items()],
                *[Identity(f"{n}: T(0) = t", t.subs(u, 0), end) for n, (_, t, end) in ROWS.items()],
                Sign("sinh L − L has a positive slope", sp.diff(sinh - L, L), ">"),
                *[
                    Shipped(
                        f"{n}: u̇ through the library",
                        GIVEN,
                        partial(shipped_speed, n),
                        partial(proved_speed, n),
                    )
                    for n in ("RLHF", "DPO", "MIO")
                ],
            ),
            by_hand=(
                """scalar flows: the time is ∫ du/u̇ if u̇ > 0 up to 0, and infinite if u̇ = 0 somewhere before or
                at 0""",
                """sinh L ≥ L and the bounds from slopes and minima at 0; the limits of ln t/ln(1/ε), as e^L = 1/ε
                − 1""",
            ),
        ),
        Part(
            "b",
            "DPO, J = ln σ(β(z_w − z_l)): (L + (e^{βL} − 1)/β)/ (2β), in [E, 2E] with E = (e^{βL} − 1)/(2β²);",
            checks=(
                Identity("DPO: z_w − z_l = u + L", z_w - z_l, u + L),
                Minimum("e^u − 1 − u", sp.exp(u) - 1 - u, u, 0),
                Identity(
                    "DPO: 2E − t",
                    2 * E - ROWS["DPO"][2],
                    (sp.exp(beta * L) - 1 - beta * L) / (2 * beta**2),
                ),
            ),
            by_hand=(
                """scalar flows: the time is ∫ du/u̇ if u̇ > 0 up to 0, and infinite if u̇ = 0 somewhere before or
                at 0""",
                """sinh L ≥ L and the bounds from slopes and minima at 0; the limits of ln t/ln(1/ε), as e^L = 1/ε
                − 1""",
            ),
        ),
        Part(
            "c",
            "SFT, J = ln p: ½(L + 1 − e^{−L}), in [½L, L]. As ε → 0, ln t/ ln(1/ε) tends to 1, β and 0.",
            checks=(
                Identity("SFT: L − t", L - ROWS["SFT"][2], (sp.exp(-L) - 1 + L) / 2),
                Sign("SFT: t − ½L > 0", ROWS["SFT"][2] - L / 2, ">"),
            ),
            by_hand=(
                """scalar flows: the time is ∫ du/u̇ if u̇ > 0 up to 0, and infinite if u̇ = 0 somewhere before or
                at 0""",
                """sinh L ≥ L and the bounds from slopes and minima at 0; the limits of ln t/ln(1/ε), as e^L = 1/ε
                − 1""",
            ),
        ),
        Part(
            "d",
            """JS family, J = −L_α, L_α = sp(−βz_w) + (1 − α) sp(βz_w) + α sp(βz_l), at β = 1: u̇ = 2(1 − p) N/((p
            + ε)(2 − p − ε)), N = (p − (1 − α))² + 1 − (1 − ε)² − (1 − α)². For α in [½, 1] it reaches ½ in finite
            time iff (1 − ε)² + (1 − α)² < 1: MIO (α = ½) iff ε > 1 − √3/2 = 0.13397…, and else it tends to ½ −
            √(¼ − 2ε + ε²) > 2ε.""",
            checks=(
                Identity(
                    "JS, β = 1: u̇",
                    mio_drift(u, start, 1, alpha).subs(at_p),
                    2 * (1 - p) * N / ((p + eps) * (2 - p - eps)),
                ),
                Identity(
                    "JS: u̇, any α and β",
                    speed(-js_loss(beta * z_w, beta * z_l, alpha)),
                    mio_drift(u, start, beta, alpha),
                ),
                Identity("N at p = ε", N.subs(k, e), 2 * alpha * eps),
                Identity(
                    "(1 − ε)² + (1 − α)² at ε = 1 − α",
                    alpha**2 + (1 - alpha) ** 2,
                    1 - 2 * alpha * (1 - alpha),
                ),
                Sign("1 − √3/2 > 0.13397", 1 - sp.sqrt(3) / 2, ">", than=sp.Rational("0.13397")),
                Sign("1 − √3/2 < 0.13398", 1 - sp.sqrt(3) / 2, "<", than=sp.Rational("0.13398")),
                Identity("MIO: N at ½", N_mio.subs(x, HALF), sp.Rational(3, 4) - (1 - eps) ** 2),
                Identity(
                    "MIO: where N is 0, the rest",
                    N_mio.subs(x, HALF - sp.sqrt(sp.Rational(1, 4) - 2 * eps + eps**2)),
                    0,
                ),
                Sign("MIO: the rest is above 2ε: N > 0 there", N_mio.subs(x, 2 * eps), ">"),
                Sign("JS: σ(βz_w) decreases with ε", sp.diff(1 / (1 + (eps / p) ** beta), e), "<"),
                Sign(
                    "JS: σ(βz_l) increases with ε",
                    sp.diff(1 / (1 + ((1 - eps) / (1 - p)) ** beta), e),
                    ">",
                ),
            ),
            by_hand=(
                """scalar flows: the time is ∫ du/u̇ if u̇ > 0 up to 0, and infinite if u̇ = 0 somewhere before or
                at 0""",
                "α = 1 in (d), by continuity of the identity; (e) x ≤ 2: no term of the lower bound is negative",
            ),
        ),
        Part(
            "e",
            """MIO at 1/β = 10 does so iff ε > ε₀, for some ε₀ in [4·10⁻⁵, 5·10⁻⁵): 2^{1/β} ε < ½ does not stop
            it.""",
            checks=(
                Sign(
                    "MIO, β = 1/10, ε = 4·10⁻⁵: stopped before x = 43/20",
                    tenth(first, ODDS[0], HALF),
                    "<",
                    at=LOW,
                ),
                Sign(
                    "ε = 4·10⁻⁵: p < ½ at x = 43/20", first * ODDS[0] ** 10, "<", than=HALF, at=LOW
                ),
                Sign(
                    "ε = 5·10⁻⁵: not stopped at x in (2, 63/25)",
                    tenth(first, ODDS[1], sp.Rational(13, 27)),
                    ">",
                    at=HIGH,
                ),
                Sign(
                    "ε = 5·10⁻⁵: p > ½ at x = 63/25", first * ODDS[2] ** 10, ">", than=HALF, at=HIGH
                ),
                Sign("(13/14)¹⁰ < ½", sp.Rational(13, 14) ** 10 - HALF, "<"),
            ),
            by_hand=(
                """scalar flows: the time is ∫ du/u̇ if u̇ > 0 up to 0, and infinite if u̇ = 0 somewhere before or
                at 0""",
                "α = 1 in (d), by continuity of the identity; (e) x ≤ 2: no term of the lower bound is negative",
                "(e) σ(βz_l) > 13/27 up to p = ½: its odds ((1 − p)/(1 − ε))^{1/10} are above 2^{−1/10} > 13/14",
            ),
        ),
    ),
    proof="""J depends on u = θ_w − θ_l alone, so u̇ = 2 dJ/du: 2p(1 − p), 2βσ(−β(u + L)), 2(1 − p). Each closed form
    T(u) has T(−L) = 0 and T'(u) u̇ = 1. (d) N is 2αε > 0 at p = ε and a parabola with its vertex at 1 − α ≤ ½. If 1 −
    α ≤ ε it rises from there, and (1 − ε)² + (1 − α)² ≤ 1 − 2α(1 − α); else its least value on [ε, ½] is at the
    vertex. The flow passes iff N > 0 on [ε, ½]; else it tends to the first zero. (e) u̇ increases with ε at fixed p.
    With p = εx¹⁰, σ(βz_w) = x/(1 + x), and σ(βz_l) in (13/27, ½] on [ε, ½], the sign of u̇ is a polynomial's.""",
    example=Example("RLHF's time from ε to ½", rlhf_time, escape_time_rlhf, {"eps": 0.01}),
    false_neighbours=(
        Sign(
            "MIO stops before ½ whenever 2^{1/β} ε < ½ (β = 1)",
            N_mio.subs({x: HALF, e: 1 / (3 + 4 * c)}),
            "<=",
        ),
        Identity(
            "with two arms MIO's rest is 2ε", N_mio.subs(x, 2 * eps).subs(e, 1 / (3 + 4 * c)), 0
        ),
        Identity(
            "u̇ = dJ/du: DPO takes twice as long",
            sp.diff(2 * ROWS["DPO"][1], u) * speed(ROWS["DPO"][0]),
            1,
        ),
        Sign("DPO's exponent is 1: t ≥ ¼ e^L", ROWS["DPO"][2] - sp.exp(L) / 4, ">="),
        Sign("SFT's time is at most ½L", ROWS["SFT"][2] - L / 2, "<="),
    ),
    mutants=(
        scaled("mean"),
        NEARLY,
    ),
    uses=("starvation_on_policy", "mio_is_half_mixed_js", "dpo_is_half_mixed_dv"),
    about=(
        "mean",
        "preference_loss",
        "theory.escape_time_rlhf",
        "theory.escape_time_dpo",
        "theory.escape_time_sft",
        "theory.mio_drift",
    ),
    reference="This project; the softmax flow: Mei et al. 2020 (arXiv 2005.06392).",
)
