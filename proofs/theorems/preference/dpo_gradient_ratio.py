"""DPO's gradients in the two probabilities, their ratio π_l/π_w, and what remains of it on the simplex."""

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    AS_MIO,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    compiled,
    gradient,
    logs,
    loss_at,
    normalised,
    numerics,
    oracles,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
)

beta, b, pi_w, pi_l, ref_w, ref_l = positives(
    "beta b pi_w pi_l rho_w rho_l"
)  # ρ: the reference's probabilities
x, y = pi_w / ref_w, pi_l / ref_l
loss = -sp.log(x**beta / (x**beta + y**beta))
s = y**beta / (x**beta + y**beta)
size_w, size_l = beta / pi_w * s, beta / pi_l * s  # |∂L/∂π_w|, |∂L/∂π_l|
falling = sp.diff(size_l, pi_l).subs(beta, 1 / (1 + b))

# Softmax over three responses: θ_w, θ_l and one more.
THETA = reals("theta_w theta_l theta_o")
PI = normalised([sp.exp(z) for z in THETA])
on_simplex: Values = {pi_w: PI[0], pi_l: PI[1]}
in_logits = loss.subs(on_simplex, simultaneous=True)
GRADIENT = [sp.diff(in_logits, z) for z in THETA]
strength = beta * s.subs(on_simplex, simultaneous=True)  # β s
from_uniform = beta * sigmoid(beta * (THETA[1] - THETA[0]))  # β s where the reference is uniform


def velocity(response):
    """d ln π/dt of a response under θ̇ = −∇L: the chain rule with ∂ln π_i/∂θ_j = 1{i = j} − π_j."""
    return sum(-g * (int(response == j) - PI[j]) for j, g in enumerate(GRADIENT))


def shipped_gradient(pi_w, pi_l, rho_w, rho_l, beta):
    """The gradient of the shipped loss in (π_w, π_l)."""

    def loss(pi):
        return mi.preference_loss(*(beta * (pi / tensor([rho_w, rho_l])).log()), bound="dv")

    return gradient(loss, [pi_w, pi_l]).tolist()


def shipped_logits(theta, beta):
    """The gradient of the shipped loss in the logits, from the uniform reference."""

    def loss(logits):
        scores = beta * (logits.log_softmax(-1) - logs([1 / 3] * 3))
        return mi.preference_loss(scores[0], scores[1], "dv")

    return gradient(loss, theta).tolist()


def proved_logits(theta, beta):
    """(−βs, βs, 0)."""
    size = compiled(from_uniform)(theta_w=theta[0], theta_l=theta[1], beta=beta)
    return [-size, size, 0.0]


PROBABILITIES = {name: strategies.rates() for name in ("pi_w", "pi_l", "rho_w", "rho_l")}
TEMPERATURE = {"beta": strategies.temperatures()}


def ratio_of_slopes(chosen, rejected, own, other, beta):
    """|∂L/∂π_w| over |∂L/∂π_l| of the published loss, by differences."""

    def loss(pi_w, pi_l):
        return oracles.dpo(beta * oracles.ln(pi_w / own), beta * oracles.ln(pi_l / other))

    first = numerics.slope(lambda x: loss(x, rejected), chosen)
    return -first / numerics.slope(lambda x: loss(chosen, x), rejected)


