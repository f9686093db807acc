"""The gated critic: a mixture of dot products of gated, normalised encodings.

Several of them can be trained as members of one network: each parameter then carries a leading dimension of members,
and one small matrix product becomes one batched one. Training is bound by the number of operations, so four members
cost little more than one.
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

_HEADS = 4  # dot products in the mixture
_EMBEDDING = 16  # dimension of a head
_BLOCKS = 2  # of an encoder
_GATE_PENALTY = 0.03  # nats for a gate that is open: what a column must be worth


class MemberLinear(nn.Module):
    """A linear map for each member, x ↦ xW + b, or one map without members."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        members: tuple[int, ...],
        *,
        bias: bool = True,
        zero: bool = False,
    ) -> None:
        super().__init__()
        bound = 0.0 if zero else n_in**-0.5
        weight = torch.empty(*members, n_in, n_out).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(*members, n_out)) if bias else None

    def forward(self, rows: Float[Tensor, "*batch n i"]) -> Float[Tensor, "*batch n o"]:
        """Map rows, shape (..., n, i), or (members, ..., n, i)."""
        values = rows @ _between(self.weight, rows)
        if self.bias is None:
            return values
        return values + _between(self.bias.unsqueeze(-2), rows)


class GatedBlock(nn.Module):
    """A residual gated linear unit, h ↦ h + W(a ⊙ σ(b)) with (a, b) linear in the normalised h."""

    def __init__(self, width: int, members: tuple[int, ...]) -> None:
        super().__init__()
        self.up = MemberLinear(width, 2 * width, members)
        self.down = MemberLinear(width, width, members)

    def forward(self, hidden: Float[Tensor, "*batch n w"]) -> Float[Tensor, "*batch n w"]:
        """Return the next hidden rows."""
        value, gate = self.up(normalised(hidden)).chunk(2, -1)
        return hidden + self.down(value * gate.sigmoid())


class GatedEncoder(nn.Module):
    """A row's embedding and bias for each head, from its first columns.

    Each column is first multiplied by a gate, which starts open. A penalty closes the gates of idle columns.
    """

    def __init__(
        self, columns: int, hidden: int, members: tuple[int, ...], *, zero_start: bool
    ) -> None:
        super().__init__()
        size = _HEADS * _EMBEDDING
        self.gate = nn.Parameter(torch.ones(*members, columns))
        self.first = MemberLinear(columns, hidden, members)
        self.blocks = nn.ModuleList(GatedBlock(hidden, members) for _ in range(_BLOCKS))
        self.out = MemberLinear(hidden, size, members, zero=zero_start)
        self.skip = MemberLinear(columns, size, members, bias=False, zero=zero_start)
        self.row = MemberLinear(hidden, _HEADS, members, zero=True)
        self.row_skip = MemberLinear(columns, _HEADS, members, bias=False, zero=True)

    def forward(
        self, rows: Float[Tensor, "*batch n d"]
    ) -> tuple[Float[Tensor, "*batch h n e"], Float[Tensor, "*batch h n one"]]:
        """Return the embeddings (..., heads, n, e) and the biases (..., heads, n, 1)."""
        gate = _between(self.gate.unsqueeze(-2), rows)
        rows = rows[..., : self.gate.shape[-1]] * gate

        hidden = self.first(rows)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = normalised(hidden)

        embedding = self.out(hidden) + self.skip(rows)
        embedding = embedding.unflatten(-1, (_HEADS, -1)).transpose(-2, -3)
        bias = self.row(hidden) + self.row_skip(rows)
        return embedding, bias.mT.unsqueeze(-1)


class Gated(nn.Module):
    """The critic T(x, y) = ln ¼ Σ_k exp(f_k(x)·g_k(y) + a_k(x) + b_k(y) + γ_k A(x, y)), k = 1 … 4.

    A mixture of separable critics: all n·m scores for n + m network evaluations. A is an anchor, if there is one, with
    a learned weight γ_k that starts at 1. The normalisation h/√(mean h² + 1) keeps outlying rows from high scores.

    Args:
        dim_x, dim_y: number of columns of x and y.
        hidden: width of the encoders.
        members: number of critics trained side by side; None for a single one.

    >>> critic = Gated(2, 3)
    >>> critic(torch.randn(4, 2), torch.randn(5, 3)).abs().max().item()  # it starts at zero
    0.0
    >>> Gated(2, 3, members=2)(torch.randn(2, 4, 2), torch.randn(2, 5, 3)).shape
    torch.Size([2, 4, 5])
    """

    pairwise = False
    weighs_anchor = True

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 64,
        *,
        members: int | None = None,
    ) -> None:
        super().__init__()
        lead = () if members is None else (members,)
        self.x = GatedEncoder(dim_x, hidden, lead, zero_start=False)
        self.y = GatedEncoder(dim_y, hidden, lead, zero_start=True)
        self.anchor_weight = nn.Parameter(torch.ones(*lead, _HEADS))

    def forward(
        self,
        x: Float[Tensor, "*batch n dx"],
        y: Float[Tensor, "*batch m dy"],
        anchor: Float[Tensor, "*batch n m"] | None = None,
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        (f, a), (g, b) = self.x(x), self.y(y)

        # (f, a, 1)·(g, 1, b): the biases cost nothing beside the dot product.
        of_x = torch.cat([f, a, torch.ones_like(a)], -1)
        of_y = torch.cat([g, torch.ones_like(b), b], -1)
        scores = of_x @ of_y.mT

        if anchor is not None:
            anchor = anchor.unsqueeze(-3)
            weight = _between(self.anchor_weight[..., None, None], anchor, trailing=3)
            scores = torch.addcmul(scores, weight, anchor)

        return scores.logsumexp(-3) - math.log(_HEADS)

    def penalty(self) -> Tensor:
        """Return what open gates cost, in nats, summed over members."""
        return _GATE_PENALTY * (self.x.gate.abs().sum() + self.y.gate.abs().sum())

    def matrix(self, values: list[Tensor]) -> Tensor:
        """Return values of the parameters' shapes as a matrix, a row a member."""
        return torch.cat([value.flatten(1) for value in values], 1)

    def place(self, weights: Tensor) -> None:
        """Make the parameters views of a matrix with a row a member."""
        place(list(self.parameters()), weights)

    def buffers_of(self, k: int) -> list[Tensor]:
        """Return the buffers of a member: none."""
        return []

    def member(self, k: int) -> Gated:
        """Return the k-th member as a critic of its own."""
        single = copy.deepcopy(self)
        for module in single.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(parameter.detach()[k].clone()))
        return single


def place(parameters: list[nn.Parameter], weights: Tensor) -> None:
    """Make parameters views of a vector (p,), or of a matrix (members, p) for stacked ones."""
    start = 0
    for parameter in parameters:
        size = parameter.numel() * weights.shape[-1] // max(1, weights.numel())
        parameter.data = weights[..., start : start + size].view_as(parameter)
        start += size


def normalised(hidden: Tensor) -> Tensor:
    """Return h/√(mean h² + 1)."""
    size = hidden.square().mean(-1, keepdim=True)
    return hidden * torch.rsqrt(size + 1)


def _between(parameter: Tensor, rows: Tensor, trailing: int = 2) -> Tensor:
    """Return a parameter (members, …) with dimensions of one between members and its own, to go with the rows."""
    own = parameter.dim() - trailing
    missing = rows.dim() - trailing - own
    if own == 0 or missing <= 0:
        return parameter
    before, after = parameter.shape[:own], parameter.shape[own:]
    return parameter.view(*before, *[1] * missing, *after)
