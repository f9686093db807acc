"""Train weights in bf16: keep the small steps that rounding would lose, warn of the loss, and count what survives.

A bf16 number has 8 bits: a step below half the spacing of its neighbours, 2^−9 to 2^−8 of the weight, is rounded away.
Adam moves a weight by about the learning rate, so at 5e-7 every weight above 2e-4 stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from .release import Released
from .stochastic import StochasticAdamW

WEIGHTS = {"fp32": torch.float32, "bf16": torch.bfloat16}
SAMPLE = 4096  # weights that are watched
NOTED = 0.1  # share of lost steps that is worth a warning


def optimizer(args) -> tuple[Any, dict] | None:
    """Return the AdamW of a run for Trainer's `optimizer_cls_and_kwargs`, or None for Trainer's own.

    kahan: torch-optimi's, which adds up the rounding errors of bf16 weights. stochastic: ours, which rounds up or down
    at random and is right on average. The optimiser's states have the precision of the weights; torchao's have 8 bits.
    Under `release_gradients` each weight is stepped in the backward pass.

    Raises:
        ValueError: the package is not installed.
    """
    options: dict[str, Any] = {
        "lr": args.learning_rate,
        "betas": (args.adam_beta1, args.adam_beta2),
        "eps": args.adam_epsilon,
    }

    kind: Any = torch.optim.AdamW
    try:
        if args.rounding == "kahan":
            from optimi import AdamW as kind

            options["kahan_sum"] = True
        elif args.adam_states == "8bit":
            from torchao.optim import AdamW8bit as kind  # type: ignore  # an extra that `dev` leaves out

            options["bf16_stochastic_round"] = args.rounding == "stochastic"
        elif args.rounding == "stochastic":
            kind = StochasticAdamW
        elif args.release_gradients:
            options["fused"] = True
        else:
            return None
    except ImportError as error:
        package = "torch-optimi" if args.rounding == "kahan" else "torchao"
        name = "rounding" if args.rounding == "kahan" else "adam_states"
        raise ValueError(
            f"{name}: expected the package {package} for {getattr(args, name)}, got {error} "
            f"(pip install {package})"
        ) from None

    return (Released, options | {"inner": kind}) if args.release_gradients else (kind, options)


def warnings(args, model: nn.Module) -> Iterator[str]:
    """Yield warnings of what rounding will lose in a run with `args`."""
    if args.weights != "bf16":
        return

    lost = lost_share(torch.cat([values for values, _ in watched(model)]), args.learning_rate)
    if args.rounding == "nearest" and lost >= NOTED:
        yield (
            f"weights: at learning_rate {args.learning_rate:g}, rounding to bf16 loses the steps of Adam "
            f"on {lost:.1%} of the weights. Use --rounding kahan or stochastic, or --weights fp32 with "
            "--bf16 true"
        )

    if 1 - args.adam_beta2 < 2**-8:
        yield (
            "adam_beta2: with bf16 weights Adam's mean of squares is bf16 as well, and with "
            f"{args.adam_beta2:g} it cannot decrease (a step would be less than 2^-8 of it). "
            "Use --adam_beta2 0.99"
        )


def lost_share(weights: Tensor, step: float) -> float:
    """Return the share of bf16 weights that a step of this size leaves unchanged.

    >>> weights, step = torch.tensor([1.5, 0.75], dtype=torch.bfloat16), 0.003  # half their spacings: 2⁻⁸ and 2⁻⁹
    >>> lost_share(weights, step), (weights + step == weights).tolist()
    (0.5, [True, False])
    """
    _, exponent = torch.frexp(weights.float())  # 2^(e − 1) ≤ |w| < 2^e, spacing 2^(e − 8)
    half = torch.exp2(exponent - 9.0)
    return float(((step < half) & (weights != 0)).double().mean())


def watched(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return (values, indices into the flat parameter) for about SAMPLE trainable weights, always the same ones."""
    parameters = [_local(parameter) for parameter in model.parameters() if parameter.requires_grad]
    share = min(1.0, SAMPLE / max(1, sum(parameter.numel() for parameter in parameters)))
    generator = torch.Generator().manual_seed(0)

    sample = []
    for parameter in parameters:
        size = parameter.numel()  # 0 in a process that holds no part of it
        indices = torch.randint(max(size, 1), (math.ceil(size * share),), generator=generator)
        indices = indices.to(parameter.device)
        sample.append((parameter.flatten()[indices], indices))

    return sample


class SurvivingUpdates(TrainerCallback):
    """Count how many of the watched weights with a gradient an optimiser step changes."""

    def __init__(self) -> None:
        self._counts: Tensor | None = None  # changed, with a gradient
        self._before: list[tuple[Tensor, Tensor]] = []
        self._indices: list[Tensor] = []

    def on_train_begin(self, args, state, control, model: nn.Module, **kwargs):
        """Choose the weights to watch."""
        self._indices = [indices for _, indices in watched(model)]
        if self._counts is None:
            self._counts = torch.zeros(2, device=args.device)

    def on_pre_optimizer_step(self, args, state, control, model: nn.Module, optimizer, **kwargs):
        """Note the weights and which of them have a gradient, unless the learning rate is 0."""
        self._before = []
        if max(float(group["lr"]) for group in optimizer.param_groups) > 0:
            self._before = [
                (values, gradients != 0)
                for values, gradients in self._read(model)
                if gradients is not None
            ]

    def on_optimizer_step(self, args, state, control, model: nn.Module, **kwargs):
        """Count the weights that changed."""
        if not self._before:
            return
        assert self._counts is not None  # since `on_train_begin`
        after = [values for values, gradients in self._read(model) if gradients is not None]

        for (before, moved), now in zip(self._before, after, strict=True):
            self._counts += torch.stack([((now != before) & moved).sum(), moved.sum()])

    def _read(self, model: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter, indices in zip(parameters, self._indices, strict=True):
            gradient = None if parameter.grad is None else _local(parameter.grad).flatten()[indices]
            yield _local(parameter).flatten()[indices], gradient

    def statistics(self, gather) -> dict[str, float]:
        """Return `updates/surviving_fraction` since the last call, over all processes; {} if there was no step."""
        if self._counts is None:
            return {}
        changed, moved = gather(self._counts.unsqueeze(0)).sum(0).tolist()
        self._counts.zero_()
        return {"updates/surviving_fraction": changed / moved} if moved else {}

    def state(self) -> dict[str, Tensor]:
        """Return the counts since the last call of `statistics`, for `set_state` of a resumed run."""
        return {} if self._counts is None else {"updates": self._counts}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned, among other tensors."""
        self._counts = tensors.get("updates")


def _local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds, without gradient."""
    whole = tensor.detach()
    to_local = getattr(whole, "to_local", None)  # of a DTensor
    return whole if to_local is None else to_local()
