"""Gibbs–DV duality: RLHF's optimum is where the Donsker–Varadhan bound with T = r/β is tight."""

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sum,
    Theorem,
    dv,
    expect,
    kl,
    logs,
    normalised,
    numerics,
    off,
    oracles,
    partition,
    positives,
    reals,
    strategies,
    tensor,
    tilted,
    two_laws,
)

beta, p, q, z = positives("beta p q Z")
(reward,) = reals("r")
(PI, REF), R = two_laws(3), reals("r1 r2 r3")
T = [s / beta for s in R]  # the critic of the duality
PI0 = (*normalised(positives("a1 a2")), sp.S(0))
optimum, log_z = tilted(REF, T), sp.log(partition(REF, T))


def objective(policy, order=kl):
    """J(π) = E_π r − β KL(π‖π_ref)."""
    return expect(policy, R) - beta * order(policy, REF)


GIVEN = {
    "pi": strategies.laws(3, zeros=True),
    "ref": strategies.laws(3),
    "r": strategies.vectors(3, bound=3),
    "beta": strategies.temperatures(),
}


def best_objective(reference, rewards, beta):
    """The largest J(π) over policies, by search over logits."""

    def loss(logits):
        policy = oracles.tilted(reference, logits)
        return beta * oracles.kl(policy, reference) - oracles.mean(policy, rewards)

    return -numerics.lowest(loss, [0.0] * len(reference))[0]


def log_partition(reference, rewards, beta):
    """β ln E_ref e^{r/β}."""
    return beta * oracles.log_mean_exp(reference, [reward / beta for reward in rewards])


