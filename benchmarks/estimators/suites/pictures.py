"""Pictures and documents that determine a label or a place, whose information is therefore theirs."""

from __future__ import annotations

from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mi_estimators.laws import Finite, Gaussian

from .bases import Rng, Rows
from .channels import uniform
from .labels import Shown, Side, channel, codes, symmetric_channel
from .task import Task

PEER = Path(__file__).parents[1] / "build" / "scikit-learn"  # its environment
SIZE = 16  # pixels a side of a rendered picture
_KEYS, _COMMON, _LENGTH = 5, 150, 30  # words of a topic, words of all, words of a document


def _to_unit(place: Tensor) -> Tensor:
    return torch.special.ndtr(place.double())


def _from_unit(u: Tensor) -> Tensor:
    return torch.special.ndtri(u)


def blob(width: float = 2.0) -> Side:
    """Return a place in the plane, two normal numbers, as a bell on a picture of 16 × 16 pixels.

    Its centre lies between pixels 3 and 12. Neighbouring pixels of a bell tell the centre: ln p(i + 1) − ln p(i) =
    (2c − 2i − 1)/(2·width²).
    """
    pixel = torch.arange(SIZE, dtype=torch.float64)

    def show(place: Tensor, generator: Rng) -> Tensor:
        centre = 3 + 9 * _to_unit(place)
        bells = (-((pixel - centre.unsqueeze(-1)) ** 2) / (2 * width**2)).exp()
        return (bells[:, 0, :, None] * bells[:, 1, None, :]).flatten(1)

    def read(rows: Tensor) -> Tensor:
        picture = rows.unflatten(-1, (SIZE, SIZE))
        slope_0 = (picture[..., 8, 8] / picture[..., 7, 8]).log()
        slope_1 = (picture[..., 8, 8] / picture[..., 8, 7]).log()
        centre = torch.stack([slope_0, slope_1], -1) * width**2 + 7.5
        return _from_unit((centre - 3) / 9)

    return Side(SIZE**2, show, read)


def _covered(start: Tensor, end: Tensor) -> Tensor:
    """Return the part of each pixel that lies between two edges, shape (n, SIZE)."""
    pixel = torch.arange(SIZE, dtype=torch.float64)
    left = torch.maximum(start.unsqueeze(-1), pixel)
    return (torch.minimum(end.unsqueeze(-1), pixel + 1) - left).clamp(min=0)


def rectangle() -> Side:
    """Return four normal numbers as the edges of a white rectangle on a picture of 16 × 16 pixels.

    The first edge of a side lies in (1, 7), the second in (9, 15). A pixel that an edge cuts is grey by the part that
    is covered, so that the middle row and column of the picture tell all four edges.
    """

    def show(place: Tensor, generator: Rng) -> Tensor:
        low, high = (1 + 6 * _to_unit(place)).split(2, -1)
        sides = [_covered(low[:, k], 8 + high[:, k]) for k in (0, 1)]
        first, second = sides
        return (first.unsqueeze(-1) * second.unsqueeze(-2)).flatten(1)

    def read(rows: Tensor) -> Tensor:
        picture = rows.unflatten(-1, (SIZE, SIZE))
        lines = (picture[..., :, 8], picture[..., 8, :])
        low = [8 - line[..., :8].sum(-1) for line in lines]
        high = [line[..., 8:].sum(-1) for line in lines]
        edges = torch.stack([*low, *high], -1)
        return _from_unit((edges - 1) / 6)

    return Side(SIZE**2, show, read)


def digits_file() -> Path | None:
    """Return scikit-learn's file of digits, from this environment or that of the peer, or None without either."""
    spec = find_spec("sklearn")
    places = list((spec and spec.submodule_search_locations) or [])
    folders = [Path(place) for place in places] + list(PEER.glob("**/site-packages/sklearn"))
    files = (folder / "datasets" / "data" / "digits.csv.gz" for folder in folders)
    return next((file for file in files if file.exists()), None)


def digits_present() -> bool:
    """Return whether scikit-learn's digits are on this machine."""
    return digits_file() is not None


@cache
def digit_pictures() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's 1797 pictures of digits, 8 × 8 pixels from 0 to 16, and their labels."""
    file = digits_file()
    if file is None:
        raise ValueError("digits: expected scikit-learn, here or as a peer, got neither")
    table = torch.from_numpy(np.loadtxt(file, delimiter=","))
    return table[:, :64], table[:, 64].long()


def _digit_of(rows: Tensor) -> Tensor:
    pictures, labels = digit_pictures()
    return labels[torch.cdist(rows.double(), pictures).argmin(-1)]


