"""The policy that MIO's population loss selects, prompt by prompt: a coverage cap, and when it holds."""

import sympy as sp

from mi_estimators.theory import preference_anchor
from proofs.engine import (
    AS_DPO,
    HALF,
    TURNED,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    Values,
    mixture,
    numerics,
    oracles,
    population_loss,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    word,
)

# One response with the masses p = P(y), q = Q_α(y) and f = π_ref(y); x = π(y), T = β ln x/f; μ a multiplier.
p, q, f, x, beta, mu, a, b, d, n = positives("p q f x beta mu a b d n")
A, r = positives("alpha r")
(t,) = reals("t")
SHARE: Values = {A: a / (1 + a)}
share = p * softplus(-t) + q * softplus(t)  # one response's share of the mean loss at the score t
cost = share.subs(t, beta * sp.log(x / f))  # as a function of π(y)
slope = x / beta * sp.diff(cost, x)  # q σ(T) − p σ(−T)
balance = p * sigmoid(-t) - q * sigmoid(t)  # π(y) μ at an optimum

# β = 1: the closed form, k = x/f.
root = sp.sqrt((q + mu * f) ** 2 + 4 * mu * f * p)
ratio = (root - q - mu * f) / (2 * mu * f)

# Two responses, P = δ_w and R = δ_l, α = ½, β = 1, π_ref,w = 1/10.
example = (
    softplus(-sp.log(10 * x))
    + softplus(sp.log(10 * x)) / 2
    + softplus(sp.log((1 - x) / sp.Rational(9, 10))) / 2
)
OPTIMUM = ("0.2550505", "0.2550515")  # π_w

cap = word("cap", (1 - A) ** (-1 / beta), r"(1-\alpha)^{-1/\beta}")
best = word("T*", sp.log(p / q), "T^*")
MIXED = (1 - A) * p + A * r  # Q_α(y) of P(y) = p, R(y) = r


def optimum(chosen, rejected, reference, mix, beta):
    """The optimum of (a) on the support of P: π_ref (P/Q_α)^{1/β}, and what it leaves for other responses."""
    mixed = mixture(chosen, rejected, mix)
    policy = [f * (p / q) ** (1 / beta) for p, q, f in zip(chosen, mixed, reference, strict=True)]
    return policy, 1 - sum(policy)


def least_loss(chosen, rejected, reference, mix, beta):
    """The mean shipped loss at (a)'s policy over independent pairs, its unseen responses apart."""
    policy, _ = optimum(chosen, rejected, reference, mix, beta)
    scores = [beta * oracles.ln(x / f) for x, f in zip(policy, reference, strict=True)]
    joint = [[p * r for r in rejected] for p in chosen]
    return population_loss(joint, scores, "js", mix)


def information(chosen, rejected, reference, mix, beta):
    """2 ln 2 − 2 JSD(P, Q_α)."""
    return 2 * oracles.ln(2) - 2 * oracles.jsd(chosen, mixture(chosen, rejected, mix))


def no_better(chosen, rejected, policy, mix, beta):
    """Whether a policy that is no optimum has no smaller mean shipped loss."""
    reference = (0.25, 0.5, 0.25)
    scores = [beta * oracles.ln(x / f) for x, f in zip(policy, reference, strict=True)]
    joint = [[p * r for r in rejected] for p in chosen]
    return (
        population_loss(joint, scores, "js", mix)
        >= information(chosen, rejected, reference, mix, beta) - 1e-9
    )


LAWS = {
    "chosen": strategies.laws(3),
    "rejected": strategies.laws(3),
    "mix": strategies.mixes(),
    "beta": strategies.temperatures(),
}


def searched(chosen, rejected, reference, mix, beta):
    """The first response's probability where the mean loss is least, by search; the mass left over is unseen."""
    mixed = mixture(chosen, rejected, mix)

    def loss(logits):
        policy = oracles.tilted([1.0] * (len(logits) + 1), [*logits, 0.0])[:-1]
        scores = [beta * oracles.ln(x / f) for x, f in zip(policy, reference, strict=True)]
        return 2 * oracles.ln(2) - oracles.js(chosen, mixed, scores)

    _, logits = numerics.lowest(loss, [0.0] * len(chosen))
    return oracles.tilted([1.0] * (len(logits) + 1), [*logits, 0.0])[0]


