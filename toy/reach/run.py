"""Reach: what training adds to the chance that one answer, or the best of k, is correct, from base success p."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.flows import ascent, integrate
from ..models.policies import OBJECTIVES, Objective, arms

METHODS = ("base", "rlhf", "dpo", "mio", "alpha", "sft")
BANK = tuple(1e-4 * 5000 ** (k / 15) for k in range(16))


@dataclass(frozen=True)
class Reach:
    """One prompt for each p, trained by every objective to its end, and pass@k over the bank.

    Attributes:
        beta: inverse temperature, the same for all objectives that have one.
        bank: base success p of the prompts that pass@k averages over, 1e-4 to ½ by default.
        far: further prompts, out of reach of sampling, that are trained but not in the average.
        responses: K; the first is the correct and chosen one, the second rejected, the others wrong and unseen.
        time: τ; the JS family's flow runs for τ/(β²(1 − α)); DPO and SFT run as long as α-MIO.
        draws: n of pass@k's estimator, for each prompt.
        evaluations: independent repetitions of it.
        powers: k runs over 1, 2, 4, …, 2^powers, at most `draws`.
    """

    beta: float
    bank: tuple[float, ...] = BANK
    far: tuple[float, ...] = (1e-12, 1e-10, 1e-8, 1e-6)
    responses: int = 5
    time: float = 200.0
    draws: int = 2048
    evaluations: int = 200
    powers: int = 10

    @property
    def mix(self) -> float:
        """The α that theory recommends for the hardest prompt of the bank: 1 − α = p^β."""
        return theory.freeing_mix(min(self.bank), self.beta)


FULL = tuple(Reach(beta) for beta in (0.1, 0.2, 0.4, 0.8))
QUICK = (
    Reach(
        0.4,
        bank=(1e-3, 1e-2, 0.1, 0.5),
        far=(1e-6,),
        time=30.0,
        draws=128,
        evaluations=50,
        powers=6,
    ),
)


def regularised(base: Tensor, beta: Tensor, mix: float) -> Objective:
    """On-policy RLHF: J = E_π r − β KL(π‖π_ref), r = 1 on the correct response and 0 elsewhere.

    Its maximum is β ln(1 − p + p e^{1/β}), at π_ref e^{r/β}/Z (theorem gibbs_dv_duality).

    >>> base = torch.zeros(1, 2, dtype=torch.float64)  # p = ½
    >>> best = regularised(base, torch.ones(1), 0.5)(base + torch.tensor([1.0, 0.0])).item()
    >>> round(best, 6), round(math.log((1 + math.e) / 2), 6)
    (0.620115, 0.620115)
    """
    log_reference = base.log_softmax(-1)
    correct = torch.zeros_like(base)
    correct[:, 0] = 1

    def objective(logits: Tensor) -> Tensor:
        log_policy = logits.log_softmax(-1)
        return mi.mean(correct - beta[:, None] * (log_policy - log_reference), log_policy)

    return objective


def horizon(spec: Reach, method: str, p: Tensor) -> Tensor:
    """Return how long the flow of a method runs.

    RLHF leaves p in a time of about 1/p and settles at the rate β p'(1 − p'): its horizon lets it do both.
    """
    if method == "rlhf":
        end = theory.rlhf_success(p, spec.beta)
        return 1.5 / p + 20 / (spec.beta * end * (1 - end))
    mix = 0.5 if method == "mio" else spec.mix
    return torch.full_like(p, spec.time / (spec.beta**2 * (1 - mix)))


def closed_form(spec: Reach, method: str, p: Tensor) -> Tensor:
    """Return theory's success after training: of DPO and SFT at their horizon, of the others at their end."""
    if method == "base":
        return p
    if method == "rlhf":
        return theory.rlhf_success(p, spec.beta)
    if method in ("mio", "alpha"):
        return theory.mio_ceiling(p, spec.beta, 0.5 if method == "mio" else spec.mix)

    time = horizon(spec, method, p)

    if method == "dpo":  # only the pair's two logits move, each by half of the margin
        half = torch.from_numpy(theory.dpo_margin(time.numpy(), spec.beta)) / 2
        log_wrong = torch.log1p(-p) - math.log(spec.responses - 1)
        unseen = torch.full_like(half, math.log(spec.responses - 2))
        return (p.log() + half - log_wrong - torch.logaddexp(-half, unseen)).sigmoid()

    # SFT: u = ln p/(1 − p) obeys u̇ = (1 − p) K/(K − 1), since the wrong responses stay equal.
    odds = p / (1 - p)
    spent = odds + odds.log() + time * spec.responses / (spec.responses - 1)
    return torch.from_numpy(theory.log_odds_at(spent.numpy())).sigmoid()


