"""Encoders of your own, a side each, in the head of the gated critic: for pictures and sequences."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .gated import Gated

Encoder = nn.Module | Callable[[Any], nn.Module]
"""A module that maps rows (n, ...) to (n, k); or a function, shape of a row → such a module."""


@dataclass(frozen=True)
class Encoders:
    """A critic for `MIEstimator(critic=...)`: encoders of your own below the gated critic.

    A side of pictures comes to its encoder in its own shape, (n, channels, height, width), at one scale. Columns come
    as normal scores; pass transform="none" for numbers that are names, such as tokens.

    Args:
        encoder_x, encoder_y: a module, of which each fold trains a copy; or a function that makes one, given the number
            of columns or the shape of a row. It maps rows (n, ...) to (n, k). None: the side as it is.
        hidden: width of the gated critic.

    Raises:
        ValueError: (when a critic is made) an encoder that returns anything but rows (n, k).

    >>> critic = Encoders(encoder_x=torch.nn.Flatten())((1, 4, 4), 2)
    >>> critic(torch.randn(3, 1, 4, 4), torch.randn(5, 2)).shape
    torch.Size([3, 5])
    """

    encoder_x: Encoder | None = None
    encoder_y: Encoder | None = None
    hidden: int = 64

    def __call__(self, shape_x: Any, shape_y: Any) -> EncodedCritic:
        """Return a critic of rows of these shapes, or numbers of columns."""
        made = [
            _made(name, encoder, shape)
            for name, encoder, shape in (
                ("encoder_x", self.encoder_x, shape_x),
                ("encoder_y", self.encoder_y, shape_y),
            )
        ]
        (x, columns_x), (y, columns_y) = made

        return EncodedCritic(x, y, Gated(columns_x, columns_y, self.hidden))


class EncodedCritic(nn.Module):
    """A gated critic of what two encoders make of the rows."""

    pairwise = False

    def __init__(self, encoder_x: nn.Module, encoder_y: nn.Module, head: Gated) -> None:
        super().__init__()
        self.encoder_x, self.encoder_y, self.head = encoder_x, encoder_y, head

    def forward(
        self,
        x: Float[Tensor, "n ..."],
        y: Float[Tensor, "m ..."],
    ) -> Float[Tensor, "n m"]:
        """Return the score matrix T(x_i, y_j), shape (n, m), in nats."""
        return self.head(self.encoder_x(x), self.encoder_y(y))


def _made(
    name: str,
    encoder: Encoder | None,
    shape: Any,
) -> tuple[nn.Module, int]:
    """Return an encoder of rows of a shape, and how many columns it makes of them."""
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    if encoder is None:
        return nn.Flatten(), math.prod(lengths)

    module = copy.deepcopy(encoder) if isinstance(encoder, nn.Module) else encoder(shape)
    if not isinstance(module, nn.Module):
        raise ValueError(f"{name}: expected a torch.nn.Module, got {type(module).__name__}")

    training = module.training
    expected = f"rows (2, k) of rows {(2, *lengths)}"
    try:
        with torch.no_grad():
            rows = module.eval()(torch.zeros(2, *lengths))
    except (RuntimeError, TypeError, IndexError) as error:
        message = f"{name}: expected {expected}, got {type(error).__name__}: {error}"
        raise ValueError(message) from error

    module.train(training)
    if not isinstance(rows, Tensor) or rows.dim() != 2 or len(rows) != 2:
        got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise ValueError(f"{name}: expected {expected}, got {got}")

    return module, rows.shape[1]
