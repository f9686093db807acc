"""Turn log-ratios of responses into losses, by the functions of `mi_estimators` alone.

An objective is a cell of bound × mix, one of the losses to compare with, or a sum of such terms with weights. The
scores may be those of another divergence than KL (f-DPO). Theory gives start, floor and anchor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from accelerate.utils import pad_across_processes
from torch import Tensor
from torch.nn import functional as F

import mi_estimators as mi
from mi_estimators._validate import unchecked
from mi_estimators.preference import Comparison

Everyone = Callable[[Tensor], Tensor]
LARGEST = 80.0  # nats, above which e^z is taken at this z: it stays finite in float32

# f-divergence → f'(t) − f'(1) of z = ln t, t = π/π_ref
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "reverse_kl": lambda z: z,
    "forward_kl": lambda z: -torch.expm1((-z).clamp_max(LARGEST)),
    "js_divergence": lambda z: math.log(2) + F.logsigmoid(z),
    "chi_squared": lambda z: z + torch.expm1(z.clamp_max(LARGEST)),
    "log_squared": lambda z: z.clamp_min(-LARGEST) * torch.exp((-z).clamp_max(LARGEST)),
}
"""Scores of f-DPO (Wang et al. 2023, arXiv 2309.16240): β f'(π/π_ref) in place of β ln π/π_ref.

