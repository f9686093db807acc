"""The nearest-neighbour estimate of mutual information: no critic, no training, for few columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import _validate
from .grouping import Groups
from .inputs import default_device_cpu
from .pairs import paired_rows
from .tables import Rows
from .transforms import OneScale, Rank

_COLUMNS, _ROWS = 3, 20_000  # where a tree of the rows is quick
_TOGETHER = 4  # columns of all sides, beyond which a low conditional value says nothing
_RANKED = 24  # columns of exact distances
_DISTANCES, _BLOCK = 5000, 64  # rows, and at a time: their distances stay in the cache
_APART = 1e6  # between different labels, in units of the other side's columns
_BLUR = 1e-6  # of distances of columns of scale 1, computed in double precision
_LEVELS = 5  # a column of no more different values keeps its ties
_CLEARLY = 3.0  # standard errors of a growth
_QUARTERED = 256  # groups, of which quarters are looked at
_LASTING = 0.7  # of an earlier growth: it has not fallen
_COINCIDE = 0.95  # a share of rows that coincide with others, beyond which all ties are kept


@default_device_cpu()
def ksg(
    x: Rows,
    y: Rows,
    k: int = 3,
    *,
    groups: Groups = None,
) -> float:
    """Estimate I(X; Y) in nats from the distances to each row's k-th nearest neighbour.

    I ≈ ψ(k) + mean_i [ψ(m_i + 1) − ψ(n_x(i) + 1) − ψ(n_y(i) + 1)], where ε_i is the distance of row i to its k-th
    neighbour in (x, y), in the maximum norm, n_x(i) and n_y(i) count the other rows nearer than ε_i in x and in y
    alone, and m_i counts all other rows. With `groups` only rows of other groups are neighbours, and are counted.

    Every column is first replaced by its normal scores Φ⁻¹(mid-rank), so the value does not change under an increasing
    map of any column. If row i coincides with k or more others (ε_i = 0), its term is
    ψ(n_xy) + ψ(n) − ψ(n_x) − ψ(n_y), where the counts include row i. This is the plug-in value for discrete columns.
    Unless nearly all rows coincide, ties of a column of more than five values are broken at random (by a fixed seed),
    which leaves I as it is: with ties ε_i is often a whole step of a rounded column, and the value is too high.

    It is not a bound and has no standard error. For Gaussians at n = 4000 it errs by a few hundredths of a nat at 1 + 1
    and 2 + 2 columns, and by −0.14 of 2.5 nats at 3 + 3. More columns and more information need more rows; with too few
    rows it reads too low. Use it for up to about 3 + 3 columns and ln n − 3 nats.

    Args:
        x, y: paired rows, as for `estimate_mi`; n ≥ 64. Without groups they must be independent draws.
        k: number of neighbours, at most as many as rows in other groups; a larger k lowers the variance and raises the
            bias.
        groups: rows that depend on one another, as for `estimate_mi`: a label for each row, or the length of contiguous
            blocks. Rows of one group, such as copies or neighbours in time, are near one another in x and in y at once,
            which looks like information.

    Returns:
        Nats; may fall below 0 by chance if I is near 0.

    Raises:
        ValueError: rows that do not pair, fewer than 64 of them, NaN or infinite entries, a side that does not vary, or
            k out of its range. The message names the argument.

    Reference: Kraskov, Stögbauer & Grassberger 2004, eq. 8; rows that coincide: Gao et al. 2017, algorithm 1.

    >>> from mi_estimators import laws
    >>> law = laws.Gaussian(0.75)
    >>> x, y = law.sample(1000, torch.Generator().manual_seed(0))
    >>> abs(ksg(x, y) - law.mutual_information) < 0.1
    True
    """
    first, second, labels = paired_rows(x, y, groups)
    n = len(labels)
    foreign = n - int(torch.bincount(labels).max())
    if foreign < 1:
        raise ValueError("groups: expected at least two groups, got one")

    _validate.count("k", k, high=foreign)
    return float(_local_information(first, second, k, None if groups is None else labels).mean())


@dataclass(frozen=True)
class Neighbours:
    """The value of `ksg` with its errors, in nats.

    Attributes:
        value: the estimate.
        stderr: its standard error, with the terms of the rows taken as independent.
        shortfall: by how much two halves of the rows read less than all rows, at least 0. If the bias falls like 1/n,
            the value is still too low by as much.
        growing: whether the shortfall is above the noise and no smaller than by how much the quarters read less than
            the halves. A bias that falls like 1/n would halve; where the information is infinite, each doubling of the
            rows adds as much.
    """

    value: float
    stderr: float
    shortfall: float
    growing: bool = False


def neighbours(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    k: int = 3,
    labels: Int[Tensor, " n"] | None = None,
    local_information: Callable[..., Tensor] | None = None,
) -> Neighbours:
    """Return the nearest-neighbour estimate of checked rows with its errors.

    With `labels`, the number of each row's group, neighbours are rows of other groups, a group counts as one draw, and
    the halves are halves of the groups.
    """
    local_information = local_information or _local_information
    local = local_information(x, y, k, labels)
    value = float(local.mean())

    own = torch.arange(len(x)) if labels is None else labels
    groups, stderr = int(own.max()) + 1, _stderr(local, labels)

    def of_parts(count: int) -> float:
        """Return the mean over equal parts of the groups."""
        values = []
        for part in ((own * count) // groups).unique():
            there = (own * count) // groups == part
            inside = None if labels is None else labels[there] - int(labels[there].min())
            values.append(float(local_information(x[there], y[there], k, inside).mean()))
        return sum(values) / len(values)

    halves = of_parts(2)
    shortfall = max(0.0, value - halves)
    growing = shortfall > _CLEARLY * stderr and groups >= _QUARTERED
    growing = growing and shortfall > _LASTING * (halves - of_parts(4))

    return Neighbours(value, stderr, shortfall, growing)


def cheap_conditional(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    z: Float[Tensor, "n dz"],
    labels: Int[Tensor, " n"] | None = None,
    k: int = 3,
) -> Neighbours | None:
    """Return the nearest-neighbour estimate of I(X; Y | Z), for few columns and not too many rows.

    ψ(k) + mean_i [ψ(n_z(i) + 1) − ψ(n_xz(i) + 1) − ψ(n_yz(i) + 1)], with counts within the distance of row i to its
    k-th neighbour in (x, y, z). It errs towards 0, in more than four columns without a limit.

    Reference: Frenzel & Pompe 2007; rows that coincide: Mesner & Shalizi 2021.
    """
    widths = [side.shape[1] for side in (x, y, z)]
    if max(widths) > _COLUMNS or len(x) > _ROWS:
        return None

    sides = [normal_scores(side).numpy() for side in (x, y, z)]
    near, nearer = _Points(np.concatenate(sides, 1), labels).nearest(k)

    def counted(*subset: np.ndarray) -> Tensor:
        points = _Points(np.concatenate(subset, 1), labels)
        return points.counts(nearer).digamma()

    in_x, in_y, in_z = sides
    local = near + counted(in_z) - counted(in_x, in_z) - counted(in_y, in_z)
    shortfall = 0.0 if sum(widths) <= _TOGETHER else math.inf
    return Neighbours(float(local.mean()), _stderr(local, labels), shortfall)


def _stderr(
    local: Float[Tensor, " n"],
    labels: Int[Tensor, " n"] | None,
) -> float:
    """Return the standard error of a mean over rows; a group counts as one draw."""
    own = torch.arange(len(local)) if labels is None else labels
    count = int(own.max()) + 1
    sums = torch.zeros(count, dtype=local.dtype)
    sums = sums.index_add(0, own, local - local.mean())

    total = float(sums.square().sum())
    return math.sqrt(total * count / (count - 1)) / len(local)


def _local_information(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    k: int,
    labels: Int[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """Return each row's part in `ksg`, which is their mean, in nats."""
    n = len(x)
    columns = [side.numpy() for side in _untied(x, y, k)]
    both = _Points(np.concatenate(columns, 1), labels)
    near, nearer = both.nearest(k)

    alone = [_Points(points, labels).counts(nearer) for points in columns]
    local = near - sum(counts.digamma() for counts in alone)
    return local + (n + 1 - both.own_sizes).digamma()


