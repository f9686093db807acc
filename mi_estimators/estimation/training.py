"""Training critics side by side: ascend an objective, stop where validation rows stop gaining, calibrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .anchors import Anchor
from .ascent import Ascent, State
from .calibration import calibrated
from .critics import Anchored, Calibrated
from .forms import Form
from .gated import Gated
from .making import SideBySide
from .scoring import WORTH, Sides, groups_of, split
from .table import Estimator

_VALIDATION_GROUPS = 32, 128  # rows, for critics trained on few negatives and on all of a batch
_EVALUATE_EVERY = 50  # steps
# Evaluations without a gain where an anchor fits, fewer where the warm-up is over sooner
_SHORT = 2
_CHANCE = 4  # times WORTH that a network may gain by chance where an anchor fits


@dataclass(frozen=True, kw_only=True)
class Member:
    """What one critic is trained on.

    Attributes:
        train, valid: transformed rows of x and y.
        anchor: a closed-form log-ratio of some columns, added to the network; None for none.
        form: what the anchor assumes.
        anchor_fits: whether the rows do not contradict it, so that little is left to learn.
        noise: standard deviation of the Gaussian noise that is added to training rows, each time anew.
    """

    train: Sides
    valid: Sides
    anchor: Anchor | None = None
    form: Form | None = None
    anchor_fits: bool = False
    noise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained critic of transformed rows.

    Attributes:
        critic: the calibrated critic.
        history: one dict an evaluation: step, objective on the batch ("train") and on the validation rows, in nats;
            after two steps also the signal-to-noise ratio and the noise scale of the gradient (`GradientMonitor`).
        kept_step: the step whose weights were kept; 0 where the network never helped.
        form: what the anchor assumes; None without an anchor.
        shortfall: of the anchor, in nats; 0 without an anchor.
        finite: whether all scores in training were finite.
        negatives: number of negatives to a positive in training.
        anchor_share: what the anchor alone has of the validation objective; 1 where the network never helped.
        score: the best objective on the validation rows, in nats.
        late_gain: by how much it rose in the last third of the steps that were kept, in nats.
    """

    critic: Calibrated
    history: list[dict[str, float]]
    kept_step: int
    form: Form | None
    shortfall: float
    finite: bool
    negatives: int
    anchor_share: float
    score: float
    late_gain: float


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
    ascent = Ascent(network.train(), len(members), steps, batch_size, learning_rate, weight_decay)
    worths = [WORTH / len(member.valid[0]) for member in members]
    runs = [_Run(worth, ascent.state(k)) for k, worth in enumerate(worths)]
    states: list[Any] = [None] * len(members)  # of objectives that have one
    short = min(patience, _SHORT, math.ceil(ascent.warm_up / _EVALUATE_EVERY))

    for step in range(steps + 1):
        scores = network(*next(batches))
        totals = scores.detach().flatten(1).sum(1)
        finite = torch.isfinite(totals).tolist()

        objectives = []
        for k, matrix in enumerate(scores):
            runs[k].finite &= finite[k]
            objective, states[k] = row.objective(*split(matrix), states[k])
            objectives.append(objective)

        if step % _EVALUATE_EVERY == 0 or step == steps:
            with ascent.averaged():
                for k, value in enumerate(validation()):
                    train = float(objectives[k].detach())
                    entry = {"step": step, "train": train, "validation": value} | ascent.noise(k)
                    settled = members[k].anchor_fits and runs[k].gain < _CHANCE * worths[k]
                    longest = short if settled else patience
                    runs[k].record(entry, lambda k=k: ascent.state(k), longest)

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
    whole, shortfall, alone = network, 0.0, 0.0
    if member.anchor is not None:
        # A network that still is the zero it started from need not be evaluated.
        x, y = member.valid
        silent = run.kept == 0 and not bool(network(x[:2], y[:2]).any())
        whole = Anchored(member.anchor, None if silent else network)
        shortfall = member.anchor.shortfall
        alone = run.history[0]["validation"] if run.history else 0.0

    return Fit(
        critic=calibrated(whole.eval(), member.valid),
        history=run.history,
        kept_step=run.kept,
        form=member.form,
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
    def gain(self) -> float:
        """By how much the objective has risen above that of the start, in nats."""
        return self.best - self.history[0]["validation"] if self.history else 0.0

    @property
    def late_gain(self) -> float:
        """By how much the objective rose in the last third of the steps that were kept."""
        before = 2 * self.kept / 3
        early = [entry["validation"] for entry in self.history if entry["step"] <= before]
        return self.best - max(early) if self.kept and early else 0.0

    def record(
        self,
        entry: dict[str, float],
        state: Callable[[], State],
        patience: int,
    ) -> None:
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
            x, y = groups_of(tuple(values[rows] for values in member.train), self.group)
            xs.append(self._noisy(x, member.noise))
            ys.append(self._noisy(y, member.noise))
            if member.anchor is not None and features is not None:
                sides = groups_of(tuple(values[rows] for values in features), self.group)
                scores.append(member.anchor.scores(*sides))

        anchors = torch.stack(scores) if scores else None
        return torch.stack(xs), torch.stack(ys), anchors

    def _noisy(self, rows: Tensor, noise: float) -> Tensor:
        if noise == 0:
            return rows
        return rows + noise * torch.randn(rows.shape, generator=self.generator).to(rows)


def _shuffled(rows: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers without end, each row once an epoch."""
    while True:
        order = torch.randperm(rows, generator=generator)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def _anchor_features(anchor: Anchor | None, rows: Sides) -> Sides | None:
    return None if anchor is None else anchor.features(*anchor.columns(*rows))


class _Validation:
    """The objective on each member's validation rows."""

    def __init__(
        self, row: Estimator, network: nn.Module, members: list[Member], *, small_groups: bool
    ) -> None:
        self.row, self.network = row, network
        rows = min(len(member.valid[0]) for member in members)
        group = _VALIDATION_GROUPS[0 if small_groups else 1]

        def grouped(side: int) -> Tensor:
            """Return the rows of a side, shape (members, groups, size, d)."""
            stacked = torch.stack([member.valid[side][:rows] for member in members])
            return groups_of((stacked.transpose(0, 1),), group)[0].movedim(2, 0)

        x, y = grouped(0), grouped(1)
        step = x.shape[1] if small_groups else 1

        self.blocks = []
        with torch.no_grad():
            for i in range(0, x.shape[1], step):
                block = x[:, i : i + step], y[:, i : i + step]
                self.blocks.append((*block, _anchor_scores(members, *block)))

    @torch.no_grad()
    def __call__(self) -> list[float]:
        """Return the objective of each member, in nats; −inf where a score is not finite."""
        self.network.eval()
        scores = torch.cat([self.network(*block) for block in self.blocks], 1)
        self.network.train()
        return [self._objective(matrix) for matrix in scores]

    def _objective(self, scores: Tensor) -> float:
        if not bool(torch.isfinite(scores).all()):
            return -math.inf
        value, _ = self.row.objective(*split(scores), None)
        return float(value)


def _anchor_scores(members: list[Member], x: Tensor, y: Tensor) -> Tensor | None:
    """Return the scores that the members' anchors give their rows; None without anchors."""
    scores = []
    for k, member in enumerate(members):
        if member.anchor is not None:
            columns = member.anchor.columns(x[k], y[k])
            scores.append(member.anchor(*columns))
    return torch.stack(scores) if scores else None
