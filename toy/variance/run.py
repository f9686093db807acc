"""Noise of the bounds: variance of value and gradient, signal-to-noise ratio and effective sample size against I."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.laws import Gaussian

from ..models import two_level
from ..models.gaussian import draw, features
from ..models.two_level import BOUNDS, TwoLevel
from .training import TrainedNoise, sample_value, trained_noise

_GROUPS = 10
_LEAST = 1e-16  # chance of a count of hits that is still enumerated
_STUDENT = 2.26  # two-sided 95 % point, nine degrees of freedom
JS_VALUE_BOUND = 2 * 0.647611
"""2 max_t sp(t)² e^{−t}: no law has a larger N·Var of the JS value at T = ln dP/dQ, N positives and N negatives.

Var_Q sp(T) ≤ E_Q sp(T)² ≤ c E_Q eᵀ = c with c = max sp(t)² e^{−t} = 0.647611 at t = 1.3665; likewise Var_P sp(−T) ≤
c E_P e^{−T} ≤ c.
"""


@dataclass(frozen=True)
class ExactNoise:
    """All batches of a two-level law enumerated, N positives and as many independent negatives, for every N and K.

    Attributes:
        symbols, copy: K and w of `two_level.TwoLevel`.
        batches: N.
        scale: the critic of the signal-to-noise ratio is scale·ln dP/dQ, half-trained; all else is at ln dP/dQ.
        mix: α of "relative".
    """

    symbols: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    copy: float = 0.95
    batches: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    scale: float = 0.5
    mix: float = 0.9


@dataclass(frozen=True)
class GaussianNoise:
    """Sampled batches of a Gaussian law at T = ln dP/dQ; gradients in θ of T + θ·φ, φ as in `gaussian.features`.

    Attributes:
        nats, dim, batches, repeats, mix: of the laws, N, minibatches of each, and α of "relative".
        scale: the critic of the signal-to-noise ratio is scale·ln dP/dQ, half-trained; all else is at ln dP/dQ.
    """

    nats: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    dim: int = 20
    batches: tuple[int, ...] = (16, 32, 64, 128)
    repeats: int = 500
    scale: float = 0.5
    mix: float = 0.9


FULL = (ExactNoise(), GaussianNoise(), TrainedNoise())
QUICK = (
    ExactNoise(symbols=(2, 16, 128), batches=(16, 32, 64)),
    GaussianNoise(nats=(0.5, 2.0), batches=(16, 32, 64), repeats=60),
    TrainedNoise(replicas=2, batch=16, checkpoints=(0, 20, 60), probes=8),
)


def enumerated(
    bound: str, law: TwoLevel, scale: float, batch: int, mix: float
) -> tuple[float, float, float, float]:
    """Return value's mean and variance, ‖E ĝ‖ and tr Cov ĝ over all batches at scale·ln dP/dQ; ĝ in its two values.

    >>> law = TwoLevel(2, 0.5)
    >>> mean, variance, *_ = enumerated("nwj", law, 1.0, 4, mix=0.9)  # NWJ is unbiased; N Var = Var_P ln r + χ²
    >>> round(mean - law.mutual_information, 6) + 0.0, round(4 * variance, 6)  # 3/16 ln²3 + 1/4
    (0.0, 0.476303)
    """
    (log_p, p_chance), (log_q, q_chance) = (
        two_level.batches(batch, share, _LEAST) for share in (law.hit, law.region)
    )
    shape = (len(log_p), len(log_q), 2)
    critic = (scale * law.log_ratio).expand(shape).clone().requires_grad_()
    log_p = log_p[:, None].expand(shape)
    log_q = log_q[None].expand(shape)
    values = two_level.value(bound, critic, critic, log_p, log_q, batch, mix)
    (gradient,) = torch.autograd.grad(values.sum(), critic)

    chance, values = p_chance[:, None] * q_chance, values.detach()
    mean, signal = (chance * values).sum(), torch.einsum("ab,abk->k", chance, gradient)
    variance = (chance * (values - mean) ** 2).sum()
    trace = torch.einsum("ab,abk->", chance, (gradient - signal) ** 2)

    return float(mean), float(variance), float(signal.norm()), float(trace)


def exact_noise(spec: ExactNoise, seed: int) -> tuple[dict, dict]:
    """Enumerate; tables are indexed [K][N]. Theory: NWJ exact, DV and the relative law for large N, JS's bounds."""
    laws = [TwoLevel(count, spec.copy) for count in spec.symbols]
    measured: dict[str, dict] = {"bias": {}, "variance": {}, "trace": {}, "snr": {}}
    for bound in BOUNDS:
        cells = [[_noise(bound, law, n, spec) for n in spec.batches] for law in laws]
        for k, table in enumerate(measured.values()):
            table[bound] = [[cell[k] for cell in row] for row in cells]

    shares = [[two_level.mean_ess(law, n) for n in spec.batches] for law in laws]

    return measured | {"ess": shares}, {
        "nats": [law.mutual_information for law in laws],
        "chi2": [law.chi2 for law in laws],
        "nwj": [
            theory.nwj_value_variance(_spread(law.log_ratio, law.log_p), law.chi2) for law in laws
        ],
        "nwj_trace": [_nwj_trace(law) for law in laws],
        "js": JS_VALUE_BOUND,
        "js_trace": 2.0,  # E_P‖∇T‖² + E_Q‖∇T‖², ∇T a unit vector
        "relative": [_relative(law, spec.mix) for law in laws],
        "ess_limit": [theory.ess_fraction(law.chi2) for law in laws],
    }


