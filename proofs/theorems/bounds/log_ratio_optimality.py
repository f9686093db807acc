"""Every row of the table of f-divergence bounds is tight at T = ln dP/dQ, and only there."""

from dataclasses import replace
from math import inf

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    compiled,
    gradient,
    logs,
    oracles,
    positives,
    sigmoid,
    softplus,
    strategies,
    tensor,
)
from proofs.engine.rows import ROWS, ln2, log_ratio, r, share, t

w, d, h = positives("w d h")  # reward' and penalty' at one score, and a step


def row_checks(name, row):
    """The claims about one row."""
    yield Identity(f"{name}: penalty' = eᵀ reward'", sp.diff(row.penalty, t), sp.exp(t) * row.slope)
    yield Identity(
        f"{name}: d/dT = reward'(T) (r − eᵀ)",
        sp.diff(row.share(), t),
        row.slope * (r - sp.exp(t)),
    )

    yield Sign(f"{name}: reward' > 0", row.slope, ">")
    yield Identity(
        f"{name}: the value at ln r is the divergence's integrand",
        row.share(log_ratio),
        row.integrand,
    )

    ours, formulas = lambda: mi.DIVERGENCES[name], [compiled(row.reward), compiled(row.penalty)]
    yield Shipped(
        f"mi.DIVERGENCES[{name!r}] is this row",
        {"t": strategies.scores()},
        lambda t: [float(ours().reward(tensor(t))), float(ours().penalty(tensor(t)))],
        lambda t: [f(t=t) for f in formulas],
    )

    yield Shipped(
        f"mi.DIVERGENCES[{name!r}] reads the divergence at ln p/q, where its gradient is 0",
        strategies.law_pairs(),
        lambda p, q: value_and_gradient(ours(), p, q),
        lambda p, q: [row.divergence(p, q), 0, 0, 0],
        tolerance=1e-8,
    )


def value_and_gradient(row, p, q):
    """Value and gradient of a shipped row at its tight critic."""
    critic = logs(p) - logs(q)

    def value(t):
        return row(t, t, logs(p), logs(q))

    return [float(value(critic)), *gradient(value, critic).tolist()]


def overflows(size):
    """Whether χ² is ∞ where the reward alone is out of range, and −∞ where the penalty is."""
    chi2, huge, small = mi.DIVERGENCES["chi2"], tensor([800.0 * size]), tensor([0.0])
    values = [float(chi2(huge, small)), float(chi2(small, huge)), float(chi2(huge, huge))]
    return values == [inf, -inf, -inf]


def either(f):
    """FDivergence.unchecked with "or" for "and" in its test of overflow."""

    def unchecked(row, joint, product, log_p=None, log_q=None):
        value = f(row, joint, product, log_p, log_q)
        return torch.where(value == inf, -inf, value)

    return unchecked


def wrong(name, label, change):
    """The table with the reward of one row changed."""
    return Mutant(
        "DIVERGENCES",
        f"{name} {label}",
        lambda rows: rows | {name: replace(rows[name], reward=change(rows[name].reward))},
    )


def best_nwj(p, q):
    """The largest NWJ value over critics, by ascent."""
    from scipy.optimize import minimize

    return -float(minimize(lambda t: -oracles.nwj(p, q, list(t)), [0.0] * len(p), tol=1e-12).fun)


