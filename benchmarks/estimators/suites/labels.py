"""Labels and counts: channels between labels, classes of vectors, spike counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mi_estimators.laws import Finite, Law

from .bases import Computed, Derived, Rng, Rows
from .channels import mixed_columns, normal, uniform
from .task import Task


def symmetric_channel(probabilities: Tensor, flip: float) -> Finite:
    """Return a label and the same label, but one of the others, evenly, with probability `flip`."""
    count = len(probabilities)
    channel = torch.full(
        (count, count),
        flip / max(1, count - 1),
        dtype=torch.float64,
    )
    channel.fill_diagonal_(1 - flip)
    return Finite((probabilities.double().unsqueeze(-1) * channel).log())


def even(count: int) -> Tensor:
    """Return `count` equal probabilities."""
    return torch.full((count,), 1 / count, dtype=torch.float64)


def zipf(count: int) -> Tensor:
    """Return `count` probabilities in proportion to 1, 1/2, 1/3, …"""
    weights = 1 / torch.arange(1, count + 1, dtype=torch.float64)
    return weights / weights.sum()


@dataclass(frozen=True)
class Side:
    """How a label (or a place) is shown to an estimator, and read off what is shown.

    Args:
        dim: number of columns.
        show: (labels of shape (n, …), generator) → rows (n, dim); it may draw.
        read: rows → labels; what is shown determines the label.
    """

    dim: int
    show: Callable[[Tensor, Rng], Tensor]
    read: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shown(Derived):
    """A law whose x and y are shown in another form that determines them: the information stays the same.

    With U, V shown as X, Y, each on its own: I(X; Y) ≤ I(U; V) because X and Y are drawn from U and V, and
    I(U; V) ≤ I(X; Y) because U and V are functions of X and Y.
    """

    law: Law
    x: Side
    y: Side

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.x.dim

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return self.y.dim

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y)."""
        u, v = self.law.sample(n, generator)
        return self.x.show(u, generator), self.y.show(v, generator)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        return self.law.log_ratio(self.x.read(x), self.y.read(y))


def codes(count: int, seed: int | None = None) -> Side:
    """Return labels as whole numbers in one column; in another order than theirs if a seed is given."""
    code = torch.arange(count)
    if seed is not None:
        code = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    label = code.argsort()
    return Side(
        1,
        lambda u, _: code[u].unsqueeze(-1),
        lambda rows: label[rows.squeeze(-1).long()],
    )


def one_hot(count: int) -> Side:
    """Return labels as columns of zeros and a one."""
    unit = torch.eye(count, dtype=torch.float64)
    return Side(
        count,
        lambda u, _: unit[u],
        lambda rows: rows.argmax(-1),
    )


def as_it_is(dim: int) -> Side:
    """Return rows as they are."""
    return Side(dim, lambda rows, _: rows, lambda rows: rows)


def of_column(side: Side) -> Side:
    """Return a side of labels that stand in one column."""
    return Side(
        side.dim,
        lambda rows, generator: side.show(rows.squeeze(-1), generator),
        lambda rows: side.read(rows).unsqueeze(-1),
    )


def spots(count: int, dim: int, seed: int = 7) -> Side:
    """Return labels as points: each label has a place of its own, and points scatter closely around it."""
    places = 20 * normal(count, dim, torch.Generator().manual_seed(seed))

    def show(labels: Tensor, generator: Rng) -> Tensor:
        return places[labels] + 0.01 * normal(len(labels), dim, generator)

    return Side(
        dim,
        show,
        lambda rows: torch.cdist(rows, places).argmin(-1),
    )


def channel(count: int, flip: float, x: Side, y: Side) -> Shown:
    """Return a symmetric channel between `count` equally likely labels, in the given forms."""
    return Shown(symmetric_channel(even(count), flip), x, y)


