"""With a table of logits and one pair, DPO always raises the chosen response: the collapse needs shared features."""

import sympy as sp
import torch
from hypothesis import strategies as st

import mi_estimators as mi
from proofs.engine import (
    AS_MIO,
    NEARLY,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    dpo_loss,
    gradient,
    logs,
    numerics,
    oracles,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
)

# θ_w, θ_l and the other logits, which enter through E = Σ e^θ, and θ_j, one of them. r is the base's margin.
t_w, t_l, t_j, r = reals("theta_w theta_l theta_j r")
beta, E, rest, a, c, d, b, step = positives("beta E rest a c d b step")
margin = beta * (t_w - t_l - r)  # u = β(z_w − z_l)
loss = dpo_loss(margin, 0)
total, total_j = sp.exp(t_w) + sp.exp(t_l) + E, sp.exp(t_w) + sp.exp(t_l) + sp.exp(t_j) + rest
pi_w, pi_l = sp.exp(t_w) / total, sp.exp(t_l) / total
speed = beta * sigmoid(-margin)


def along(value, total_loss):
    """The rate of a value under θ̇ = −∇L, for a loss that depends on θ_w and θ_l alone."""
    return -sp.Add(*(sp.diff(value, x) * sp.diff(total_loss, x) for x in (t_w, t_l)))


# One step of any size: θ_w rises by ln(1 + step) and θ_l falls by as much. Weights e^θ: X chosen, Y rejected, Z others.
X, Y, Z = positives("X Y Z")
ratio = (1 + step) * (X + Y + Z) / ((1 + step) * X + Y / (1 + step) + Z)
# d ln π_w/dt with two pairs, pushes a and b, V = e^{θ_v}, U = e^{θ_m}: the second is (v, l), or (v, m), disjoint.
V, U = positives("V U")
shared_rejected = a - (a * X + b * V - (a + b) * Y) / (X + Y + V + Z)
disjoint = (a - (a * (X - Y) + b * (V - U)) / (X + Y + V + U + Z)).subs({b: 9 * a, V: X})


def mio_rate(x, y, base_x, base_y):
    """d ln π_w/dt of MIO at β = 1, at probabilities x and y of the pair."""
    s, t = x / (x + base_x), y / (y + base_y)
    return (1 - sp.Rational(3, 2) * s) * (1 - x) + t / 2 * x


def shipped_rates(ref, theta, b):
    """d ln π/dt of each response under the gradient flow of the shipped DPO loss."""

    def loss(logits):
        z = b * (logits.log_softmax(-1) - logs(ref))
        return mi.preference_loss(z[0], z[1], "dv")

    velocity = -gradient(loss, theta)
    return torch.func.jvp(lambda x: x.log_softmax(-1), (tensor(theta),), (velocity,))[1].tolist()


def proved_rates(ref, theta, b):
    """The stated rates, by plain sums."""
    pi = oracles.tilted([1] * len(theta), theta)
    u = b * (theta[0] - theta[1] - oracles.ln(ref[0]) + oracles.ln(ref[1]))
    push = b * (1 - oracles.tilted([1, 1], [u, 0.0])[0])
    common = pi[0] - pi[1]
    return [push * (1 - common), push * (-1 - common), *[-push * common] * (len(pi) - 2)]


GIVEN = st.integers(2, 5).flatmap(lambda k: st.tuples(strategies.laws(k), strategies.vectors(k, 4)))


def rate_of_rise(reference, theta, beta):
    """d ln π_w/dt along the published loss's gradient, both by differences."""

    def log_policy(logits):
        return [oracles.ln(x) for x in oracles.tilted([1.0] * len(logits), logits)]

    def loss(logits):
        z = [x - oracles.ln(y) for x, y in zip(log_policy(logits), reference, strict=True)]
        return oracles.dpo(beta * z[0], beta * z[1])

    def moved(place, step):
        return [x + step * (k == place) for k, x in enumerate(theta)]

    push = [-numerics.slope(lambda step, k=k: loss(moved(k, step)), 0.0) for k in range(len(theta))]
    return numerics.slope(
        lambda step: log_policy([x + step * d for x, d in zip(theta, push, strict=True)])[0], 0.0
    )


