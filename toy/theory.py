"""Closed forms that the experiments are held against: `mi_estimators.theory`, on the lab's laws."""

from __future__ import annotations

import mi_estimators.theory as closed
from mi_estimators.laws import Gaussian
from mi_estimators.theory import (
    escape_time_dpo,
    escape_time_drawn_js,
    escape_time_mio,
    escape_time_rlhf,
    escape_time_sft,
    mio_ceiling,
    mio_drift,
    mio_escapes,
    mio_rest,
    steps_to_first_signal,
)

__all__ = [
    "dv_gradient_trace",
    "escape_time_dpo",
    "escape_time_drawn_js",
    "escape_time_mio",
    "escape_time_rlhf",
    "escape_time_sft",
    "ess_fraction",
    "js_gradient_bound",
    "mio_ceiling",
    "mio_drift",
    "mio_escapes",
    "mio_rest",
    "nwj_gradient_trace",
    "nwj_in_batch_variance",
    "nwj_value_variance",
    "steps_to_first_signal",
]


def ess_fraction(nats: float) -> float:
    """Return the population value e^{−2I} of ESS/M at the optimal critic of a Gaussian law of I nats, any dimension."""
    return closed.ess_fraction(closed.gaussian_chi2(nats))


def nwj_value_variance(law: Gaussian) -> float:
    """Return N·Var of the NWJ value at the optimal critic with N positives and N negatives, in nats²."""
    return closed.nwj_value_variance(law.log_ratio_variance, law.chi2)


def nwj_in_batch_variance(law: Gaussian, batch: int) -> float:
    """Return Var of the NWJ value at the optimal critic on one batch, its other pairs the negatives, in nats²."""
    return closed.nwj_in_batch_variance(law.rho, law.dim, batch)


def nwj_gradient_trace(law: Gaussian, batch: int) -> float:
    """Return tr Cov of NWJ's gradient at the optimal critic, exact."""
    return closed.nwj_gradient_trace(law.rho, law.dim, batch)


def dv_gradient_trace(law: Gaussian, batch: int) -> float:
    """Return the large-N limit of tr Cov of DV's gradient at the optimal critic."""
    return closed.dv_gradient_trace(law.rho, law.dim, batch)


def js_gradient_bound(law: Gaussian, batch: int) -> float:
    """Return the bound on tr Cov of JS's gradient."""
    return closed.js_gradient_bound(law.rho, law.dim, batch)
