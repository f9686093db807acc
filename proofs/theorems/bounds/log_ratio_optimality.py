"""Every row of the table of f-divergence bounds is tight at T = ln dP/dQ, and only there."""

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import oracles, strategies
from proofs.engine.shipped import Shipped, compiled, logs, tensor
from proofs.engine.symbolic import Identity, Sign
from proofs.engine.theorem import Theorem
from proofs.engine.vocabulary import reals, sigmoid, softplus

t, ell = reals("t ell")  # the critic's score at an atom, and ln r there
r, ln2 = sp.exp(ell), sp.log(2)

# name: (reward, penalty, integrand d(r) of the divergence E_Q d(r), the published divergence by brute force)
ROWS = {
    "nwj": (1 + t, sp.exp(t), r * ell, oracles.kl),
    "kl": (1 + t, sp.exp(t), r * ell, oracles.kl),
    "js": (
        ln2 - softplus(-t),
        softplus(t) - ln2,
        r * sp.log(2 * r / (1 + r)) + sp.log(2 / (1 + r)),
        lambda p, q: 2 * oracles.jsd(p, q),
    ),
    "reverse_kl": (1 - sp.exp(-t), t, -ell + (r - 1), lambda p, q: oracles.kl(q, p)),
    "chi2": (2 * (sp.exp(t) - 1), sp.exp(2 * t) - 1, (r - 1) ** 2, oracles.chi2),
    "hellinger2": (
        1 - sp.exp(-t / 2),
        sp.exp(t / 2) - 1,
        (sp.exp(ell / 2) - 1) ** 2,
        oracles.hellinger2,
    ),
}


def pointwise(reward, penalty, at=t):
    """The share of one atom in the value, per unit of Q-mass: r · reward(T) − penalty(T)."""
    return r * reward.subs(t, at) - penalty.subs(t, at)


def row_checks(name, reward, penalty, integrand, divergence):
    """The claims about one row."""
    slope = sp.diff(reward, t)
    yield Identity(f"{name}: penalty' = eᵀ reward'", sp.diff(penalty, t), sp.exp(t) * slope)
    yield Identity(
        f"{name}: d/dT = reward'(T) (r − eᵀ)",
        sp.diff(pointwise(reward, penalty), t),
        slope * (r - sp.exp(t)),
    )
    yield Sign(f"{name}: reward' > 0", slope, ">")
    yield Identity(
        f"{name}: the value at ln r is the divergence's integrand",
        pointwise(reward, penalty, ell),
        integrand,
    )
    ours, formulas = lambda: mi.DIVERGENCES[name], [compiled(reward), compiled(penalty)]
    yield Shipped(
        f"mi.DIVERGENCES[{name!r}] is this row",
        {"t": strategies.scores()},
        lambda t: [float(ours().reward(tensor(t))), float(ours().penalty(tensor(t)))],
        lambda t: [f(t=t) for f in formulas],
        examples=15,
    )
    yield Shipped(
        f"mi.DIVERGENCES[{name!r}] reads the divergence at ln p/q, where its gradient is 0",
        {"p": strategies.laws(3), "q": strategies.laws(3)},
        lambda p, q: value_and_gradient(ours(), p, q),
        lambda p, q: [divergence(p, q), 0, 0, 0],
        tolerance=1e-8,
        examples=15,
    )


def value_and_gradient(row, p, q):
    """Value and gradient of a shipped row at its tight critic."""
    critic = (logs(p) - logs(q)).requires_grad_()
    value = row(critic, critic, logs(p), logs(q))
    return [value.item(), *torch.autograd.grad(value, critic)[0].tolist()]