@dataclass(frozen=True)
class Sums:
    """X holds three labels of `levels` values and Y two: (X₁ + X₂) mod levels and X₃, each wrong with `flip`."""

    levels: int
    flip: float

    dim_x, dim_y = 3, 2

    @property
    def _channel(self) -> Finite:
        return symmetric_channel(even(self.levels), self.flip)

    @property
    def mutual_information(self) -> float:
        """I(X; Y), twice that of a symmetric channel, in nats."""
        return 2 * self._channel.mutual_information

    def _signal(self, x: Tensor) -> Tensor:
        return torch.stack([(x[..., 0] + x[..., 1]) % self.levels, x[..., 2]], -1)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, 3) and y of shape (n, 2), whole numbers."""
        x = torch.randint(self.levels, (n, 3), generator=generator)
        wrong = torch.rand(n, 2, generator=generator) < self.flip
        other = torch.randint(1, self.levels, (n, 2), generator=generator)
        return x, (self._signal(x) + wrong * other) % self.levels

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        return self._channel.log_ratio(self._signal(x), y).sum(-1)


class Clusters(Computed):
    """Y one of k labels, equally likely, and X normal around the label's centre with deviation `sigma` in each column.

    I(X; Y) = ln k − E ln Σ_c exp(ln N(X; c) − ln N(X; centre of Y)). The differences depend on X through its products
    with the centres alone: the expectation runs over k normal numbers, by a fixed sample of 2¹⁷ rows.
    """

    dim_y = 1

    def __init__(self, centres: Tensor, sigma: float) -> None:
        self.centres, self.sigma = centres, sigma
        self.dim_x = centres.shape[1]

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        count = len(self.centres)
        gram = self.centres @ self.centres.mT / self.sigma**2
        values, vectors = torch.linalg.eigh(gram)
        root = vectors * values.clamp(min=0).sqrt()

        label = torch.arange(2**17) % count
        generator = torch.Generator().manual_seed(0)
        noise = normal(len(label), count, generator) @ root.mT
        half = gram.diagonal() / 2
        log_likelihood = noise + gram[label] - half
        own = log_likelihood.gather(1, label.unsqueeze(-1)).squeeze(-1)

        doubt = torch.logsumexp(log_likelihood, 1) - own
        return math.log(count) - float(doubt.mean())

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x), in float64, and y of shape (n, 1), whole numbers."""
        y = torch.randint(len(self.centres), (n,), generator=generator)
        x = self.centres[y] + self.sigma * normal(n, self.dim_x, generator)
        return x, y.unsqueeze(-1)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (n,)."""
        log_likelihood = -(torch.cdist(x, self.centres) ** 2) / (2 * self.sigma**2)
        own = log_likelihood.gather(1, y.long()).squeeze(-1)
        return own - torch.logsumexp(log_likelihood, 1) + math.log(len(self.centres))


def embeddings(count: int, dim: int, distance: float, seed: int = 3) -> Clusters:
    """Return unit noise around `count` centres about `distance` apart, like embeddings of sentences by topic."""
    centres = normal(count, dim, torch.Generator().manual_seed(seed))
    return Clusters(centres * distance / math.sqrt(2 * dim), 1.0)


@dataclass(frozen=True)
class SpikeCounts(Computed):
    """X a stimulus, uniform on (−1, 1), and Y the counts of neurons, Poisson around tuning curves of width `width`.

    Neuron k fires at the rate gain·exp(−(x − c_k)²/(2·width²)) + floor, with the c_k evenly spaced. ln dP/dQ integrates
    over the stimulus by the midpoint rule. I(X; Y) is its mean over a fixed sample with evenly spaced stimuli.
    """

    neurons: int
    gain: float
    width: float = 0.2
    floor: float = 0.2

    dim_x = 1

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return self.neurons

    def _rates(self, x: Tensor) -> Tensor:
        centres = torch.linspace(-1, 1, self.neurons, dtype=torch.float64)
        return self.gain * (-((x - centres) ** 2) / (2 * self.width**2)).exp() + self.floor

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        n = 2**16
        x = (2 * torch.arange(n, dtype=torch.float64).unsqueeze(-1) + 1) / n - 1
        y = torch.poisson(self._rates(x), generator=torch.Generator().manual_seed(0))
        return float(self.log_ratio(x, y).mean())

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, 1) and y of shape (n, neurons), in float64."""
        x = 2 * uniform(n, 1, generator) - 1
        return x, torch.poisson(self._rates(x), generator=generator)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (n,)."""
        nodes = (2 * torch.arange(400, dtype=torch.float64).unsqueeze(-1) + 1) / 400 - 1
        rates, own = self._rates(nodes), self._rates(x)
        log_likelihood = y @ rates.log().mT - rates.sum(-1)
        log_marginal = torch.logsumexp(log_likelihood, -1) - math.log(len(nodes))

        return (y * own.log() - own).sum(-1) - log_marginal


@dataclass(frozen=True)
class Count(Computed):
    """X standard normal and Y a Poisson count of rate e^{level + slope·X}.

    I(X; Y) is a quadrature over x of a sum over y.
    """

    level: float
    slope: float

    dim_x = dim_y = 1

    def _log_mass(self, x: Tensor, y: Tensor) -> Tensor:
        log_rate = self.level + self.slope * x
        return y * log_rate - log_rate.exp() - torch.lgamma(y + 1)

    def _log_marginal(self, y: Tensor) -> Tensor:
        x = torch.arange(-8, 8, 0.01, dtype=torch.float64)
        log_weights = -(x**2) / 2 + math.log(0.01 / math.sqrt(2 * math.pi))
        return torch.logsumexp(log_weights + self._log_mass(x, y.unsqueeze(-1)), -1)

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        x = torch.arange(-7, 7, 0.02, dtype=torch.float64).unsqueeze(-1)
        weights = (-(x**2) / 2).exp() * 0.02 / math.sqrt(2 * math.pi)
        highest = math.exp(self.level + 6 * self.slope)
        y = torch.arange(highest + 10 * math.sqrt(highest) + 20, dtype=torch.float64)
        log_mass = self._log_mass(x, y)

        ratio = log_mass - self._log_marginal(y)
        return float((weights * log_mass.exp() * ratio).sum())

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1), in float64."""
        x = normal(n, 1, generator)
        rate = (self.level + self.slope * x).exp()
        return x, torch.poisson(rate, generator=generator)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (n,)."""
        x, y = x.squeeze(-1), y.squeeze(-1)
        return self._log_mass(x, y) - self._log_marginal(y)


_PLANE = Clusters(4 * normal(60, 2, torch.Generator().manual_seed(11)), 0.86)

TASKS = (
    Task("10-classes-codes", channel(10, 0.2, codes(10), codes(10, seed=5))),
    Task("10-classes-one-hot", channel(10, 0.2, one_hot(10), one_hot(10))),
    Task("20-classes-one-hot", channel(20, 0.0, one_hot(20), one_hot(20))),
    Task("60-classes-codes", channel(60, 0.1, codes(60), codes(60, seed=5)), discrete="xy"),
    Task("60-classes-one-hot", channel(60, 0.1, one_hot(60), one_hot(60))),
    Task(
        "10-classes-spots",
        channel(10, 0.1, spots(10, 3), codes(10, seed=5)),
        discrete="y",
    ),
    Task(
        "300-identities",
        channel(300, 0.0, codes(300), codes(300, seed=5)),
        rows=20_000,
    ),
    Task(
        "300-identities-20001",
        channel(300, 0.0, codes(300), codes(300, seed=5)),
        rows=20_001,
    ),
    Task(
        "rare-labels",
        Shown(symmetric_channel(zipf(50), 0.2), one_hot(50), codes(50, seed=5)),
        discrete="y",
    ),
    Task("several-labels", Sums(4, 0.1), discrete="xy"),
    Task("mixed-columns", mixed_columns(5, 3.0, 0.5)),
    Task("60-classes-in-the-plane", _PLANE, discrete="y"),
    Task(
        "60-classes-in-the-plane-one-hot",
        Shown(_PLANE, as_it_is(2), of_column(one_hot(60))),
    ),
    Task("embeddings-768", embeddings(10, 768, 6.0), rows=1000, discrete="y"),
    Task("embeddings-32", embeddings(20, 32, 4.0), discrete="y"),
    Task("spike-counts-10", SpikeCounts(10, 4.0)),
    Task("spike-counts-3", SpikeCounts(3, 4.0, width=0.5)),
    Task("count", Count(1.0, 0.8)),
    Task("rare-count", Count(-1.0, 1.0)),
)
"""Labels in several forms, classes of vectors, counts."""
