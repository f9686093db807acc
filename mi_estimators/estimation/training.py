"""Training critics side by side: ascend an objective, stop where validation rows stop gaining, calibrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .._validate import unchecked
from ..bounds.bennett import bridge
from ..bounds.divergences import softplus
from ..bounds.scores import Critic, joint_and_product
from ..bounds.variational import js
from ..diagnostics.monitor import GradientMonitor
from .critics import Anchored, Calibrated, SideBySide
from .experts.copula import EllipticalCopula
from .gated import Gated
from .table import Estimator, over_rows

READ_GROUP = 256  # rows whose pairs are all negatives of one another when a critic is read: O(n) scores for n rows
_VALIDATION_GROUPS = 32, 128  # rows, for critics trained on few negatives and on all of a batch
_EVALUATE_EVERY = 50
_WORTH = 2.0  # nats over all validation rows that a part of the critic must gain to be kept (Akaike's two)
_DEGREES_OF_FREEDOM = (16, 8, 4, 2, 1)
_HEAVY_TAILS = 128  # columns, beyond which the scatter of a Student law is not worth its time
_AVERAGED = 0.98  # of the last average of the weights stays at each step
_CALIBRATION_SCALES = (1.0, 0.9, 0.8)
_CALIBRATION_QUANTILES = (1.0, 0.98, 0.9, 0.75, 0.5)

Sides = tuple[Tensor, Tensor]
"""Transformed rows of x and of y."""

State = tuple[Tensor, list[Tensor]]
"""A member's weights, and its buffers."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Columns that an anchor may read, among all of a side.

    Attributes:
        starts: the first of them, in x and in y.
        columns: their number, in x and in y.
        jointly: whether they may be jointly Gaussian or Student as they are; else they are normal scores.
    """

    starts: tuple[int, int]
    columns: tuple[int, int]
    jointly: bool

    @property
    def cuts(self) -> tuple[slice, slice]:
        """The columns of x and of y."""
        x, y = (slice(a, a + d) for a, d in zip(self.starts, self.columns, strict=True))
        return x, y


@dataclass(frozen=True, kw_only=True)
class Member:
    """What one critic is trained on.

    Attributes:
        train, valid: transformed rows of x and y.
        anchor: a closed-form log-ratio of the first columns, added to the network; None for none.
        noise: standard deviation of the Gaussian noise that is added to training rows, each time anew.
    """

    train: Sides
    valid: Sides
    anchor: EllipticalCopula | None
    noise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained critic of transformed rows.

    Attributes:
        critic: the calibrated critic.
        history: one dict an evaluation: step, objective on the batch ("train") and on the validation rows, in nats;
            after two steps also the signal-to-noise ratio and the noise scale of the gradient (`GradientMonitor`).
        kept_step: the step whose weights were kept; 0 where the network never helped.
        degrees_of_freedom: of the copula anchor; None without an anchor.
        jointly: whether the anchor is the law of the columns themselves rather than their copula.
        shortfall: of the copula anchor, in nats; 0 without an anchor.
        finite: whether all scores in training were finite.
        negatives: number of negatives to a positive in training.
        anchor_share: what the anchor alone has of the validation objective; 1 where the network never helped.
        score: the best objective on the validation rows, in nats.
        late_gain: by how much it rose in the last third of the steps that were kept, in nats.
    """

    critic: Calibrated
    history: list[dict[str, float]]
    kept_step: int
    degrees_of_freedom: float | None
    jointly: bool
    shortfall: float
    finite: bool
    negatives: int
    anchor_share: float
    score: float
    late_gain: float


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
    return _split(critic(x, y))