class _Points:
    """Points (n, d) whose neighbours are those of other groups; a point without labels is its own group."""

    def __init__(
        self,
        points: np.ndarray,
        labels: Int[Tensor, " n"] | None,
    ) -> None:
        from scipy.spatial import KDTree

        self.points, self.labels = points, None if labels is None else labels.numpy()
        self.tree, self.own_tree = KDTree(points), None
        self.own_sizes = torch.ones(len(points), dtype=torch.float64)
        if self.labels is None:
            return

        # One more coordinate keeps groups further apart than any two points are.
        apart = 1 + 2 * float(np.ptp(points))
        self.lifted = np.column_stack([points, self.labels * apart])
        self.own_tree = KDTree(self.lifted)
        sizes = np.bincount(self.labels)[self.labels]
        self.own_sizes = torch.from_numpy(sizes).double()

    def nearest(self, k: int) -> tuple[Float[Tensor, " n"], np.ndarray]:
        """Return ψ of each point's number of neighbours up to the k-th, and the largest radius below it."""
        radius = self.distances(k)
        nearer = np.nextafter(radius, 0)  # counts "≤" into "<"; a radius of 0 stays 0

        counts = torch.full((len(radius),), float(k), dtype=torch.float64)
        near = counts.digamma()
        coincide = torch.from_numpy(radius == 0)
        if bool(coincide.any()):
            near[coincide] = self.counts(nearer).digamma()[coincide]

        return near, nearer

    def distances(self, k: int) -> np.ndarray:
        """Return the distance of each point to its k-th neighbour, in the maximum norm."""
        if self.labels is None:  # the point itself is the first of the k + 1
            near, _ = self.tree.query(self.points, k=k + 1, p=np.inf)
            return near[:, k]

        # Ask for more and more neighbours, until k of them are of other groups.
        n, wanted = len(self.points), k + 8
        distances, waiting = np.empty(n), np.arange(n)
        while len(waiting):
            wanted = min(wanted, n)
            near, places = self.tree.query(self.points[waiting], k=wanted, p=np.inf)
            foreign = self.labels[places] != self.labels[waiting, None]

            enough = foreign.sum(1) >= k
            kth = (foreign.cumsum(1) >= k).argmax(1)
            distances[waiting[enough]] = near[enough, kth[enough]]
            waiting, wanted = waiting[~enough], 2 * wanted

        return distances

    def counts(self, radius: np.ndarray) -> Float[Tensor, " n"]:
        """Return how many neighbours are within each point's radius, and one more for the point itself."""
        counts = _within(self.tree, self.points, radius)
        if self.own_tree is not None:
            counts = counts + 1 - _within(self.own_tree, self.lifted, radius)
        return torch.as_tensor(counts, dtype=torch.float64)


