"""Score tokens at the output head tile by tile: no (S, V) array of logits, no float32 copy of the weight.

A tile is a block of rows times a slice of the vocabulary. The forward pass keeps one number a row, the logarithm of the
normaliser; the backward pass computes the tiles again. So the memory beside the gradients is that of one tile,
whatever the vocabulary and the length.

Products of bf16 numbers are exact in float32. On CUDA the tiles are products of bf16 operands with float32 output where
the device has them; elsewhere a slice of the weight is cast at a time.

Reference: Milakov and Gimelshein 2018 (arXiv 1805.02867), the online normaliser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TILE = {"cpu": 2**22, "cuda": 2**26}  # logits of a tile: 16 and 256 MiB in float32
WORDS = {"cpu": 4096, "cuda": 16384}  # of the vocabulary in a tile
KEPT_LOGITS = 2**25  # logits that are kept for the backward pass: 128 MiB; more are computed again

CAP = "final_logit_softcapping"  # cap · tanh(logits / cap), as in Gemma
SCALES: dict[str, Callable[[float], float]] = {  # name → what the logits are multiplied by
    "logit_scale": lambda value: value,  # Cohere
    "logits_scaling": lambda value: 1 / value,  # Granite
    "output_multiplier": lambda value: value,
}


@dataclass(frozen=True)
class Shape:
    """What a model does to its logits: multiply them by `scale`, then squash them below `cap`, if any."""

    scale: float = 1.0
    cap: float | None = None

    def apply_(self, logits: Tensor) -> Tensor:
        """Shape logits in place."""
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.cap is not None:
            logits.div_(self.cap).tanh_().mul_(self.cap)
        return logits

    def chain_(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """Turn the gradient of shaped logits into that of the plain ones, in place; `logits` are the shaped ones."""
        if self.cap is not None:
            gradient.mul_(1 - (logits / self.cap).square())
        return gradient.mul_(self.scale) if self.scale != 1.0 else gradient


class _TokenLogProbs(torch.autograd.Function):
    """ln softmax(shape(rows · weightᵀ + bias)) at the targets, (S,), in nats."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        shape: Shape,
        most: int,
    ) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            operands = _Operands(rows, weight, bias, shape)
            normaliser = operands.wide.new_full((len(rows),), -torch.inf)

            chosen = torch.zeros_like(normaliser)
            kept = []
            for block, words, logits in operands.tiles():
                if len(rows) * len(weight) <= most:
                    kept.append(logits)
                own = normaliser[block]
                torch.logaddexp(own, logits.logsumexp(-1), out=own)
                inside, column = _columns(targets[block], words)
                picked = logits.gather(-1, column.unsqueeze(-1))[:, 0]
                chosen[block] += picked.where(inside, 0)

        ctx.save_for_backward(rows, weight, bias, targets, normaliser)
        ctx.shape, ctx.kept = shape, kept
        return chosen - normaliser

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor):
        rows, weight, bias, targets, normaliser = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, []  # freed as they are used; of a retained graph computed again
        of_rows, of_weight, of_bias = ctx.needs_input_grad[:3]
        with torch.autocast(rows.device.type, enabled=False):
            operands = _Operands(rows, weight, bias, ctx.shape)
            grad_rows = torch.zeros_like(operands.wide) if of_rows else None
            grad_weight = torch.empty_like(weight) if of_weight else None
            grad_bias = torch.zeros_like(bias) if of_bias else None

            for words in operands.slices():
                total = None
                for block, _, logits in operands.tiles(words, kept):
                    step = gradient[block].unsqueeze(-1)
                    slope = logits - normaliser[block].unsqueeze(-1)
                    slope.exp_().mul_(-step)
                    inside, column = _columns(targets[block], words)
                    slope.scatter_add_(-1, column.unsqueeze(-1), step * inside.unsqueeze(-1))
                    slope = ctx.shape.chain_(slope, logits)

                    if grad_bias is not None:
                        grad_bias[words] += slope.sum(0)
                    slope = slope.to(operands.narrow)
                    if grad_rows is not None:
                        operands.add(grad_rows[block], slope, operands.slice(words))

                    if grad_weight is not None:
                        part = operands.rows[block]
                        if total is None:
                            total = operands.product(slope.T, part)
                        else:
                            operands.add(total, slope.T, part)

                if grad_weight is not None and total is not None:
                    grad_weight[words] = total

        if grad_rows is not None:
            grad_rows = grad_rows.to(rows.dtype)
        return grad_rows, grad_weight, grad_bias, None, None, None


