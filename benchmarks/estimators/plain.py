"""What anyone writes in an afternoon: a loop that trains a network on InfoNCE or SMILE, and nearest neighbours.

The loop stands in for packages that do not install: columns of mean 0 and variance 1, an encoder a side, scores that
are dot products, Adam, a tenth of the rows to choose the step that is kept. SMILE's critic is trained by the JS bound
(Song and Ermon 2020). Fresh rows are read in batches of 128, too.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from protocol import Read, answer
from scipy.spatial import KDTree
from scipy.special import digamma
from torch import Tensor, nn

import mi_estimators as mi

STEPS, EVERY, BATCH, WIDTH, FEATURES, NEIGHBOURS = 2000, 100, 128, 256, 32, 3


def bound(name: str, scores: Tensor) -> Tensor:
    """Return InfoNCE, SMILE (clipped at 5) or JS of a square matrix of scores."""
    if name == "infonce":
        return mi.infonce(scores)
    joint = scores.diagonal()
    product = scores[~torch.eye(len(scores), dtype=torch.bool)]
    return mi.js(joint, product) if name == "js" else mi.smile(joint, product, clip=5.0)


def encoder(columns: int) -> nn.Module:
    """Return a network of two hidden layers."""
    return nn.Sequential(
        *(nn.Linear(columns, WIDTH), nn.ReLU()),
        *(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, FEATURES)),
    )


def loop(
    name: str,
    x: Tensor,
    y: Tensor,
    steps: int,
) -> tuple[float, Read]:
    """Train two encoders; return their value on the rows that chose the step, and a function that reads others."""
    centres = [(v.mean(0), v.std(0).clamp(min=1e-9)) for v in (x, y)]
    net = nn.ModuleList([encoder(v.shape[1]) for v in (x, y)])

    def value(name: str, *sides: Tensor) -> Tensor:
        scaled = [(rows - mean) / std for rows, (mean, std) in zip(sides, centres, strict=True)]
        u, v = (encode(rows) for encode, rows in zip(net, scaled, strict=True))
        return bound(name, u @ v.mT)

    @torch.no_grad()
    def mean_value(u: Tensor, v: Tensor) -> float:
        count = max(1, len(u) // BATCH)
        blocks = zip(u.tensor_split(count), v.tensor_split(count), strict=True)
        values = [value(name, *block) for block in blocks]
        return float(torch.stack(values).mean())

    cut = len(x) // 10
    order = torch.randperm(len(x))
    kept, train = order[:cut], order[cut:]
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4)
    best, state = -np.inf, copy.deepcopy(net.state_dict())

    for step in range(1, steps + 1):
        batch = train[torch.randint(len(train), (BATCH,))]
        loss = -value("js" if name == "smile" else name, x[batch], y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

        if step % EVERY == 0 or step == steps:
            now = mean_value(x[kept], y[kept])
            if now > best:
                best, state = now, copy.deepcopy(net.state_dict())

    net.load_state_dict(state)

    def read(fresh_x: np.ndarray, fresh_y: np.ndarray) -> float:
        sides = (torch.from_numpy(rows).float() for rows in (fresh_x, fresh_y))
        return mean_value(*sides)

    return best, read


def neighbours(x: np.ndarray, y: np.ndarray, k: int = NEIGHBOURS) -> float:
    """Return the estimate of Kraskov et al. 2004, eq. 8, from columns of variance 1, with a little noise on ties."""
    noise = np.random.default_rng(0)
    x, y = ((v - v.mean(0)) / np.maximum(v.std(0), 1e-9) for v in (x, y))
    x, y = (v + 1e-10 * noise.normal(size=v.shape) for v in (x, y))
    both = np.hstack([x, y])
    distances, _ = KDTree(both).query(both, k + 1, p=np.inf)
    radius = distances[:, -1]
    inside = np.nextafter(radius, 0)
    counts = [
        KDTree(side).query_ball_point(side, inside, p=np.inf, return_length=True) for side in (x, y)
    ]

    alone = np.mean(digamma(counts[0]) + digamma(counts[1]))
    return float(digamma(k) + digamma(len(x)) - alone)


def fit(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    steps: int | None,
    options: dict[str, Any],
) -> tuple[dict, Read | None]:
    """Run the loop, or read the neighbours; return what it reports and a function that reads fresh rows."""
    if name == "ksg":
        return {"reported": neighbours(x, y)}, None
    torch.manual_seed(seed)
    u, v = (torch.from_numpy(rows).float() for rows in (x, y))
    reported, read = loop(name, u, v, STEPS if steps is None else steps)

    return {"reported": reported}, read


if __name__ == "__main__":
    answer(fit, f"plain 1, torch {torch.__version__.split('+')[0]}")