THEOREM = Theorem(
    slug="gibbs_dv_duality",
    title="RLHF's objective and the DV bound have the same gap KL(π‖π*)",
    purpose="To read RLHF with a KL penalty as the Donsker–Varadhan bound.",
    setting="""For a prompt with a finite set of responses, a reference π_ref with full support, a real reward r and
    β > 0, let J(π) = E_π r − β KL(π‖π_ref), Z = E_ref e^{r/β} and π* = π_ref e^{r/β}/Z.""",
    formula=r"""\mathbb{E}_\pi r - \beta\,\mathrm{KL}(\pi\|\pi_{\mathrm{ref}}) = \beta \ln \mathbb{E}_{\mathrm{ref}}
    e^{r/\beta} - \beta\,\mathrm{KL}(\pi\|\pi^*), \qquad \pi^* \propto \pi_{\mathrm{ref}}\, e^{r/\beta}""",
    assumptions=(
        "one prompt, a finite set of responses (over prompts: the mean of the statement)",
        "π_ref has mass on every response; π is any law (atoms without mass are allowed)",
        "β > 0 and r is real-valued",
        "J is a function of the law π; a parametrised policy reaches π* only if its family contains it",
    ),
    parts=(
        Part(
            "a",
            """For every law π on them J(π) = β ln Z − β KL(π‖π*); so π* is the only maximiser and β ln Z the
            maximum.""",
            checks=(
                Identity(
                    "one atom of a set of any size (Z is free)",
                    reward - beta * sp.log(p / q),
                    beta * sp.log(z) - beta * sp.log(p / (q * sp.exp(reward / beta) / z)),
                ),
                Identity("J(π), 3 responses", objective(PI), beta * log_z - beta * kl(PI, optimum)),
                Identity(
                    "J(π), one response without mass",
                    objective(PI0),
                    beta * log_z - beta * kl(PI0, optimum),
                ),
                Identity("J(π*) = β ln Z, 3 responses", objective(optimum), beta * log_z),
                Shipped(
                    "β (mi.dv + ln Z − KL) is J(π), computed from its definition",
                    GIVEN,
                    lambda pi, ref, r, beta: (
                        beta
                        * (
                            float(mi.dv(tensor(r) / beta, tensor(r) / beta, logs(pi), logs(ref)))
                            + float(mi.log_mean_exp(tensor(r) / beta, logs(ref)))
                            - oracles.kl(pi, ref)
                        )
                    ),
                    lambda pi, ref, r, beta: oracles.mean(pi, r) - beta * oracles.kl(pi, ref),
                ),
            ),
            by_hand=(
                Sum(
                    "from one atom to any finite number: the mean of identities (3 atoms are also checked in full)"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (reference r : X -> R) (beta : R),
                  law l reference -> full l reference -> 0 < beta ->
                  let best := tilt l reference (fun y => r y / beta) in
                  let top := beta * ln (mgf l reference (fun y => r y / beta)) in
                  let J := fun policy => E l policy r - beta * kl l policy reference in
                  law l best
                  /\ J best = top
                  /\ forall policy, law l policy ->
                       J policy = top - beta * kl l policy best
                       /\ J policy <= top
                       /\ (J policy = top <-> same l policy best)
                """,
        ),
        Part(
            "b",
            """With T = r/β, KL(π‖π_ref) − (E_π T − ln E_ref eᵀ) = KL(π‖π*): the DV bound of KL(π‖π_ref) at T =
            r/β is tight iff π = π*.""",
            checks=(
                Identity("the DV gap, 3 responses", kl(PI, REF) - dv(PI, REF, T), kl(PI, optimum)),
                Identity(
                    "the DV gap, one response without mass",
                    kl(PI0, REF) - dv(PI0, REF, T),
                    kl(PI0, optimum),
                ),
                Shipped(
                    "KL(π‖π_ref) − mi.dv at T = r/β is KL(π‖π*)",
                    GIVEN,
                    lambda pi, ref, r, beta: (
                        oracles.kl(pi, ref)
                        - float(mi.dv(tensor(r) / beta, tensor(r) / beta, logs(pi), logs(ref)))
                    ),
                    lambda pi, ref, r, beta: oracles.kl(
                        pi, oracles.tilted(ref, [s / beta for s in r])
                    ),
                    tolerance=1e-8,
                ),
            ),
            by_hand=(
                Sum(
                    "from one atom to any finite number: the mean of identities (3 atoms are also checked in full)"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (policy reference r : X -> R) (beta : R),
                  law l policy -> law l reference -> full l reference -> 0 < beta ->
                  let T := fun y => r y / beta in
                  kl l policy reference - dv l policy reference T = kl l policy (tilt l reference T)
                  /\ (kl l policy reference - dv l policy reference T = 0 <-> same l policy (tilt l reference T))
                """,
        ),
    ),
    proof="""Atom by atom r − β ln(π/π_ref) = β ln Z − β ln(π/π*), because β ln(π*/π_ref) = r − β ln Z; take the
    mean under π. The second identity is dv_representation at P = π, Q = π_ref, T = r/β, whose Q_T is π*. KL(π‖π*) ≥
    0 with equality iff π = π* is part of dv_representation.""",
    example=Example(
        "the largest E_π r − β KL(π‖π_ref) over policies, beside β ln E_ref e^{r/β}",
        best_objective,
        log_partition,
        {"reference": (0.5, 0.3, 0.2), "rewards": (1.0, 0.0, -1.0), "beta": 0.5},
    ),
    false_neighbours=(
        Identity(
            "π* ∝ π_ref e^{βr}",
            objective(PI),
            beta * log_z - beta * kl(PI, tilted(REF, [beta * s for s in R])),
        ),
        Identity("the maximum is ln Z", objective(optimum), log_z),
        Identity(
            "KL(π_ref‖π) as the penalty has the same optimum and value",
            objective(optimum, lambda policy, ref: kl(ref, policy)),
            beta * log_z,
        ),
        Identity("the gap is KL(π*‖π)", kl(PI, REF) - dv(PI, REF, T), kl(optimum, PI)),
    ),
    mutants=(
        off("dv"),
        Mutant(
            "log_mean_exp", "no logarithm", lambda right: lambda t, log_q: mi.mean(t.exp(), log_q)
        ),
    ),
    uses=("dv_representation",),
    about=(
        "dv",
        "log_mean_exp",
    ),
    reference="""Donsker & Varadhan 1983, Comm. Pure Appl. Math. 36, 183–212; Rafailov et al. 2023 (arXiv
    2305.18290), eq. 4 and appendix A.1.""",
)
