"""Keep no result for the backward pass that costs little to make again: of norms, activations and gates.

Autograd keeps what each operation needs of its inputs. Where that is the result of a cheap module, how to make it is
kept in its place. The backward pass makes it by the same module from the same input, so it has the same bits, and takes
what the module itself kept from that second run.

Nothing is assumed of an architecture. A result is known by its memory, and what is not known is kept as ever.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

NORM = re.compile("(RMS|Layer)Norm$")  # the end of a class's name
ACTIVATIONS = ("torch.nn.modules.activation", "transformers.activations")  # where classes come from
GATED = ("act_fn", "up_proj", "down_proj")  # of a block down(act(gate(x)) * up(x))
LAST = 4  # results that are known at a time: the queries' and keys' norms lie between a norm and its last use


@dataclass(frozen=True)
class Offer:
    """A result that the backward pass can make: the tensor, its version, how it is made, and the module it is of."""

    result: Tensor
    version: int
    make: Callable[[], Tensor]
    source: nn.Module | None

    def covers(self, tensor: Tensor) -> bool:
        """Return whether a tensor that autograd keeps is this result, perhaps in another shape."""
        own = self.result
        return (
            tensor.numel() == own.numel()
            and tensor.dtype == own.dtype
            and tensor.layout == torch.strided
            and tensor.is_contiguous()
            and tensor.untyped_storage()._cdata == own.untyped_storage()._cdata
            and tensor.storage_offset() == own.storage_offset()
            and own._version == self.version
        )


@dataclass(frozen=True)
class Kept:
    """What is kept in place of a result: how it is made, and its shape."""

    make: Callable[[], Tensor]
    shape: torch.Size


_offers: deque[Offer] | None = None  # of the pass at hand


def offer(result: Tensor, make: Callable[[], Tensor], source: nn.Module | None = None) -> None:
    """Let the backward pass make a result, if the pass at hand saves memory; it lives until others are offered."""
    if _offers is not None and result.is_contiguous():
        _offers.append(Offer(result, result._version, make, source))


def withdraw(source: nn.Module) -> None:
    """Let go of the results of a module: whoever needs them has seen them."""
    if _offers is not None:
        kept = [known for known in _offers if known.source is not source]
        _offers.clear()
        _offers.extend(kept)


def pack(tensor: Tensor) -> Tensor | Kept:
    """Return what is kept in place of a tensor that autograd keeps: itself, unless it was offered."""
    for known in reversed(_offers or ()):
        if known.covers(tensor):
            return Kept(known.make, tensor.shape)
    return tensor


def unpack(kept: Tensor | Kept) -> Tensor:
    """Return the tensor that was packed."""
    return kept.make().view(kept.shape) if isinstance(kept, Kept) else kept


class _Again:
    """A second run of a module, at most one, on the input of the first."""

    def __init__(self, run: Callable[[Tensor], Tensor], input: Tensor) -> None:
        self._run, self._input = run, input
        self._graph: tuple[Tensor, Tensor] | None = None

    def graph(self) -> tuple[Tensor, Tensor]:
        """Return the input, as a leaf, and the result that depends on it."""
        if self._graph is None:
            with torch.enable_grad():
                leaf = self._input.detach().requires_grad_()
                self._graph = leaf, self._run(leaf)
        return self._graph

    def result(self) -> Tensor:
        """Return the result alone."""
        return self.graph()[1].detach()

    def forget(self) -> None:
        """Leave the graph to whoever has it."""
        self._graph = None


class _Cheap(torch.autograd.Function):
    """A module whose backward pass runs it again, unless a user of its result did."""

    @staticmethod
    def forward(ctx: Any, run: Any, again: _Again, input: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(input)
        ctx.run, ctx.again, ctx.weights = run, again, weights
        return run(input)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor):
        (input,) = ctx.saved_tensors
        again = ctx.again or _Again(ctx.run, input)
        ctx.again = None  # autograd frees the input; a graph that is retained makes another one
        leaf, result = again.graph()
        again.forget()
        gradients = torch.autograd.grad(result, (leaf, *ctx.weights), gradient)

        return None, None, *gradients


def _in_this_precision(function: Callable[[Tensor], Tensor], kind: str) -> Callable:
    """Return a function that runs under the autocast of now whenever it is called."""
    enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)

    def run(input: Tensor) -> Tensor:
        with torch.autocast(kind, dtype, enabled):
            return function(input)

    return run


class Thrift:
    """The cheap modules of a model.

    Args:
        model: a network whose weights are whole in this process.
        checked: take blocks of known names for gates without a look at their numbers.
        always: save memory whether or not a pass wants it.

    >>> norm = nn.LayerNorm(4)
    >>> [type(module).__name__ for module in Thrift(nn.Sequential(norm, nn.Linear(4, 4), nn.SiLU())).cheap]
    ['LayerNorm', 'SiLU']
    """

    def __init__(self, model: nn.Module, checked: bool = False, always: bool = False) -> None:
        self.always = always
        self.cheap = [module for module in model.modules() if _is_cheap(module)]
        self.gated = [module for module in model.modules() if _is_gated(module)]
        self._checked: set[nn.Module] = set(self.gated if checked else ())

    @contextmanager
    def applied(self, wanted: bool = True) -> Iterator[None]:
        """Save memory in the forward passes of this context, which a backward pass will follow, where it is wanted."""
        global _offers
        if not ((wanted or self.always) and self.cheap and torch.is_grad_enabled()):
            yield
            return

        with ExitStack() as stack:
            for module in self.cheap:
                stack.enter_context(_replaced(module, self._cheaply(module)))
            for block in self.gated:
                for handle in self._hooks(block):
                    stack.enter_context(handle)

            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(pack, unpack))
            _offers = deque(maxlen=LAST)
            try:
                yield
            finally:
                _offers = None

    def _cheaply(self, module: nn.Module) -> Callable[..., Any]:
        """Return a module's forward pass that keeps the module's input alone."""
        plain = module.forward

        def forward(*inputs: Any, **options: Any) -> Any:
            alone = len(inputs) == 1 and not options and isinstance(inputs[0], Tensor)
            weights = [weight for weight in module.parameters() if weight.requires_grad]
            hooked = any(weight._backward_hooks for weight in weights)  # and would be called twice
            if hooked or not (alone and torch.is_grad_enabled() and inputs[0].requires_grad):
                return plain(*inputs, **options)

            input = inputs[0]
            run = _in_this_precision(plain, input.device.type)
            again = _Again(run, input.detach())
            result: Any = _Cheap.apply(run, again, input, *weights)
            offer(result, again.result, module)
            return result

        return forward

    def _hooks(self, block: Any) -> Iterator[Any]:
        """Yield handles of hooks: the product that `down_proj` takes is offered, and let go when it was taken."""
        wide: list[Tensor] = []

        def note(module: nn.Module, inputs: Any, result: Tensor) -> None:
            wide[:] = [result.detach()]

        def begin(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            gates = [known for known in _offers or () if known.source is block.act_fn]
            if wide and gates and inputs:
                self._offer_product(block, gates[-1], wide.pop(), inputs[0])

        def end(module: nn.Module, inputs: Any, result: Any) -> None:
            wide.clear()
            withdraw(block)

        yield block.up_proj.register_forward_hook(note)
        yield block.down_proj.register_forward_pre_hook(begin)
        yield block.down_proj.register_forward_hook(end)

    def _offer_product(self, block: Any, gate: Offer, wide: Tensor, product: Tensor) -> None:
        """Offer act(gate(x)) * up(x); a block of another form under these names is left alone."""
        if block not in self._checked:
            with torch.no_grad():
                if not torch.equal(gate.result * wide, product):
                    return
            self._checked.add(block)

        make = gate.make
        offer(product, lambda: make() * wide, block)
        withdraw(block.act_fn)


def _is_cheap(module: nn.Module) -> bool:
    kind, inner = type(module), (*module.children(), *module.buffers())
    if inner or getattr(module, "inplace", False):
        return False
    active = kind.__module__ in ACTIVATIONS and not list(module.parameters())
    return active or bool(NORM.search(kind.__name__))


def _is_gated(module: nn.Module) -> bool:
    return all(isinstance(getattr(module, name, None), nn.Module) for name in GATED)


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let a module compute `forward` in this context."""
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
