"""Gradients from a policy's own answers. Answers are correct or wrong, so n of them are one count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import mi_estimators as mi

NEVER = -60.0
"""Stands for ln 0 in a critic, which must be finite: e^−60 is lost beside 1 in a double."""


def group_relative(log_policy: Tensor, log_shares: Tensor, samples: int) -> Tensor:
    """Return Σ (r_i − r̄) ln π(y_i)/(n − 1), r = 1 on correct answers: its gradient is unbiased for ∇J.

    With 1/n in place of 1/(n − 1) its mean is (1 − 1/n)∇J (theorem group_relative_zero_gradient). The group's
    standard deviation does not enter.

    >>> log_policy = torch.tensor([[0.75, 0.25]]).double().log()
    >>> drawn = [torch.tensor([shares]).double().log() for shares in ([1.0, 0.0], [0.5, 0.5])]  # both correct; one
    >>> [round(group_relative(log_policy, log_shares, 2).item(), 6) for log_shares in drawn]  # 0; ½ ln(0.75/0.25)
    [0.0, 0.549306]
    """
    reward = torch.zeros_like(log_policy)
    reward[:, 0] = 1
    centred = reward - mi.mean(reward, log_shares)[:, None]
    return mi.mean(centred * log_policy, log_shares) * (samples / (samples - 1))


def _against_target(log_policy: Tensor, log_shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the critic ln dP/dπ, held; ln P, all on the correct answer; and log-shares whose gradient is ∇ ln π."""
    critic = torch.full_like(log_policy, NEVER)
    critic[:, 0] = -log_policy[:, 0].detach()
    target = torch.full_like(log_policy, -torch.inf)
    target[:, 0] = 0
    return critic, target, log_shares + log_policy - log_policy.detach()


def dv(log_policy: Tensor, log_shares: Tensor, samples: int) -> Tensor:
    """Return −DV(P, π) with the critic held at ln dP/dπ; P is all on the correct answer, π takes the part of Q.

    Its gradient is Σ ω_y ∇ ln π(y), with the weights ω of theorem who_samples_starves; exact if the shares are π.

    >>> log_policy = torch.tensor([[0.25, 0.75]]).double().log()
    >>> round(dv(log_policy, log_policy, 1).item(), 6)  # −KL(P‖π) = ln ¼
    -1.386294
    """
    critic, target, log_q = _against_target(log_policy, log_shares)
    return -mi.dv(critic, critic, log_p=target, log_q=log_q)


def f_divergence(name: str) -> Callable[[Tensor, Tensor, int], Tensor]:
    """Return the objective of a row of `mi.DIVERGENCES`; its penalty alone moves π.

    The penalty at a critic of −∞ is subtracted: its mean gradient is 0, and on samples it would be noise alone.

    >>> half = torch.tensor([[0.5, 0.5]]).double().log()
    >>> round(f_divergence("js")(half, half, 1).item(), 6)  # p ln(1 + 1/p) = ½ ln 3
    0.549306
    """
    penalty = mi.DIVERGENCES[name].penalty

    def surrogate(log_policy: Tensor, log_shares: Tensor, samples: int) -> Tensor:
        critic, _, log_q = _against_target(log_policy, log_shares)
        return mi.mean(penalty(critic) - penalty(torch.full_like(critic, NEVER)), log_q)

    return surrogate


DRAWN: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "rlhf": group_relative,
    "dv": dv,
    "nwj": f_divergence("nwj"),
    "js": f_divergence("js"),
}
"""Surrogates to ascend: (ln π (B, 2), log-shares of the n answers (B, 2), n) → (B,)."""


def hits_that_move(objective: str, samples: int) -> range:
    """Return the numbers of correct answers among n that give a gradient other than 0.

    Without a correct one there is no term ∇ ln π(correct); if all are correct, group-relative advantages are 0, too
    (theorems who_samples_starves, group_relative_zero_gradient).

    >>> hits_that_move("rlhf", 4), hits_that_move("js", 4)
    (range(1, 4), range(1, 5))
    """
    return range(1, samples if objective == "rlhf" else samples + 1)


def draw_every(p: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Return the number of correct answers of one step, shape of p."""
    return torch.binomial(torch.full_like(p, float(samples)), p, generator=generator)


def draw_next(
    p: Tensor, samples: int, moving: range, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the number of steps until the count of correct answers is in `moving`, and that count; shapes of p."""
    hits = torch.arange(samples + 1, dtype=torch.float64)
    log_ways = (
        torch.lgamma(hits[-1] + 1) - torch.lgamma(hits + 1) - torch.lgamma(samples - hits + 1)
    )
    log_chance = (log_ways + hits * p.log()[:, None] + (samples - hits) * torch.log1p(-p)[:, None])[
        :, list(moving)
    ]
    drawn = torch.multinomial(
        (log_chance - log_chance.amax(-1, keepdim=True)).exp(),
        1,
        generator=generator,
    )

    uniform = torch.rand(p.shape, generator=generator, dtype=torch.float64)
    chance = log_chance.logsumexp(-1).exp().clamp(max=1)
    steps = (torch.log1p(-uniform) / torch.log1p(-chance)).ceil().clamp(min=1)
    return steps, drawn.squeeze(-1).double() + moving.start