THEOREM = Theorem(
    slug="dpo_tabular_never_falls",
    title="tabular softmax, one pair: DPO's chosen response never falls, whatever the step",
    purpose="To know which toy can never show DPO's collapse: a table with one pair a prompt.",
    setting="""Softmax policy with a free logit for each of at least two responses, one pair y_w ≠ y_l, L = −ln
    σ(u), u = β(z_w − z_l), z = ln π/π_ref, β > 0, gradient flow θ̇ = −∇L from any θ.""",
    formula=r"""\frac{d \ln \pi_w}{dt} = \beta\, \sigma(-u)\, (1 - \pi_w + \pi_l) > 0, \qquad u = \beta \ln
    \frac{\pi_w \pi_{\mathrm{ref},l}}{\pi_l \pi_{\mathrm{ref},w}}""",
    assumptions=(
        "the parameters are the logits: no two responses share one",
        "one pair; several prompts with their own logits, one pair each, are as many separate flows",
        "plain gradients: θ_w and θ_l move oppositely and no other logit moves",
    ),
    parts=(
        Part(
            "a",
            "Then u̇ = 2β² σ(−u) > 0",
            checks=(
                Identity("u̇", along(margin, loss), 2 * beta**2 * sigmoid(-margin)),
                Sign("u̇ > 0", along(margin, loss), ">"),
            ),
            by_hand=("the limits t → ∞ in the proof",),
        ),
        Part(
            "b",
            """and d ln π_w/dt = βσ(−u)(1 − π_w + π_l) > 0, d ln π_l/dt = −βσ(−u)(1 + π_w − π_l) < 0, and each
            other response has d ln π_j/dt = −βσ(−u)(π_w − π_l): it sinks iff π_w > π_l. As t → ∞, u → ∞, π_w → 1
            and π_l → 0.""",
            checks=(
                Identity("d ln π_w/dt", along(sp.log(pi_w), loss), speed * (1 - pi_w + pi_l)),
                Sign("d ln π_w/dt > 0", along(sp.log(pi_w), loss), ">"),
                Identity(
                    "d ln π_w/dt, two responses",
                    along(sp.log(pi_w), loss).subs(E, 0),
                    2 * speed * pi_l.subs(E, 0),
                ),
                Sign("d ln π_w/dt > 0, two responses", speed * pi_l.subs(E, 0), ">"),
                Identity("d ln π_l/dt", along(sp.log(pi_l), loss), -speed * (1 + pi_w - pi_l)),
                Sign("d ln π_l/dt < 0", along(sp.log(pi_l), loss), "<"),
                Sign("d ln π_l/dt < 0, two responses", along(sp.log(pi_l), loss).subs(E, 0), "<"),
                Identity(
                    "d ln π_j/dt",
                    along(t_j - sp.log(total_j), loss),
                    -speed * (sp.exp(t_w) - sp.exp(t_l)) / total_j,
                ),
                Shipped(
                    "the flow of mi.preference_loss, 2 to 5 responses",
                    {"case": GIVEN, "b": strategies.temperatures()},
                    lambda case, b: shipped_rates(*case, b=b),
                    lambda case, b: proved_rates(*case, b=b),
                ),
            ),
        ),
        Part(
            "c",
            """A gradient step of any size raises ln π_w too. So where plain gradients lower DPO's chosen
            response, responses share parameters or prompts, that is, a prompt has several pairs: then it may fall
            even in a table, and even if no two pairs have a response in common.""",
            checks=(
                Identity(
                    "one step: the new π_w over the old",
                    ratio - 1,
                    step
                    * (Y * (2 + step) / (1 + step) + Z)
                    / ((1 + step) * X + Y / (1 + step) + Z),
                ),
                Sign("one step: it exceeds 1", ratio - 1, ">"),
                Sign("one step: two responses", ratio.subs(Z, 0) - 1, ">"),
            ),
            by_hand=("the last two sentences, which say what (a) to (c) leave open",),
        ),
    ),
    proof="""u depends on θ_w − θ_l alone, so θ̇_w = −θ̇_l = βσ(−u) and the other logits rest. d ln π_y/dt = θ̇_y −
    Σ π θ̇ with Σ π θ̇ = βσ(−u)(π_w − π_l), and |π_w − π_l| < 1. As u̇ > 0 is bounded below wherever u is bounded
    above, u → ∞; θ_w + θ_l and the other logits being constant, θ_w → ∞ and θ_l → −∞. In one step θ_w rises by some
    δ > 0 and θ_l falls by δ, and with e^δ = 1 + step the new π_w is the larger.""",
    example=Example(
        "d ln π_w/dt of DPO's flow, three responses, beside βσ(−u)(1 − π_w + π_l)",
        rate_of_rise,
        lambda reference, theta, beta: proved_rates(reference, theta, beta)[0],
        {"reference": (0.3, 0.6, 0.1), "theta": (1.0, 0.0, 0.5), "beta": 0.5},
    ),
    false_neighbours=(
        Sign("with shared features it never falls (a > 0, ad > c²): ż_w ∝ a − c", a - c, ">="),
        Sign(
            "with two pairs and the same rejected response neither chosen one falls",
            shared_rejected,
            ">=",
        ),
        Sign(
            "with two pairs without a common response to one prompt neither chosen one falls",
            disjoint,
            ">=",
        ),
        Sign(
            "MIO's chosen response never falls either (three responses, β = 1)",
            mio_rate(*(x / (X + Y + Z) for x in (X, Y)), *(x / (b + c + d) for x in (b, c))),
            ">=",
        ),
        Sign("the other responses never sink", along(t_j - sp.log(total_j), loss), ">="),
    ),
    mutants=(
        NEARLY,
        AS_MIO,
    ),
    uses=("dpo_is_half_mixed_dv",),
    about=("preference_loss",),
    reference="""This project; features that stay fixed: Razin et al. 2024 (arXiv 2410.08847), appendix F.""",
)
