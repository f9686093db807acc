"""A barrier under the JS family's chosen reward: its decline is bounded by the kernel ratio c/a, and is not
avoided."""

import sympy as sp

from mi_estimators import theory
from mi_estimators.theory import chosen_term, log_odds, preference_anchor
from proofs.engine import (
    AS_DPO,
    HALF,
    TURNED,
    Example,
    Holds,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    compiled,
    dpo_loss,
    js_loss,
    numerics,
    pair_gradient,
    positives,
    reals,
    sigmoid,
    strategies,
    word,
)

# u = βz_w, v = βz_l, κ = c/a; α = s/(1 + s), 1 − α = 1/(1 + s).
u, v, kappa = reals("u v kappa")
a, beta, s, k, q, t, r = positives("a beta s k q t r")
alpha = s / (1 + s)
js, dpo = js_loss(u, v, alpha), dpo_loss(u, v)


def drift(loss):
    """ż_w/(aβ) = −(∂L/∂u + κ ∂L/∂v)."""
    return -(sp.diff(loss, u) + kappa * sp.diff(loss, v))


# κ̄ = (2/α) k/(1 + k), any number in (0, 2/α), so that ακ̄/2 = k/(1 + k); and κ̄ = (1/α) k/(1 + k) for any z_l.
most, most_free = 2 / alpha * k / (1 + k), 1 / alpha * k / (1 + k)
level = theory.mio_barrier(most, alpha)
level_free = log_odds((1 - alpha * most_free) / (2 - alpha))
mio_most = word("κ̄", 4 * k / (1 + k), r"\bar\kappa")  # at α = ½
mio_share = sp.Mul(sp.Rational(2, 3), 1 - mio_most / 4, evaluate=False)
mio_level = log_odds(sp.Rational(2, 3) * (1 - k / 4))  # as a function of κ̄ = k


def shipped_drift(bound, reward, rejected, ratio, mix=0.5):
    """ż_w/(aβ) by the shipped loss's own derivatives."""
    g_w, g_l = pair_gradient(reward, rejected, bound, mix)
    return -g_w - ratio * g_l


def barrier(mix, ceiling):
    """The proved level at α = mix and κ̄ = ceiling·(2/α)."""
    return compiled(level)(s=mix / (1 - mix), k=ceiling / (1 - ceiling))


def turns(mix, ceiling, share, below, rejected):
    """Whether the shipped loss drives z_w up below the level, for z_l ≤ 0 and κ = share·κ̄."""
    return (
        shipped_drift(
            "js", barrier(mix, ceiling) - below, -abs(rejected), share * ceiling * 2 / mix, mix
        )
        > 0
    )


of_drift = compiled(drift(js))
SCORES = {
    "reward": strategies.scores(),
    "rejected": strategies.scores(),
    "ratio": strategies.scores(4),
}
GIVEN = {"mix": strategies.mixes(), "ceiling": strategies.mixes(), "share": strategies.mixes()}
GIVEN |= {"below": strategies.rates(4.0), "rejected": strategies.scores()}


def deepest(own, cross, other, mix):
    """The least βz_w on the JS family's flow with a frozen kernel, integrated from 0."""

    def velocity(z):
        up, down = theory.chosen_pull(z[0], mix), theory.rejected_push(z[1], mix)
        return [own * up - cross * down, cross * up - other * down]

    return float(numerics.flow(velocity, [0.0, 0.0], 100.0)[:, 0].min())


