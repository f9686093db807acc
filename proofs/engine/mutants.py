"""Wrong libraries: one public name of `mi_estimators` replaced, which a theorem's cross-checks must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from torch import Tensor

import mi_estimators as mi


@dataclass(frozen=True)
class Mutant:
    """A library that is wrong in one thing.

    Attributes:
        name: the public name that is replaced, "dv" or "laws.Gaussian".
        label: what is wrong, in a few words.
        change: from the right object to the wrong one.
    """

    name: str
    label: str
    change: Callable[[Any], Any]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put the wrong object into the library for a while."""
        room, _, leaf = self.name.rpartition(".")
        place = attrgetter(room)(mi) if room else mi
        right = getattr(place, leaf)
        setattr(place, leaf, self.change(right))

        try:
            yield
        finally:
            setattr(place, leaf, right)


def off(name: str, by: float = 1e-6) -> Mutant:
    """Add a constant to what the function returns."""
    return Mutant(name, f"off by {by:g}", lambda right: lambda *a, **k: right(*a, **k) + by)


def scaled(name: str, by: float = 0.5) -> Mutant:
    """Multiply what the function returns by a constant."""
    return Mutant(name, f"times {by:g}", lambda right: lambda *a, **k: by * right(*a, **k))


def instead(name: str, other: str) -> Mutant:
    """Put another function of the same arguments in its place."""
    return Mutant(name, f"{other} instead", lambda right: attrgetter(other)(mi))


def loss_at(label: str, **change: Any) -> Mutant:
    """Give `preference_loss` other arguments: for each name a value, or a function of the right value."""

    def wrong(right: Callable[..., Any]) -> Callable[..., Any]:
        def loss(chosen: Tensor, rejected: Tensor, bound: str = "js", mix: float = 0.5) -> Tensor:
            given = {"chosen": chosen, "rejected": rejected, "bound": bound, "mix": mix}
            other = {k: new(given[k]) if callable(new) else new for k, new in change.items()}
            return right(**given | other)

        return loss

    return Mutant("preference_loss", label, wrong)


TURNED = loss_at("the other mix", mix=lambda mix: 1 - mix if mix < 1 else mix)
"""The shares of the chosen and of the rejected responses among the negatives change places."""

NEARLY = loss_at("mix 0.51", mix=0.51)
AS_DPO = loss_at("DPO", bound="dv")
AS_MIO = loss_at("MIO", bound="js")
HALF_LOSS = scaled("preference_loss")
RIDGE = Mutant("preference_loss", "a ridge", lambda f: lambda w, *a: f(w, *a) + 1e-3 * w**2)
WEIGHTS_IGNORED = Mutant("mean", "weights ignored", lambda f: lambda v, log_w: v.mean(-1))
