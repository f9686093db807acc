"""Dependence between rows, detected from their order: dependent rows carry less information than their number says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .hashes import codes_of

_LAGS = 0.25  # of the rows: longer lags have too few pairs
_NOISE = 5.0  # standard errors of a white series that an autocorrelation must exceed
_HEARD = 0.6  # of that: a smaller autocorrelation counts as zero
_INFLATION = 1.2  # of the variance: below it an interval is right to a tenth
_COLUMNS = 64  # whose autocorrelations are computed at all lags
_CHANCES = 50  # pairs at a given lag that two rare labels must be expected to form by chance
_STRETCH = 20  # rows, within which rows in order have a trend of the second degree
_LONG = 8  # rows of equal value, on average, that are a stretch themselves
_LOCAL = 10  # lags within a stretch
_TREND = 1e-4  # of the variance: what is left of a smooth curve without noise


@dataclass(frozen=True)
class RowDependence:
    """What the order of the rows shows.

    Attributes:
        inflation: factor by which dependence raises the variance of a mean over pairs (x, y): 1 + 2 Σ ρ_x(k) ρ_y(k)
            over lags k (Bartlett 1935), the largest over all pairs of columns; 1 for independent rows.
        lag_x, lag_y: the largest autocorrelation at lag 1 of a column of x, and of y.
        dependent: whether the autocorrelations of both sides exceed noise, and the inflation is large enough to matter.
        sorted_by: "x" or "y" if the rows are sorted by one of its columns, or lie in blocks of equal labels; else "".
            Sorting is not dependence: the columns in order say nothing of it, and the others only within a stretch
            of rows, in which what follows the order smoothly is taken off.
    """

    inflation: float
    lag_x: float
    lag_y: float
    dependent: bool
    sorted_by: str


def row_dependence(
    x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"], share: float = 1.0
) -> RowDependence:
    """Test whether neighbouring rows depend on one another, by the autocorrelations of ranks and of their magnitudes.

    Args:
        x, y: paired rows in their original order, shapes (n, dx) and (n, dy).
        share: share of the rows, drawn at random, whose dependence is in question: with fewer rows the next one is
            further away.

    Returns:
        A `RowDependence`.

    Reference: Bartlett 1935, J. R. Stat. Soc. 98: the variance of a correlation between two autocorrelated series.

    >>> generator = torch.Generator().manual_seed(0)
    >>> steps = torch.randn(500, 2, generator=generator, dtype=torch.float64)
    >>> walks = steps.cumsum(0)
    >>> row_dependence(steps[:, :1], steps[:, 1:]).dependent
    False
    >>> row_dependence(walks[:, :1], walks[:, 1:]).dependent
    True
    """
    ordered = [_in_order(rows) for rows in (x, y)]
    keys = {
        name: rows[:, own]
        for name, rows, own in zip("xy", (x, y), ordered, strict=True)
        if bool(own.any())
    }
    sorting = next(iter(keys), "")
    if sorting:
        key = keys[sorting]
        sides = [_beside(rows[:, ~own], key) for rows, own in zip((x, y), ordered, strict=True)]
    else:
        sides = [_autocorrelations(_most_persistent(rows)) for rows in (x, y)]

    lags_x, lags_y = (side[1:] for side in sides)
    noise = _NOISE / math.sqrt(len(x))
    # Where x and y are nearly equal, so are their noises, and a quarter of the lags would add up to an inflation.
    heard_x, heard_y = (lags.where(lags.abs() > _HEARD * noise, 0) for lags in (lags_x, lags_y))
    inflation = 1 + 2 * share * float((heard_x.T @ heard_y).max())

    lag_x, lag_y = (float(lags[0].max()) for lags in (lags_x, lags_y))
    beyond = all(float(lags.max()) > noise for lags in (lags_x, lags_y))
    all_in_order = all(bool(own.all()) for own in ordered)  # no column is left to test

    dependent = beyond and inflation > _INFLATION and not all_in_order
    return RowDependence(inflation, lag_x, lag_y, dependent, sorting)


def _most_persistent(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n few"]:
    """Return the columns that persist most from row to row: above the median, or far from it.

    Ranks and their autocorrelations at all lags cost too much in thousands of columns.
    """
    if rows.shape[1] <= _COLUMNS:
        return rows

    apart = rows.T.contiguous()
    apart = apart - apart.median(1, keepdim=True).values
    size = apart.abs()
    persistence = torch.maximum(
        _persistence(apart > 0), _persistence(size > size.median(1, keepdim=True).values)
    )

    return rows[:, persistence.topk(_COLUMNS).indices]


def _persistence(above: Bool[Tensor, "d n"]) -> Float[Tensor, " d"]:
    """Return the size of the lag-1 autocorrelation of indicators."""
    series = above.float()
    series = series - series.mean(1, keepdim=True)
    size = series.square().sum(1)
    products = torch.linalg.vecdot(series[:, 1:], series[:, :-1])
    return products.abs() / size.where(size > 0, torch.inf)


def _autocorrelations(rows: Float[Tensor, "n d"]) -> Float[Tensor, "lags columns"]:
    """Return the autocorrelations of each column's ranks, and of their distances from the middle, from lag 0 on."""
    series = _ranks(rows)
    return _products(series - series.mean(0), rows, int(_LAGS * len(rows)))


