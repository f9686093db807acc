"""The objective of a run: log-ratios of responses in, losses out, by the functions of `mi_estimators` alone.

A cell of bound × mix, or one of the losses it is compared with; what theory says of its start, floor and plateau.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from accelerate.utils import pad_across_processes
from torch import Tensor

import mi_estimators as mi

LOG_RATIOS = ("sum", "mean")
NEGATIVES = ("own", "batch")
BATCH_MEAN = {"kto": "reference_point", "bco": "shift"}  # losses with a threshold, kept at the batch's mean reward


@dataclass(frozen=True)
class Objective:
    """A preference loss with its settings; fields as in METRICS.md and `fields.ObjectiveArguments`."""

    bound: str = "js"
    mix: float = 0.5
    beta: float = 0.1
    loss: str | None = None
    log_ratio: str = "sum"
    label_smoothing: float = 0.0
    negatives: str = "own"

    @property
    def name(self) -> str:
        """The loss in a few characters, for folders and headings."""
        return self.loss or (self.bound if self.mix == 0.5 or self.bound == "infonce" else f"{self.bound}-{self.mix:g}")

    @property
    def anchored(self) -> bool:
        """Whether the no-collapse theorem covers the loss: JS, with no label turned round."""
        return self.loss is None and self.bound == "js" and self.label_smoothing == 0

    def losses(self, chosen: Tensor, rejected: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of each example, shape (B,), in nats (IPO: nats²).

        Args:
            chosen: log-ratio z_w of the chosen response, shape (B,), in nats.
            rejected: log-ratios z_l, shape (B, K).
            mask: True where that rejected response exists, shape (B, K).
        """
        if not self.label_smoothing:
            return self._losses(chosen, rejected, mask)
        turned = torch.stack([self._losses(*_turned(chosen, rejected, k), mask) for k in range(mask.shape[1])], -1)
        return torch.lerp(self._losses(chosen, rejected, mask), masked_mean(turned, mask), self.label_smoothing)

    def _losses(self, chosen: Tensor, rejected: Tensor, mask: Tensor) -> Tensor:
        if self.loss:
            return self._paired(chosen, rejected, mask)
        scores = self.beta * chosen, self.beta * rejected
        if self.negatives == "batch":
            return _against_all(*scores, mask, partial(mi.preference_loss, bound=self.bound, mix=self.mix))
        return mi.preference_loss(*scores, self.bound, self.mix, mask=mask)

    def _paired(self, chosen: Tensor, rejected: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over an example's negatives of a loss of pairs."""
        pairs, options = (chosen.unsqueeze(-1).expand_as(rejected)[mask], rejected[mask]), {}
        if threshold := BATCH_MEAN.get(self.loss):
            mean = self.beta * _mean_of_all(torch.cat([chosen, pairs[1]]))
            options[threshold] = mean.clamp_min(0) if self.loss == "kto" else mean
        losses = mi.ALTERNATIVES[self.loss](*pairs, self.beta, **options)
        return masked_mean(torch.zeros_like(rejected).masked_scatter(mask, losses), mask)

    def coefficients(self, chosen: Tensor, rejected: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return −∂Σloss/∂(βz_w), shape (B,), and ∂Σloss/∂(βz_l), shape (B, K): pull and push on each response."""
        with torch.enable_grad():
            at = chosen.detach().requires_grad_(), rejected.detach().requires_grad_()
            pull, push = torch.autograd.grad(self.losses(*at, mask).sum(), at, materialize_grads=True)
        return -pull / self.beta, push / self.beta

    def start(self, mask: Tensor) -> Tensor:
        """Return each example's loss where policy = reference, shape (B,); only infonce's depends on the negatives."""
        zero = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
        return self.losses(zero[:, 0], zero, mask)

    def theory(self, counts: Sequence[int]) -> dict[str, object]:
        """Return what theory says of a run whose examples have `counts` negatives; None where it says nothing.

        `loss_start`, `loss_floor`, `anchor` (plateau of the mean chosen reward), `no_collapse_interval`, in nats, and
        `bounds`, what `mi/bound` bounds, in words.
        """
        mask = torch.arange(max(counts)) < torch.tensor(counts).unsqueeze(1)
        follows_batch = self.bound == "infonce" and self.negatives == "batch"
        return {
            "loss_start": None if follows_batch else round(self.start(mask).mean().item(), 12) + 0.0,  # no −0
            "loss_floor": self._floor(),
            "anchor": mi.preference_anchor(self.mix) if self.anchored else None,
            "no_collapse_interval": list(mi.no_collapse_interval(self.mix)) if self.anchored else None,
            "bounds": self._bounds(max(counts)),
        }

    def _floor(self) -> float | None:
        if self.label_smoothing:
            return None
        if self.loss:
            return 0.0 if self.loss in ("ipo", "kto", "bco", "dpop") else None
        if self.bound == "js":
            return mi.preference_loss_floor(self.mix)
        return 0.0 if self.bound == "infonce" or (self.bound == "dv" and self.mix < 1) else None

    def _bounds(self, most: int) -> str | None:
        if self.loss or self.label_smoothing:
            return None
        if self.bound == "infonce":
            return "the information between the responses of a prompt and which one was chosen, at most ln(K + 1)"
        if self.bound == "dv":
            pair = self.mix == 0.5 and most == 1 and self.negatives == "own"
            return "the information between an ordered pair and its label, at most ln 2; no KL" if pair else None
        mixed = f"Q = {1 - self.mix:g} P + {self.mix:g} R, P and R the laws of chosen and rejected responses"
        return f"{mi.DIVERGENCES[self.bound].divergence}, {mixed}"


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the last dimension of the values where `mask` is True."""
    return values.where(mask, 0).sum(-1) / mask.sum(-1)


def _turned(chosen: Tensor, rejected: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the example with the chosen and the k-th rejected response exchanged."""
    return rejected[:, k], torch.cat([rejected[:, :k], chosen.unsqueeze(-1), rejected[:, k + 1 :]], -1)


def _against_all(chosen: Tensor, rejected: Tensor, mask: Tensor, loss) -> Tensor:
    """Return each chosen response's loss against the rejected responses of the whole batch, of all processes."""
    flat = rejected[mask]
    exists = mi.gather(pad_across_processes(torch.ones_like(flat)).detach()) > 0
    negatives = mi.gather(pad_across_processes(flat))[exists]
    return loss(chosen, negatives.expand(len(chosen), -1))


def _mean_of_all(values: Tensor) -> Tensor:
    """Return the mean over the batches of all processes, without gradient."""
    sums = torch.stack([values.sum(), values.new_tensor(len(values))]).detach()
    total, count = mi.gather(sums.unsqueeze(0)).sum(0)
    return total / count
