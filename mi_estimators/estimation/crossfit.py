"""Cross-fitting: train a critic a fold on the other folds, and choose the view of the rows that does best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .anchors import best_anchor
from .arguments import CriticLike
from .critics import Calibrated
from .experts.classifier import fit_classifier
from .folds import Fold
from .forms import Place
from .inputs import progress_bar, seeded_random_state
from .making import make_critics
from .pairs import Pairs
from .scoring import Sides
from .table import Estimator
from .training import Fit, Member, fit_critics
from .transforms import Transform, columns_aside, margins_aside
from .views import View

_FITS = 3.0  # standard errors that rows contradict an anchor at most
_CLASSIFIER_STEPS = 2  # to a step of a critic, which costs ten times as much


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How critics are made and trained; None leaves a choice to the critic's architecture.

    Attributes:
        row: the estimator.
        critic: as `MIEstimator` takes it.
        hidden, steps, batch_size, negatives, learning_rate, weight_decay, patience: as `MIEstimator` takes them.
    """

    row: Estimator
    critic: CriticLike
    hidden: int
    steps: int
    batch_size: int | None
    negatives: int | str | None
    learning_rate: float | None
    weight_decay: float
    patience: int


@dataclass(frozen=True)
class Shown:
    """A fold in a view: the transforms, and the rows that its critic is trained, selected and read on."""

    maps: tuple[Transform, Transform]
    train: Sides
    valid: Sides
    test: Sides


def shown(pairs: Pairs, fold: Fold, view: View, device: torch.device) -> Shown:
    """Fit a view's transforms on the training rows of a fold, and transform its rows."""
    sides = [side.to(device) for side in (pairs.x, pairs.y)]
    maps = view.maps(*(side[fold.train] for side in sides))

    def transformed(rows: Tensor) -> Sides:
        x, y = (transform(side[rows]) for transform, side in zip(maps, sides, strict=True))
        return x, y

    return Shown(
        maps,
        train=transformed(fold.train),
        valid=transformed(fold.valid),
        test=transformed(fold.test),
    )


def fit_best_view(
    settings: Settings,
    views: list[View],
    pairs: Pairs,
    folds: list[Fold],
    *,
    label: int | None,
    generator: torch.Generator,
    device: torch.device,
    progress: bool | None,
) -> tuple[View, list[Shown], list[Fit]]:
    """Choose the view that does best on the first fold, and fit a critic for each fold in it.

    Args:
        settings: how.
        views: what the critics may be shown.
        pairs: all rows.
        folds: which of them each critic is trained, selected and read on.
        label: the side that is a label, 0 for x, where a classifier is wanted; else None.
        generator: draws initial weights and batches.
        device: where the critics are.
        progress: as `MIEstimator` takes it.

    Returns:
        That view, the rows of each fold in it, and the fits.
    """
    columns = pairs.x.shape[1], pairs.y.shape[1]
    tries = len(views) if len(views) > 1 else 0
    with progress_bar(progress, (tries + 1) * settings.steps) as bar:

        def fits_of(view: View, folds: list[Fold]) -> tuple[list[Shown], list[Fit]]:
            rows = [shown(pairs, fold, view, device) for fold in folds]
            advance = int if bar is None else bar.update
            return rows, fit_folds(settings, view, rows, columns, label, generator, advance)

        def score(view: View) -> float:
            _, (fit,) = fits_of(view, folds[:1])
            return fit.score - view.handicap

        view = max(views, key=score) if tries else views[0]
        rows, fits = fits_of(view, folds)
        if bar is not None:  # training may have stopped early
            bar.update(bar.total - bar.n)

    return view, rows, fits


def fit_folds(
    settings: Settings,
    view: View,
    folds: list[Shown],
    columns: tuple[int, int],
    label: int | None,
    generator: torch.Generator,
    advance: Callable[[int], object] = int,
) -> list[Fit]:
    """Fit a critic for each fold.

    Args:
        settings: how.
        view: what the critics are shown.
        folds: the rows.
        columns: number of columns of x and of y before any others that stand beside them.
        label: the side that is a label, 0 for x, where a classifier is wanted; else None.
        generator: draws initial weights and batches.
        advance: called with the number of steps taken since the last call.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    with seeded_random_state(folds[0].train[0].device, seed):
        if label is not None:
            return _fit_labels(folds, label, settings.steps, advance)

        members = [_member(fold, view, columns) for fold in folds]
        x_aside, y_aside = map(columns_aside, folds[0].maps)
        fit = _trainer(settings, members, (x_aside, y_aside), generator, advance)
        if not isinstance(settings.critic, str):  # it may draw while it trains, as dropout does
            return fit()

    return fit()


def _trainer(
    settings: Settings,
    members: list[Member],
    aside: tuple[int, int],
    generator: torch.Generator,
    advance: Callable[[int], object],
) -> Callable[[], list[Fit]]:
    """Make the critics, and return what trains them."""
    train = [member.train for member in members]
    network, architecture = make_critics(settings.critic, train, settings.hidden, aside)
    few = settings.row.negatives if architecture.pairwise else "all"

    def fit() -> list[Fit]:
        return fit_critics(
            settings.row,
            network,
            members,
            steps=settings.steps,
            batch_size=settings.batch_size or architecture.batch_size,
            negatives=settings.negatives or few,
            learning_rate=settings.learning_rate or architecture.learning_rate,
            weight_decay=settings.weight_decay,
            patience=settings.patience,
            generator=generator,
            advance=advance,
        )

    return fit


def _member(fold: Shown, view: View, columns: tuple[int, int]) -> Member:
    """Return what a critic is trained on."""
    anchor, form, fits = None, None, False
    if view.anchored:
        anchor, form = best_anchor(fold.train, fold.valid, _places(fold, columns))
        if form.noise is None and anchor.shortfall > 0:  # it is not zero
            fits = form.misfit(*anchor.columns(*fold.train)) < _FITS

    return Member(
        train=fold.train,
        valid=fold.valid,
        anchor=anchor,
        form=form,
        anchor_fits=fits,
        noise=view.noise,
    )


def _places(fold: Shown, columns: tuple[int, int]) -> list[Place]:
    """Return where anchors may read: the first columns, and the blocks that transforms set aside for them."""
    places = [Place(starts=(0, 0), columns=columns, margin="rank")]
    margins, others = (margins_aside(transform) for transform in fold.maps)
    if margins != others:  # one side is shown by its components
        return places

    (x, y), (dx, dy) = fold.train, columns
    for number, margin in enumerate(reversed(margins), 1):
        starts = x.shape[1] - number * dx, y.shape[1] - number * dy
        places.append(Place(starts=starts, columns=columns, margin=margin))

    return places


def _fit_labels(
    folds: list[Shown],
    label: int,
    steps: int,
    advance: Callable[[int], object],
) -> list[Fit]:
    fits = []
    for number, fold in enumerate(folds):
        fits.append(_fit_label(fold, label, _CLASSIFIER_STEPS * steps))
        advance((number + 1) * steps // len(folds) - number * steps // len(folds))
    return fits


def _fit_label(fold: Shown, label: int, steps: int) -> Fit:
    """Fit a classifier of the label's side, and describe it as any other critic."""
    critic, history = fit_classifier(fold.train, fold.valid, label, steps)
    best = max(history, key=lambda entry: entry["validation"])
    return Fit(
        critic=Calibrated(critic.eval(), 1.0, math.inf),
        history=history,
        kept_step=int(best["step"]),
        form=None,
        shortfall=0.0,
        finite=True,
        negatives=0,
        anchor_share=0.0,
        score=best["validation"],
        late_gain=0.0,
    )