THEOREM = Theorem(
    slug="log_ratio_optimality",
    title="one invariant, penalty' = eᵀ reward', makes every row tight at ln dP/dQ",
    purpose="To check a new bound in one line: is its best critic the log-ratio?",
    setting="Let P and Q be mutually absolutely continuous laws on a finite set and r = dP/dQ.",
    formula=r"""\mathrm{penalty}'(t) = e^{t}\,\mathrm{reward}'(t) \quad\Longrightarrow\quad \arg\max_T\;
    \mathbb{E}_P[\mathrm{reward}(T)] - \mathbb{E}_Q[\mathrm{penalty}(T)] = \ln\tfrac{dP}{dQ}""",
    assumptions=(
        "P and Q are laws on one finite set, each with mass at every atom",
        "T is real-valued",
        "reward and penalty are differentiable on ℝ, reward' > 0 and penalty' = eᵀ reward'",
    ),
    parts=(
        Part(
            "a",
            """For a row (reward, penalty) of differentiable real functions with reward' > 0 and penalty' = eᵀ
            reward', the value V(T) = E_P reward(T) − E_Q penalty(T) has its maximum over real T at T = ln r, and
            nowhere else.""",
            checks=(
                Identity(
                    "the slope of one share, reward' = w, penalty' = eᵗ w",
                    r * w - sp.exp(t) * w,
                    w * (r - sp.exp(t)),
                ),
                Sign(
                    "the slope of a share is positive below ln r",
                    (w * (r - sp.exp(t))).subs(t, log_ratio - d),
                    ">",
                ),
                Sign(
                    "the slope of a share is negative above ln r",
                    (w * (r - sp.exp(t))).subs(t, log_ratio + d),
                    "<",
                ),
            ),
            by_hand=(
                "a function whose derivative changes its sign from + to − once has its only maximum there",
                Sum(
                    "the value is a sum over atoms of any finite number, and each atom has its own T"
                ),
            ),
            kernel=r"""
                forall (reward dreward penalty dpenalty : R -> R),
                  row reward dreward penalty dpenalty -> (forall t, 0 < dreward t) -> (forall t, dpenalty t =
                    exp t * dreward t) ->
                  forall (X : Type) (l : list X) (p q T : X -> R), full l p -> full l q ->
                  let best := fun x => ln (p x / q x) in
                  row_value reward penalty l p q T <= row_value reward penalty l p q best
                  /\ (row_value reward penalty l p q T = row_value reward penalty l p q best <-> same l T best)
                """,
        ),
        Part(
            "b",
            """Conversely a differentiable row whose value is largest at T = ln r, for all such P and Q on two
            atoms, has penalty' = eᵀ reward'.""",
            checks=(
                Identity(
                    "a slope of 0 at T = ln r is the invariant",
                    (r * w - h).subs(log_ratio, sp.log(h / w)),
                    0,
                ),
            ),
            by_hand=(
                "a differentiable function has slope 0 where it is largest, and every r > 0 occurs on two atoms",
            ),
            kernel=r"""
                forall (reward dreward penalty dpenalty : R -> R),
                  row reward dreward penalty dpenalty ->
                  (forall p q T : bool -> R, law [true; false] p -> law [true; false] q -> full [true; false]
                    p -> full [true; false] q ->
                     row_value reward penalty [true; false] p q T <= row_value reward penalty [true; false]
                       p q (fun x => ln (p x / q x))) ->
                  forall t, dpenalty t = exp t * dreward t
                """,
        ),
        Part(
            "c",
            """For nwj (= kl), js, reverse_kl, chi2 and hellinger2 the maximum is KL(P‖Q), 2·JSD(P, Q), KL(Q‖P),
            χ²(P‖Q) = E_Q (r − 1)² and H²(P, Q) = E_Q (√r − 1)²; so V(T) is a lower bound of that divergence for
            every T.""",
            checks=(
                *[claim for name, row in ROWS.items() for claim in row_checks(name, row)],
                Identity(
                    "nwj: the exact gap at one atom is r ln(r/s) − r + s, s = eᵀ",
                    ROWS["nwj"].share(log_ratio) - ROWS["nwj"].share(),
                    r * (log_ratio - t) - r + sp.exp(t),
                ),
                Identity(
                    "js: the exact gap at one atom is (1 + r) KL(Bern(σ(ln r))‖Bern(σ(T)))",
                    ROWS["js"].share(log_ratio) - ROWS["js"].share(),
                    (1 + r)
                    * sum(
                        sigmoid(s * log_ratio) * sp.log(sigmoid(s * log_ratio) / sigmoid(s * t))
                        for s in (1, -1)
                    ),
                ),
                Holds(
                    "mi.DIVERGENCES['chi2'] out of range: ∞ by the reward alone, else −∞",
                    {"size": strategies.counts(8)},
                    overflows,
                ),
                Shipped(
                    "no row of mi.DIVERGENCES is without a proof here",
                    {"t": strategies.scores()},
                    lambda t: [
                        row.name in ROWS and row is mi.DIVERGENCES[row.name]
                        for row in mi.DIVERGENCES.values()
                    ],
                    lambda t: [True] * len(mi.DIVERGENCES),
                    examples=1,
                ),
            ),
            by_hand=(
                Sum(
                    "the value is a sum over atoms of any finite number, and each atom has its own T"
                ),
                Sum(
                    "for reverse_kl the integrand is −ln r + (r − 1), whose last term has mean 0 under Q"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R),
                  law l p -> law l q -> full l p -> full l q ->
                  let best := fun x => ln (p x / q x) in
                  let tight := fun reward penalty divergence =>
                    row_value reward penalty l p q best = divergence
                    /\ forall T, row_value reward penalty l p q T <= divergence in
                  tight (fun t => 1 + t) exp (kl l p q)
                  /\ tight (fun t => ln 2 - sp (- t)) (fun t => sp t - ln 2) (2 * jsd l p q)
                  /\ tight (fun t => 1 - exp (- t)) (fun t => t) (kl l q p)
                  /\ tight (fun t => 2 * (exp t - 1)) (fun t => exp (2 * t) - 1) (chi2 l p q)
                  /\ tight (fun t => 1 - exp (- t / 2)) (fun t => exp (t / 2) - 1) (E l q (fun x => (sqrt (p x
                    / q x) - 1) ^ 2))
                """,
        ),
    ),
    proof="""V(T) = E_Q g(T) with g(T) = r reward(T) − penalty(T) at each atom, and g'(T) = reward'(T) (r − eᵀ) has
    the sign of ln r − T: g increases up to ln r and decreases after it. Conversely, tightness at every law makes r
    reward'(ln r) − penalty'(ln r) = 0 for every r > 0, which is the invariant at T = ln r. For the value, r
    reward(ln r) − penalty(ln r) is the integrand of the divergence, and E_Q(r − 1) = 0.""",
    example=Example(
        "the largest NWJ value over critics, beside its value at ln dP/dQ, KL(P‖Q)",
        best_nwj,
        oracles.kl,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5)},
    ),
    false_neighbours=(
        Identity(
            "the published NWJ row (T, e^{T−1}) has the invariant too", sp.exp(t - 1), sp.exp(t)
        ),
        Identity(
            "the row (T, eᵀ), without the 1, reads KL at ln r",
            share(t, sp.exp(t), log_ratio),
            r * log_ratio,
        ),
        Sign(
            "without reward' > 0 the invariant is enough: V(ln r) ≥ V(T) for (−T, −eᵀ)",
            share(-t, -sp.exp(t), log_ratio) - share(-t, -sp.exp(t)),
            ">=",
        ),
        Sign("js with the sign of T turned has reward' > 0", sp.diff(ln2 - softplus(t), t), ">"),
    ),
    mutants=(
        wrong("js", "turned", lambda f: lambda t: f(-t)),
        wrong("js", "shifted", lambda f: lambda t: f(t) - 1e-6),
        wrong("nwj", "without the 1", lambda f: lambda t: f(t) - 1),
        Mutant("bounds.FDivergence.unchecked", "either overflows", either),
        Mutant(
            "DIVERGENCES",
            "a row without a proof",
            lambda rows: rows | {"new": replace(rows["js"], name="new")},
        ),
    ),
    about=("bounds.FDivergence.__call__", "nwj", "js"),
    reference="""Nguyen, Wainwright & Jordan 2010, lemma 1; Nowozin et al. 2016 (arXiv 1606.00709), section 2.2 and
    table 2.""",
)
