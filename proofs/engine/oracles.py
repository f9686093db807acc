"""Brute force, written from the definitions and the published formulas: sums over atoms with mpmath, 40 digits.

Shares no code with the library and imports none of it. A law is a sequence of probabilities, a joint law a table
p(x, y), a critic a sequence or table of scores, in nats; an atom without mass counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import product

from mpmath import exp, fprod, fsum, inf, log, mpf, workdps

Vector = Sequence[float]
Table = Sequence[Vector]


def _precise(function: Callable) -> Callable[..., float]:
    """Evaluate with 40 digits and return a float."""

    @wraps(function)
    def evaluate(*args: object, **named: object) -> float:
        with workdps(40):
            return float(function(*args, **named))

    return evaluate


def _mean(law: Vector, values: Sequence):  # of mpmath, which has no types
    return fsum(mpf(p) * v for p, v in zip(law, values, strict=True) if p > 0)


def _exp(scores: Vector) -> list:
    return [exp(mpf(s)) for s in scores]


@_precise
def ln(x: float) -> object:
    """Natural logarithm."""
    return log(mpf(x))


@_precise
def kl(p: Vector, q: Vector) -> object:
    """KL(P‖Q) = Σ p ln(p/q); infinite where P has mass that Q has not.

    >>> kl((1, 0), (0.5, 0.5)), kl((0.5, 0.5), (1, 0))  # ln 2
    (0.6931471805599453, inf)
    """
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return inf
    return fsum(mpf(a) * log(mpf(a) / mpf(b)) for a, b in zip(p, q, strict=True) if a > 0)


@_precise
def jsd(p: Vector, q: Vector) -> object:
    """JSD(P, Q) = ½ KL(P‖M) + ½ KL(Q‖M), M = (P + Q)/2.

    >>> jsd((1, 0), (0, 1))  # ln 2, its most
    0.6931471805599453
    """
    middle = [(mpf(a) + mpf(b)) / 2 for a, b in zip(p, q, strict=True)]
    half = fsum(mpf(a) * log(a / m) for a, m in zip(p, middle, strict=True) if a > 0)
    return (half + fsum(mpf(b) * log(b / m) for b, m in zip(q, middle, strict=True) if b > 0)) / 2


@_precise
def chi2(p: Vector, q: Vector) -> object:
    """χ²(P‖Q) = Σ (p − q)²/q."""
    return fsum((mpf(a) - mpf(b)) ** 2 / mpf(b) for a, b in zip(p, q, strict=True))


@_precise
def hellinger2(p: Vector, q: Vector) -> object:
    """H²(P, Q) = Σ (√p − √q)²."""
    return fsum((mpf(a) ** 0.5 - mpf(b) ** 0.5) ** 2 for a, b in zip(p, q, strict=True))


@_precise
def dv(p: Vector, q: Vector, t: Vector) -> object:
    """Donsker–Varadhan: E_P T − ln E_Q eᵀ."""
    return _mean(p, t) - log(_mean(q, _exp(t)))


def tilted(q: Vector, t: Vector) -> list[float]:
    """Q_T ∝ eᵀ Q."""
    with workdps(40):
        weights = [mpf(b) * e for b, e in zip(q, _exp(t), strict=True)]
        return [float(w / fsum(weights)) for w in weights]


@_precise
def log_mean_exp(q: Vector, t: Vector) -> object:
    """ln E_Q eᵀ."""
    return log(_mean(q, _exp(t)))


@_precise
def mean(p: Vector, t: Vector) -> object:
    """E_P T."""
    return _mean(p, t)


@_precise
def bridge(p: Vector, q: Vector, t: Vector, odds: float) -> object:
    """E_P T − c, c the root of E_P σ(−u) = ν E_Q σ(u), u = T − c − ln ν (Bennett 1976), by bisection.

    >>> law = (0.75, 0.25), (0.25, 0.75), (5 + ln(3), 5 - ln(3))  # T = ln p/q + 5: KL = ½ ln 3
    >>> round(bridge(*law, 1.0), 12), round(dv(*law), 12)
    (0.549306144334, 0.549306144334)
    """
    low, high = mpf(min(t)), mpf(max(t))
    for _ in range(90):
        c = (low + high) / 2
        ratios = [exp(s - c) / odds for s in t]
        above = odds * _mean(q, [x / (1 + x) for x in ratios]) > _mean(
            p, [1 / (1 + x) for x in ratios]
        )
        low, high = (c, high) if above else (low, c)

    return _mean(p, t) - low


@_precise
def smile(p: Vector, q: Vector, t: Vector, clip: float) -> object:
    """SMILE: E_P T − ln E_Q clip(eᵀ, e^{−τ}, e^τ)."""
    return _mean(p, t) - log(
        _mean(q, [min(max(e, exp(-mpf(clip))), exp(mpf(clip))) for e in _exp(t)])
    )


@_precise
def nwj(p: Vector, q: Vector, t: Vector) -> object:
    """Nguyen–Wainwright–Jordan as published, E_P T' − e⁻¹ E_Q e^{T'}, at T' = T + 1."""
    return _mean(p, [mpf(s) + 1 for s in t]) - exp(-1) * _mean(q, [exp(mpf(s) + 1) for s in t])


@_precise
def js(p: Vector, q: Vector, t: Vector) -> object:
    """The GAN's value E_P ln σ(T) + E_Q ln(1 − σ(T)), plus 2 ln 2."""
    reward, penalty = [-log(1 + exp(-mpf(s))) for s in t], [log(1 + exp(mpf(s))) for s in t]
    return 2 * log(2) + _mean(p, reward) - _mean(q, penalty)


