"""Training one critic: ascend an estimator's objective, stop where validation rows stop gaining, calibrate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .._validate import unchecked
from ..bounds.bennett import bridge
from ..bounds.divergences import softplus
from ..bounds.scores import Critic, joint_and_product
from ..bounds.variational import js
from ..diagnostics.monitor import GradientMonitor
from .critics import Calibrated, Sum
from .experts import EllipticalCopula, FoldedCopula
from .table import Estimator, over_rows

READ_GROUP = 256  # rows whose pairs are all negatives of one another when a critic is read: O(n) scores for n rows
_VALIDATION_GROUP = 32
_EVALUATE_EVERY = 50
_WORTH = 2.0  # nats over all validation rows that a part of the critic must gain to be kept (Akaike's two)
_DEGREES_OF_FREEDOM = (16, 8, 4, 2, 1)
_CALIBRATION_SCALES = (1.0, 0.8)
_CALIBRATION_QUANTILES = (1.0, 0.98, 0.9, 0.75, 0.5)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained critic of transformed rows.

    Attributes:
        critic: the calibrated critic.
        history: one dict an evaluation: step, objective on the batch ("train") and on the validation rows, in nats;
            after two steps also the signal-to-noise ratio and the noise scale of the gradient (`GradientMonitor`).
        kept_step: the step whose weights were kept; 0 where the network never helped.
        degrees_of_freedom: of the copula anchor; None without an anchor.
        shortfall: of the copula anchor, in nats; 0 without an anchor.
        folded: whether the anchor is a `FoldedCopula`.
        finite: whether all scores in training were finite.
        negatives: number of negatives to a positive in training.
        anchor_share: what the anchor alone has of the validation objective; 1 where the network never helped.
    """

    critic: Calibrated
    history: list[dict[str, float]]
    kept_step: int
    degrees_of_freedom: float | None
    shortfall: float
    folded: bool
    finite: bool
    negatives: int
    anchor_share: float


def grouped_scores(
    critic: Critic, x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"], group: int
) -> tuple[Float[Tensor, " kept"], Float[Tensor, "kept k"]]:
    """Return the scores of the n positives and of k negatives to each, all from its own group of rows.

    Groups are equal and have about `group` rows; up to one row a group may be left over at the end. If `group` exceeds
    the number of rows there is one group, the full in-batch matrix.
    """
    x, y = (
        values.squeeze(0) for values in _groups((x, y), group)
    )  # a single group stays a matrix, for any module
    joint, product = joint_and_product(critic(x, y))
    return joint.flatten(), product.reshape(joint.numel(), -1)


def _groups(rows: tuple[Tensor, ...], group: int) -> list[Tensor]:
    """Cut rows (n, ...) into equal groups (groups, size, ...)."""
    count = max(1, round(len(rows[0]) / group))
    size = len(rows[0]) // count
    return [values[: count * size].view(count, size, -1) for values in rows]


