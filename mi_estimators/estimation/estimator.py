"""`estimate_mi` and `MIEstimator`: train critics, and read each on rows it never saw.

The rows are cut into folds. For each fold a critic is trained on the other folds and read on this one. A part of the
other folds is set aside to decide when training stops. So each row is read once, by a critic that never saw it. (A fold
is read in equal groups of about 256 rows; a few rows at its end may be left over.)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import _validate
from .critics import CRITICS, make_critic
from .estimate import MIEstimate
from .grouping import Groups, rows_of_groups
from .inputs import (
    default_device_cpu,
    full_precision,
    progress_bar,
    seeded_random_state,
    torch_device,
)
from .misfit import copula_misfit
from .neighbours import cheap_neighbours, normal_scores
from .pairs import Pairs, fit_pairs, read_pairs
from .params import Params
from .sides import Rows
from .table import ESTIMATORS
from .training import Fit, fit_critic, held_out_scores
from .transforms import TRANSFORMS, Identity, Rank, Standard
from .verdict import combine, read, value_of

Maps = list[Identity | Standard | Rank]
"""The transforms of x and of y."""

_BLOCK_PAIRS = 2**17  # scored at a time
_FEWEST = 6  # rows of a fold: 30 pairs, so that a tail has a shape
_VALIDATION_SHARE = 0.2  # of the rows outside the fold


class MIEstimator(Params):
    """A cross-fitted estimator of mutual information, in nats.

    Rows must be independent draws, or come in independent `groups`. Otherwise repeated rows, and neighbours in time,
    leak between folds and look like information. The estimate depends only on the set of rows and the seed; the order
    of the rows serves only to warn of dependence.

    Args:
        estimator: one of `ESTIMATORS`.
        critic: one of `CRITICS`; or a function (columns of x, columns of y) → nn.Module that maps rows (n, dx) and (m,
            dy) to scores (n, m); or such a module; each fold trains a copy of it.
        anchor: "copula" adds the closed-form log-ratio of a fitted Gaussian or Student copula to the critic; "none"
            does not.
        transform: transform of the columns before the critic: "rank" (normal scores), "standard" (mean 0, variance 1)
            or "none".
        discrete: "x", "y" or "xy": each row of that side is a label, whatever its entries are. Strings and categories
            are labels anyway.
        folds: number of critics, ≥ 2; each is trained on the other folds.
        seed: fixes the folds, the initial critics and the batches, in [0, 2³²). The same rows, seed and machine give
            the same answer bit for bit. None draws a seed. The global random state does not change.
        steps: maximum number of optimiser steps a fold.
        batch_size: rows of a training batch.
        negatives: number of negatives per positive in training, at most batch_size − 1, or "all" other rows of the
            batch. None chooses by cost: all if n·m scores take n + m evaluations of a network, few
            (`Estimator.negatives`) if the critic scores each pair separately. A critic of your own is taken to score
            each pair separately unless its attribute `pairwise` is False. The estimate is always read from groups of
            about 256 rows.
        learning_rate, weight_decay: of AdamW.
        hidden: width of the critic's networks.
        patience: number of evaluations (one every 50 steps) without a gain before training stops.
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

    def __init__(
        self,
        estimator: str = "js",
        *,
        critic: str | nn.Module | Callable[[int, int], nn.Module] = "encoded",
        anchor: str = "copula",
        transform: str = "rank",
        discrete: str | None = None,
        folds: int = 3,
        seed: int | None = 0,
        steps: int = 800,
        batch_size: int = 256,
        negatives: int | str | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        hidden: int = 64,
        patience: int = 3,
        device: str | torch.device = "auto",
        max_rows: int | None = 20_000,
        progress: bool | None = None,
    ) -> None:
        self.estimator, self.critic = estimator, critic
        self.anchor, self.transform, self.discrete = anchor, transform, discrete
        self.folds, self.seed = folds, seed
        self.steps, self.batch_size, self.negatives = steps, batch_size, negatives
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
        self._check()
        seed = secrets.randbits(32) if self.seed is None else int(self.seed)
        device = torch_device(self.device)
        sides, pairs = fit_pairs(
            x, y, groups, discrete=self.discrete, seed=seed, max_rows=self.max_rows
        )

        count = int(pairs.labels.max()) + 1
        if count // self.folds < _FEWEST:
            kind = "rows" if groups is None else "groups"
            raise ValueError(
                f"folds: expected at least {_FEWEST} {kind} a fold, got {count} in {self.folds} folds"
            )

        with full_precision(device):
            folds, estimate = self._cross_fit(pairs, groups is not None, seed, device)

        # All at once, so that a fit that fails leaves the last one whole.
        self.sides_, self.folds_, self.estimate_, self.seed_ = sides, folds, estimate, seed
        return self

    def _cross_fit(
        self, pairs: Pairs, grouped: bool, seed: int, device: torch.device
    ) -> tuple[list[tuple[Maps, nn.Module, Tensor]], MIEstimate]:
        """Train and read a critic a fold; return each fold's transforms, critic and rows, and the estimate."""
        row = ESTIMATORS[self.estimator]
        x, y, labels = pairs.x, pairs.y, pairs.labels
        generator = torch.Generator().manual_seed(seed)
        parts = torch.randperm(int(labels.max()) + 1, generator=generator).tensor_split(self.folds)

        folds, readings, fits, learned = [], [], [], None
        with progress_bar(self.progress, self.folds * self.steps) as bar:
            for k, part in enumerate(parts):
                others = torch.cat([*parts[:k], *parts[k + 1 :]])
                others = others[torch.randperm(len(others), generator=generator)]
                few, most = others.tensor_split([round(_VALIDATION_SHARE * len(others))])
                train, valid, test = (rows_of_groups(labels, p) for p in (most, few, part))
                if min(len(train), len(valid)) < _FEWEST:
                    raise ValueError(
                        f"groups: expected at least {_FEWEST} rows to train on and {_FEWEST} to validate on in a fold,"
                        f" got {len(train)} and {len(valid)}"
                    )
                maps = [TRANSFORMS[self.transform](values[train].to(device)) for values in (x, y)]

                def mapped(index: Tensor, maps: Maps = maps) -> tuple[Tensor, Tensor]:
                    return maps[0](x[index].to(device)), maps[1](y[index].to(device))

                trained, selected = mapped(train), mapped(valid)
                advance, end = (int, 0) if bar is None else (bar.update, bar.n + self.steps)
                fit = self._train(trained, selected, generator, advance)
                if bar is not None:
                    bar.update(end - bar.n)

                held = held_out_scores(fit.critic, *mapped(test))
                seen = held_out_scores(fit.critic, *(values[: len(test)] for values in trained))
                clusters = labels[test] if grouped else None
                folds.append((maps, fit.critic, pairs.order[test]))
                fits.append(fit)
                readings.append(read(row, held, seen, clusters))

                if learned is None and (fit.kept_step > 0 or fit.folded):
                    half = mapped(rows_of_groups(labels, most[: len(most) // 2]))
                    poorer = self._train(half, selected, generator).critic
                    value = value_of(row, held_out_scores(poorer, *mapped(test)))
                    learned = readings[-1].value - value

        estimate = combine(
            row,
            readings,
            fits,
            learned=learned or 0.0,
            ksg=None if grouped else cheap_neighbours(x, y),
            sample=pairs.sample,
            misfit=_misfit(x, y, fits),
        )
        return folds, estimate

    @torch.inference_mode(False)
    @default_device_cpu()
    def estimate(self, x: Rows = None, y: Rows = None) -> MIEstimate:
        """Return the cross-fitted estimate, or the fitted critics' mean reading of fresh rows.

        Args:
            x, y: fresh paired rows with the same columns as in `fit`; None for the cross-fitted estimate.

        Raises:
            ValueError: not fitted yet, or rows that do not fit.
        """
        self._fitted()
        if x is None and y is None:
            return self.estimate_
        pairs = read_pairs(self.sides_, x, y, self.seed_, self.max_rows)
        if len(pairs.x) < _FEWEST:
            raise ValueError(f"x: expected at least {_FEWEST} fresh rows, got {len(pairs.x)}")

        row, device = self.estimate_.estimator, torch_device(self.device)
        rows = pairs.x.to(device), pairs.y.to(device)
        with full_precision(device):
            readings = [
                read(row, held_out_scores(critic, *(m(r) for m, r in zip(maps, rows, strict=True))))
                for maps, critic, _ in self.folds_
            ]
        return combine(row, readings, [], fitted=self.estimate_.diagnostics, sample=pairs.sample)

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
        rows_x, rows_y = (side.read(value) for side, value in zip(self.sides_, (x, y), strict=True))
        device = torch_device(self.device)

        scores = torch.zeros(len(rows_x), len(rows_y))
        block = max(1, _BLOCK_PAIRS // len(rows_y))
        with full_precision(device):
            for (map_x, map_y), critic, _ in self.folds_:
                columns = map_y(rows_y.to(device))
                for i in range(0, len(rows_x), block):
                    part = map_x(rows_x[i : i + block].to(device))
                    scores[i : i + block] += critic(part, columns).cpu() / len(self.folds_)
        return scores

    def _fitted(self) -> None:
        if not hasattr(self, "estimate_"):
            raise ValueError("MIEstimator: expected a fitted estimator, got one before fit(x, y)")

    def _check(self) -> None:
        _validate.choice("estimator", self.estimator, ESTIMATORS)
        _validate.choice("anchor", self.anchor, ("copula", "none"))
        _validate.choice("transform", self.transform, TRANSFORMS)
        _validate.count("folds", self.folds, low=2, high=20)
        if self.seed is not None:
            _validate.count("seed", self.seed, low=0, high=2**32 - 1)
        if self.discrete is not None:
            _validate.choice("discrete", self.discrete, ("x", "y", "xy"))
        _validate.count("batch_size", self.batch_size, low=2)
        if self.max_rows is not None:
            _validate.count("max_rows", self.max_rows, low=64)
        if self.negatives not in (None, "all"):
            _validate.count('negatives (or "all")', cast(int, self.negatives))
        for name in ("steps", "hidden", "patience"):
            _validate.count(name, getattr(self, name))
        _validate.number("learning_rate", self.learning_rate, low=0)
        _validate.number("weight_decay", self.weight_decay, low=0, closed="[")
        if isinstance(self.critic, str):
            _validate.choice("critic", self.critic, CRITICS)
        elif not callable(self.critic):
            raise ValueError(
                f"critic: expected a name, a module or a function, got {type(self.critic).__name__}"
            )

    def _train(
        self,
        train: tuple[Tensor, Tensor],
        valid: tuple[Tensor, Tensor],
        generator: torch.Generator,
        advance: Callable[[int], object] = int,
    ) -> Fit:
        seed = int(torch.randint(2**31, (), generator=generator))
        with seeded_random_state(train[0].device, seed):
            network, pairwise = make_critic(self.critic, train, self.hidden)
            if not isinstance(self.critic, str):  # it may draw while it trains, as dropout does
                return self._ascend(network, pairwise, train, valid, generator, advance)
        return self._ascend(network, pairwise, train, valid, generator, advance)

    def _ascend(
        self,
        network: nn.Module,
        pairwise: bool,
        train: tuple[Tensor, Tensor],
        valid: tuple[Tensor, Tensor],
        generator: torch.Generator,
        advance: Callable[[int], object],
    ) -> Fit:
        row = ESTIMATORS[self.estimator]
        return fit_critic(
            row,
            network,
            train,
            valid,
            anchored=self.anchor == "copula",
            steps=self.steps,
            batch_size=self.batch_size,
            negatives=self.negatives or (row.negatives if pairwise else "all"),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            generator=generator,
            advance=advance,
        )


def _misfit(x: Tensor, y: Tensor, fits: list[Fit]) -> float:
    """Return the misfit of the copula that the folds' anchors are: the least where they are several; 0 without one."""
    copulas = {fit.degrees_of_freedom for fit in fits} - {None}
    if not copulas:
        return 0.0
    scores = normal_scores(x), normal_scores(y)
    return min(copula_misfit(*scores, cast(float, nu)) for nu in copulas)


def estimate_mi(
    x: Rows,
    y: Rows,
    estimator: str = "js",
    *,
    groups: Groups = None,
    **params: Any,
) -> MIEstimate:
    """Estimate I(X; Y) in nats from paired rows with cross-fitted critics, an interval and a verdict.

    Args:
        x, y: paired rows, as for `MIEstimator.fit`.
        estimator: one of `ESTIMATORS`.
        groups: labels of rows that depend on one another, as for `MIEstimator.fit`.
        params: any other argument of `MIEstimator`, such as seed, critic, folds or device.

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
    names = MIEstimator.names()
    for name in params:
        if name not in names:
            raise TypeError(
                f"estimate_mi() got an unexpected keyword argument {name!r}; expected {', '.join(names)}"
            )
    return MIEstimator(estimator, **params).fit(x, y, groups).estimate_
