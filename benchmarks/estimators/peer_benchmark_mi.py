"""One fit of benchmark-mi with its defaults; the neural ones are read again on fresh rows from their trained critic.

It reports the largest of its test evaluations and offers no reading of other rows: the bounds are written out here, on
all pairs of the fresh rows, standardised by the moments of the rows of the fit as the package does.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import bmi
import jax
import jax.numpy as jnp
import numpy as np
from protocol import Read, answer
from scipy.special import logsumexp

NEURAL = {
    "infonce": bmi.estimators.InfoNCEEstimator,
    "dv": bmi.estimators.DonskerVaradhanEstimator,
    "nwj": bmi.estimators.NWJEstimator,
    "mine": bmi.estimators.MINEEstimator,
}
CLASSICAL = {
    "ksg": bmi.estimators.KSGEnsembleFirstEstimator,
    "cca": bmi.estimators.CCAMutualInformationEstimator,
}


def fit(
    estimator: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    steps: int | None,
    options: dict[str, Any],
) -> tuple[dict, Read | None]:
    """Fit one of benchmark-mi's estimators; return what it reports and, if neural, a function that reads fresh rows."""
    if estimator in CLASSICAL:
        return {"reported": float(CLASSICAL[estimator]().estimate(x, y))}, None

    settings = {} if steps is None else {"max_n_steps": steps, "test_every_n_steps": steps}
    model = NEURAL[estimator](seed=seed, verbose=False, **settings)
    reported = float(model.estimate(x, y))

    def read(fresh_x: np.ndarray, fresh_y: np.ndarray) -> float:
        us = (fresh_x - x.mean(0)) / x.std(0)
        vs = (fresh_y - y.mean(0)) / y.std(0)
        return _bound(estimator, _scores(model.trained_critic, us, vs))

    return {"reported": reported}, read


def _scores(critic, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the critic on all pairs, a block of rows at a time."""
    against_all = jax.vmap(critic, in_axes=(None, 0))
    on_pairs = jax.jit(jax.vmap(against_all, in_axes=(0, None)))
    ys = jnp.asarray(y)
    blocks = [on_pairs(jnp.asarray(rows), ys) for rows in np.array_split(x, 10)]
    return np.concatenate([np.asarray(block, float) for block in blocks])


def _bound(estimator: str, scores: np.ndarray) -> float:
    """Return the bound on a square score matrix, the pairs of the joint law on its diagonal."""
    n, joint = len(scores), float(np.diag(scores).mean())
    if estimator == "infonce":
        return joint - float(logsumexp(scores, axis=1).mean()) + float(np.log(n))
    off = scores[~np.eye(n, dtype=bool)]
    log_mean = float(logsumexp(off)) - float(np.log(off.size))

    return joint - float(np.exp(log_mean - 1)) if estimator == "nwj" else joint - log_mean


if __name__ == "__main__":
    answer(fit, f"benchmark-mi {version('benchmark-mi')}")
