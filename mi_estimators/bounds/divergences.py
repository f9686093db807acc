"""The table of f-divergence bounds in critic form: value = E_P[reward(T)] − E_Q[penalty(T)], with T ≈ ln dP/dQ.

For a convex f with f(1) = 0, the variational bound of D_f(P‖Q) = E_Q f(dP/dQ) with the critic written as T = ln r reads
    reward(T) = f'(eᵀ),    penalty(T) = eᵀ f'(eᵀ) − f(eᵀ),
up to one constant added to both. Hence penalty' = eᵀ reward' in every row: the invariant, the theorem and the test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .. import _validate
from .expectation import expectation, on_support


def softplus(t: Tensor) -> Tensor:
    """Return ln(1 + eᵗ) to full precision (torch's own softplus is linear above a threshold)."""
    return -logsigmoid(-t)


@dataclass(frozen=True, kw_only=True)
class FDivergence:
    """A row of the table; call it to evaluate the bound on scores.

    Attributes:
        name: key of the row.
        divergence: what the value bounds from below, in the field's notation.
        reward: T ↦ the integrand under P.
        penalty: T ↦ the integrand under Q.
        reference: source of the variational form.
        loss_constant: `preference_loss` is this constant minus the bound, in nats.
    """

    name: str
    divergence: str
    reward: Callable[[Tensor], Tensor]
    penalty: Callable[[Tensor], Tensor]
    reference: str
    loss_constant: float = 0.0

    def __call__(
        self,
        joint: Tensor,
        product: Tensor,
        log_p: Tensor | None = None,
        log_q: Tensor | None = None,
    ) -> Tensor:
        """Return E_P[reward(T)] − E_Q[penalty(T)], a lower bound of the divergence, tight at T = ln dP/dQ.

        Args:
            joint: scores of samples or atoms of P, shape (..., n), in nats.
            product: scores of samples or atoms of Q, shape (..., m), in nats.
            log_p, log_q: log-probabilities of the atoms; None means equally likely samples.

        Returns:
            Shape (...).

        Raises:
            ValueError: non-finite scores, an empty batch, or log-weights that do not fit or do not sum to 1.

        Theorem: log_ratio_optimality.
        Reference: Nguyen, Wainwright & Jordan 2010, IEEE Trans. Inf. Theory 56(11), Lemma 1.
        """
        _validate.joint_and_product(joint, product, log_p, log_q)
        return self.unchecked(joint, product, log_p, log_q)

    def unchecked(
        self,
        joint: Tensor,
        product: Tensor,
        log_p: Tensor | None = None,
        log_q: Tensor | None = None,
    ) -> Tensor:
        """Return the value without checking the arguments, as in a training loop; shape (...)."""
        reward = self.reward(on_support(joint, log_p))
        penalty = self.penalty(on_support(product, log_q))
        rewarded, penalised = expectation(reward, log_p), expectation(penalty, log_q)
        # Where both overflow, minus infinity is still a lower bound.
        overflow = torch.isinf(rewarded) & torch.isinf(penalised)

        return torch.where(overflow, -math.inf, rewarded - penalised)


DIVERGENCES: dict[str, FDivergence] = {
    row.name: row
    for row in (
        FDivergence(
            name="nwj",
            divergence="KL(P‖Q)",
            reward=lambda t: 1 + t,
            penalty=torch.exp,
            reference="Nguyen, Wainwright & Jordan 2010; f-GAN's KL (Nowozin et al. 2016); MINE-f (Belghazi et al.)",
        ),
        FDivergence(
            name="js",
            divergence="2·JSD(P, Q)",
            reward=lambda t: math.log(2) - softplus(-t),
            penalty=lambda t: softplus(t) - math.log(2),
            loss_constant=2 * math.log(2),
            reference="Goodfellow et al. 2014; Hjelm et al. 2019, eq. 4",
        ),
        FDivergence(
            name="reverse_kl",
            divergence="KL(Q‖P)",
            reward=lambda t: -torch.expm1(-t),
            penalty=lambda t: t,
            reference="Nowozin et al. 2016, table 2",
        ),
        FDivergence(
            name="chi2",
            divergence="χ²(P‖Q) = E_Q (r − 1)²",
            reward=lambda t: 2 * torch.expm1(t),
            penalty=lambda t: torch.expm1(2 * t),
            reference="Nowozin et al. 2016, table 2 (Pearson); least-squares importance fitting, Kanamori et al. 2009",
        ),
        FDivergence(
            name="hellinger2",
            divergence="H²(P, Q) = E_Q (√r − 1)²",
            reward=lambda t: -torch.expm1(-t / 2),
            penalty=lambda t: torch.expm1(t / 2),
            reference="Nowozin et al. 2016, table 2 (squared Hellinger)",
        ),
    )
}
"""Name → row. A row is all that a bound needs: what the other rooms know of it follows from reward and penalty."""
