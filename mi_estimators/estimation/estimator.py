"""`estimate_mi` and `MIEstimator`: train critics, and read each on rows it never saw.

The rows are cut into folds. For each fold a critic is trained on the other folds and read on this one. A part of the
other folds is set aside to decide when training stops. So each row is read once, by a critic that never saw it. (A fold
is read in equal groups of about 256 rows; a few rows at its end may be left over.)
"""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Literal, NamedTuple, Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..diagnostics.digits import have_limits
from ..diagnostics.hashes import codes_of
from .arguments import (
    AnchorName,
    Arguments,
    CriticLike,
    DiscreteSides,
    EffortName,
    OwnCritic,
    TransformName,
    check_arguments,
    refuse_unknown,
    shows_arguments_of,
)
from .beside import beside_critics
from .crossfit import Settings, fit_best_view
from .estimate import MIEstimate
from .folds import FEWEST, cut
from .grouping import Groups
from .inputs import (
    default_device_cpu,
    full_precision,
    torch_device,
)
from .pairs import Pairs, fit_pairs, one_of_each_group, paired_fresh_rows, read_pairs
from .params import Params
from .pointwise import held_out_sample, pair_scores
from .reading import read, value_of
from .saving import read_fit, write_fit
from .scoring import held_out_scores
from .sides import Side
from .table import ESTIMATORS, EstimatorName
from .tables import Rows
from .transforms import Transform
from .verdict import Others, combine
from .views import View, label_of, label_view, views_of

Maps = tuple[Transform, Transform]
"""The transforms of x and of y."""


class Effort(NamedTuple):
    """How long critics are trained: steps at most, and evaluations without a gain before training stops.

    A long run warms up for longer than a short one's patience lasts.
    """

    steps: int
    patience: int


EFFORTS: dict[EffortName, Effort] = {
    "fast": Effort(300, 5),
    "default": Effort(1000, 5),
    "thorough": Effort(4000, 20),
}
"""How long critics are trained, by effort."""

_BLOCK_PAIRS = 2**17  # scored at a time
_FLOW_STEPS = 1000  # at most; half of a critic's, where those are fewer
_PLENTY = 10_000  # rows, beyond which steps grow with √n