THEOREM = Theorem(
    slug="mio_barrier",
    title="a barrier under the JS family's chosen reward: it bounds and reverses the decline, but does not avoid it",
    purpose="To bound how far MIO's chosen reward can sink before it turns.",
    setting="""One pair, gradient flow of L_α = sp(−βz_w) + (1 − α) sp(βz_w) + α sp(βz_l), α in (0, 1), MIO: α = ½,
    or of DPO from z_w = z_l = 0, in any differentiable model: ż_w = −a ∂L/∂z_w − c ∂L/∂z_l with the kernel's
    entries a > 0 and c at that time, κ = c/a.""",
    formula=r"""z_l \le 0,\ \tfrac{c}{a} \le \bar\kappa \in [1, 4) \;\Longrightarrow\; \beta z_w \ge
    \operatorname{logit}\bigl(\tfrac23 (1 - \tfrac{\bar\kappa}{4})\bigr) \quad (\mathrm{MIO})""",
    assumptions=(
        "one pair, continuous time; a and c may move, a > 0 and c/a ≤ κ̄ all along",
        "z_l ≤ 0 all along is assumed in (a), not proved; the reversal, for a fixed kernel: lazy_flow_collapse",
        """for one pair L falls along the flow, so mio_no_collapse holds too; for MIO it is the sharper one if κ̄ ≥
        2.3""",
    ),
    parts=(
        Part(
            "a",
            """If κ ≤ κ̄ and z_l ≤ 0 at all times, 1 ≤ κ̄ < 2/α, then βz_w ≥ logit((1 − ακ̄/2)/(2 − α)) at all
            times; MIO: κ̄ < 4 and logit(⅔(1 − κ̄/4)). At κ̄ = 1 this is 0: no decline.""",
            checks=(
                Identity(
                    "ż_w/(aβ)", drift(js), 1 - (2 - alpha) * sigmoid(u) - alpha * kappa * sigmoid(v)
                ),
                Identity(
                    "ż_w/(aβ) less its lower bound is α(κ̄/2 − κσ(v))",
                    drift(js) - (1 - (2 - alpha) * sigmoid(u) - alpha * r / 2),
                    alpha * (r * (HALF - sigmoid(v)) + (r - kappa) * sigmoid(v)),
                ),
                Sign("½ − σ(v) > 0 for v < 0", HALF - sigmoid(-t), ">"),
                Identity(
                    "the bound is 0 on the level",
                    1 - (2 - alpha) * sigmoid(level) - alpha * most / 2,
                    0,
                ),
                Sign(
                    "the bound is positive below the level",
                    1 - (2 - alpha) * sigmoid(level - t) - alpha * most / 2,
                    ">",
                ),
                Identity("the level of κ̄ = 1 is 0", theory.mio_barrier(1, alpha), 0),
                Sign("the level falls with κ̄", sp.diff(level, k), "<"),
                Identity("MIO's level", level.subs(s, 1), log_odds(mio_share)),
                Sign(
                    "κ̄ = 2.2: above u₋ of mio_no_collapse",
                    chosen_term(u, HALF).subs(u, mio_level.subs(k, sp.Rational(11, 5)))
                    - 2 * sp.log(2),
                    "<",
                ),
                Sign(
                    "κ̄ = 2.3: below u₋ of mio_no_collapse",
                    chosen_term(u, HALF).subs(u, mio_level.subs(k, sp.Rational(23, 10)))
                    - 2 * sp.log(2),
                    ">",
                ),
                Shipped(
                    "ż_w/(aβ) through mi.preference_loss",
                    SCORES | strategies.MIX,
                    lambda **v: shipped_drift("js", **v),
                    lambda reward, rejected, ratio, mix: of_drift(
                        u=reward, v=rejected, kappa=ratio, s=mix / (1 - mix)
                    ),
                ),
                Holds(
                    "mi.preference_loss drives z_w up below the level",
                    GIVEN,
                    turns,
                ),
            ),
            by_hand=(
                "a function that increases whenever it is below a level and starts on or above it stays there",
            ),
        ),
        Part(
            "b",
            "Without z_l ≤ 0: if κ ≤ κ̄, ½ ≤ κ̄ < 1/α, then βz_w ≥ logit((1 − ακ̄)/(2 − α)).",
            checks=(
                Identity(
                    "the bound of (b) is 0 on its level",
                    1 - (2 - alpha) * sigmoid(level_free) - alpha * most_free,
                    0,
                ),
                Sign(
                    "the bound of (b) is positive below its level",
                    1 - (2 - alpha) * sigmoid(level_free - t) - alpha * most_free,
                    ">",
                ),
                Identity("the level of κ̄ = ½ is 0", log_odds((1 - alpha * HALF) / (2 - alpha)), 0),
            ),
            by_hand=(
                "a function that increases whenever it is below a level and starts on or above it stays there",
            ),
        ),
        Part(
            "c",
            """At the start ż_w is (β/2)(a − c) for DPO and (αβ/2)(a − c) for L_α: both are negative iff κ > 1
            there, and DPO has no barrier: its z_w falls as long as κ > 1.""",
            checks=(
                Identity("L_α at the start", drift(js).subs({u: 0, v: 0}), alpha / 2 * (1 - kappa)),
                Identity("DPO at the start", drift(dpo).subs({u: 0, v: 0}), (1 - kappa) / 2),
                Sign("DPO falls while κ > 1", drift(dpo).subs(kappa, 1 + q), "<"),
            ),
        ),
        Part(
            "d",
            "L_α lowers z_w where κ ≥ 0, βz_w > −ln(1 − α).",
            checks=(
                Sign(
                    "L_α falls above its anchor, κ > 0",
                    drift(js).subs({u: preference_anchor(alpha) + t, kappa: q}),
                    "<",
                ),
                Sign(
                    "L_α falls above its anchor, κ = 0",
                    drift(js).subs({u: preference_anchor(alpha) + t, kappa: 0}),
                    "<",
                ),
            ),
        ),
    ),
    proof="""ż_w/(aβ) = 1 − (2 − α)σ(βz_w) − ακσ(βz_l). With z_l ≤ 0 and κ ≤ κ̄ this is at least 1 − (2 − α)σ(βz_w)
    − ακ̄/2, positive below the level and 0 on it: z_w cannot pass downward. The start is not below the level iff κ̄
    ≥ 1. In (b) σ(βz_l) < 1 for ≤ ½. (c) The losses' gradients at 0 are parallel; DPO's is (−g, g), g > 0, always.
    (d) 1 − (2 − α)σ(βz_w) is negative above the anchor, and the rejected term is ≤ 0 for κ ≥ 0.""",
    example=Example(
        "the least chosen reward of MIO's flow with the kernel 2, 3, 10, beside the barrier at κ = 3/2",
        deepest,
        lambda own, cross, other, mix: theory.mio_barrier(cross / own, mix),
        {"own": 2.0, "cross": 3.0, "other": 10.0, "mix": 0.5},
        relation="≥",
    ),
    false_neighbours=(
        Sign(
            "without z_l ≤ 0 the level of (a) holds",
            drift(js).subs({u: level, kappa: most, v: t}),
            ">=",
        ),
        Sign(
            "MIO: the level is logit(⅔(1 − κ̄/8))",
            drift(js)
            .subs(s, 1)
            .subs(
                {u: log_odds(sp.Rational(2, 3) * (1 - 1 / (2 + 2 * k))), kappa: 4 / (1 + k), v: 0}
            ),
            ">=",
        ),
        Sign(
            "DPO is driven up below some level too, κ > 1",
            drift(dpo).subs({kappa: 1 + q, u: -t}),
            ">=",
        ),
        Sign(
            "L_α avoids the decline: it starts upward for every κ",
            drift(js).subs({u: 0, v: 0}),
            ">=",
        ),
        Sign(
            "(d) for κ < 0 too", drift(js).subs({u: preference_anchor(alpha) + t, kappa: -q}), "<"
        ),
    ),
    mutants=(
        TURNED,
        AS_DPO,
    ),
    uses=("lazy_flow_collapse", "mio_anchor"),
    about=("preference_loss", "theory.mio_barrier"),
    reference="This project; the frozen kernel: Jacot et al. 2018 (arXiv 1806.07572), theorem 2.",
)