@torch.no_grad()
def held_out_scores(critic: Critic, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return `grouped_scores` of many rows in double precision, evaluated a group at a time."""
    groups = zip(*_groups((x, y), READ_GROUP), strict=True)
    parts = [grouped_scores(critic, x, y, len(x)) for x, y in groups]
    joint, product = (torch.cat(part).double() for part in zip(*parts, strict=True))
    return joint, product


def fit_critic(
    row: Estimator,
    network: nn.Module,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    *,
    anchored: bool,
    steps: int,
    batch_size: int,
    negatives: int | str,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    generator: torch.Generator,
    advance: Callable[[int], object],
) -> Fit:
    """Train a critic on transformed training rows and select it on validation rows.

    Args:
        row: the estimator whose objective is ascended.
        network: the critic to train, on the device of the training rows.
        train, valid: rows (x, y).
        anchored: whether the closed-form log-ratio of a copula is added to the network.
        steps, batch_size, learning_rate, weight_decay: of AdamW, with a warm-up of a tenth and a cosine decay.
        negatives: number of negatives to a positive, as near as equal groups of rows allow; "all" of those in the
            batch.
        patience: number of evaluations without a gain before training stops.
        generator: draws the batches.
        advance: called with the number of steps taken since the last call.
    """
    anchor = _anchor(train, valid) if anchored else None
    parameters = [p for p in network.train().parameters() if p.requires_grad]
    batch_size = min(batch_size, len(train[0]))
    group = batch_size if isinstance(negatives, str) else min(negatives + 1, batch_size)
    with torch.no_grad():
        fixed = None if anchor is None else _validation_scores(anchor, valid, group < batch_size)
        features = None if anchor is None else anchor.features(*train)

    ascent = None
    if parameters:
        ascent = _Ascent(parameters, steps, batch_size, learning_rate, weight_decay)
    best, kept, state, history, finite = -math.inf, 0, copy.deepcopy(network.state_dict()), [], True
    ema = None
    for step in range(steps + 1):
        rows = torch.randperm(len(train[0]), generator=generator)[:batch_size].to(train[0].device)
        joint, product = grouped_scores(network, train[0][rows], train[1][rows], group)
        if anchor is not None and features is not None:
            fixed_joint, fixed_product = grouped_scores(
                anchor.scores, features[0][rows], features[1][rows], group
            )
            joint, product = joint + fixed_joint, product + fixed_product
        if not bool(torch.isfinite(joint.detach().sum() + product.detach().sum())):
            finite = False
            break
        objective, ema = row.objective(joint, product, ema)

        if step % _EVALUATE_EVERY == 0 or step == steps:
            value = _validation(row, network, valid, fixed, group < batch_size)
            history.append({"step": step, "train": float(objective.detach()), "validation": value})
            if ascent is not None:
                history[-1] |= ascent.noise()
            if value > best + (_WORTH / len(valid[0]) if kept == 0 < step else 0.0):
                best, kept, state = value, step, copy.deepcopy(network.state_dict())
            elif step - kept >= patience * _EVALUATE_EVERY:
                break

        if step == steps or ascent is None:
            break
        ascent.step(objective)
        advance(1)

    network.load_state_dict(state)
    for p in parameters:  # each its own tensor again
        p.data, p.grad = p.data.clone(), None

    whole, degrees, shortfall = network, None, 0.0
    if anchor is not None:
        # A network that still is the zero it started from need not be evaluated.
        silent = kept == 0 and not bool(network(valid[0][:2], valid[1][:2]).any())
        whole = anchor if silent else Sum(anchor, network)
        degrees, shortfall = anchor.degrees_of_freedom, anchor.shortfall
    alone = history[0]["validation"] if anchor is not None and history else 0.0
    return Fit(
        critic=_calibrate(whole.eval(), valid),
        history=history,
        kept_step=kept,
        degrees_of_freedom=degrees,
        shortfall=shortfall,
        folded=isinstance(anchor, FoldedCopula),
        finite=finite,
        negatives=group - 1,
        anchor_share=max(0.0, alone / best) if best > 0 else 1.0,
    )


class _Ascent:
    """AdamW on all parameters as one vector, with a warm-up and a cosine decay; it watches the gradient."""

    def __init__(
        self,
        parameters: list[nn.Parameter],
        steps: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        # Parameters and gradients become views of one vector: one update for all of them.
        self.flat = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
        self.gradient = self.flat.grad = torch.zeros_like(self.flat)
        start = 0
        for p in parameters:
            place = slice(start, start + p.numel())
            p.data, p.grad = self.flat.data[place].view_as(p), self.gradient[place].view_as(p)
            start = place.stop

        self.monitor = GradientMonitor(batch_size)
        self.optimizer = torch.optim.AdamW(
            [self.flat], learning_rate, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            learning_rate,
            total_steps=steps + 1,
            pct_start=max(0.1, min(1.0, 2 / (steps + 1))),
        )

    def step(self, objective: Tensor) -> None:
        """Ascend the objective by one step."""
        self.optimizer.zero_grad(set_to_none=False)
        objective.neg().backward()
        self.monitor(self.gradient)
        self.optimizer.step()
        self.schedule.step()

    def noise(self) -> dict[str, float]:
        """Return signal-to-noise ratio and noise scale of the gradient, once there were two finite ones."""
        if self.monitor.steps < 2:
            return {}
        gradient = self.monitor.statistics()
        if not math.isfinite(gradient.trace_covariance):
            return {}
        return {"gradient_snr": gradient.snr, "noise_scale": gradient.noise_scale}


@torch.no_grad()
def _validation(
    row: Estimator,
    network: nn.Module,
    valid: tuple[Tensor, Tensor],
    fixed: tuple[Tensor, Tensor] | None,
    small_groups: bool,
) -> float:
    joint, product = _validation_scores(network.eval(), valid, small_groups)
    network.train()
    if fixed is not None:
        joint, product = joint + fixed[0], product + fixed[1]
    if not bool(torch.isfinite(joint).all() & torch.isfinite(product).all()):
        return -math.inf
    return float(row.objective(joint, product, None)[0])


def _validation_scores(
    critic: Critic, valid: tuple[Tensor, Tensor], small_groups: bool
) -> tuple[Tensor, Tensor]:
    return (
        grouped_scores(critic, *valid, _VALIDATION_GROUP)
        if small_groups
        else held_out_scores(critic, *valid)
    )


@torch.no_grad()
def _anchor(train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]) -> EllipticalCopula:
    """Return the copula that does best on the validation rows; one that is not Gaussian must gain `_WORTH` nats there.

    From light to heavy tails the likelihood rises and then falls. The search stops where it falls.
    """
    best = EllipticalCopula(*train)
    last = _js_of(best, valid)
    score = last + _WORTH / len(valid[0])
    for nu in _DEGREES_OF_FREEDOM:
        anchor = EllipticalCopula(*train, degrees_of_freedom=nu)
        value = _js_of(anchor, valid)
        if value < last:
            break
        last = value
        if value > score:
            best, score = anchor, value
    folded = FoldedCopula(*train)
    return folded if _js_of(folded, valid) > score + _WORTH / len(valid[0]) else best


def _js_of(critic: Critic, rows: tuple[Tensor, Tensor]) -> float:
    return float(over_rows(js)(*held_out_scores(critic, *rows)))


@torch.no_grad()
def _calibrate(critic: nn.Module, valid: tuple[Tensor, Tensor]) -> Calibrated:
    """Choose the scale and the cap by the logistic likelihood of the validation rows, all their negatives counted."""
    joint, product = held_out_scores(critic, *valid)
    if not bool(torch.isfinite(joint).all() & torch.isfinite(product).all()):
        return Calibrated(critic, 1.0, math.inf)

    def likelihood(scale: float, quantile: float) -> float:
        cap = float((scale * joint).quantile(quantile))
        return _logistic((scale * joint).clamp(max=cap), (scale * product).clamp(max=cap))

    quantile = max(_CALIBRATION_QUANTILES, key=lambda quantile: likelihood(1.0, quantile))
    scale = max(_CALIBRATION_SCALES, key=lambda scale: likelihood(scale, quantile))
    return Calibrated(critic, scale, float((scale * joint).quantile(quantile)))


def _logistic(joint: Tensor, product: Tensor) -> float:
    """Return the log-likelihood a positive of telling positives from negatives, at the best shift of the scores.

    It is a proper score at the odds ν of the sample, and `bridge` finds the shift. As ν grows it tends to DV, with
    bounded weights.
    """
    odds = product.numel() / joint.numel()
    threshold = joint.mean() - unchecked(bridge)(joint, product.flatten()) + math.log(odds)
    return -float(softplus(threshold - joint).mean() + odds * softplus(product - threshold).mean())
