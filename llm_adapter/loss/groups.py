"""Losses of a group of responses to one prompt, each right or wrong: any preference loss, or the policy gradient.

The group-relative policy gradient is a cell of the same kind. With k of n responses right and p = k/n it descends
−p(1 − p)(mean of ln π over the right − mean over the wrong): the margin itself, in place of a bound of it, weighted by
the group's variance. Normalising divides by the group's standard deviation, so the weight is √(p(1 − p)).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .objective import Objective

ADVANTAGES = ("centred", "normalised")


@dataclass(frozen=True)
class GroupObjective:
    """The loss of a group: a preference loss of its right responses against its wrong ones, or a policy gradient.

    >>> GroupObjective(Objective("js", mix="auto")).name, GroupObjective(advantage="normalised").name
    ('js-auto', 'policy-gradient-normalised')
    """

    preference: Objective | None = None
    advantage: str = "centred"

    @property
    def name(self) -> str:
        """The loss in a few characters."""
        return self.preference.name if self.preference else f"policy-gradient-{self.advantage}"

    def loss(self, log_ratios: Tensor, right: Tensor) -> Tensor:
        """Return the loss of one group, a scalar; 0 without a gradient where all are right or all are wrong.

        Args:
            log_ratios: z of each response, shape (n,), in nats; for the policy gradient its gradient alone matters.
            right: True for the right ones, shape (n,).
        """
        count = int(right.sum())
        if count in (0, len(right)):
            return log_ratios.new_zeros(())
        if self.preference is None:
            return -(self.advantages(right) * log_ratios).mean()

        chosen, wrong = log_ratios[right], log_ratios[~right]
        rejected = wrong.expand(count, -1)
        mask = torch.ones_like(rejected, dtype=torch.bool)

        return self.preference.losses(chosen, rejected, mask, lambda own: own).mean()

    def advantages(self, right: Tensor) -> Tensor:
        """Return r − mean, over the standard deviation (of n, not n − 1) if normalised; 0 where all r are equal.

        >>> GroupObjective(advantage="normalised").advantages(torch.tensor([True, False])).tolist()
        [1.0, -1.0]
        """
        rewards = right.to(torch.get_default_dtype())
        centred = rewards - rewards.mean()
        spread = rewards.std(correction=0)
        if self.advantage == "centred" or spread == 0:
            return centred
        return centred / spread
