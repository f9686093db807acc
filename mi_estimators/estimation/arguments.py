"""The settings of an estimator as types: an editor completes them, and a type checker refuses a wrong name or value.

What each setting means stands in `MIEstimator`. The names of estimators and critics stand beside their tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, TypeVar, get_args, get_type_hints

import torch
from torch import nn

from .. import _validate
from .critics import CRITICS, CriticName
from .table import ESTIMATORS

F = TypeVar("F", bound=Callable[..., Any])

AnchorName = Literal["copula", "none"]
"""What may stand beside the network."""

TransformName = Literal["none", "standard", "one_scale", "rank", "both"]
"""Keys of `TRANSFORMS`."""

EffortName = Literal["fast", "default", "thorough"]
"""Keys of `EFFORTS`."""

DiscreteSides = Literal["x", "y", "xy"]
"""Sides whose rows are labels."""

OwnCritic = nn.Module | Callable[[int, int], nn.Module]
"""A module, or a function (columns of x, columns of y) → module."""

CriticLike = CriticName | OwnCritic
"""A critic of the library by name, or one of your own."""


class CriticArguments(TypedDict, total=False):
    """The arguments of `MIEstimator` about critics and their training, for functions that pass them on."""

    critic: CriticLike
    anchor: AnchorName
    transform: TransformName
    folds: int
    seed: int | None
    effort: EffortName
    steps: int | None
    batch_size: int | None
    negatives: int | Literal["all"] | None
    learning_rate: float | None
    weight_decay: float
    hidden: int
    patience: int | None
    device: str | torch.device
    max_rows: int | None
    progress: bool | None


class Arguments(CriticArguments, total=False):
    """All arguments of `MIEstimator` but the first."""

    discrete: DiscreteSides | None


def check_arguments(values: Mapping[str, Any]) -> None:
    """Check all arguments of `MIEstimator` by name.

    Raises:
        ValueError: a value out of its range; the message names the argument.
    """
    _validate.choice("estimator", values["estimator"], ESTIMATORS)
    _validate.choice("anchor", values["anchor"], get_args(AnchorName))
    _validate.choice("transform", values["transform"], get_args(TransformName))
    if values["discrete"] is not None:
        _validate.choice("discrete", values["discrete"], get_args(DiscreteSides))

    critic = values["critic"]
    if isinstance(critic, str):
        _validate.choice("critic", critic, CRITICS)
    elif not callable(critic):
        raise ValueError(
            f"critic: expected a name, a module or a function, got {type(critic).__name__}"
        )

    _validate.choice("effort", values["effort"], get_args(EffortName))
    _validate.count("folds", values["folds"], low=2, high=20)
    _validate.count("hidden", values["hidden"])
    _validate.number("weight_decay", values["weight_decay"], low=0, closed="[")

    if values["seed"] is not None:
        _validate.count("seed", values["seed"], low=0, high=2**32 - 1)
    if values["negatives"] not in (None, "all"):
        _validate.count('negatives (or "all")', values["negatives"])
    if values["learning_rate"] is not None:
        _validate.number("learning_rate", values["learning_rate"], low=0)

    for name, low in (("steps", 1), ("patience", 1), ("batch_size", 2), ("max_rows", 64)):
        if values[name] is not None:
            _validate.count(name, values[name], low=low)


def refuse_unknown(
    function: str,
    settings: Mapping[str, Any],
    kind: type = Arguments,
) -> None:
    """Refuse a keyword that is no setting of this kind.

    Raises:
        TypeError: such a keyword; the message lists the settings.
    """
    names = ["estimator", *get_type_hints(kind)]
    for name in settings:
        if name not in names:
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}; expected {', '.join(names)}"
            )


def shows_arguments_of(kind: type) -> Callable[[F], F]:
    """Let `help` and completion see the arguments of a class in place of a function's `**settings`."""
    settings = inspect.signature(kind).parameters

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in own}
        shown = [p for name, p in settings.items() if name not in names]
        vars(function)["__signature__"] = signature.replace(parameters=[*own, *shown])

        return function

    return decorate