def marginals(joint: Table) -> tuple[list[float], list[float]]:
    """p(x) and p(y)."""
    return [sum(row) for row in joint], [sum(column) for column in zip(*joint, strict=True)]


def flat(table: Table) -> list[float]:
    """The entries of a table, row by row."""
    return [entry for row in table for entry in row]


def independent(joint: Table) -> Table:
    """The product of the marginals, as a table."""
    px, py = marginals(joint)
    return [[a * b for b in py] for a in px]


def mutual_information(joint: Table) -> float:
    """I(X; Y) = KL(p(x, y)‖p(x) p(y)).

    >>> mutual_information([[0.5, 0], [0, 0.5]])  # ln 2
    0.6931471805599453
    """
    return kl(flat(joint), flat(independent(joint)))


@_precise
def infonce(joint: Table, t: Table, candidates: int, negatives: Vector | None = None) -> object:
    """E[T(x, y₁) − ln (1/K) Σ_j e^{T(x, y_j)}], (x, y₁) ~ P, y₂ … y_K i.i.d. from p(y) or `negatives`: enumerated.

    >>> round(infonce([[0.5, 0], [0, 0.5]], [[99, 0], [0, 99]], 2), 12)  # ½ ln 2: half of the y₂ are y₁ again
    0.34657359028
    """
    law = marginals(joint)[1] if negatives is None else negatives
    total = mpf(0)
    for x, row in enumerate(joint):
        for y, *others in product(range(len(row)), repeat=candidates):
            weight = mpf(row[y])
            for other in others:
                weight *= mpf(law[other])
            total += weight * (
                t[x][y] - log(fsum(exp(mpf(t[x][j])) for j in (y, *others)) / candidates)
            )

    return total


@_precise
def mean_over_batches(law: Vector, size: int, value: Callable[..., float]) -> object:
    """E value(i₁, …, i_size), the atoms i.i.d. from the law: enumerated."""
    return fsum(
        fprod(mpf(law[i]) for i in atoms) * value(*atoms)
        for atoms in product(range(len(law)), repeat=size)
    )


@_precise
def interpolated(joint: Table, t: Table, log_a: Vector, alpha: float, candidates: int) -> object:
    """I_α: 1 + E_W[T(x, y₁) − ln B] − E_V[m/B], B = α m + (1 − α) a(x), m the candidates' mean eᵀ: enumerated."""
    px, py = marginals(joint)
    total = mpf(1)
    for x, row in enumerate(joint):
        for ys in product(range(len(row)), repeat=candidates):
            m = fsum(exp(mpf(t[x][y])) for y in ys) / candidates
            baseline = alpha * m + (1 - alpha) * exp(mpf(log_a[x]))
            others = fprod(py[y] for y in ys[1:])
            total += others * (
                row[ys[0]] * (t[x][ys[0]] - log(baseline)) - px[x] * py[ys[0]] * m / baseline
            )

    return total


@_precise
def dpo(chosen: float, rejected: float) -> object:
    """−ln σ(βz_w − βz_l) (Rafailov et al. 2023, eq. 7)."""
    return -log(1 / (1 + exp(-(mpf(chosen) - mpf(rejected)))))


def nca_pair(chosen: float, rejected: float) -> float:
    """−ln σ(r_w) − ½ ln σ(−r_w) − ½ ln σ(−r_l) (Chen et al. 2024, NCA for pairs).

    >>> nca_pair(0, 0)  # 2 ln 2
    1.3862943611198906
    """
    return nca((1, 0), (chosen, rejected))


@_precise
def nca(labels: Vector, rewards: Vector) -> object:
    """−Σ w_i ln σ(r_i) − (1/K) Σ ln σ(−r_i), w a law on the K responses (Chen et al. 2024, NCA)."""
    chosen = [1 / (1 + exp(-mpf(r))) for r in rewards]
    return -_mean(labels, [log(s) for s in chosen]) - fsum(log(1 - s) for s in chosen) / len(chosen)


@_precise
def bco_pair(chosen: float, rejected: float, delta: float = 0) -> object:
    """−ln σ(r_w − δ) − ln σ(δ − r_l) (Jung et al. 2024, BCO); at δ = 0 biased NCA, and DIL's BCE at β = 1."""
    return -log(1 / (1 + exp(mpf(delta) - chosen))) - log(1 / (1 + exp(mpf(rejected) - delta)))


@_precise
def dil_ukl(chosen: float, rejected: float) -> object:
    """−ln π(y_w) + π(y_l)/π_ref(y_l) (Xiao et al. 2025, DIL, UKL), with −ln π_ref(y_w) added: −z_w + e^{z_l}."""
    return -mpf(chosen) + exp(mpf(rejected))


@_precise
def dil_lsif(chosen: float, rejected: float) -> object:
    """−π(y_w)/π_ref(y_w) + ½ (π(y_l)/π_ref(y_l))² (Xiao et al. 2025, DIL, LSIF)."""
    return -exp(mpf(chosen)) + exp(mpf(rejected)) ** 2 / 2


@_precise
def infonca(chosen: float, rejected: Vector) -> object:
    """Plackett–Luce top-1: −ln softmax of the chosen one among all (Chen et al. 2024, InfoNCA with one positive)."""
    return -log(exp(mpf(chosen)) / fsum(_exp([chosen, *rejected])))