def _within(tree: Any, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return how many points of a tree are within each radius, in the maximum norm."""
    return tree.query_ball_point(points, radius, p=np.inf, return_length=True)


def normal_scores(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return Φ⁻¹ of each entry's mid-rank in its column, in float64.

    >>> normal_scores(torch.tensor([[7.0], [-1.0], [7.5], [7.0]], dtype=torch.float64)).T
    tensor([[ 0.0000, -1.1503,  1.1503,  0.0000]], dtype=torch.float64)
    """
    ranks = Rank(rows)
    places = torch.searchsorted(ranks.knots, rows.T.contiguous())
    return ranks.levels.gather(-1, places).T.contiguous()


def _untied(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    k: int,
) -> list[Float[Tensor, "n d"]]:
    """Return the normal scores of both sides, ties broken at random unless nearly all rows coincide with k others.

    A tie in a column of numbers is a rounding. The k-th neighbour is then often a whole step away, and the rows at just
    that distance are not counted as nearer: two independent columns of fifty values read 0.2 nats. A random rank within
    a tie knows nothing of the other side, and tells the value: no information comes or goes.
    """
    rows = torch.cat([x.double(), y.double()], 1)
    _, places, sizes = rows.unique(dim=0, return_inverse=True, return_counts=True)
    if float((sizes[places] > k).double().mean()) > _COINCIDE:
        return [normal_scores(x), normal_scores(y)]

    generator = torch.Generator().manual_seed(0)
    return [normal_scores(_spread(side, generator)) for side in (x, y)]


def _spread(rows: Float[Tensor, "n d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Return each entry's rank in its column, ties in random order; a column of few values stays."""
    columns = []
    for column in rows.double().T.cpu():
        levels = len(column.unique())
        if _LEVELS < levels < len(column):
            order = torch.randperm(len(column), generator=generator)
            column = order[column[order].argsort(stable=True)].argsort().double()
        columns.append(column)

    return torch.stack(columns, 1)


def nearest_information(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    codes: Int[Tensor, " n"] | None = None,
    *,
    of_x: bool = False,
) -> Neighbours:
    """Return the nearest-neighbour estimate of independent rows in any number of columns.

    Few columns: normal scores, in the maximum norm. Many: the distance of the rows at one scale, in the Euclidean norm.
    At most 20 000 rows, or 5000 where all distances are needed.

    Args:
        x, y: rows in an order that says nothing.
        codes: the labels that y is; two rows with different ones are no neighbours.
        of_x: whether the labels are x instead.

    Reference: as for `ksg`; labels: Ross 2014.
    """
    if of_x:
        x, y = y, x
    if codes is None and max(x.shape[1], y.shape[1]) <= _COLUMNS:
        return neighbours(x[:_ROWS], y[:_ROWS])

    x, y = x[:_DISTANCES], y[:_DISTANCES]
    scaled = _scaled(y) if codes is None else _APART * codes[:_DISTANCES, None].float()
    return neighbours(_scaled(x), scaled, local_information=_from_distances)


def _scaled(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    if rows.shape[1] <= _RANKED:
        return normal_scores(rows).float()
    return OneScale(rows)(rows)


def _distances(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
) -> Float[Tensor, "n m"]:
    """Return Euclidean distances; by products of matrices where there are many columns, which blurs the smallest."""
    if a.shape[1] <= _RANKED:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    far = torch.cdist(a.double(), b.double(), compute_mode="use_mm_for_euclid_dist")
    return far.masked_fill_(far < _BLUR, 0)


def _from_distances(
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    k: int,
    labels: None = None,
) -> Float[Tensor, " n"]:
    """Return each row's part in `ksg`, from all distances in the Euclidean norm, a block of rows at a time."""
    n, parts = len(x), []
    for rows in torch.arange(n).split(_BLOCK):
        own = torch.arange(len(rows)), rows
        far_x, far_y = (_distances(side[rows], side) for side in (x, y))
        far_x[own] = far_y[own] = torch.inf

        both = torch.maximum(far_x, far_y)
        radius = torch.from_numpy(np.partition(both.numpy(), k - 1)[:, k - 1 : k])
        nearer = radius.nextafter(torch.zeros_like(radius))  # counts "≤" into "<"; 0 stays 0

        near = torch.full((len(rows),), float(k), dtype=torch.float64)
        coincide = (radius == 0).squeeze(1)
        if bool(coincide.any()):
            near[coincide] = (both[coincide] == 0).sum(1).double() + 1

        counts = ((far <= nearer).sum(1, dtype=torch.int32) for far in (far_x, far_y))
        of_x, of_y = ((count.double() + 1).digamma() for count in counts)
        parts.append(near.digamma() - of_x - of_y)

    return torch.cat(parts) + torch.tensor(n).double().digamma()
