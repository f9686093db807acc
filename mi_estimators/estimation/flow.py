"""A flow to normal rows: turns and curved columns by turns, fitted to the rows of one side alone.

Rows behind an invertible map keep their information, but no copula of their columns holds. A map that makes them normal
again brings the copula back. It sees one side and never a pair, so independent sides stay independent behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from .decompose import decomposed
from .experts.additive import independent_directions
from .inputs import seeded_random_state
from .misfit import copula_misfit
from .neighbours import normal_scores
from .transforms import Standard, columns_aside, margins_aside

_COLUMNS, _FEWEST = 24, 1000  # columns at most, rows at least
_DISTINCT = 0.99  # share of different values in a column; ties have no density
_GIVEN = 1e-6  # variance of normal scores in a direction, below which others give a column
_CONTRADICTED = 5.0  # standard errors, beyond which columns are not jointly normal
_LAYERS, _BUMPS = 4, 4
_TURNED, _TURN_ROWS, _FIRST_STEPS = 3, 20_000, 150  # layers that look for independent columns first
_STARTS = 4  # of which the best goes on: the directions that are found first decide much
_BATCH, _RATE, _FIRST_RATE, _CLIP = 500, 4e-2, 0.05, 20.0
_HELD_OUT = 0.1  # share of the rows that tell when to stop
_WORTH = 0.1  # nats a column, below which a flow is not worth its time
_EVALUATE_EVERY = 50  # steps

Rows = Float[Tensor, "n d"]
"""n rows of d columns."""


class Layer(nn.Module):
    """A linear map, then an increasing one of each column: a slope and smooth steps, z ↦ az + Σ w tanh(k(z − c))."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        steps = torch.linspace(-2, 2, _BUMPS, dtype=torch.float32).expand(columns, -1)
        self.turn = nn.Parameter(torch.eye(columns, dtype=torch.float32))
        self.shift = nn.Parameter(steps.new_zeros(columns))
        self.log_slope = nn.Parameter(steps.new_zeros(columns))
        self.centres = nn.Parameter(steps.clone())
        self.log_sharpness = nn.Parameter(torch.zeros_like(steps))
        self.heights = nn.Parameter(torch.full_like(steps, -3.0))

    def curved(self, rows: Rows) -> tuple[Rows, Float[Tensor, " n"]]:
        """Return turned rows with their columns curved, and the sum of the logarithms of the slopes there."""
        sharpness, height = self.log_sharpness.exp(), softplus(self.heights)
        steps = torch.tanh(sharpness * (rows.unsqueeze(-1) - self.centres))
        slope = self.log_slope.exp()

        slopes = slope + (height * sharpness * (1 - steps.square())).sum(-1)
        return slope * rows + (height * steps).sum(-1), slopes.log().sum(-1)

    def forward(self, rows: Rows) -> tuple[Rows, Float[Tensor, " n"]]:
        """Return the mapped rows, and the logarithm of the volume that the map gives each."""
        mapped, volume = self.curved(rows @ self.turn + self.shift)
        return mapped, volume + torch.linalg.slogdet(self.turn)[1]


class Flow(nn.Module):
    """Layers that send rows of a side to nearly normal ones.

    Reference: Chen and Gopinath 2000 (Gaussianization); Meng et al. 2020 (trained).
    """

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.scaled = Standard(rows)
        self.layers = nn.ModuleList(Layer(rows.shape[1]) for _ in range(_LAYERS))

    def first(self, count: int) -> list[Layer]:
        """Return the first layers."""
        return [layer for layer in self.layers if isinstance(layer, Layer)][:count]

    def log_density(self, scaled: Rows) -> Float[Tensor, " n"]:
        """Return ln of the density of scaled rows, in nats."""
        rows, volume = self.mapped(scaled)
        return volume - 0.5 * (rows.square() + math.log(2 * math.pi)).sum(1)

    @property
    def device(self) -> torch.device:
        """Where the layers are."""
        return next(self.layers.parameters()).device

    def mapped(self, scaled: Rows) -> tuple[Rows, Float[Tensor, " n"]]:
        """Return scaled rows behind all layers, and the logarithm of the volume that they give each."""
        rows, volume = scaled, scaled.new_zeros(len(scaled))
        for layer in self.layers:
            rows, more = layer(rows)
            volume = volume + more
        return rows, volume

    @torch.no_grad()
    def forward(self, rows: Rows) -> Rows:
        """Return nearly normal rows in float32."""
        return self.mapped(self.scaled(rows))[0]


class Flowed(nn.Module):
    """A transform of the rows behind a flow.

    Args:
        rows: what the transform is made from.
        flow: as it was fitted.
        make: of the rows behind it.
    """

    def __init__(self, rows: Rows, flow: Flow, make: Callable[[Rows], nn.Module]) -> None:
        super().__init__()
        self.flow = flow.to(rows.device)
        self.then = make(self.flow(rows).double())
        self.aside, self.margins = columns_aside(self.then), margins_aside(self.then)

    def forward(self, rows: Rows) -> Float[Tensor, "n columns"]:
        """Return the transformed rows in float32."""
        return self.then(self.flow(rows).double())