forward_kl has f = −ln t; chi_squared f = ½(t − 1)² + t ln t, f' = φ(t) = t + ln t, which makes χPO of DPO (Huang et
al. 2024, arXiv 2407.13399, algorithm 1: ln σ of β φ(t_w) − β φ(t_l), clipped to ±2 R_max, as a published reading quotes
it); log_squared f = ½ ln² t, which makes SquaredPO of it (Pipano et al. 2026, arXiv 2602.06788)."""


@dataclass(frozen=True)
class Objective:
    """A preference loss with its settings, the fields of `arguments.fields.LossFields`.

    >>> Objective(bound="js", mix=0.9).name, Objective(bound="dv").name, Objective(loss="ipo").name
    ('js-0.9', 'dv', 'ipo')
    """

    bound: str = "js"
    mix: float | str = 0.5  # "auto": K/(K + 1) of each example
    beta: float = 0.1
    loss: str | None = None
    log_ratio: str = "sum"
    label_smoothing: float = 0.0
    negatives: str = "own"
    robust: bool = False
    f_divergence: str = "reverse_kl"
    reference_free: bool = False
    target_margin: float = 0.0
    clip_margin: float | None = None
    reference_point: float | None = field(default=None, compare=False)
    """KTO's of a batch, in nats of z; without it the mean of z over both responses stands for it."""

    def __post_init__(self) -> None:
        """Refuse an unknown bound or loss with a ValueError."""
        bounds, losses = mi.preference.PREFERENCE_BOUNDS, mi.preference.ALTERNATIVES
        if self.bound not in bounds:
            raise ValueError(f"bound: expected one of {', '.join(bounds)}, got {self.bound}")

        terms = read_terms(self.loss)
        for name, _ in terms:
            plain, at, mix = name.partition("@")
            cell = plain in bounds and (not at or (_number(mix) and 0 < float(mix) <= 1))
            if name not in losses and not (cell and (len(terms) > 1 or at)):
                raise ValueError(
                    f"loss: expected one of {', '.join(losses)}, or a sum such as 0.8*dv + 0.2*js@1, "
                    f"got {self.loss}"
                )

    @property
    def name(self) -> str:
        """The loss in a few characters, for folders and headings."""
        plain = self.mix == 0.5 or self.bound == "infonce"
        name = self.loss or (self.bound if plain else f"{self.bound}-{shown(self.mix)}")
        return re.sub(r"[^\w.-]+", "-", name)

    @property
    def anchored(self) -> bool:
        """Whether the no-collapse theorem covers the loss: JS of ln π/π_ref without label smoothing."""
        plain = self.label_smoothing == 0 and self.f_divergence == "reverse_kl"
        return self.loss is None and self.bound == "js" and plain

    @property
    def splits(self) -> bool:
        """Whether the loss of a pair is a part of z_w plus a part of z_l: they may then answer different prompts.

        >>> [Objective(bound=bound).splits for bound in ("js", "dv")], Objective(loss="kto").splits
        ([True, False], True)
        """
        names = self._names() or [self.bound]
        splits = {*mi.DIVERGENCES, "kto", "bco", "sft"}
        return all(name.partition("@")[0] in splits for name in names)

    @property
    def estimates_kl(self) -> bool:
        """Whether a batch needs responses to other prompts, from which KTO estimates its reference point."""
        return "kto" in self._names()

    def log_ratios(self, log_probs: Tensor, reference: Tensor | None, lengths: Tensor) -> Tensor:
        """Return z of each response, shape (R,), in nats: ln π − ln π_ref, over its tokens for `log_ratio` mean."""
        ratios = log_probs if reference is None else log_probs - reference
        return ratios / lengths if self.log_ratio == "mean" else ratios

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
        link = LINKS[self.f_divergence]
        chosen, rejected = link(chosen), link(rejected)

        if self.clip_margin is not None:
            limit = self.clip_margin / self.beta
            margins = chosen.unsqueeze(-1) - rejected  # all that these losses see
            chosen, rejected = torch.zeros_like(chosen), -margins.clamp(-limit, limit)

        rejected = rejected + self.target_margin / self.beta
        losses = self._losses(chosen, rejected, mask, everyone)
        if not self.label_smoothing:
            return losses

        # equally many swaps in all processes: in `everyone` each waits for the others
        own = mask.shape[1]
        most = int(everyone(torch.tensor([float(own)], device=mask.device)).max())
        rejected, mask = F.pad(rejected, (0, most - own)), F.pad(mask, (0, most - own))
        swaps = (_swapped(chosen, rejected, mask, k) for k in range(most))
        swapped = torch.stack([self._losses(*swap, mask, everyone) for swap in swaps], -1)
        smoothing = self.label_smoothing
        # the robust loss is unbiased under noisy labels: (1 − ε) L − ε L' over 1 − 2ε, L' with the labels swapped
        share = -smoothing / (1 - 2 * smoothing) if self.robust else smoothing

        return torch.lerp(losses, masked_mean(swapped, mask), share)

    def _losses(self, chosen: Tensor, rejected: Tensor, mask: Tensor, everyone: Everyone) -> Tensor:
        terms = read_terms(self.loss) or [(self.bound, 1.0)]
        values = [self._term(name, chosen, rejected, mask, everyone) for name, _ in terms]
        weights = [weight for _, weight in terms]
        return torch.stack([w * value for w, value in zip(weights, values, strict=True)]).sum(0)

    def _term(
        self, name: str, chosen: Tensor, rejected: Tensor, mask: Tensor, everyone: Everyone
    ) -> Tensor:
        """Return the losses of one bound or of one loss to compare with."""
        if name in mi.preference.ALTERNATIVES:
            row = mi.preference.ALTERNATIVES[name]
            return self._paired(row, chosen, rejected, mask, everyone)

        chosen, rejected = self.beta * chosen, self.beta * rejected
        if self.negatives == "batch":
            negatives = everyone(rejected[mask])  # of the whole batch, of all processes
            rejected = negatives.expand(len(chosen), -1)
            mask = torch.ones_like(rejected, dtype=torch.bool)

        name, at, own = name.partition("@")  # js@1: a bound with a mix of its own
        loss = unchecked(mi.preference_loss)  # a device would be waited for at each check
        losses = torch.zeros_like(chosen)
        for mix, rows in self._by_mix(mask):
            mix = float(own) if at else mix
            losses = torch.where(rows, loss(chosen, rejected, name, mix, mask=mask), losses)

        return losses

    def _by_mix(self, mask: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Yield each mix with the examples that have it, shape (B,)."""
        counts = mask.sum(-1)
        if not isinstance(self.mix, str):
            yield self.mix, torch.ones_like(counts, dtype=torch.bool)
            return
        for count in counts.unique().tolist():
            yield calibrated_mix(count), counts == count

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
            point = self.reference_point if loss.name == "kto" else None
            if point is None:
                point = everyone(torch.cat([chosen, pairs[1]]).detach()).mean()
            reward = torch.as_tensor(self.beta * point, device=chosen.device)
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
        if self.loss in mi.preference.ALTERNATIVES:
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
        follows_batch = self.negatives == "batch" and "infonce" in (self.bound, *self._names())
        mixes = [self.mix_of(count) for count in counts]
        largest = max(mixes)  # its interval holds for all: the others' losses are above its loss

        return {
            "loss_start": None if follows_batch else round(start, 12) + 0.0,  # no −0
            "loss_floor": self._floor(mixes),
            "anchor": fmean(map(mi.preference_anchor, mixes)) if self.anchored else None,
            "no_collapse_interval": (
                list(mi.no_collapse_interval(largest)) if self.anchored else None
            ),
            "bounds": self._bounds(max(counts), mixes),
        }

    def _names(self) -> list[str]:
        return [name for name, _ in read_terms(self.loss)]

    def mix_of(self, count: int) -> float:
        """Return the mix of an example with this number of negatives.

        >>> [Objective(mix="auto").mix_of(count) for count in (1, 3)], Objective(mix=0.9).mix_of(3)
        ([0.5, 0.75], 0.9)
        """
        return calibrated_mix(count) if isinstance(self.mix, str) else self.mix

    def _floor(self, mixes: Sequence[float]) -> float | None:
        if self.label_smoothing or self.f_divergence != "reverse_kl" or self.clip_margin:
            return None
        if self.loss:
            row = mi.preference.ALTERNATIVES.get(self.loss)
            return row.floor if row else None
        if self.bound == "js":
            return fmean(map(mi.preference_loss_floor, mixes))

        return 0.0 if self.bound == "infonce" or (self.bound == "dv" and max(mixes) < 1) else None

    def _bounds(self, most: int, mixes: Sequence[float]) -> str | None:
        changed = self.label_smoothing or self.reference_free or self.target_margin
        if self.loss or changed or self.clip_margin:
            return None
        if self.bound == "infonce":
            whose = "prompt" if self.negatives == "own" else "batch"
            return f"the information between the responses of a {whose} and which one was chosen, at most ln(K + 1)"
        if len({*mixes}) > 1:
            return None

        (mix,) = {*mixes}
        if self.bound == "dv":
            pair = mix == 0.5 and most == 1 and self.negatives == "own"
            information = (
                "the information between an ordered pair and its label, at most ln 2; no KL"
            )
            return information if pair else None

        mixed = f"Q = {1 - mix:g} P + {mix:g} R, P and R the laws of chosen and rejected responses"
        return f"{mi.DIVERGENCES[self.bound].divergence}, {mixed}"


def read_terms(loss: str | None) -> list[tuple[str, float]]:
    """Return the terms of a sum of losses with their weights.

    >>> read_terms("0.8*dv + 0.2*js@1 + sft"), read_terms("ipo"), read_terms(None)
    ([('dv', 0.8), ('js@1', 0.2), ('sft', 1.0)], [('ipo', 1.0)], [])
    """
    terms = []
    for text in loss.split("+") if loss else ():
        weight, star, name = text.strip().rpartition("*")
        if star and not _number(weight):
            raise ValueError(f"loss: expected weights that are numbers, got {loss}")
        terms.append((name.strip(), float(weight) if star else 1.0))

    return terms


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def calibrated_mix(count: int) -> float:
    """Return K/(K + 1), at which Q is the law of all K + 1 responses together."""
    return count / (count + 1)


def shown(mix: float | str) -> str:
    """Return a mix as text."""
    return mix if isinstance(mix, str) else f"{mix:g}"


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
