"""Natural-gradient RLHF moves along the tilted laws π_ref e^{cr}: a rare answer's log-odds grow by up to 1/β."""

import numpy as np
import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import escape_time_natural
from proofs.engine import (
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    expect,
    gradient,
    logs,
    normalised,
    positives,
    reals,
    scaled,
    strategies,
    tensor,
    word,
)

a, b, c, beta, t, L, y = positives("a b c beta t L y")
(g,) = reals("g")  # the tilt
REWARDS = reals("r1 r2 r3")
REF = normalised((a, b, c))
PI = normalised([w * sp.exp(g * r) for w, r in zip((a, b, c), REWARDS, strict=True)])
mean_r = expect(PI, REWARDS)
ADVANTAGES = [
    r - beta * sp.log(p / q) for r, p, q in zip(REWARDS, PI, REF, strict=True)
]  # A = r − β ln π/π_ref
mean_a = expect(PI, ADVANTAGES)
tilt = word("c(t)", (1 - sp.exp(-beta * t)) / beta)
eps = 1 / (1 + sp.exp(L))
time = word("t", escape_time_natural(eps, beta))
SHORT: Values = {beta: y / ((1 + y) * L)}  # βL < 1


def natural_step(rewards, reference, logits, beta):
    """d ln π/dt under the natural gradient of the library's J: the Fisher matrix's pseudo-inverse times ∇J."""

    def objective(theta):
        log_pi = theta.log_softmax(-1)
        value = tensor(rewards) - beta * (log_pi.detach() - logs(reference))
        return mi.mean(value, log_pi)

    pi = np.exp(tensor(logits).log_softmax(-1).numpy())
    fisher = np.diag(pi) - np.outer(pi, pi)
    step = np.linalg.pinv(fisher, rcond=1e-12) @ gradient(objective, logits).numpy()
    return (step - pi @ step).tolist()


def centred_advantage(rewards, reference, logits, beta):
    """A − E_π A, by plain sums."""
    weights = np.exp(np.asarray(logits) - max(logits))
    pi = weights / weights.sum()
    value = np.asarray(rewards) - beta * (np.log(pi) - np.log(reference))
    return (value - pi @ value).tolist()


def integrated(eps, beta):
    """The time from ε to ½: the natural-gradient flow of two logits, integrated."""
    from scipy.integrate import solve_ivp

    reference, rewards = np.array([eps, 1 - eps]), np.array([1.0, 0.0])

    def velocity(time, log_pi):
        value = rewards - beta * (log_pi - np.log(reference))
        return value - np.exp(log_pi) @ value

    def half(time, log_pi):
        return log_pi[0] - np.log(0.5)

    flow = solve_ivp(velocity, (0, 1e4), np.log(reference), events=half, rtol=1e-10, atol=1e-12)
    return float(flow.t_events[0][0])