def fit_flow(rows: Rows, steps: int) -> Flow | None:
    """Fit a flow to the rows of a side by maximum likelihood; None where it is not worth it.

    It is not tried where the columns are few, tied or jointly normal but for their margins. It is given up where its
    first start says little more of rows that it has not seen than a Gaussian copula.

    Args:
        rows: of one side, in an order that says nothing.
        steps: of the training of all layers together, at most.
    """
    if not _promising(rows):
        return None

    scaled = Standard(rows)(rows)
    cut = round(len(rows) * (1 - _HELD_OUT))
    train, held_out = scaled[:cut], scaled[cut:]
    wanted = _normal_copula_log_density(scaled.double()) + _WORTH * rows.shape[1]

    flow, best = Flow(rows), -math.inf
    with seeded_random_state(rows.device, 0), torch.enable_grad():
        for number in range(_STARTS):
            tried = Flow(rows)
            _turn(tried, train, at_random=number > 0)
            reached = _train(tried, train, held_out, math.ceil(steps / _STARTS))
            if reached > best:
                flow, best = tried, reached
            if not best > wanted:
                return None

        _train(flow, train, held_out, steps)

    return flow.requires_grad_(False)


def _promising(rows: Rows) -> bool:
    """Tell whether a side's columns have densities, and are not jointly normal but for their margins."""
    n, columns = rows.shape
    if not 2 <= columns <= _COLUMNS or n < _FEWEST:
        return False
    if any(len(column.unique()) < _DISTINCT * n for column in rows.T):
        return False

    scores = normal_scores(rows)
    if float(decomposed(torch.linalg.eigh, torch.corrcoef(scores.T))[0][0]) < _GIVEN:
        return False

    return contradiction(rows) > _CONTRADICTED


def contradiction(rows: Rows) -> float:
    """Return how far the columns of a side are from jointly normal ones but for their margins, in standard errors."""
    scores, columns = normal_scores(rows), rows.shape[1]
    numbers = torch.arange(columns)
    splits = [(numbers >> bit) % 2 == 0 for bit in range((columns - 1).bit_length())]
    # Every two columns are apart in one of the splits.
    misfits = [copula_misfit(scores[:, split], scores[:, ~split]) for split in splits]
    return max(misfits, default=0.0)


def _normal_copula_log_density(rows: Rows) -> float:
    """Return the mean ln density of rows under a Gaussian copula, the densities of the columns by spacings.

    Reference: Vasicek 1976.
    """
    n = len(rows)
    gap = round(math.sqrt(n))
    ordered = rows.sort(0).values
    widths = (ordered[gap:] - ordered[:-gap]) * (n / gap)
    of_columns = -widths.log().mean(0).sum()

    scores = normal_scores(rows)
    return float(of_columns - 0.5 * torch.logdet(torch.corrcoef(scores.T)))


def _turn(flow: Flow, rows: Rows, at_random: bool) -> None:
    """Turn the first layers, one after another, to independent columns of what the last one gave, and curve those."""
    size = rows.shape[1]
    for layer in flow.first(_TURNED):
        start = None
        if at_random:
            start, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float32))

        turn = independent_directions(rows[:_TURN_ROWS].double(), start).float()
        turned = rows @ turn
        with torch.no_grad():
            layer.turn.copy_(turn)
            layer.shift.copy_(-turned.mean(0))

        columns = [p for name, p in layer.named_parameters() if name != "turn"]
        _ascend(columns, lambda batch, layer=layer: _column_log_density(layer, batch), turned)
        with torch.no_grad():
            rows, _ = layer(rows)
        if not bool(rows.isfinite().all()):  # as outliers may have it
            return


def _column_log_density(layer: Layer, turned: Rows) -> Tensor:
    mapped, volume = layer.curved(turned + layer.shift)
    return (volume - 0.5 * mapped.square().sum(1)).mean()


def _ascend(parameters: Sequence[Tensor], objective: Callable[[Rows], Tensor], rows: Rows) -> None:
    optimizer = torch.optim.Adam(parameters, _FIRST_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, _FIRST_STEPS)
    for _ in range(_FIRST_STEPS):
        optimizer.zero_grad()
        (-objective(rows[torch.randint(len(rows), (_BATCH,))])).backward()
        optimizer.step()
        schedule.step()


def _train(flow: Flow, rows: Rows, held_out: Rows, steps: int) -> float:
    """Train all layers; keep the weights that do best on held-out rows, and return their mean ln density."""
    parameters = list(flow.layers.parameters())
    optimizer = torch.optim.AdamW(parameters, _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=steps + 1, pct_start=0.1
    )
    best, state = -math.inf, flow.layers.state_dict()

    for step in range(steps + 1):
        if step % _EVALUATE_EVERY == 0 or step == steps:
            with torch.no_grad():
                value = float(flow.log_density(held_out).mean())
            if value > best:
                best = value
                state = {name: v.clone() for name, v in flow.layers.state_dict().items()}
            if not math.isfinite(value) or step == steps:
                break

        optimizer.zero_grad()
        (-flow.log_density(rows[torch.randint(len(rows), (_BATCH,))]).mean()).backward()
        nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimizer.step()
        schedule.step()

    flow.layers.load_state_dict(state)
    return best