class MIEstimator(Params):
    """A cross-fitted estimator of mutual information, in nats.

    Rows must be independent draws, or come in independent `groups`. Otherwise repeated rows, and neighbours in time,
    leak between folds and look like information. The estimate depends only on the set of rows and the seed; the order
    of the rows serves only to warn of dependence.

    Args:
        estimator: one of `ESTIMATORS`.
        critic: one of `CRITICS`; or a function (columns of x, columns of y) → nn.Module that maps rows (n, dx) and (m,
            dy) to scores (n, m); or such a module; each fold trains a copy of it. A function or module of yours gets
            rows of more dimensions, such as pictures (n, channels, height, width), in their own shape and at one scale;
            the function gets the shape of a row in place of the number of columns. `Encoders` is such a function, made
            of encoders of your own.
        anchor: "copula" puts a closed-form log-ratio beside the critic: of a Gaussian or Student law of the columns or
            of their normal scores, or of linear additive noise of any law, whichever validation rows prefer; "none"
            does not. With it, and with the critic "gated", a side whose rows repeat is a label, which a
            classifier predicts in place of a critic.
        transform: transform of the columns before the critic: "rank" (normal scores), "standard" (mean 0, variance 1),
            "one_scale" (mean 0, all columns divided by one scale), "none"; or "both": normal scores beside robustly
            scaled values, and where validation rows prefer them, for wide rows their principal components, for 2 to 24
            columns that are not jointly normal the rows behind a flow that makes them so. A critic other than "gated"
            gets "rank" for "both".
        discrete: "x", "y" or "xy": each row of that side is a label, whatever its entries are. Strings and categories
            are labels anyway.
        folds: number of critics, ≥ 2; each is trained on the other folds.
        seed: fixes the folds, the initial critics and the batches, in [0, 2³²). The same rows, seed and machine give
            the same answer bit for bit. None draws a seed. The global random state does not change.
        effort: "fast", "default" or "thorough": the maximum number of optimiser steps where `steps` does not say it, of
            300, 1000 or 4000 up to 10 000 rows, and in proportion to √n beyond.
        steps: maximum number of optimiser steps; None leaves it to the effort. A classifier of a label takes twice as
            many, which cost less.
        batch_size: rows of a training batch; None leaves it to the critic.
        negatives: number of negatives per positive in training, at most batch_size − 1, or "all" other rows of the
            batch. None chooses by cost: all if n·m scores take n + m evaluations of a network, few
            (`Estimator.negatives`) if the critic scores each pair separately. A critic of your own is taken to score
            each pair separately unless its attribute `pairwise` is False. The estimate is always read from groups of
            about 256 rows.
        learning_rate, weight_decay: of AdamW; None leaves the rate to the critic.
        hidden: width of the critic's networks.
        patience: number of evaluations (one every 50 steps) without a gain before training stops; None leaves it to
            the effort: 20 if "thorough", otherwise 5.
        device: "auto" (a GPU if there is one), or a torch device.
        max_rows: number of rows that are read at most, drawn at random; None reads all. The others are only checked.
        progress: show a progress bar; None shows one after a few seconds in a terminal or a notebook.

    Attributes, after `fit`:
        estimate_: the `MIEstimate`.
        folds_: for each fold its transforms, its trained critic and the indices of its held-out rows.
        seed_: the seed that was used.

    >>> from mi_estimators import laws
    >>> law = laws.Gaussian(0.75)
    >>> x, y = law.sample(1000, torch.Generator().manual_seed(0))
    >>> estimator = MIEstimator(steps=100).fit(x, y)
    >>> low, high = estimator.estimate_.interval
    >>> low < law.mutual_information < high
    True
    >>> estimator.score_matrix(x[:5], y[:7]).shape
    torch.Size([5, 7])
    """

    estimator: EstimatorName
    critic: CriticLike
    effort: EffortName

    def __init__(
        self,
        estimator: EstimatorName = "js",
        *,
        critic: CriticLike = "gated",
        anchor: AnchorName = "copula",
        transform: TransformName = "both",
        discrete: DiscreteSides | None = None,
        folds: int = 3,
        seed: int | None = 0,
        effort: EffortName = "default",
        steps: int | None = None,
        batch_size: int | None = None,
        negatives: int | Literal["all"] | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 1e-2,
        hidden: int = 64,
        patience: int | None = None,
        device: str | torch.device = "auto",
        max_rows: int | None = 20_000,
        progress: bool | None = None,
    ) -> None:
        self.estimator, self.critic = estimator, critic
        self.anchor, self.transform, self.discrete = anchor, transform, discrete
        self.folds, self.seed = folds, seed
        self.effort, self.steps = effort, steps
        self.batch_size, self.negatives = batch_size, negatives
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.hidden, self.patience = hidden, patience
        self.device, self.max_rows, self.progress = device, max_rows, progress

    @torch.inference_mode(False)
    @torch.enable_grad()
    @default_device_cpu()
    def fit(self, x: Rows, y: Rows, groups: Groups = None) -> MIEstimator:
        """Train a critic for each fold, read it there, and return the estimator.

        Args:
            x, y: paired rows, shape (n,) or (n, d): arrays, tensors, lists, Series or tables of numbers, labels or
                dates; n ≥ 64.
            groups: one label for each row, shape (n,), equal for rows that may depend on one another, such as those of
                a subject or an episode; or the length of contiguous blocks. A group stays within one fold, and the
                standard error treats groups as independent. Use many small groups, because two rows of a group also
                serve as a negative pair.

        Raises:
            ValueError: rows that do not pair, fewer than 64 of them, entries that are missing or infinite, a side that
                does not vary, groups that do not fit or are too few, or an argument of the constructor out of its
                range. The message names the argument.
        """
        check_arguments(self.get_params())
        seed = self._seed()
        sides, pairs = fit_pairs(
            x, y, groups, discrete=self.discrete, seed=seed, max_rows=self.max_rows
        )

        return self._fit_pairs(sides, pairs, groups is not None, seed)

    def _seed(self) -> int:
        return secrets.randbits(32) if self.seed is None else int(self.seed)

    def _fit_pairs(
        self, sides: tuple[Side, Side], pairs: Pairs, grouped: bool, seed: int
    ) -> MIEstimator:
        """Fit rows that have been read. The folds depend on the labels and the seed alone."""
        device = torch_device(self.device)
        with full_precision(device):
            folds, estimate = self._cross_fit(sides, pairs, grouped, seed, device)
            estimate = replace(estimate, scores=held_out_sample(folds, pairs, device))

        # All at once, so that a fit that fails leaves the last one whole.
        self.sides_, self.folds_, self.estimate_, self.seed_ = sides, folds, estimate, seed
        return self

    def _cross_fit(
        self,
        sides: tuple[Side, Side],
        pairs: Pairs,
        grouped: bool,
        seed: int,
        device: torch.device,
    ) -> tuple[list[tuple[Maps, nn.Module, Tensor]], MIEstimate]:
        """Train and read a critic a fold; return each fold's transforms, critic and rows, and the estimate."""
        row = ESTIMATORS[self.estimator]
        generator = torch.Generator().manual_seed(seed)
        folds = cut(pairs.labels, self.folds, generator)

        codes = [codes_of(side) for side in (pairs.x, pairs.y)]
        label = self._label(codes, pairs)

        # The last critic learns from half the rows of the first, and tells what the other half gave.
        settings = self._settings(len(pairs.x))
        views = self._views(sides, pairs, label, settings.steps)
        view, rows, fits = fit_best_view(
            settings,
            views,
            pairs,
            [*folds, folds[0].halved()],
            label=label,
            generator=generator,
            device=device,
            progress=self.progress,
        )

        readings = []
        for fold, own, fit in zip(folds, rows, fits, strict=False):
            held = held_out_scores(fit.critic, *own.test)
            seen = held_out_scores(fit.critic, *(side[: len(fold.test)] for side in own.train))
            clusters = pairs.labels[fold.test] if grouped else None
            readings.append(read(row, held, seen, clusters))
        poorer = value_of(row, held_out_scores(fits[-1].critic, *rows[-1].test))

        nearest, counts = beside_critics(sides, pairs, codes, label, grouped)
        forms = {fit.form for fit in fits[:-1] if fit.form is not None}
        others = Others(
            columns=(pairs.x.shape[1], pairs.y.shape[1]),
            learned=readings[0].value - poorer,
            misfit=view.misfit(*one_of_each_group(pairs), forms),
            flows=sum(flow is not None for flow in view.flows),
            nearest=nearest,
            counts=counts,
        )
        estimate = combine(row, readings, fits[:-1], others, sample=pairs.sample)

        fitted: list[tuple[Maps, nn.Module, Tensor]] = [
            (own.maps, fit.critic, pairs.order[fold.test])
            for own, fit, fold in zip(rows, fits, folds, strict=False)
        ]
        return fitted, estimate

    def _label(self, codes: list[Tensor], pairs: Pairs) -> int | None:
        """Return which side is a label to the default critics: 0 is x, 1 is y."""
        if self.critic != "gated" or self.anchor != "copula" or pairs.sample.copies:
            return None
        label = label_of(codes, pairs.labels)
        if label is not None and have_limits((pairs.x, pairs.y)[label]):
            return None
        return label

    def _views(
        self,
        sides: tuple[Side, Side],
        pairs: Pairs,
        label: int | None,
        steps: int,
    ) -> list[View]:
        if label is not None:
            return [label_view(pairs.x, pairs.y, label)]

        own = not isinstance(self.critic, str)
        in_x, in_y = (side if own and len(side.shape) > 1 else None for side in sides)
        return views_of(
            pairs.x,
            pairs.y,
            self.transform,
            anchored=self.anchor == "copula",
            several=self.critic == "gated",
            shaped=(in_x, in_y),
            flow_steps=min(_FLOW_STEPS, max(1, steps // 2)),
        )

    def _settings(self, rows: int) -> Settings:
        growth = max(1.0, math.sqrt(rows / _PLENTY))
        effort = EFFORTS[self.effort]
        return Settings(
            row=ESTIMATORS[self.estimator],
            critic=self.critic,
            hidden=self.hidden,
            steps=int(self.steps or round(effort.steps * growth)),
            batch_size=self.batch_size and int(self.batch_size),
            negatives=self.negatives,
            learning_rate=self.learning_rate and float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            patience=self.patience or effort.patience,
        )

    @torch.inference_mode(False)
    @default_device_cpu()
    def estimate(self, x: Rows = None, y: Rows = None, groups: Groups = None) -> MIEstimate:
        """Return the cross-fitted estimate, or the fitted critics' mean reading of fresh rows.

        Fresh rows should be of the law that the critics were fitted on. Of another law the reading is a lower end. The
        verdict is `drift` where the scores are off by a factor there, and `disagreement` where nearest neighbours read
        much more. Neither sees what the critics have never seen in many columns.

        Args:
            x, y: fresh paired rows with the same columns as in `fit`; None for the cross-fitted estimate.
            groups: labels of fresh rows that depend on one another, as for `fit`.

        Raises:
            ValueError: not fitted yet, or rows that do not fit.
        """
        self._fitted()
        if x is None and y is None:
            return self.estimate_

        pairs = read_pairs(self.sides_, x, y, groups, self.seed_, self.max_rows)
        if len(pairs.x) < FEWEST:
            raise ValueError(f"x: expected at least {FEWEST} fresh rows, got {len(pairs.x)}")

        grouped = groups is not None
        codes = [codes_of(side) for side in (pairs.x, pairs.y)]
        nearest, _ = beside_critics(self.sides_, pairs, codes, self._label(codes, pairs), grouped)

        row, device = self.estimate_.estimator, torch_device(self.device)
        x, y = pairs.x.to(device), pairs.y.to(device)
        clusters = pairs.labels if grouped else None
        parts = pairs.order.tensor_split(len(self.folds_))
        readings, folds = [], []
        with full_precision(device):
            for (maps, critic, _), part in zip(self.folds_, parts, strict=True):
                map_x, map_y = maps
                scores = held_out_scores(critic, map_x(x), map_y(y))
                readings.append(read(row, scores, clusters=clusters))
                folds.append((maps, critic, part))
            scores = held_out_sample(folds, pairs, device)

        fitted = self.estimate_.diagnostics
        estimate = combine(row, readings, [], fitted=fitted, nearest=nearest, sample=pairs.sample)
        return replace(estimate, scores=scores)

    @torch.no_grad()
    @default_device_cpu()
    def score_matrix(self, x: Rows, y: Rows) -> Float[Tensor, "n m"]:
        """Return the critics' scores T(x_i, y_j) ≈ ln dP/dQ, averaged over folds, shape (n, m), in nats, on the CPU.

        Args:
            x, y: rows with the same columns as in `fit`; they need not pair. Most critics have seen the rows of `fit`.

        Raises:
            ValueError: not fitted yet, or columns that do not fit.
        """
        self._fitted()
        side_x, side_y = self.sides_
        rows_x, rows_y = side_x.read(x), side_y.read(y)
        device = torch_device(self.device)

        scores = torch.zeros(len(rows_x), len(rows_y))
        block = max(1, _BLOCK_PAIRS // len(rows_y))
        with full_precision(device):
            for (map_x, map_y), critic, _ in self.folds_:
                columns = map_y(rows_y.to(device))
                for i in range(0, len(rows_x), block):
                    part = map_x(rows_x[i : i + block].to(device))
                    matrix = critic(part, columns).cpu()
                    scores[i : i + block] += matrix / len(self.folds_)

        return scores

    @torch.no_grad()
    @default_device_cpu()
    def pointwise(self, x: Rows, y: Rows) -> Float[Tensor, " n"]:
        """Return the scores T(x_i, y_i) ≈ ln dP/dQ of paired rows, averaged over folds, shape (n,), in nats.

        It is the diagonal of `score_matrix`, in O(n) memory and time, on the CPU.

        Args:
            x, y: paired rows with the same columns as in `fit`. Most critics have seen the rows of `fit`.

        Raises:
            ValueError: not fitted yet, columns that do not fit, or rows that do not pair.
        """
        self._fitted()
        rows_x, rows_y = paired_fresh_rows(self.sides_, x, y)
        device = torch_device(self.device)

        scores = torch.zeros(len(rows_x))
        with full_precision(device):
            for maps, critic, _ in self.folds_:
                scores += pair_scores(critic, maps, rows_x, rows_y, device) / len(self.folds_)

        return scores

    def score(self, x: Rows, y: Rows) -> float:
        """Return the fitted critics' mean reading of fresh rows, in nats: what scikit-learn's searches compare.

        Args:
            x, y: fresh paired rows, as for `estimate`.

        Raises:
            ValueError: not fitted yet, or rows that do not fit.
        """
        return self.estimate(x, y).nats

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted estimator to a file, without pickle; the file is whole or absent.

        It holds all that `estimate`, `score_matrix` and `pointwise` need. `load` reads it.

        Args:
            path: of the file, in numpy's npz format whatever its name.

        Raises:
            ValueError: not fitted yet.
        """
        self._fitted()
        write_fit(Path(path), self.get_params(), vars(self))

    @classmethod
    @default_device_cpu()
    def load(
        cls,
        path: str | PathLike[str],
        critic: OwnCritic | None = None,
        *,
        device: str | torch.device | None = None,
    ) -> MIEstimator:
        """Read a fitted estimator from a file; it answers as the one that was saved, bit for bit on the same machine.

        Args:
            path: the file that `save` wrote.
            critic: the function or module that the estimator was made with, if its critic was not one of `CRITICS`.
            device: where the critics go; None means the device that was saved.

        Raises:
            ValueError: another file, a critic that is missing or differs from the one saved, or no such device.
            OSError: no such file.
        """
        params, fitted = read_fit(Path(path), critic, device)
        estimator = cls(**params)
        vars(estimator).update(fitted)
        return estimator

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the settings, and the report once it is fitted."""
        report = self.estimate_.to_html() if self.__sklearn_is_fitted__() else ""
        return super()._repr_html_() + report

    def _fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise ValueError("MIEstimator: expected a fitted estimator, got one before fit(x, y)")


@shows_arguments_of(MIEstimator)
def estimate_mi(
    x: Rows,
    y: Rows,
    estimator: EstimatorName = "js",
    *,
    groups: Groups = None,
    **settings: Unpack[Arguments],
) -> MIEstimate:
    """Estimate I(X; Y) in nats from paired rows with cross-fitted critics, an interval and a verdict.

    Args:
        x, y: paired rows, as for `MIEstimator.fit`.
        estimator: one of `ESTIMATORS`.
        groups: labels of rows that depend on one another, as for `MIEstimator.fit`.
        settings: any other argument of `MIEstimator`, such as seed, critic, folds or device.

    Returns:
        An `MIEstimate`; print it for the report.

    Raises:
        ValueError: as for `MIEstimator.fit`.

    Reference: Belghazi et al. 2018; Song & Ermon 2020; cross-fitting: Chernozhukov et al. 2018.

    >>> from mi_estimators import laws
    >>> law = laws.Gaussian(0.75)
    >>> x, y = law.sample(1000, torch.Generator().manual_seed(0))
    >>> low, high = estimate_mi(x, y, steps=100).interval
    >>> low < law.mutual_information < high
    True
    """
    refuse_unknown("estimate_mi", settings)
    return MIEstimator(estimator, **settings).fit(x, y, groups).estimate_
