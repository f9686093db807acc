"""Turn log-ratios of responses into losses, by the functions of `mi_estimators` alone.

An objective is a cell of bound × mix or one of the losses to compare with; theory gives its start, floor and anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import pad_across_processes
from torch import Tensor
from torch.nn import functional as F

import mi_estimators as mi
from mi_estimators.preference import Comparison

Everyone = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """A preference loss with its settings, the fields of `arguments.fields.LossFields`.

    >>> Objective(bound="js", mix=0.9).name, Objective(bound="dv").name, Objective(loss="ipo").name
    ('js-0.9', 'dv', 'ipo')
    """

    bound: str = "js"
    mix: float = 0.5
    beta: float = 0.1
    loss: str | None = None
    log_ratio: str = "sum"
    label_smoothing: float = 0.0
    negatives: str = "own"

    def __post_init__(self) -> None:
        """Refuse an unknown bound or loss with a ValueError."""
        tables = {"bound": mi.preference.PREFERENCE_BOUNDS, "loss": mi.preference.ALTERNATIVES}
        for name, table in tables.items():
            value = getattr(self, name)
            if value is not None and value not in table:
                raise ValueError(f"{name}: expected one of {', '.join(table)}, got {value}")

    @property
    def name(self) -> str:
        """The loss in a few characters, for folders and headings."""
        plain = self.mix == 0.5 or self.bound == "infonce"
        return self.loss or (self.bound if plain else f"{self.bound}-{self.mix:g}")

    @property
    def anchored(self) -> bool:
        """Whether the no-collapse theorem covers the loss: JS without label smoothing."""
        return self.loss is None and self.bound == "js" and self.label_smoothing == 0

    def losses(
        self, chosen: Tensor, rejected: Tensor, mask: Tensor, everyone: Everyone | None = None
    ) -> Tensor:
        """Return the loss of each example, shape (B,), in nats (IPO: nats²).

        Args:
            chosen: log-ratio z_w of the chosen response, shape (B,), in nats.
            rejected: log-ratios z_l, shape (B, K).
            mask: True where that rejected response exists, shape (B, K).
            everyone: gathers this process's values, shape (n,), with those of all (default: `of_all_processes`).
        """
        everyone = everyone or of_all_processes
        losses = self._losses(chosen, rejected, mask, everyone)
        if not self.label_smoothing:
            return losses

        # equally many swaps in all processes: in `everyone` each waits for the others
        own = mask.shape[1]
        most = int(everyone(torch.tensor([float(own)], device=mask.device)).max())
        rejected, mask = F.pad(rejected, (0, most - own)), F.pad(mask, (0, most - own))
        swaps = (_swapped(chosen, rejected, mask, k) for k in range(most))
        swapped = torch.stack([self._losses(*swap, mask, everyone) for swap in swaps], -1)
        return torch.lerp(losses, masked_mean(swapped, mask), self.label_smoothing)

    def _losses(self, chosen: Tensor, rejected: Tensor, mask: Tensor, everyone: Everyone) -> Tensor:
        if self.loss:
            row = mi.preference.ALTERNATIVES[self.loss]
            return self._paired(row, chosen, rejected, mask, everyone)
        scores = self.beta * chosen, self.beta * rejected
        if self.negatives == "own":
            return mi.preference_loss(*scores, self.bound, self.mix, mask=mask)
        negatives = everyone(scores[1][mask])  # of the whole batch, of all processes
        return mi.preference_loss(
            scores[0], negatives.expand(len(chosen), -1), self.bound, self.mix
        )

    def _paired(
        self,
        loss: Comparison,
        chosen: Tensor,
        rejected: Tensor,
        mask: Tensor,
        everyone: Everyone,
    ) -> Tensor:
        """Return the mean over an example's negatives of a loss of pairs."""
        pairs = chosen.unsqueeze(-1).expand_as(rejected)[mask], rejected[mask]
        options = {}
        if loss.threshold:
            reward = self.beta * everyone(torch.cat([chosen, pairs[1]]).detach()).mean()
            options = loss.threshold(reward)

        losses = loss(*pairs, self.beta, **options)
        return masked_mean(torch.zeros_like(rejected).masked_scatter(mask, losses), mask)

    def coefficients(self, chosen: Tensor, rejected: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return −∂Σloss/∂(βz_w), shape (B,), and ∂Σloss/∂(βz_l), shape (B, K): pull and push on each response.

        Arguments as for `losses`; no unit.

        >>> z_w, z_l = torch.tensor([0.0, mi.preference_anchor(0.5)]), torch.zeros(2, 1)  # the start; the anchor
        >>> pull, push = Objective("js", mix=0.5, beta=1.0).coefficients(z_w, z_l, z_l == 0)
        >>> [round(value, 6) + 0.0 for value in pull.tolist()], push[:, 0].tolist()  # mix/2, and 0 at the anchor
        ([0.25, 0.0], [0.25, 0.25])
        """
        with torch.enable_grad():
            at = chosen.detach().requires_grad_(), rejected.detach().requires_grad_()
            pull, push = torch.autograd.grad(
                self.losses(*at, mask).sum(), at, materialize_grads=True
            )
        return -pull / self.beta, push / self.beta

    def start(self, mask: Tensor, everyone: Everyone | None = None) -> Tensor:
        """Return each example's loss at policy = reference, shape (B,); only infonce's depends on the negatives.

        >>> round(Objective("infonce").start(torch.tensor([[True, True]])).item(), 6)  # ln(K + 1) = ln 3
        1.098612
        """
        zero = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
        if self.loss:
            return zero[:, 0] + mi.preference.ALTERNATIVES[self.loss].start(self.beta)
        return self.losses(zero[:, 0], zero, mask, everyone)

    def theory(self, counts: Sequence[int]) -> dict[str, Any]:
        """Return what theory says of a run whose examples have `counts` negatives; None where it says nothing.

        In nats: `loss_start`, `loss_floor`, `anchor` (the limit of the mean chosen reward) and `no_collapse_interval`;
        in words: `bounds`, the quantity that `mi/bound` bounds. It does not wait for other processes.

        Theorem: mio_loss_floor, mio_anchor

        >>> theory = Objective("js", mix=0.5).theory([1])
        >>> [round(theory[name], 6) for name in ("loss_start", "loss_floor", "anchor")]  # 2 ln 2, ln(3√3/2), ln 2
        [1.386294, 0.954771, 0.693147]
        >>> Objective("dv", mix=0.5).theory([1])["no_collapse_interval"] is None
        True
        """
        mask = torch.arange(max(counts)) < torch.tensor(counts).unsqueeze(1)
        start = self.start(mask, lambda own: own).mean().item()
        follows_batch = self.bound == "infonce" and self.negatives == "batch"
        mix = self.mix
        return {
            "loss_start": None if follows_batch else round(start, 12) + 0.0,  # no −0
            "loss_floor": self._floor(),
            "anchor": mi.preference_anchor(mix) if self.anchored else None,
            "no_collapse_interval": list(mi.no_collapse_interval(mix)) if self.anchored else None,
            "bounds": self._bounds(max(counts)),
        }

    def _floor(self) -> float | None:
        if self.label_smoothing:
            return None
        if self.loss:
            return mi.preference.ALTERNATIVES[self.loss].floor
        if self.bound == "js":
            return mi.preference_loss_floor(self.mix)
        return 0.0 if self.bound == "infonce" or (self.bound == "dv" and self.mix < 1) else None

    def _bounds(self, most: int) -> str | None:
        if self.loss or self.label_smoothing:
            return None
        if self.bound == "infonce":
            whose = "prompt" if self.negatives == "own" else "batch"
            return f"the information between the responses of a {whose} and which one was chosen, at most ln(K + 1)"
        if self.bound == "dv":
            pair = self.mix == 0.5 and most == 1 and self.negatives == "own"
            information = (
                "the information between an ordered pair and its label, at most ln 2; no KL"
            )
            return information if pair else None
        mixed = f"Q = {1 - self.mix:g} P + {self.mix:g} R, P and R the laws of chosen and rejected responses"
        return f"{mi.DIVERGENCES[self.bound].divergence}, {mixed}"


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the last dimension of the values where `mask` is True."""
    return values.where(mask, 0).sum(-1) / mask.sum(-1)


def _swapped(chosen: Tensor, rejected: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the examples with the chosen and the k-th rejected response swapped, if there is a k-th one."""
    there, other = mask[:, k], rejected[:, k]
    lower = torch.where(there, chosen, other).unsqueeze(-1)
    return torch.where(there, other, chosen), torch.cat(
        [rejected[:, :k], lower, rejected[:, k + 1 :]], -1
    )


def of_all_processes(values: Tensor) -> Tensor:
    """Gather the values of all processes, shape (n,) → (N,), n may differ; the gradient flows back to each."""
    exists = mi.bounds.gather(_padded(torch.ones_like(values)).detach()) > 0
    return mi.bounds.gather(_padded(values))[exists]


def _padded(values: Tensor) -> Tensor:
    padded = pad_across_processes(values)
    assert isinstance(padded, Tensor)  # as a tensor went in
    return padded
