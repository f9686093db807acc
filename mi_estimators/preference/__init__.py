"""Preference losses: bounds on a mixed product law, and published losses to compare them with.

`preference_loss` takes rewards T = βz, z = ln π/π_ref; the rows of `ALTERNATIVES` take z and β.
"""

from ..theory.anchors import no_collapse_interval, preference_anchor, preference_loss_floor
from . import comparisons
from .comparisons import *  # noqa: F403
from .loss import PREFERENCE_BOUNDS, preference_loss

__all__ = [
    "PREFERENCE_BOUNDS",
    "no_collapse_interval",
    "preference_anchor",
    "preference_loss",
    "preference_loss_floor",
]
__all__ += comparisons.__all__