def digits() -> Side:
    """Return a label from 0 to 9 as a picture of that digit, each of its pictures equally likely."""

    def show(label: Tensor, generator: Rng) -> Tensor:
        pictures, labels = digit_pictures()
        order, counts = labels.argsort(), labels.bincount()
        share = uniform(len(label), 1, generator).squeeze(-1)
        place = (share * counts[label]).long()
        return pictures[order[(counts.cumsum(0) - counts)[label] + place]]

    return Side(64, show, _digit_of)


class DigitLabels:
    """X a picture of a digit, all 1797 once in a random order, and Y its label, wrong with probability `flip`.

    More rows than pictures are drawn with repetition.
    """

    dim_x, dim_y = 64, 1

    def __init__(self, flip: float = 0.0) -> None:
        self.flip = flip

    @cached_property
    def _labels(self) -> Finite:
        counts = digit_pictures()[1].bincount()
        return symmetric_channel(counts / counts.sum(), self.flip)

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats: a picture determines its digit."""
        return self._labels.mutual_information

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, 64), in float64, and y of shape (n, 1), whole numbers."""
        pictures, labels = digit_pictures()
        index = torch.randperm(len(labels), generator=generator)[:n]
        if n > len(labels):
            index = torch.randint(len(labels), (n,), generator=generator)
        wrong = torch.rand(n, generator=generator) < self.flip
        shift = wrong * torch.randint(1, 10, (n,), generator=generator)
        label = (labels[index] + shift) % 10

        return pictures[index], label.unsqueeze(-1)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (n,)."""
        return self._labels.log_ratio(_digit_of(x), y.squeeze(-1))


def documents(topics: int) -> Side:
    """Return a topic as the counts of the words of a document: three of its own key words among 30 of Zipf's law."""
    words = _COMMON + topics * _KEYS
    weights = 1 / torch.arange(1, _COMMON + 1, dtype=torch.float64)

    def show(topic: Tensor, generator: Rng) -> Tensor:
        n = len(topic)
        common = torch.multinomial(
            weights.expand(n, -1), _LENGTH - 3, replacement=True, generator=generator
        )
        key = torch.randint(_KEYS, (n, 3), generator=generator) + topic.unsqueeze(-1) * _KEYS
        counts = torch.zeros(n, words, dtype=torch.float64)
        tokens = torch.cat([common, _COMMON + key], -1)

        return counts.scatter_add_(1, tokens, torch.ones_like(tokens, dtype=torch.float64))

    def read(rows: Tensor) -> Tensor:
        keys = rows[..., _COMMON:].unflatten(-1, (topics, _KEYS))
        return keys.sum(-1).argmax(-1)

    return Side(words, show, read)


def sentences(topics: int, length: int = 12) -> Side:
    """Return a topic as a sentence of token numbers, one a column: the token at a random place is the topic's own."""
    common = 50

    def show(topic: Tensor, generator: Rng) -> Tensor:
        n = len(topic)
        tokens = torch.randint(topics, topics + common, (n, length), generator=generator)
        place = torch.randint(length, (n, 1), generator=generator)
        return tokens.scatter(1, place, topic.unsqueeze(-1))

    return Side(length, show, lambda rows: rows.min(-1).values)


def _places(pairs: int, rho: float, side: Side) -> Shown:
    return Shown(Gaussian(rho, dim=pairs), side, side)


TASKS = (
    Task("blobs-16x16", _places(2, 0.9, blob())),
    Task("blobs-16x16-narrow", _places(2, 0.7, blob(1.2))),
    Task("rectangles-16x16", _places(4, 0.9, rectangle())),
    Task("digits-channel", channel(10, 0.2, digits(), digits()), present=digits_present),
    Task("digits-binary", channel(2, 0.1, digits(), digits()), present=digits_present),
    Task(
        "digits-label",
        DigitLabels(),
        rows=1797,
        discrete="y",
        fresh=False,
        present=digits_present,
    ),
    Task(
        "digits-noisy-label",
        DigitLabels(0.2),
        rows=1797,
        discrete="y",
        fresh=False,
        present=digits_present,
    ),
    Task(
        "digits-to-code",
        channel(10, 0.2, digits(), codes(10, seed=5)),
        discrete="y",
        present=digits_present,
    ),
    Task("documents-channel", channel(10, 0.2, documents(10), documents(10))),
    Task("sentences-label", channel(10, 0.2, sentences(10), codes(10)), discrete="y"),
)
"""Rendered places, digits, documents."""