def train(spec: Reach, method: str, p: Tensor) -> Tensor:
    """Return the success at the end of the exact flow, for every p at once."""
    if method == "base":
        return p
    mix = spec.mix if method == "alpha" else 0.5
    make = OBJECTIVES | {"rlhf": regularised, "alpha": OBJECTIVES["mio"]}
    base = arms(p, spec.responses)
    field = ascent(make[method](base, torch.full_like(p, spec.beta), mix))
    return integrate(field, base, horizon(spec, method, p), tolerance=1e-6).state.softmax(-1)[:, 0]


def pass_at_k(success: Tensor, k: Tensor) -> Tensor:
    """Return 1 − (1 − p)^k, shape (*success.shape, k)."""
    return theory.pass_at_k(success.clamp(max=1 - 1e-16)[..., None], k)


def estimate_pass_at_k(correct: Tensor, draws: int, k: Tensor) -> Tensor:
    """Return 1 − C(n − c, k)/C(n, k), unbiased for pass@k from c correct answers of n (Chen et al. 2021).

    Args:
        correct: c, any shape, float64.
        draws: n ≥ k.
        k: shape (k,), float64; the result has the shape (*correct.shape, k).

    >>> two, k = torch.tensor(2.0).double(), torch.tensor([1.0, 2.0, 3.0]).double()
    >>> [round(value, 6) for value in estimate_pass_at_k(two, 4, k).tolist()]  # ½, 5/6 and 1; 1 − (1 − c/n)² = ¾ < 5/6
    [0.5, 0.833333, 1.0]
    """
    wrong = draws - correct[..., None]
    n = torch.tensor(float(draws), dtype=torch.float64)
    log_none = torch.lgamma(wrong + 1) - torch.lgamma((wrong - k).clamp_min(0) + 1)
    log_none = log_none - torch.lgamma(n + 1) + torch.lgamma(n - k + 1)
    return 1 - log_none.exp().where(wrong >= k, 0.0)


def reach(spec: Reach, seed: int) -> tuple[dict, dict]:
    """Train every prompt by every objective, then estimate pass@k over the bank from n draws a prompt."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.tensor((*spec.far, *spec.bank), dtype=torch.float64)
    k = 2.0 ** torch.arange(spec.powers + 1, dtype=torch.float64)
    ends = {method: train(spec, method, p) for method in METHODS}
    expected = {method: closed_form(spec, method, p) for method in METHODS}

    def in_bank(success: Tensor) -> Tensor:
        return success[len(spec.far) :].clamp(max=1.0)

    draws = torch.full(
        (spec.evaluations, len(spec.bank)),
        float(spec.draws),
        dtype=torch.float64,
    )

    correct = {
        method: torch.binomial(draws, in_bank(end).expand_as(draws), generator=generator)
        for method, end in ends.items()
    }
    measured = {
        "success": {method: end.tolist() for method, end in ends.items()},
        "pass_at_k": {method: _estimates(spec, counts, k) for method, counts in correct.items()},
        "exact": {
            method: pass_at_k(in_bank(end), k).mean(0).tolist() for method, end in ends.items()
        },
        "overtaking": _overtaking(spec, correct["rlhf"], correct["base"]),
    }

    answers = torch.log1p(-in_bank(expected["rlhf"])) / torch.log1p(-in_bank(p))

    return measured, {
        "mix": spec.mix,
        "k": k.tolist(),
        "success": {method: end.tolist() for method, end in expected.items()},
        "pass_at_k": {
            method: pass_at_k(in_bank(end), k).mean(0).tolist() for method, end in expected.items()
        },
        "overtaking": answers.tolist(),
        "overtaking_at_most": math.exp(1 / spec.beta),
    }


def _estimates(spec: Reach, correct: Tensor, k: Tensor) -> dict[str, list]:
    """Return the mean over the bank: over evaluations its mean, error and 95 % range, and the plug-in's mean."""
    estimate = estimate_pass_at_k(correct, spec.draws, k).mean(1)  # (evaluations, k)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    return {
        "mean": estimate.mean(0).tolist(),
        "stderr": (estimate.std(0) / spec.evaluations**0.5).tolist(),
        "range": estimate.quantile(ends, dim=0).mT.tolist(),
        "plug_in": pass_at_k(correct / spec.draws, k).mean(1).mean(0).tolist(),
    }


def _overtaking(spec: Reach, trained: Tensor, base: Tensor) -> list[float]:
    """Return for each prompt the least k at which the base's pass@k reaches the trained pass@1; infinite for none."""
    every = torch.arange(1, 2**spec.powers + 1, dtype=torch.float64)
    # One evaluation at a time: all of them at every k would not fit into the memory.
    total = sum((estimate_pass_at_k(row, spec.draws, every) for row in base), torch.zeros(()))
    return first_reached(trained.mean(0) / spec.draws, total / spec.evaluations)


def first_reached(level: Tensor, curves: Tensor) -> list[float]:
    """Return for each prompt the least k with curves[prompt, k − 1] ≥ level[prompt]; infinite if there is none."""
    reached = curves >= level[:, None]
    least = (reached.double().argmax(-1) + 1).double()
    return least.where(reached.any(-1), torch.inf).tolist()


RUNS = {Reach: reach}