class _Operands:
    """The factors of the tiles, in the precision in which they are multiplied.

    `wide` is a float32 tensor with the rows' shape, `narrow` the type in which the backward pass multiplies.
    """

    def __init__(self, rows: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> None:
        half = rows.dtype == torch.bfloat16  # float16 would overflow in the backward pass
        self.mixed = half and mixed_products(rows.device.type)
        self.wide = rows.float()
        self.narrow = rows.dtype if half else self.wide.dtype
        self.rows = rows if half else self.wide
        self._weight, self._bias, self._shape = weight, bias, shape
        kind = rows.device.type
        self._words = min(WORDS.get(kind, WORDS["cuda"]), len(weight))
        self._rows = max(1, TILE.get(kind, TILE["cuda"]) // self._words)

    def slices(self) -> Iterator[slice]:
        """Yield the slices of the vocabulary."""
        for start in range(0, len(self._weight), self._words):
            yield slice(start, min(start + self._words, len(self._weight)))

    def tiles(
        self, words: slice | None = None, kept: list[Tensor] | None = None
    ) -> Iterator[tuple[slice, slice, Tensor]]:
        """Yield (rows, words, shaped float32 logits) of all tiles, or of those of some words.

        Tiles that were kept are taken from the list's beginning.
        """
        for part in self.slices() if words is None else (words,):
            weight = self._weight[part]
            weight = weight.to(self.narrow) if self.mixed else weight.float()
            for start in range(0, len(self.wide), self._rows):
                block = slice(start, min(start + self._rows, len(self.wide)))
                if kept:
                    yield block, part, kept.pop(0)
                    continue
                if self.mixed:
                    logits = torch.mm(self.rows[block], weight.T, out_dtype=torch.float32)  # type: ignore
                else:
                    logits = torch.mm(self.wide[block], weight.T)

                if self._bias is not None:
                    logits += self._bias[part].float()
                yield block, part, self._shape.apply_(logits)

    def slice(self, words: slice) -> Tensor:
        """Return a slice of the weight in the precision of the backward pass."""
        return self._weight[words].to(self.narrow)

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """Return a product of the backward pass in float32."""
        if self.mixed:
            return torch.mm(left, right, out_dtype=torch.float32)  # type: ignore
        return torch.mm(left, right).float()

    def add(self, total: Tensor, left: Tensor, right: Tensor) -> None:
        """Add a product of the backward pass to a float32 total."""
        if self.narrow == total.dtype:
            total.addmm_(left, right)
        else:
            total.add_(self.product(left, right))


@lru_cache
def mixed_products(device: str) -> bool:
    """Return whether the device multiplies bf16 numbers with an exact float32 result, found by trying."""
    if device != "cuda":
        return False

    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(64, 64, generator=generator).to(device, torch.bfloat16) for _ in range(2)
    )

    try:
        product = torch.mm(left, right, out_dtype=torch.float32)  # type: ignore  # since torch 2.8
    except (RuntimeError, TypeError, NotImplementedError):
        return False

    exact = left.double() @ right.double()
    return bool((product.double() - exact).abs().max() <= 1e-4)


def _columns(targets: Tensor, words: slice) -> tuple[Tensor, Tensor]:
    """Return which targets lie in a slice of the vocabulary, and their columns there (0 for the others)."""
    column = targets - words.start
    inside = (column >= 0) & (column < words.stop - words.start)
    return inside, column.where(inside, 0)


_apply: Any = torch.compiler.disable(_TokenLogProbs.apply)


def token_log_probs(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    shape: Shape | None = None,
    kept: int = KEPT_LOGITS,
) -> Tensor:
    """Return ln softmax(shape(rows · weightᵀ + bias)) at the targets, in nats, float32.

    Args:
        rows: last hidden states, shape (S, d), float32, bf16 or float16.
        weight: of the output head, shape (V, d).
        bias: of the output head, shape (V,), or None.
        targets: token ids, shape (S,).
        shape: what the model does to its logits; by default nothing.
        kept: logits that are kept for the backward pass at most; of more none is.

    Returns:
        Log-probabilities, shape (S,).

    >>> rows, weight = torch.eye(2), torch.zeros(4, 2)  # equal logits
    >>> token_log_probs(rows, weight, None, torch.tensor([0, 3])).exp().tolist()
    [0.25, 0.25]
    """
    if not len(rows):
        return rows.float().sum(-1)
    most = kept if torch.is_grad_enabled() else 0
    return _apply(rows, weight, bias, targets, shape or Shape(), most)


def output_head(model: Any) -> nn.Module | None:
    """Return the model's output head, through any data-parallel wrappers."""
    inner = getattr(model, "module", None)
    return output_head(inner) if isinstance(inner, nn.Module) else model.get_output_embeddings()


def logit_shape(model: Any) -> tuple[Shape, list[tuple[Any, str, float | None]]]:
    """Return what a model does to its logits, and the (owner, name, neutral value) that would turn it off."""
    owners = _owners(model)
    switches: list[tuple[Any, str, float | None]] = []
    scale, cap = 1.0, None
    for name in (*SCALES, CAP):
        holders = [owner for owner in owners if _is_number(getattr(owner, name, None))]
        if not holders:
            continue

        value = float(getattr(holders[0], name))
        if name == CAP:
            cap = value
        else:
            scale *= SCALES[name](value)

        switches += [(owner, name, None if name == CAP else 1.0) for owner in holders]

    return Shape(scale, cap), switches


def _owners(model: Any) -> list[Any]:
    """Return the objects whose fields may say what happens to the logits: the model, its configs."""
    inner = getattr(model, "module", None)
    if isinstance(inner, nn.Module):
        return _owners(inner)
    if hasattr(model, "get_base_model"):
        return _owners(model.get_base_model())

    config = model.config
    text = config.get_text_config()
    return [model, config] if text is config else [model, config, text]


def config_of(model: Any) -> Any:
    """Return the model's config, through any wrappers."""
    return _owners(model)[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


@contextmanager
def replaced_head(
    model: nn.Module, forward: Callable[[nn.Linear, Tensor, Shape], Tensor]
) -> Iterator[None]:
    """Let the output head compute `forward(head, hidden, shape)` in this context; its parameters and hooks stay.

    The model's own scale and cap of its logits are off meanwhile: `forward` applies them.
    """
    head = output_head(model)
    assert isinstance(head, nn.Linear)  # as `choose_log_probs` looked
    shape, switches = logit_shape(model)
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in switches]

    try:
        head.forward = lambda input: forward(head, input, shape)
        for switch in switches:
            _set(*switch)
        yield
    finally:
        del head.forward
        for setting in before:
            _set(*setting)


def _set(owner: Any, name: str, value: float | None) -> None:
    """Set a field, past the checks of a config that takes numbers alone."""
    if name in vars(owner):
        vars(owner)[name] = value
    else:
        setattr(owner, name, value)
