"""A closed-form log-ratio of columns with additive noise of any law: T(x, y) = ln p(y − Bx) − ln q(y)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ... import _validate
from ..decompose import decomposed
from .closed_form import ClosedForm
from .copula import canonical_directions

_PAIRS = 8  # canonical pairs at most
_CELLS = 1024  # of a table
_MARGIN = 0.2  # of the range of the training rows, at each end of a table
_BANDWIDTHS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3)  # in standard deviations
_FLOOR = -12.0  # ln density, in standard deviations: the cost of a row far from all others
_INDEPENDENT = 1e-4  # weight of independence in the mixture: ln p(y | x) ≥ ln q(y) + ln of it
_SMALLEST = 1e-5  # of y's standard deviation: less noise is a copy
_TINY = 1e-12  # keeps logarithms and inverse roots finite
_NOT_GAUSSIAN = 0.01  # nats that the noise's own law must gain over a Gaussian one
_QUARTILES = 0.0, 0.25, 0.5, 0.75, 1.0
_HEAVY = 40.0  # widths between the ends, from which tails are heavy
_ROUNDS, _SETTLED = 100, 1e-6  # of FastICA at most; 1 − cosine of a direction that no longer turns


class LogDensity(nn.Module):
    """The log-density of a column, by a Gaussian kernel, as a table of equal cells.

    The cells of a column of heavy tails are equal in asinh((v − median)/width): wider, the further out.

    Args:
        rows: training values, shape (n,).
        valid: values that choose the bandwidth, shape (m,).

    Attributes:
        entries: about how many free values the table has.
    """

    table: Tensor

    def __init__(
        self,
        rows: Float[Tensor, " n"],
        valid: Float[Tensor, " m"],
    ) -> None:
        super().__init__()
        quartiles = rows.quantile(rows.new_tensor(_QUARTILES))
        low, first, middle, third, high = quartiles.tolist()
        self.centre, self.width = middle, (third - first) / 1.35
        self.heavy = 0 < _HEAVY * self.width < high - low

        places = self._place(rows)
        low, high = float(places.min()), float(places.max())
        self.low = low - _MARGIN * (high - low)
        self.cell = (1 + 2 * _MARGIN) * (high - low) / _CELLS
        deviation = float(places.std())
        floor = _FLOOR - math.log(float(rows.std()))

        cells = ((places - self.low) / self.cell).long().clamp(0, _CELLS - 1)
        counts = torch.bincount(cells, minlength=_CELLS).to(rows.dtype)

        best, kept, width = -math.inf, counts, deviation
        for bandwidth in _BANDWIDTHS:
            table = self._smoothed(counts, max(1.0, bandwidth * deviation / self.cell))
            self.register_buffer("table", table)
            score = float(self(valid).clamp_min(floor).mean())
            if score > best:
                best, kept, width = score, table, bandwidth * deviation

        self.register_buffer("table", kept.float())
        self.entries = (high - low) / (2 * math.sqrt(math.pi) * width)

    def _place(self, values: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return ((values - self.centre) / self.width).asinh() if self.heavy else values

    def _smoothed(
        self,
        counts: Float[Tensor, " cells"],
        width: float,
    ) -> Float[Tensor, " cells"]:
        """Return the log of the counts' density in places, smoothed over `width` cells."""
        # A convolution, in twice as many cells so that the ends do not meet.
        size = 2 * _CELLS
        offsets = torch.arange(_CELLS, dtype=counts.dtype, device=counts.device)
        distances = torch.cat([offsets, offsets.flip(0) + 1])
        kernel = torch.exp(-0.5 * (distances / width) ** 2)
        spectrum = torch.fft.rfft(counts, n=size) * torch.fft.rfft(kernel)
        density = torch.fft.irfft(spectrum, n=size)[:_CELLS].clamp_min(0)
        density[0] = density[-1] = 0.0  # and so beyond the table

        total = density.sum() * self.cell
        return (density / total + _TINY / self.cell).log()

    def forward(self, values: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ln p(values), between cells by interpolation; that of an empty cell beyond the table."""
        place = (self._place(values) - self.low) / self.cell - 0.5
        left = place.floor().clamp(0, _CELLS - 2)
        share = (place - left).clamp(0, 1)
        table, index = self.table, left.long()
        density = torch.lerp(table[index], table[index + 1], share.to(table))
        if not self.heavy:
            return density

        ratio = (values - self.centre) / self.width
        stretch = torch.log1p(ratio.square()).to(table)  # of arsinh, the map to places
        return density - 0.5 * stretch - math.log(self.width)


class AdditiveModel(ClosedForm):
    """T(x, y) = ln [(1 − ε) Π_k p_k(a_k·(v − ρu)) / Π_k q_k(b_k·v) + ε] + a constant, shape (..., n, m), in nats.

    u and v are canonical coordinates of x and y. p_k are the laws of the independent components of the noise, q_k those
    of v, all by kernels. Exact, up to estimation, where y is linear in x plus noise whose components are independent in
    some basis, whatever their laws. ε keeps the log-ratio finite.

    Args:
        x, y: standardised training rows, shapes (n, dx) and (n, dy).
        valid: rows that choose the bandwidths.
        backwards: x is a sum of y and noise, rather than y of x.
        places: where the columns of each side begin among all that the critic is shown.

    Attributes:
        gain: by how many nats the noise's own law fits validation rows better than a Gaussian one; −∞ without noise.
        shortfall: expected loss on new rows, in nats, of the entries that were fitted.

    Reference: Darmois 1953, Shimizu et al. 2006 (linear models with non-Gaussian noise); Parzen 1962 (kernels).
    """

    centre_u: Tensor
    centre_v: Tensor
    left: Tensor
    right: Tensor
    noise_basis: Tensor
    own_basis: Tensor

    def __init__(
        self,
        x: Float[Tensor, "n dx"],
        y: Float[Tensor, "n dy"],
        valid: tuple[Float[Tensor, "m dx"], Float[Tensor, "m dy"]],
        *,
        backwards: bool = False,
        places: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.dims = x.shape[1], y.shape[1]
        self.places, self.backwards = places, backwards

        x, y = _validate.scores("x", x).double(), _validate.scores("y", y).double()
        cause, effect = self._directed(x, y)
        self.register_buffer("centre_u", cause.mean(0))
        self.register_buffer("centre_v", effect.mean(0))
        left, right = canonical_directions(cause - self.centre_u, effect - self.centre_v, math.inf)
        pairs = min(*self.dims, _PAIRS)
        self.register_buffer("left", left[:, :pairs].clone())
        self.register_buffer("right", right[:, :pairs].clone())
        u, v = self._coordinates(cause, effect)
        self.left *= (u * v).mean(0) / u.square().mean(0)  # from here on u is what x tells of v

        u, v = self._coordinates(cause, effect)
        valid_u, valid_v = self._coordinates(*self._directed(*valid))
        self.gain, self.shortfall, self.constant = -math.inf, 0.0, 0.0
        self.noise, self.own = nn.ModuleList(), nn.ModuleList()
        noise, valid_noise = v - u, valid_v - valid_u
        eye = torch.eye(pairs, dtype=v.dtype, device=v.device)
        self.register_buffer("noise_basis", eye)
        self.register_buffer("own_basis", eye)
        if bool((noise.std(0) < _SMALLEST * v.std(0)).any()):
            return

        self.noise_basis = independent_directions(noise)
        laws = _laws(noise @ self.noise_basis, valid_noise @ self.noise_basis)

        components = valid_noise @ self.noise_basis  # of variance 1 in training rows
        gaussian = -0.5 * (components.square() + math.log(2 * math.pi))
        fitted = torch.stack([law(components[:, k]) for k, law in enumerate(laws)], 1)
        self.gain = float((fitted - gaussian).sum(1).mean())
        if not self.applies:
            return

        self.own_basis = independent_directions(v)
        own_laws = _laws(v @ self.own_basis, valid_v @ self.own_basis)
        self.noise, self.own = nn.ModuleList(laws), nn.ModuleList(own_laws)
        log_dets = [torch.linalg.slogdet(basis)[1] for basis in (self.noise_basis, self.own_basis)]
        self.constant = float(log_dets[0] - log_dets[1])

        entries = pairs * (sum(self.dims) - pairs)
        entries += sum(law.entries for law in (*laws, *own_laws))
        self.shortfall = entries / (2 * len(x))

    @property
    def applies(self) -> bool:
        """Whether the noise has a law of its own; if not, a copula is as good, and all scores are 0."""
        return self.gain > _NOT_GAUSSIAN

    def _directed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (y, x) if self.backwards else (x, y)

    def _coordinates(self, cause: Tensor, effect: Tensor) -> tuple[Tensor, Tensor]:
        u = (cause.double() - self.centre_u) @ self.left
        return u, (effect.double() - self.centre_v) @ self.right

    def features(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> tuple[Float[Tensor, "*batch n p"], Float[Tensor, "*batch m q"]]:
        """Return what each row contributes to its `scores`: components of ρu; those of v, and ln q(v)."""
        u, v = self._coordinates(*self._directed(x, y))
        components = v @ self.own_basis

        own = torch.full_like(v[..., 0], -self.constant)
        for k, law in enumerate(self.own):
            own = own + law(components[..., k])

        u, v = u @ self.noise_basis, v @ self.noise_basis
        of_effect = torch.cat([v, own.unsqueeze(-1)], -1)
        return self._directed(u.float(), of_effect.float())

    def scores(
        self, x: Float[Tensor, "*batch n p"], y: Float[Tensor, "*batch m q"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix of rows' `features`, in nats."""
        u, v = self._directed(x, y)
        scores = torch.zeros_like(u[..., :1]) - v[..., -1].unsqueeze(-2)
        for k, law in enumerate(self.noise):
            noise = v[..., k].unsqueeze(-2) - u[..., k].unsqueeze(-1)
            scores = scores + law(noise)

        floor = scores.new_tensor(math.log(_INDEPENDENT))
        scores = torch.logaddexp(scores + math.log1p(-_INDEPENDENT), floor)
        return scores.mT if self.backwards else scores


def _laws(
    rows: Float[Tensor, "n k"],
    valid: Float[Tensor, "m k"],
) -> list[LogDensity]:
    return [LogDensity(*columns) for columns in zip(rows.T, valid.T, strict=True)]


def independent_directions(
    rows: Float[Tensor, "n k"], start: Float[Tensor, "k k"] | None = None
) -> Float[Tensor, "k k"]:
    """Return directions in which rows have variance 1 and look independent, as columns.

    Of Gaussian components every rotation is as good. Of several optima one near `start` is found, a rotation of the
    principal components.

    Reference: Hyvärinen 1999 (FastICA, all directions at once, with tanh).

    >>> generator = torch.Generator().manual_seed(0)
    >>> sources = torch.rand(4000, 2, dtype=torch.float64, generator=generator)
    >>> mixed = sources @ torch.tensor([[1.0, 1.0], [-1.0, 2.0]], dtype=torch.float64)
    >>> cross = torch.corrcoef(torch.cat([sources, mixed @ independent_directions(mixed)], 1).T)[:2, 2:]
    >>> bool((cross.abs().amax(1) > 0.99).all())
    True
    """
    centred = rows - rows.mean(0)
    values, vectors = decomposed(torch.linalg.eigh, centred.T @ centred / len(rows))
    whitening = vectors * values.clamp_min(_TINY * values.max()).rsqrt()
    white = centred @ whitening

    turn = torch.eye(white.shape[1], dtype=white.dtype, device=white.device)
    if start is not None:
        turn = start.to(white)

    for _ in range(_ROUNDS):
        curved = torch.tanh(white @ turn)
        slope = (1 - curved.square()).mean(0)
        step = white.T @ curved / len(white) - turn * slope
        left, _, right = decomposed(torch.linalg.svd, step)
        last, turn = turn, left @ right
        cosines = (last * turn).sum(0).abs()
        if float(cosines.min()) > 1 - _SETTLED:
            break

    return whitening @ turn