THEOREM = Theorem(
    slug="log_ratio_optimality",
    title="one invariant, penalty' = eᵀ reward', makes every row tight at ln dP/dQ",
    statement="""Let P and Q be mutually absolutely continuous laws on a finite set and r = dP/dQ. For a row (reward,
    penalty) of differentiable real functions with reward' > 0 and penalty' = eᵀ reward', the value V(T) = E_P reward(T)
    − E_Q penalty(T) has its maximum over real T at T = ln r, and nowhere else. Conversely a differentiable row whose
    value is largest at T = ln r, for all such P and Q on two atoms, has penalty' = eᵀ reward'. For nwj (= kl), js,
    reverse_kl, chi2 and hellinger2 the maximum is KL(P‖Q), 2·JSD(P, Q), KL(Q‖P), χ²(P‖Q) = E_Q (r − 1)² and H²(P, Q) =
    E_Q (√r − 1)²; so V(T) is a lower bound of that divergence for every T.""",
    formula=(
        r"\mathrm{penalty}'(t) = e^{t}\,\mathrm{reward}'(t) \quad\Longrightarrow\quad \arg\max_T\; "
        r"\mathbb{E}_P[\mathrm{reward}(T)] - \mathbb{E}_Q[\mathrm{penalty}(T)] = \ln\tfrac{dP}{dQ}"
    ),
    assumptions=(
        "P and Q are laws on one finite set, each with mass at every atom",
        "T is real-valued",
        "reward and penalty are differentiable on ℝ, reward' > 0 and penalty' = eᵀ reward'",
    ),
    proof="""V(T) = E_Q g(T) with g(T) = r reward(T) − penalty(T) at each atom, and g'(T) = reward'(T) (r − eᵀ) has the
    sign of ln r − T: g increases up to ln r and decreases after it. Conversely, tightness at every law makes r
    reward'(ln r) − penalty'(ln r) = 0 for every r > 0, which is the invariant at T = ln r. For the value, r reward(ln
    r) − penalty(ln r) is the integrand of the divergence, and E_Q(r − 1) = 0.""",
    by_hand=(
        "a function whose derivative changes its sign from + to − once has its only maximum there",
        "the value is a sum over atoms of any finite number, and each atom has its own T",
        "for reverse_kl the integrand is −ln r + (r − 1), whose last term has mean 0 under Q",
    ),
    checks=(
        *[claim for name, row in ROWS.items() for claim in row_checks(name, *row)],
        Identity(
            "nwj: the exact gap at one atom is r ln(r/s) − r + s, s = eᵀ",
            pointwise(*ROWS["nwj"][:2], at=ell) - pointwise(*ROWS["nwj"][:2]),
            r * (ell - t) - r + sp.exp(t),
        ),
        Identity(
            "js: the exact gap at one atom is (1 + r) KL(Bern(σ(ln r))‖Bern(σ(T)))",
            pointwise(*ROWS["js"][:2], at=ell) - pointwise(*ROWS["js"][:2]),
            (1 + r)
            * sum(sigmoid(s * ell) * sp.log(sigmoid(s * ell) / sigmoid(s * t)) for s in (1, -1)),
        ),
        Shipped(
            "no row of mi.DIVERGENCES is without a proof here",
            {"t": strategies.scores()},
            lambda t: [name in ROWS for name in mi.DIVERGENCES],
            lambda t: [True] * len(mi.DIVERGENCES),
            examples=1,
        ),
    ),
    false_neighbours=(
        Identity(
            "the published NWJ row (T, e^{T−1}) has the invariant too", sp.exp(t - 1), sp.exp(t)
        ),
        Identity(
            "the row (T, eᵀ), without the 1, reads KL at ln r",
            pointwise(t, sp.exp(t), ell),
            r * ell,
        ),
        Sign(
            "without reward' > 0 the invariant is enough: V(ln r) ≥ V(T) for (−T, −eᵀ)",
            pointwise(-t, -sp.exp(t), ell) - pointwise(-t, -sp.exp(t)),
            ">=",
        ),
        Sign("js with the sign of T turned has reward' > 0", sp.diff(ln2 - softplus(t), t), ">"),
    ),
    about=("FDivergence.__call__", "nwj", "js"),
    reference="Nguyen, Wainwright & Jordan 2010, lemma 1; Nowozin et al. 2016 (arXiv 1606.00709), table 2.",
)
