"""Rows that repeat: exact copies, copies with a jitter, numbers that stand on both sides, and labels' entropy."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .digits import COLUMNS, is_fine, is_measured
from .hashes import codes_of
from .subjects import is_too_even

# Copies of one row, and their share of all rows: more are a limit or a missing value
_ATOM = 10, 0.05
_CHANCE = 4  # times as many rows with equal numbers as among other pairs
_ASKED = 500  # rows whose neighbours are looked at
_NEAREST = 16  # of them
_BESIDE = 4  # that are nearer or farther than a gap
_DIP = 0.5  # of the dimension that nearer and farther neighbours tell: a smaller one is a gap around clusters
_FEWEST = 200  # rows; of fewer on a thin curve the lattice of ranks looks like gaps
_WIDE = 30  # columns of both sides, beyond which neighbours tell no dimension
_PROJECTIONS = 20  # columns to which more are reduced
_FAR = 3.0  # standard deviations, beyond which a projected entry counts no more


def repeated_rows(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return how many rows are exact copies of another; 0 where independent draws may be equal by chance.

    Two measurements are never equal by chance: that is where each side has a column most of whose values need more
    than six significant digits and are no codes, as standardised counts are. A copy repeats both sides, neither of
    which stands beside another one elsewhere, as the limit of a sensor does. Counts, labels and coarsely rounded
    numbers may be equal. They are not if the equal rows come in pairs more evenly than those of independent draws, as
    in a file that has every row twice.

    >>> x = torch.randn(100, 1, dtype=torch.float64)
    >>> repeated_rows(x, x), repeated_rows(torch.cat([x, x[:30]]), torch.cat([x, x[:30]]))
    (0, 30)
    >>> twice = torch.arange(100.0).repeat(2)[:, None]
    >>> repeated_rows(twice, twice)
    100
    """
    codes = codes_of(torch.cat([x, y], 1))
    counts = codes.bincount()
    copies = counts - 1
    if int(copies.sum()) == 0:
        return 0

    if is_too_even(counts.double()):
        return int(copies.sum())
    if not (is_measured(x) and is_measured(y)):
        return 0

    first = torch.empty_like(counts).scatter_(0, codes, torch.arange(len(codes)))
    several, share = _ATOM
    kept = _stand_once(x[first]) & _stand_once(y[first]) & (counts <= max(several, share * len(x)))
    return int(copies[kept].sum())


def _stand_once(rows: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Tell which rows are equal to no other."""
    codes = codes_of(rows)
    return codes.bincount()[codes] == 1


def equal_entries(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return in how many rows a measured number of x stands in y, too: there the information is infinite.

    A number that a column has in several rows, such as the limit of a sensor, does not count, and neither do equal
    numbers where rows of other pairs have as many, as among many columns in half precision. Of each side the first 64
    columns are compared.

    >>> x = torch.randn(100, 2, dtype=torch.float64)
    >>> y = torch.randn(100, 1, dtype=torch.float64)
    >>> y[:30, 0] = x[:30, 1]
    >>> equal_entries(x, y), equal_entries(x.round(), y.round())
    (30, 0)
    """
    sides = [rows[:, :COLUMNS] for rows in (x, y)]
    first, second = (torch.where(_is_singular(side), side, torch.nan) for side in sides)

    def count(second: Tensor) -> int:
        equal = torch.zeros(len(x), dtype=torch.bool)
        for column in second.T:
            equal |= (first == column[:, None]).any(1)
        return int(equal.sum())

    paired, others = count(second), count(second.roll(len(x) // 2, 0))
    return paired if paired > _CHANCE * others else 0


def _is_singular(rows: Float[Tensor, "n d"]) -> Bool[Tensor, "n d"]:
    """Tell which entries are measurements that stand once in their column."""
    once = torch.stack([_stand_once(column[:, None]) for column in rows.T], 1)
    return once & is_fine(rows)


def near_copies(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return how many rows lie close together on average, where rows form small clusters with gaps around; else 0.

    Measurements of both sides are looked at together and of each side alone: beside a label, and beside what is
    measured anew, copies of one side look like information, too.

    In a smooth density of m dimensions k m ln(r_{k+1}/r_k) has the mean 1, r_k the distance to the k-th neighbour.
    Copies of a row with a jitter leave a gap, where m looks smaller than by nearer and by farther neighbours. Noise
    around a curve leaves none: there m only falls with the distance.

    More than 30 columns are reduced to 20 by a fixed projection, which keeps what is near near.

    Reference: Facco et al. 2017, Sci. Rep. 7 (the dimension from neighbours' distances).

    >>> rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> jitter = 0.01 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    >>> copies = rows.repeat(5, 1) + jitter
    >>> near_copies(rows[:, :1], rows[:, 1:]), near_copies(copies[:, :1], copies[:, 1:])
    (0, 5)
    """
    measured = [rows for rows in (x, y) if is_measured(rows)]
    if len(x) < _FEWEST or not measured:
        return 0

    together = [torch.cat(measured, 1), *measured]
    # The ranks of one column are evenly spaced
    wide = [rows for rows in together if rows.shape[1] > 1]
    return next((size for size in map(_cluster, wide) if size), 0)


def _cluster(rows: Float[Tensor, "n d"]) -> int:
    """Return how many rows lie close together, if there is a gap around them; else 0."""
    # Ranks: heavy tails, and columns that lie in clusters by themselves, leave no gap.
    rows = _projected(rows).argsort(0).argsort(0).double()
    asked = rows[:: max(1, len(rows) // _ASKED)]
    exact = "donot_use_mm_for_euclid_dist"  # the other way loses small distances
    distances = torch.cdist(asked, rows, compute_mode=exact)
    distances = distances.topk(_NEAREST + 1, largest=False).values[:, 1:]
    distances = distances[distances[:, 0] > 0]  # exact copies are counted by themselves
    if len(distances) < _NEAREST:
        return 0

    places = torch.arange(1, _NEAREST, dtype=rows.dtype)
    dimensions = 1 / (places * (distances[:, 1:] / distances[:, :-1]).log().mean(0))
    k = int(dimensions[:-1].argmin())
    nearer = float(dimensions[max(0, k - _BESIDE) : k].max()) if k else math.inf
    farther = float(dimensions[k + 1 : k + 1 + _BESIDE].max())

    return k + 2 if dimensions[k] < (1 - _DIP) * min(nearer, farther) else 0


def _projected(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
    """Return the rows, or 20 sums of their columns with random weights if there are more than 30."""
    columns = rows.shape[1]
    if columns <= _WIDE:
        return rows

    scaled = (rows - rows.mean(0)) / rows.std(0).clamp(min=1e-300)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(columns, _PROJECTIONS, generator=generator, dtype=rows.dtype)
    return scaled.clamp(-_FAR, _FAR) @ weights


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
