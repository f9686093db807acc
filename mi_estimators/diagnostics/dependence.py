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
_DIGITS = 6  # significant digits from which on two equal numbers are one measurement, not two
_TOO_EVEN = 3.0  # standard errors by which triples of equal rows must fall short


@dataclass(frozen=True)
class RowDependence:
    """What the order of the rows shows.

    Attributes:
        inflation: factor by which dependence raises the variance of a mean over pairs (x, y): 1 + 2 Σ ρ_x(k) ρ_y(k)
            over lags k (Bartlett 1935), the largest over all pairs of columns; 1 for independent rows.
        lag_x, lag_y: the largest autocorrelation at lag 1 of a column of x, and of y.
        dependent: whether the autocorrelations of both sides exceed noise, and the inflation is large enough to matter.
        sorted_by: "x" or "y" if the rows are sorted by one of its columns, or lie in blocks of equal labels; else "".
            Sorting is not dependence, but it hides dependence.
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
    sides = [_autocorrelations(_most_persistent(rows)) for rows in (x, y)]
    lags_x, lags_y = (side[1:] for side in sides)
    noise = _NOISE / math.sqrt(len(x))
    # Where x and y are nearly equal, so are their noises, and a quarter of the lags would add up to an inflation.
    heard_x, heard_y = (lags.where(lags.abs() > _HEARD * noise, 0) for lags in (lags_x, lags_y))
    inflation = 1 + 2 * share * float((heard_x.T @ heard_y).max())

    lag_x, lag_y = (float(lags[0].max()) for lags in (lags_x, lags_y))
    beyond = all(float(lags.max()) > noise for lags in (lags_x, lags_y))

    sorting = next((name for name, rows in (("x", x), ("y", y)) if _is_sorted(rows)), "")
    dependent = beyond and inflation > _INFLATION and not sorting
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
    from scipy.stats import rankdata

    n = len(rows)
    ranks = torch.from_numpy(rankdata(rows.numpy(), axis=0)) / n - 0.5  # equal values, equal ranks
    series = torch.cat([ranks, ranks.abs()], 1)
    series = series - series.mean(0)

    padded = torch.fft.rfft(series, n=2 * n, dim=0)
    products = torch.fft.irfft(padded.abs().square(), n=2 * n, dim=0)[: 1 + int(_LAGS * n)]
    size = products[0]  # 0 where all ranks are equally far from the middle, as of two labels
    seen = _often_moves(rows).repeat(2) & (size > 1e-9 * n)

    return products / size.where(seen, torch.inf)


def _often_moves(rows: Float[Tensor, "n d"]) -> Tensor:
    """Tell which columns leave their most frequent value often: of a rare label a chance neighbour says nothing."""
    modes = rows.mode(0).values
    rare = (rows != modes).sum(0)
    return rare.square() >= _CHANCES * len(rows)


def _is_sorted(rows: Float[Tensor, "n d"]) -> bool:
    """Tell whether a column is in order, or whether equal labels lie side by side."""
    steps = rows.diff(dim=0)
    monotone = (steps >= 0).all(0) | (steps <= 0).all(0)
    if bool((monotone & (steps != 0).any(0)).any()):
        return True

    runs = 1 + int((steps != 0).any(1).sum())
    kinds = int(codes_of(rows).max()) + 1
    return kinds < len(rows) and runs == kinds


def repeated_rows(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return how many rows are exact copies of another; 0 where independent draws may be equal by chance.

    Two measurements are never equal by chance: that is where each side has a column most of whose values need more
    than six significant digits. Counts, labels and coarsely rounded numbers may be. They are not if the equal rows
    come in pairs more evenly than those of independent draws, as in a file that has every row twice.

    >>> x = torch.randn(100, 1, dtype=torch.float64)
    >>> repeated_rows(x, x), repeated_rows(torch.cat([x, x[:30]]), torch.cat([x, x[:30]]))
    (0, 30)
    >>> twice = torch.arange(100.0).repeat(2)[:, None]
    >>> repeated_rows(twice, twice)
    100
    """
    counts = codes_of(torch.cat([x, y], 1)).unique(return_counts=True)[1].double()
    if not (_is_measured(x) and _is_measured(y)) and not _is_too_even(counts):
        return 0
    return int((counts - 1).sum())


def _is_too_even(counts: Tensor) -> bool:
    """Tell whether equal rows form too few triples, given their pairs, to be independent draws.

    Of n independent draws with any probabilities p, E[triples] = n³/6 Σp³ ≥ n³/6 (Σp²)² ≈ ⅔ pairs²/n. At equality the
    difference has variance E (1 + λ/3), E the right-hand side and λ = 2 pairs/n.
    """
    n = float(counts.sum())
    pairs = float((counts * (counts - 1)).sum()) / 2
    triples = float((counts * (counts - 1) * (counts - 2)).sum()) / 6
    least = 2 / 3 * pairs**2 / n
    return least - triples > _TOO_EVEN * math.sqrt(least * (1 + 2 * pairs / n / 3))


def _is_measured(rows: Float[Tensor, "n d"]) -> bool:
    """Tell whether most values of a column need more than `_DIGITS` significant digits."""
    for part in rows.split(_COLUMNS, 1):
        unit = 10 ** (part.abs().clamp(min=1e-300).log10().floor() - _DIGITS + 1)
        rounded = (part / unit).round() * unit
        fine = (part - rounded).abs() > 1e-9 * part.abs()
        if bool((fine.double().mean(0) > 0.5).any()):
            return True

    return False


def entropy(codes: Tensor) -> tuple[float, float]:
    """Return the entropy of labels, in nats, with its first-order bias taken off, and its standard error.

    Ĥ + (K − 1)/(2n) of the plug-in Ĥ over n labels of K kinds; the error is the delta method's.

    Args:
        codes: a number for each label, shape (n,).

    Reference: Miller 1955; Paninski 2003, Neural Computation 15.

    >>> value, error = entropy(torch.arange(1000) % 4)
    >>> round(value - math.log(4), 4), round(error, 4)  # (4 − 1)/2000
    (0.0015, 0.0)
    """
    counts = torch.bincount(codes).double()
    counts, n = counts[counts > 0], len(codes)
    surprise = math.log(n) - counts.log()

    value = float((counts / n) @ surprise)
    variance = float((counts / n) @ (surprise - value) ** 2) / n
    return value + (len(counts) - 1) / (2 * n), math.sqrt(variance)