THEOREM = Theorem(
    slug="natural_gradient_rlhf",
    title="natural-gradient RLHF is π_ref e^{(1 − e^{−βt}) r/β}: a rare right answer is up in ln(1/ε), not 1/ε",
    purpose="""To see that the 1/ε of on-policy RLHF is conditioning: the natural gradient removes it in the
    population.""",
    setting="""A softmax policy on a finite set with free logits, rewards r, π_ref > 0, β > 0, J = E_π r − β
    KL(π‖π_ref). The flow follows the natural gradient of J: Fisher's matrix inverted, times ∇J, from π_ref.""",
    formula=r"\pi_t \propto \pi_{\mathrm{ref}}\, e^{\frac{1 - e^{-\beta t}}{\beta} r}",
    assumptions=(
        "the exact population gradient: who must draw the answer still misses it (missed_mass)",
        "free logits, continuous time; the Fisher matrix is inverted on the simplex",
        "(b) a binary reward, ε in (0, ½) the probability of a right answer under π_ref, L = ln((1 − ε)/ε)",
    ),
    parts=(
        Part(
            "a",
            (
                """The natural gradient moves ln π by A − E_π A, A = r − β ln π/π_ref. On the law π ∝ π_ref e^{gr}
                that is """
                "(1 − βg)(r − E_π r): so the flow stays on this path, and g is ",
                Identity("the tilt", tilt, (1 - sp.exp(-beta * t)) / beta),
                ", which solves ġ = 1 − βg from 0.",
            ),
            checks=(
                *[
                    Identity(
                        f"A − E A on the path, response {i + 1} of 3",
                        ADVANTAGES[i] - mean_a,
                        (1 - beta * g) * (REWARDS[i] - mean_r),
                    )
                    for i in range(3)
                ],
                *[
                    Identity(
                        f"the path's slope in g, response {i + 1} of 3",
                        sp.diff(sp.log(PI[i]), g),
                        REWARDS[i] - mean_r,
                    )
                    for i in range(3)
                ],
                Identity("ġ = 1 − βg", sp.diff(tilt.meaning, t), 1 - beta * tilt),
                Identity("g = 0 at t = 0", tilt, 0, at={t: 0}),
                *[
                    Identity(
                        f"Fisher's matrix times A is ∇J, response {i + 1} of 3",
                        PI[i] * ADVANTAGES[i] - PI[i] * mean_a,
                        PI[i] * (ADVANTAGES[i] - mean_a),
                    )
                    for i in range(3)
                ],
                Shipped(
                    "the natural gradient of the library's mean is A − E A",
                    {
                        "rewards": strategies.vectors(3, 2),
                        "reference": strategies.laws(3),
                        "logits": strategies.vectors(3, 2),
                        "beta": strategies.temperatures(),
                    },
                    natural_step,
                    centred_advantage,
                    tolerance=1e-6,
                ),
            ),
            by_hand=("one solution through each point of a smooth flow; any number of responses",),
        ),
        Part(
            "b",
            (
                """For a binary reward the log-odds rise by exactly g, at most by 1/β: it passes one half iff βL <
                1, and then at the time """,
                Identity("the time", time, -sp.log(1 - beta * L) / beta, at=SHORT),
                ", y = βL/(1 − βL) being any positive number. As β → 0 the time is L: no power of 1/ε is left.",
            ),
            checks=(
                Identity(
                    "the time at which g = L",
                    (1 - sp.exp(-beta * time.meaning)) / beta,
                    L,
                    at=SHORT,
                ),
                Identity(
                    "the log-odds",
                    sp.log(a * sp.exp(g) / b) - sp.log(a / b),
                    g,
                ),
                Sign("the tilt g is below 1/β", 1 / beta - tilt, ">"),
                Shipped(
                    "mi.theory.escape_time_natural by integration",
                    {"eps": strategies.rates(0.4), "share": strategies.rates(0.9)},
                    lambda eps, share: theory.escape_time_natural(
                        eps, share / theory.log_odds(1 - eps)
                    ),
                    lambda eps, share: integrated(eps, share / theory.log_odds(1 - eps)),
                    tolerance=1e-5,
                    examples=4,
                ),
            ),
        ),
    ),
    proof="""Fisher's matrix is diag(π) − ππᵀ, and ∇J is that matrix times A: so the natural gradient is A up to a
    constant. On the path ln π/π_ref = gr − ln Z, so A = (1 − βg) r + β ln Z.""",
    example=Example(
        "the time from ε to ½", integrated, escape_time_natural, {"eps": 1e-4, "beta": 0.05}
    ),
    false_neighbours=(
        Identity("the tilt is t, as without the KL term", tilt.meaning, t),
        Identity(
            "the plain gradient moves ln π by A − E A too",
            PI[0] * (ADVANTAGES[0] - mean_a),
            ADVANTAGES[0] - mean_a,
        ),
        Sign("it passes one half for every β: 1/β > L", 1 / beta - L, ">"),
    ),
    mutants=(
        scaled("mean", 1.01),
        Mutant(
            "theory.escape_time_natural", "L", lambda f: lambda eps, beta: theory.log_odds(1 - eps)
        ),
    ),
    uses=("gibbs_dv_duality", "starvation_on_policy"),
    about=("mean", "theory.escape_time_natural"),
    reference="""This project. Natural gradient: Kakade 2001, NeurIPS 14, 1531–1538; the softmax flow: Mei et al.
    2020 (arXiv 2005.06392).""",
)