THEOREM = Theorem(
    slug="dpo_gradient_ratio",
    title="DPO in the probabilities: sizes in the ratio π_l/π_w, π_l^β against π_l^{β−1}; in the logits equal",
    purpose="To check the claim that DPO pushes the rejected response harder than it pulls the chosen one.",
    setting="""Let x = π_w/ρ_w and y = π_l/ρ_l, ρ the reference, β > 0, L = −ln σ(β ln x − β ln y), s = y^β/(x^β +
    y^β).""",
    formula=r"""\frac{|\partial L/\partial \pi_w|}{|\partial L/\partial \pi_l|} = \frac{\pi_l}{\pi_w}, \qquad
    \frac{\partial L}{\partial \theta_w} = -\frac{\partial L}{\partial \theta_l} = -\beta s, \quad s =
    \frac{y^\beta}{x^\beta + y^\beta}""",
    assumptions=(
        "π_w, π_l, ρ_w, ρ_l > 0 and β > 0; one pair with different responses",
        "(a), (b): π_w and π_l are free of each other and of Σ π = 1",
        "(d): one free logit per response; with shared parameters the logits' gradients mix",
    ),
    parts=(
        Part(
            "a",
            """As functions of two free probabilities, ∂L/∂π_w = −(β/π_w) s and ∂L/∂π_l = (β/π_l) s: their sizes
            have the ratio π_l/π_w, at every β and reference.""",
            checks=(
                Identity("∂L/∂π_w", sp.diff(loss, pi_w), -size_w),
                Identity("∂L/∂π_l", sp.diff(loss, pi_l), size_l),
                Identity("the ratio", size_w / size_l, pi_l / pi_w),
                Shipped(
                    "the gradient of mi.preference_loss(dv) in the probabilities",
                    PROBABILITIES | TEMPERATURE,
                    shipped_gradient,
                    lambda **given: [-compiled(size_w)(**given), compiled(size_l)(**given)],
                ),
            ),
        ),
        Part(
            "b",
            """As π_l → 0 with π_w fixed, the chosen one's size is β/(π_w (x ρ_l)^β) · π_l^β and the rejected
            one's β/(x ρ_l)^β · π_l^{β−1}, both times 1/(1 + (y/x)^β) → 1: the first always vanishes; the second
            grows without bound for β < 1, tends to 1/(x ρ_l) for β = 1, and vanishes for β > 1.""",
            checks=(
                Identity(
                    "the chosen one's size",
                    size_w,
                    beta / (pi_w * (x * ref_l) ** beta) * pi_l**beta / (1 + (y / x) ** beta),
                ),
                Identity(
                    "the rejected one's size",
                    size_l,
                    beta / (x * ref_l) ** beta * pi_l ** (beta - 1) / (1 + (y / x) ** beta),
                ),
                Sign("the chosen one's vanishes with π_l, falling", sp.diff(size_w, pi_l), ">"),
                Sign("β < 1, here 1/(1 + b): the rejected one's grows as π_l falls", falling, "<"),
                Identity(
                    "β = 1: the rejected one's limit",
                    size_l.subs(beta, 1) * (1 + y / x),
                    1 / (x * ref_l),
                ),
            ),
            by_hand=("π_l^β → 0 for β > 0, and π_l^{β−1} → ∞, 1, 0 for β < 1, = 1, > 1",),
        ),
        Part(
            "c",
            "Both depend on the pair through the margin, s = σ(−β ln(x/y)), and on π_w, π_l as units.",
            checks=(Identity("s = σ(−margin)", s, sigmoid(-beta * sp.log(x / y))),),
        ),
        Part(
            "d",
            """On the simplex, through the logits θ of a softmax over any finite set, ∂L/∂θ_w = −βs, ∂L/∂θ_l = βs
            and 0 for all others: equal in size, at most β, and both of order π_l^β as π_l → 0. Under θ̇ = −∇L, d
            ln π_w/dt = βs(1 − π_w + π_l) > 0, d ln π_l/dt = −βs(1 + π_w − π_l) < 0, and d ln π_j/dt = −βs(π_w −
            π_l) for the others.""",
            checks=(
                *[
                    Identity(f"the gradient in the logits, {name}", ours, theirs)
                    for name, ours, theirs in zip(
                        "wlo", GRADIENT, (-strength, strength, 0), strict=True
                    )
                ],
                Sign("βs is below β", beta - beta * s, ">"),
                *[
                    Identity(f"d ln π_{name}/dt", velocity(i), rate)
                    for i, (name, rate) in enumerate(
                        (
                            ("w", strength * (1 - PI[0] + PI[1])),
                            ("l", -strength * (1 + PI[0] - PI[1])),
                            ("o", -strength * (PI[0] - PI[1])),
                        )
                    )
                ],
                Sign("1 − π_w + π_l > 0, and likewise 1 + π_w − π_l", 1 - PI[0] + PI[1], ">"),
                Shipped(
                    "the gradient of mi.preference_loss(dv) in the logits",
                    {"theta": strategies.vectors(3)} | TEMPERATURE,
                    shipped_logits,
                    proved_logits,
                ),
            ),
            by_hand=(
                "(d) for more than three responses: the softmax's normaliser cancels in x/y in the same way",
            ),
        ),
        Part(
            "e",
            """Along e_w − e_l, which stays on the simplex, L has the slope −βs(1/π_w + 1/π_l): for β < 1 it too
            is unbounded. The blow-up belongs to the coordinates π.""",
            checks=(
                Identity(
                    "the slope along e_w − e_l",
                    sp.diff(loss, pi_w) - sp.diff(loss, pi_l),
                    -beta * s * (1 / pi_w + 1 / pi_l),
                ),
            ),
            by_hand=("π_l^β → 0 for β > 0, and π_l^{β−1} → ∞, 1, 0 for β < 1, = 1, > 1",),
        ),
    ),
    proof="""(a) L = ln(1 + (y/x)^β). (b) s = (y/x)^β/(1 + (y/x)^β). (d) x/y depends on θ_w − θ_l only, so L is a
    function of that difference, whose slope is −βs; and s < 1. The velocities are the chain rule with ∂ ln π_i/∂θ_j =
    1{i = j} − π_j. (e) The difference of the two slopes in (a).""",
    example=Example(
        "the chosen slope over the rejected one, π_w = 0.2 and π_l = 0.05, beside π_l/π_w",
        ratio_of_slopes,
        lambda chosen, rejected, own, other, beta: rejected / chosen,
        {"chosen": 0.2, "rejected": 0.05, "own": 0.3, "other": 0.1, "beta": 0.5},
    ),
    false_neighbours=(
        Identity("the ratio is π_w/π_l", size_w / size_l, pi_w / pi_l),
        Identity(
            "the ratio in the logits is π_l/π_w too", GRADIENT[0] * PI[0], -GRADIENT[1] * PI[1]
        ),
        Sign("the rejected one's size grows as π_l falls, for every β", sp.diff(size_l, pi_l), "<"),
        Sign(
            "at β = 1 the rejected one's size exceeds its limit",
            size_l.subs(beta, 1) - 1 / (x * ref_l),
            ">",
        ),
        Identity(
            "the chosen one's size does not depend on the rejected response",
            sp.diff(size_w, pi_l),
            0,
        ),
    ),
    mutants=(
        AS_MIO,
        loss_at("rejected held fixed", rejected=torch.Tensor.detach),
    ),
    uses=("dpo_is_half_mixed_dv",),
    about=("preference_loss",),
    reference="""Feng et al. 2024 (arXiv 2404.04626); Rafailov et al. 2023 (arXiv 2305.18290), section 4 (what the
    update does) and appendix A.4.""",
)