def where_it_fits(chosen, rejected, reference, mix, beta):
    """π_ref (P/Q_α)^{1/β} of the first response, where Z ≤ 1."""
    policy, unseen = optimum(chosen, rejected, reference, mix, beta)
    if unseen < 0:
        raise ValueError(f"reference: expected masses with Z ≤ 1, got Z = {1 - unseen:.4g}")
    return policy[0]


THEOREM = Theorem(
    slug="mio_population_optimum",
    title="the policy that MIO's population loss selects: π_ref (P/Q_α)^{1/β} where it fits, and a coverage cap",
    purpose="To know the policy that MIO ends at with unlimited data, and its coverage cap.",
    setting="""One prompt, a finite set of responses, π_ref > 0, P and R the laws of the chosen and the rejected
    response, Q = (1 − α)P + αR with α in (0, 1), S the support of P, U the responses in neither support, Z =
    Σ_S π_ref (P/Q)^{1/β}, and T = β ln π/π_ref the scores of a policy π. Lower-case f, p, q, r and x are π_ref,
    P, Q, R and π at one response. The loss is E L_α = E_P sp(−T) + E_Q sp(T).""",
    formula=r"""\pi^* = \pi_{\mathrm{ref}} \Bigl(\frac{P}{Q_\alpha}\Bigr)^{1/\beta} \text{ on } \operatorname{supp} P,
    \qquad \pi^* \le (1 - \alpha)^{-1/\beta}\, \pi_{\mathrm{ref}}, \qquad \text{if } Z \le 1 \text{ and a response is
    unseen}""",
    assumptions=(
        "one prompt; a free policy (a table); the minimiser, not where a flow ends",
        "the cap needs a response outside both supports, as a language model always has, or Z ≥ 1",
    ),
    parts=(
        Part(
            "a",
            """If Z ≤ 1 and U is not empty (or Z = 1), the minimisers are π_ref (P/Q)^{1/β} on S, nothing on the
            rest of R's support, and any law of the mass left on U; the least loss is 2 ln 2 − 2 JSD(P, Q). Response
            by response:""",
            formula=(
                Minimum(
                    "the share of a response",
                    share,
                    t,
                    best,
                    p * sp.log(1 + q / p) + q * sp.log(1 + p / q),
                ),
                Identity(
                    "the policy of that score", f * sp.exp(best / beta), f * (p / q) ** (1 / beta)
                ),
            ),
            checks=(
                Identity(
                    "the least share is that of 2 ln 2 − 2 JSD",
                    p * sp.log(1 + q / p) + q * sp.log(1 + p / q),
                    (p + q) * sp.log(2) - p * sp.log(2 * p / (p + q)) - q * sp.log(2 * q / (p + q)),
                ),
                Sign(
                    "outside S the share falls with T: to π = 0", sp.diff(q * softplus(t), t), ">"
                ),
                Shipped(
                    "the mean of mi.preference_loss there",
                    LAWS | {"reference": strategies.laws(3)},
                    least_loss,
                    information,
                ),
                Holds(
                    "no other policy has a smaller mean loss",
                    LAWS | {"policy": strategies.laws(3)},
                    no_better,
                    40,
                ),
            ),
            by_hand=(Sum("the responses are free of each other as long as mass is left for U"),),
        ),
        Part(
            "b",
            """If Z > 1 there is one minimiser, with nothing outside S, and on S a multiplier μ > 0: P σ(−T) − Q
            σ(T) = μπ, so T is below ln P/Q. If U is empty and Z < 1 every minimiser has μ < 0, so T is above ln P/Q
            on S and local minima occur.""",
            formula=(
                Identity(
                    "the slope of the share in π, times π/β",
                    slope,
                    (q * sigmoid(t) - p * sigmoid(-t)).subs(t, beta * sp.log(x / f)),
                ),
            ),
            checks=(
                Sign(
                    "T below ln P/Q: the balance is positive",
                    balance.subs(t, sp.log(p / q) - d),
                    ">",
                ),
                Sign(
                    "T above ln P/Q: the balance is negative",
                    balance.subs(t, sp.log(p / q) + d),
                    "<",
                ),
                Identity("T at ln P/Q: the balance is 0", balance.subs(t, sp.log(p / q)), 0),
                Sign(
                    "π − balance/μ rises with T, μ > 0: one root",
                    f * sp.exp(t / beta) / beta - sp.diff(balance, t) / mu,
                    ">",
                ),
            ),
            by_hand=(
                "Lagrange's condition on the simplex, and the sum of the roots falls with μ: one μ makes it 1",
                "local minima for μ < 0: an example is enough",
            ),
        ),
        Part(
            "c",
            """In (a), and in (b) with Z > 1, π is at most the anchor's multiple of π_ref on S: a coverage cap that
            DPO lacks.""",
            formula=(
                Sign(
                    "P/Q is below 1/(1 − α) where R has mass", p / MIXED, "<", 1 / (1 - A), at=SHARE
                ),
                Identity(
                    "the anchor's multiple", sp.exp(preference_anchor(A) / beta), cap, at=SHARE
                ),
            ),
            checks=(
                Identity(
                    "P/Q is 1/(1 − α) where R has no mass",
                    p / MIXED.subs(r, 0),
                    1 / (1 - A),
                    at=SHARE,
                ),
            ),
            by_hand=("(c) T ≤ ln P/Q in both cases, by (a) and (b)",),
        ),
        Part(
            "d",
            """At β = 1 the policy of (b) is nf with n = (√((q + μf)² + 4μfp) − q − μf)/(2μf), the positive root of a
            quadratic, which is the balance at T = ln n:""",
            formula=(
                Identity(
                    "the quadratic is the balance at T = ln n",
                    (balance.subs(t, sp.log(n)) - mu * f * n) * (1 + n),
                    -(mu * f * n**2 + (q + mu * f) * n - p),
                ),
            ),
            checks=(
                Identity(
                    "the quadratic at the root",
                    sp.expand(mu * f * ratio**2 + (q + mu * f) * ratio - p),
                    0,
                ),
                Sign(
                    "the root is real and positive",
                    (q + mu * f) ** 2 + 4 * mu * f * p - (q + mu * f) ** 2,
                    ">",
                ),
            ),
        ),
        Part(
            "e",
            """The cap can fail where nothing is unseen: two responses, P on w and R on l, α = ½, β = 1, π_ref,w =
            1/10. Then Z = 0.2 and the cap is 0.2, and the loss is least at π_w = 0.255051.""",
            checks=(
                Identity(
                    "Z = 0.2",
                    f * (p / MIXED) ** (1 / beta),
                    sp.Rational("0.2"),
                    at={A: HALF, p: 1, r: 0, beta: 1, f: sp.Rational(1, 10)},
                ),
                *[
                    Sign(
                        f"the loss's slope at {end} is {relation} 0",
                        sp.diff(example, x),
                        relation,
                        at={x: sp.Rational(end)},
                    )
                    for end, relation in zip(OPTIMUM, "<>", strict=True)
                ],
                Sign(
                    "the optimum's bracket is above the cap",
                    x,
                    ">",
                    sp.Rational("0.2"),
                    at={x: sp.Rational(OPTIMUM[0])},
                ),
            ),
            by_hand=(
                """a slope that changes its sign brackets a local minimum; that there is one only is read off
            the figure""",
            ),
        ),
    ),
    proof="""E L_α = Σ p sp(−T) + q sp(T), each term convex in T with its least at ln p/q. (a) If these scores leave
    mass for U, they are a policy's. (b) On the simplex the derivative β(q σ(T) − p σ(−T))/π is the same, −βμ,
    wherever π > 0. (c) p/q = p/((1 − α)p + αr). (d) With k = π/π_ref: p/(1 + k) − qk/(1 + k) = μ π_ref k.""",
    example=Example(
        "the first response's probability at MIO's population optimum, two responses seen and 0.7 of π_ref unseen",
        searched,
        where_it_fits,
        {
            "chosen": (0.6, 0.4),
            "rejected": (0.2, 0.8),
            "reference": (0.1, 0.2),
            "mix": 0.5,
            "beta": 1.0,
        },
        tolerance=1e-5,
    ),
    false_neighbours=(
        Sign(
            "the cap holds whatever the data: the two responses' slope is positive at it",
            sp.diff(example, x),
            ">",
            at={x: sp.Rational("0.2")},
        ),
        Identity("the policy is π_ref P/Q at every β", f * (p / q) ** (1 / beta), f * p / q),
        Sign("the cap is 1/α", p / MIXED, "<", 1 / A, at={**SHARE}),
        Identity(
            "the best score does not depend on the mix", sp.log(p / MIXED), sp.log(p / r), at=SHARE
        ),
    ),
    mutants=(TURNED, AS_DPO),
    uses=("mio_anchor", "mio_loss_floor", "relative_ratio_ceiling"),
    about=("preference_loss",),
    reference="This project.",
)
