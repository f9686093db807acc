"""Who samples: the weight of the correct answer's score where the policy must draw it, and where it is supplied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.sampling import DRAWN, draw_every
from ..models.two_level import log_shares

BOUNDS = ("dv", "nwj", "js")  # those whose drawn weight theorem who_samples_starves has


@dataclass(frozen=True)
class WhoSamples:
    """What a bound or a loss puts on ∇ ln π(correct) at the base policy: on average, and over groups of n answers."""

    eps: tuple[float, ...]
    samples: int = 64
    groups: int = 65_536
    mix: float = 0.9


def who_samples(spec: WhoSamples, seed: int) -> tuple[dict, dict]:
    """Take the weights by automatic differentiation at π = π_ref, β = 1: on average, and of groups of n answers.

    A group without a correct answer has no term of it, whatever the bound. "dpo_drawn" is DPO on two answers of π, used
    where just one of them is correct (theorem who_samples_starves, (d)); half of a group meets the other half.
    """
    generator = torch.Generator().manual_seed(seed)
    n, eps = spec.samples, torch.tensor(spec.eps, dtype=torch.float64)
    base = torch.stack([eps.log(), torch.log1p(-eps)], -1)
    many, rows = (part.repeat_interleave(spec.groups, 0) for part in (eps, base))
    hits = draw_every(many, n, generator)
    shares = log_shares(hits.clamp(min=1), n)

    exact, sampled, missed = {}, {}, {}
    for bound in BOUNDS:
        exact[bound] = _weight(lambda own, b=bound: DRAWN[b](own, base, n), base)
        weights = _weight(lambda own, b=bound: DRAWN[b](own, shares, n), rows)
        sampled[bound], missed[bound] = weights * (hits > 0), hits == 0

    losses = {"dpo": ("dv", 0.5), "mio": ("js", 0.5), "alpha_mio": ("js", spec.mix)}
    for name, (bound, mix) in losses.items():
        exact[name] = _weight(
            lambda own, b=bound, m=mix: -mi.preference_loss(*(own - base).T, bound=b, mix=m), base
        )

    pairs = draw_every(2 * many * (1 - many), n // 2, generator)
    exact["dpo_drawn"] = 2 * eps * (1 - eps) * exact["dpo"]
    sampled["dpo_drawn"] = pairs / (n // 2) * exact["dpo"].repeat_interleave(spec.groups)
    missed["dpo_drawn"] = pairs == 0

    def groups(tables: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: values.view(len(eps), -1).double() for name, values in tables.items()}

    def spread(values: Tensor) -> Tensor:
        return values.std(-1) / spec.groups**0.5

    measured = {
        "exact": exact,
        "sampled": {name: values.mean(-1) for name, values in groups(sampled).items()},
        "stderr": {name: spread(values) for name, values in groups(sampled).items()},
        "missed": {name: values.mean(-1) for name, values in groups(missed).items()},
    }

    return _plain(measured), _plain(_theory(spec, eps))


def _plain(parts: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, list[float]]]:
    return {
        part: {name: values.tolist() for name, values in rows.items()}
        for part, rows in parts.items()
    }


def _theory(spec: WhoSamples, eps: Tensor) -> dict[str, dict[str, Tensor]]:
    n, one = spec.samples, torch.ones_like(eps)
    js = theory.drawn_js_weight(eps)
    pair = eps * (1 - eps)
    missed = theory.missed_mass(eps, n)
    drawn = {"nwj": one, "js": js, "dpo_drawn": pair}
    supplied = {"dpo": one / 2, "mio": one / 4, "alpha_mio": one * spec.mix / 2}

    return {
        "exact": {"dv": one} | drawn | supplied,
        "sampled": {"dv": 1 - missed} | drawn,
        "missed": {bound: missed for bound in BOUNDS} | {"dpo_drawn": (1 - 2 * pair) ** (n // 2)},
    }


def _weight(objective: Callable[[Tensor], Tensor], log_policy: Tensor) -> Tensor:
    """Return ∂ objective/∂ ln π(correct), ln π of each response taken as free."""
    own = log_policy.clone().requires_grad_()
    return torch.autograd.grad(objective(own).sum(), own)[0][:, 0]