def _ranks(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n columns"]:
    """Return each column's ranks, from −½ to ½, and their distances from the middle."""
    from scipy.stats import rankdata

    ranks = torch.from_numpy(rankdata(rows.numpy(), axis=0))  # equal values, equal ranks
    ranks = ranks / len(rows) - 0.5
    return torch.cat([ranks, ranks.abs()], 1)


def _products(
    series: Float[Tensor, "m columns"],
    rows: Float[Tensor, "n d"],
    lags: int,
    least: Tensor | float = 0.0,
) -> Float[Tensor, "lags columns"]:
    """Return the autocorrelations of centred series; 0 of one whose squares do not add up to more than `least`."""
    m = len(series)
    padded = torch.fft.rfft(series, n=2 * m, dim=0)
    products = torch.fft.irfft(padded.abs().square(), n=2 * m, dim=0)[: 1 + lags]
    size = products[0]  # 0 where all ranks are equally far from the middle, as of two labels
    seen = _often_moves(rows).repeat(2) & (size > 1e-9 * m) & (size > least)

    return products / size.where(seen, torch.inf)


def _beside(rows: Float[Tensor, "n d"], key: Float[Tensor, "n k"]) -> Float[Tensor, "lags columns"]:
    """Return the autocorrelations of columns beside a sorted key, within stretches, less what follows the key smoothly.

    Without a column left the key is all there is. It persists, and the next row counts: less its parabola a series adds
    up to nothing over the lags.
    """
    if rows.shape[1] == 0:
        return (torch.arange(1 + _LOCAL) < 2).double()[:, None]

    rows = _most_persistent(rows)
    series = _ranks(rows)
    size = (series - series.mean(0)).square().sum(0)
    return _products(_less_trend(series, key), rows, _LOCAL, _TREND * size)


def _less_trend(
    series: Float[Tensor, "n columns"], key: Float[Tensor, "n k"]
) -> Float[Tensor, "m columns"]:
    """Return series less their mean in each block of equal keys, or less a parabola in the key, stretch by stretch."""
    n = len(series)
    blocks = (key.diff(dim=0) != 0).any(1).cumsum(0)
    blocks = torch.cat([blocks.new_zeros(1), blocks])
    if _LONG * (int(blocks[-1]) + 1) <= n:
        sums = series.new_zeros(int(blocks[-1]) + 1, series.shape[1]).index_add(0, blocks, series)
        return series - (sums / torch.bincount(blocks)[:, None])[blocks]

    whole = n // _STRETCH * _STRETCH
    stretches = series[:whole].unflatten(0, (-1, _STRETCH))
    place = key[:whole, 0].double().unflatten(0, (-1, _STRETCH))
    place = place - place.mean(1, keepdim=True)
    place = place / place.abs().amax(1, keepdim=True).clamp(min=1e-300)
    basis, _ = torch.linalg.qr(torch.stack([torch.ones_like(place), place, place**2], -1))

    return (stretches - basis @ (basis.mT @ stretches)).flatten(0, 1)


def _often_moves(rows: Float[Tensor, "n d"]) -> Tensor:
    """Tell which columns leave their most frequent value often: of a rare label a chance neighbour says nothing."""
    modes = rows.mode(0).values
    rare = (rows != modes).sum(0)
    return rare.square() >= _CHANCES * len(rows)


def _in_order(rows: Float[Tensor, "n d"]) -> Bool[Tensor, " d"]:
    """Tell which columns are in order: monotone ones, and slow ones whose equal rows all lie side by side."""
    steps = rows.diff(dim=0)
    moves = steps != 0
    ordered = ((steps >= 0).all(0) | (steps <= 0).all(0)) & moves.any(0)

    slow = (2 * moves.sum(0) < len(rows)) & moves.any(0)
    if bool(slow.any()):
        runs = 1 + int(moves[:, slow].any(1).sum())
        kinds = int(codes_of(rows[:, slow].contiguous()).max()) + 1
        if kinds < len(rows) and runs == kinds:
            ordered |= slow

    return ordered