def _noise(
    bound: str,
    law: TwoLevel,
    batch: int,
    spec: ExactNoise,
) -> tuple[float, ...]:
    """Return bias, variance and gradient trace at ln dP/dQ, and the half-trained critic's signal-to-noise ratio."""
    mean, variance, _, trace = enumerated(bound, law, 1.0, batch, spec.mix)
    _, _, signal, noise = enumerated(bound, law, spec.scale, batch, spec.mix)
    return mean - law.mutual_information, variance, trace, signal / noise**0.5


def _spread(values: Tensor, log_weights: Tensor) -> float:
    return float(mi.mean((values - mi.mean(values, log_weights)) ** 2, log_weights))


def _nwj_trace(law: TwoLevel) -> float:
    """Return N tr Cov of NWJ's gradient at ln dP/dQ, exact: p(1 − p) + r²ε(1 − ε) for each of the two values r."""
    p, e = law.hit, law.region
    return 2 * p * (1 - p) + float(law.log_ratio.exp().square().sum()) * e * (1 - e)


def _relative(law: TwoLevel, mix: float) -> float:
    """Return the large-N limit of N Var of DV against Q_α at ln r_α: Var_P(ln r_α − (1 − α)r_α) + α² Var_Q r_α."""
    scores = mi.bounds.log_ratio_to_relative(law.log_ratio, mix)
    return _spread(scores - (1 - mix) * scores.exp(), law.log_p) + mix**2 * _spread(
        scores.exp(), law.log_q
    )


def gaussian_noise(spec: GaussianNoise, seed: int) -> tuple[dict, dict]:
    """Sample; tables are indexed [nats][N], with standard errors from ten groups, and slopes [nats] in N."""
    generator = torch.Generator().manual_seed(seed)
    laws = [Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
    shape = (len(laws), len(spec.batches))
    groups = {bound: torch.empty(3, *shape, _GROUPS) for bound in BOUNDS}
    shares = torch.empty(shape)

    for i, law in enumerate(laws):
        for k, batch in enumerate(spec.batches):
            pairs = [draw(law, (spec.repeats, batch), generator, joint) for joint in (True, False)]
            scores = [law.log_ratio(*pair) for pair in pairs]
            phis = [features(*pair) for pair in pairs]
            shares[i, k] = (1 - mi.starvation_index(scores[1])).mean()
            for bound in BOUNDS:
                groups[bound][:, i, k] = _sampled_noise(bound, scores, phis, spec)

    log_n = torch.tensor(spec.batches).log()
    across = (log_n - log_n.mean()) / (log_n - log_n.mean()).square().sum()
    measured: dict[str, dict] = {}
    for bound in BOUNDS:
        for name, table in zip(("variance", "trace", "snr"), groups[bound], strict=True):
            slopes = torch.einsum("lng,n->lg", table.log(), across)
            half = _STUDENT * slopes.std(-1) / _GROUPS**0.5
            for key, values in (
                (name, table.mean(-1)),
                (f"{name}_stderr", table.std(-1) / _GROUPS**0.5),
                (f"{name}_slope", torch.stack([slopes.mean(-1), half], -1)),
            ):
                measured.setdefault(key, {})[bound] = values.tolist()

    return measured | {"ess": shares.tolist()}, {
        "nwj": [theory.nwj_value_variance(law.log_ratio_variance, law.chi2) for law in laws],
        "ess_limit": [theory.ess_fraction(theory.gaussian_chi2(nats)) for nats in spec.nats],
        "nwj_trace": [theory.nwj_gradient_trace(law.rho, law.dim, 1) for law in laws],
        "js": JS_VALUE_BOUND,
        "js_trace": [theory.js_gradient_bound(law.rho, law.dim, 1) for law in laws],
        "floor": [theory.least_negative_variance(nats) for nats in spec.nats],
    }


def _sampled_noise(
    bound: str, scores: Sequence[Tensor], phis: Sequence[Tensor], spec: GaussianNoise
) -> Tensor:
    """Return variance, gradient trace and the half-trained signal-to-noise ratio of every group, (3, groups)."""
    values, best = _gradients(bound, scores, phis, spec)
    _, half = _gradients(bound, [spec.scale * side for side in scores], phis, spec)
    rows = [
        torch.stack([value.var(), gradient.var(0).sum(), _snr(other)])
        for value, gradient, other in zip(
            *(table.tensor_split(_GROUPS) for table in (values, best, half)), strict=True
        )
    ]

    return torch.stack(rows, -1)


def _gradients(
    bound: str, scores: Sequence[Tensor], phis: Sequence[Tensor], spec: GaussianNoise
) -> tuple[Tensor, ...]:
    """Return a bound's value (repeats,) on every minibatch, and its gradient (repeats, 4) in θ at θ = 0."""
    theta = torch.zeros(
        spec.repeats,
        phis[0].shape[-1],
        1,
        dtype=torch.float64,
        requires_grad=True,
    )

    joint, product = (s + (p @ theta).squeeze(-1) for s, p in zip(scores, phis, strict=True))
    values = sample_value(bound, joint, product, spec.mix)
    return values.detach(), torch.autograd.grad(values.sum(), theta)[0].squeeze(-1)


def _snr(gradients: Tensor) -> Tensor:
    """Return ‖mean‖/√trace of the covariance of minibatch gradients (repeats, 4)."""
    return gradients.mean(0).norm() / gradients.var(0).sum().sqrt()


RUNS = {ExactNoise: exact_noise, GaussianNoise: gaussian_noise, TrainedNoise: trained_noise}