def _split(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positives (n,) and negatives (n, k) of score matrices (..., size, size)."""
    joint, product = joint_and_product(scores)
    return joint.flatten(), product.reshape(joint.numel(), -1)


def _groups(rows: tuple[Tensor, ...], group: int) -> list[Tensor]:
    """Cut rows (n, ...) into equal groups (groups, size, ...)."""
    count = max(1, round(len(rows[0]) / group))
    size = len(rows[0]) // count
    return [values[: count * size].unflatten(0, (count, size)) for values in rows]


@torch.no_grad()
def held_out_scores(critic: Critic, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return `grouped_scores` of many rows in double precision, evaluated a group at a time."""
    groups = zip(*_groups((x, y), READ_GROUP), strict=True)
    parts = [grouped_scores(critic, x, y, len(x)) for x, y in groups]
    joint, product = (torch.cat(part).double() for part in zip(*parts, strict=True))
    return joint, product


def fit_critics(
    row: Estimator,
    network: Gated | SideBySide,
    members: list[Member],
    *,
    steps: int,
    batch_size: int,
    negatives: int | str,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    generator: torch.Generator,
    advance: Callable[[int], object] = int,
) -> list[Fit]:
    """Train a critic for each member on its training rows, and select it on its validation rows.

    Args:
        row: the estimator whose objective is ascended.
        network: the members' critics, on the device of the training rows.
        members: what each is trained on.
        steps, batch_size, learning_rate, weight_decay: of AdamW, with a warm-up of a tenth and a cosine decay.
        negatives: number of negatives to a positive, as near as equal groups of rows allow; "all" of those in the
            batch.
        patience: number of evaluations without a gain before training stops.
        generator: draws the batches.
        advance: called with the number of steps taken since the last call.
    """
    batch_size = min(batch_size, *(len(member.train[0]) for member in members))
    group = batch_size if isinstance(negatives, str) else min(negatives + 1, batch_size)
    batches = _Batches(members, batch_size, group, generator)
    validation = _Validation(row, network, members, small_groups=group < batch_size)
    ascent = _Ascent(network.train(), len(members), steps, batch_size, learning_rate, weight_decay)
    runs = [
        _Run(_WORTH / len(member.valid[0]), ascent.state(k)) for k, member in enumerate(members)
    ]
    states: list[Any] = [None] * len(members)  # of objectives that have one

    for step in range(steps + 1):
        scores = network(*next(batches))
        finite = torch.isfinite(scores.detach().flatten(1).sum(1)).tolist()
        objectives = []
        for k, matrix in enumerate(scores):
            runs[k].finite &= finite[k]
            objective, states[k] = row.objective(*_split(matrix), states[k])
            objectives.append(objective)

        if step % _EVALUATE_EVERY == 0 or step == steps:
            with ascent.averaged():
                for k, value in enumerate(validation()):
                    train = float(objectives[k].detach())
                    entry = {"step": step, "train": train, "validation": value} | ascent.noise(k)
                    runs[k].record(entry, lambda k=k: ascent.state(k), patience)
        if step == steps or ascent.idle or all(run.stopped for run in runs):
            break
        ascent.step(torch.stack(objectives).sum() - network.penalty())
        advance(1)

    for k, run in enumerate(runs):
        ascent.restore(k, run.state)
    network.eval()
    return [
        _fit(run, member, network.member(k), group - 1)
        for k, (run, member) in enumerate(zip(runs, members, strict=True))
    ]


def _fit(run: _Run, member: Member, network: nn.Module, negatives: int) -> Fit:
    whole, degrees, shortfall, alone, jointly = network, None, 0.0, 0.0, False
    if member.anchor is not None:
        # A network that still is the zero it started from need not be evaluated.
        silent = run.kept == 0 and not bool(network(*(rows[:2] for rows in member.valid)).any())
        whole = Anchored(member.anchor, None if silent else network)
        degrees, shortfall = member.anchor.degrees_of_freedom, member.anchor.shortfall
        alone = run.history[0]["validation"] if run.history else 0.0
        jointly = member.anchor.jointly
    return Fit(
        critic=calibrated(whole.eval(), member.valid),
        history=run.history,
        kept_step=run.kept,
        degrees_of_freedom=degrees,
        jointly=jointly,
        shortfall=shortfall,
        finite=run.finite,
        negatives=negatives,
        anchor_share=max(0.0, alone / run.best) if run.best > 0 else 1.0,
        score=run.best,
        late_gain=run.late_gain,
    )


class _Run:
    """The course of one member's training: its history, and its best state so far."""

    def __init__(self, worth: float, state: State) -> None:
        self.worth, self.state = worth, state
        self.history: list[dict[str, float]] = []
        self.best, self.kept = -math.inf, 0
        self.finite, self.stopped = True, False

    @property
    def late_gain(self) -> float:
        """By how much the objective rose in the last third of the steps that were kept."""
        early = [e["validation"] for e in self.history if e["step"] <= 2 * self.kept / 3]
        return self.best - max(early) if self.kept and early else 0.0

    def record(self, entry: dict[str, float], state: Callable[[], State], patience: int) -> None:
        """Record an evaluation; keep the state if it is the best, stop if there was no gain for long."""
        if self.stopped:
            return
        step, value = int(entry["step"]), entry["validation"]
        if not self.finite or not math.isfinite(value):
            self.stopped = True
            if step > 0:
                return
        self.history.append(entry)
        if value > self.best + (self.worth if self.kept == 0 < step else 0.0):
            self.best, self.kept, self.state = value, step, state()
        elif step - self.kept >= patience * _EVALUATE_EVERY:
            self.stopped = True


class _Batches:
    """Batches of all members: rows x and y (members, groups, size, d), and the anchors' scores of their pairs."""

    def __init__(
        self, members: list[Member], size: int, group: int, generator: torch.Generator
    ) -> None:
        self.members, self.group, self.generator = members, group, generator
        self.streams = [_shuffled(len(member.train[0]), size, generator) for member in members]
        with torch.no_grad():
            self.features = [_anchor_features(member.anchor, member.train) for member in members]

    def __next__(self) -> tuple[Tensor, Tensor, Tensor | None]:
        picked = [next(stream) for stream in self.streams]
        xs, ys, scores = [], [], []
        for member, rows, features in zip(self.members, picked, self.features, strict=True):
            rows = rows.to(member.train[0].device)
            x, y = _groups(tuple(values[rows] for values in member.train), self.group)
            xs.append(self._noisy(x, member.noise))
            ys.append(self._noisy(y, member.noise))
            if member.anchor is not None and features is not None:
                sides = _groups(tuple(values[rows] for values in features), self.group)
                scores.append(member.anchor.scores(*sides))
        return torch.stack(xs), torch.stack(ys), torch.stack(scores) if scores else None

    def _noisy(self, rows: Tensor, noise: float) -> Tensor:
        if noise == 0:
            return rows
        return rows + noise * torch.randn(rows.shape, generator=self.generator).to(rows)


def _shuffled(rows: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers without end, each row once an epoch."""
    while True:
        order = torch.randperm(rows, generator=generator)
        yield from (order[i : i + size] for i in range(0, rows - size + 1, size))


def _anchor_features(anchor: EllipticalCopula | None, rows: Sides) -> Sides | None:
    return None if anchor is None else anchor.features(*anchor.columns(*rows))


class _Validation:
    """The objective on each member's validation rows."""

    def __init__(
        self, row: Estimator, network: nn.Module, members: list[Member], *, small_groups: bool
    ) -> None:
        self.row, self.network = row, network
        rows = min(len(member.valid[0]) for member in members)
        sides = [torch.stack([member.valid[side][:rows] for member in members]) for side in (0, 1)]
        group = _VALIDATION_GROUPS[0 if small_groups else 1]
        x, y = (_groups((side.transpose(0, 1),), group)[0] for side in sides)
        x, y = x.movedim(2, 0), y.movedim(2, 0)  # (members, groups, size, d)
        step = x.shape[1] if small_groups else 1
        self.blocks = []
        with torch.no_grad():
            for i in range(0, x.shape[1], step):
                block = x[:, i : i + step], y[:, i : i + step]
                anchors = [
                    member.anchor(*member.anchor.columns(block[0][k], block[1][k]))
                    for k, member in enumerate(members)
                    if member.anchor is not None
                ]
                self.blocks.append((*block, torch.stack(anchors) if anchors else None))

    @torch.no_grad()
    def __call__(self) -> list[float]:
        """Return the objective of each member, in nats; −inf where a score is not finite."""
        self.network.eval()
        scores = torch.cat([self.network(*block) for block in self.blocks], 1)
        self.network.train()
        finite = torch.isfinite(scores).flatten(1).all(1).tolist()
        return [
            float(self.row.objective(*_split(matrix), None)[0]) if finite[k] else -math.inf
            for k, matrix in enumerate(scores)
        ]


class _Ascent:
    """AdamW on a matrix with a row of parameters a member; it averages the weights and watches the gradients."""

    def __init__(
        self,
        network: Gated | SideBySide,
        members: int,
        steps: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        # The parameters become views of one matrix: one update for all of them.
        self.network = network
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.weights = nn.Parameter(network.matrix([p.detach() for p in self.parameters]))
        network.place(self.weights.data)
        self.average = self.weights.detach().clone()
        self.steps = 0

        self.monitors = [GradientMonitor(batch_size) for _ in range(members)]
        self.optimizer = torch.optim.AdamW(
            [self.weights], learning_rate, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            learning_rate,
            total_steps=steps + 1,
            pct_start=max(0.1, min(1.0, 2 / (steps + 1))),
        )

    @property
    def idle(self) -> bool:
        """Whether there is nothing to train."""
        return self.weights.numel() == 0

    def step(self, objective: Tensor) -> None:
        """Ascend the objective by one step."""
        gradients = torch.autograd.grad(
            objective.neg(), self.parameters, allow_unused=True, materialize_grads=True
        )
        self.weights.grad = self.network.matrix(list(gradients))
        for monitor, gradient in zip(self.monitors, self.weights.grad, strict=True):
            monitor(gradient)
        self.optimizer.step()
        self.schedule.step()

        self.steps += 1
        recent = max(1 - _AVERAGED, 9 / (10 + self.steps))  # all steps alike at first
        self.average.lerp_(self.weights.data, recent)

    @contextmanager
    def averaged(self) -> Generator[None, None, None]:
        """Put the averaged weights into the network for a while."""
        live = self.weights.data.clone()
        self.weights.data.copy_(self.average)
        yield
        self.weights.data.copy_(live)

    def state(self, k: int) -> State:
        """Return a copy of a member's averaged weights, and of its buffers."""
        return self.average[k].clone(), [b.clone() for b in self.network.buffers_of(k)]

    def restore(self, k: int, state: State) -> None:
        """Put back what `state` returned."""
        weights, buffers = state
        self.weights.data[k] = weights
        for buffer, kept in zip(self.network.buffers_of(k), buffers, strict=True):
            buffer.copy_(kept)

    def noise(self, k: int) -> dict[str, float]:
        """Return signal-to-noise ratio and noise scale of the gradient, once there were two finite ones."""
        if self.monitors[k].steps < 2:
            return {}
        gradient = self.monitors[k].statistics()
        if not math.isfinite(gradient.trace_covariance):
            return {}
        return {"gradient_snr": gradient.snr, "noise_scale": gradient.noise_scale}


@torch.no_grad()
def best_copula(train: Sides, valid: Sides, columns: list[Place]) -> EllipticalCopula:
    """Return the copula that does best on the validation rows; one that is not Gaussian must gain `_WORTH` nats there.

    From light to heavy tails the likelihood rises and then falls. The search stops where it falls.

    Args:
        train, valid: rows of x and y.
        columns: where normal scores stand, and where columns that may be jointly Gaussian or Student.
    """
    best, score = None, -math.inf
    for place in columns:
        in_x, in_y = place.cuts
        x, y = train[0][:, in_x], train[1][:, in_y]
        others = valid[0][:, in_x], valid[1][:, in_y]
        last = -math.inf
        for nu in (math.inf, *_DEGREES_OF_FREEDOM):
            anchor = EllipticalCopula(x, y, nu, jointly=place.jointly, places=place.starts)
            value = _score(anchor, others)
            if value < last:
                break
            last = value
            if best is None or value > score:
                best, score = anchor, value + (_WORTH / len(valid[0]) if best is None else 0.0)
            if sum(anchor.dims) > _HEAVY_TAILS:
                break
    return cast(EllipticalCopula, best)


def _score(anchor: EllipticalCopula, rows: Sides) -> float:
    features = anchor.features(*rows)
    return float(over_rows(js)(*held_out_scores(anchor.scores, *features)))


@torch.no_grad()
def calibrated(critic: nn.Module, valid: Sides) -> Calibrated:
    """Choose the scale and the cap by the logistic likelihood of the validation rows, all their negatives counted.

    Either must gain `_WORTH` nats there: of separated rows every scale is as likely.
    """
    joint, product = held_out_scores(critic, *valid)
    if not bool(torch.isfinite(joint).all() & torch.isfinite(product).all()):
        return Calibrated(critic, 1.0, math.inf)

    def likelihood(scale: float, quantile: float) -> float:
        cap = float((scale * joint).quantile(quantile))
        return logistic((scale * joint).clamp(max=cap), (scale * product).clamp(max=cap))

    worth = _WORTH / len(joint)
    quantile = _best(_CALIBRATION_QUANTILES, lambda quantile: likelihood(1.0, quantile), worth)
    scale = _best(_CALIBRATION_SCALES, lambda scale: likelihood(scale, quantile), worth)
    return Calibrated(critic, scale, float((scale * joint).quantile(quantile)))


def _best(values: tuple[float, ...], score: Callable[[float], float], worth: float) -> float:
    """Return the value of the highest score; the first one, unless another's is higher by what it is worth."""
    scores = [score(value) for value in values]
    best = max(range(len(values)), key=lambda k: scores[k] - (worth if k else 0.0))
    return values[best]


def logistic(joint: Tensor, product: Tensor) -> float:
    """Return the log-likelihood a positive of telling positives from negatives, at the best shift of the scores.

    It is a proper score at the odds ν of the sample, and `bridge` finds the shift. As ν grows it tends to DV, with
    bounded weights.
    """
    odds = product.numel() / joint.numel()
    threshold = joint.mean() - unchecked(bridge)(joint, product.flatten()) + math.log(odds)
    return -float(softplus(threshold - joint).mean() + odds * softplus(product - threshold).mean())
