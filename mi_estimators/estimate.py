"""`estimate_mi`: train a critic, and read it on rows it never saw.

A critic is trained on one set of rows, selected on a second and read on a third, so the reported number never saw the
rows it was fitted to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from . import _checks
from .critics import Separable
from .diagnostics import effective_sample_size
from .estimators import ESTIMATORS, Estimator
from .scores import joint_and_product

_BLOCK = 2048  # rows of one held-out score matrix: the largest one kept in memory
_LEVEL = 1.96  # two-sided 95 % of the normal law


@dataclass(frozen=True)
class MIEstimate:
    """A held-out estimate of mutual information.

    Attributes:
        nats: the reported bound on the held-out rows.
        stderr: its standard error given the trained critic (infinitesimal jackknife over rows), in nats.
        interval: nats ± 1.96 stderr. It covers the bound's population value at the trained critic, which for kind
            "lower" is at most I: the interval is one for I only as far as the critic is right.
        estimator: the row of `ESTIMATORS` that was used.
        history: one dict per evaluation: step, objective on the training batch and on the validation rows (nats).
        diagnostics: rows used, effective sample size of the held-out negatives, value on the training rows, their gap,
            and the step whose critic was kept.
        warnings: what should make a reader doubt the number, in words.
    """

    nats: float
    stderr: float
    interval: tuple[float, float]
    estimator: Estimator
    history: list[dict[str, float]] = field(repr=False)
    diagnostics: dict[str, float] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        low, high = self.interval
        bound = {"lower": "a lower bound of I", "neither": "not a bound of I"}[self.estimator.kind]
        lines = [f"{self.nats:.3f} nats, 95 % [{low:.3f}, {high:.3f}] ({self.estimator.name}, held out, {bound})"]
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])


@torch.inference_mode(False)
@torch.enable_grad()
def estimate_mi(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    estimator: str = "js",
    *,
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    hidden: int = 128,
    patience: int = 10,
) -> MIEstimate:
    """Estimate I(X; Y) in nats from paired rows, by a separable critic read on rows that it was not trained on.

    Half of the rows train the critic, a quarter selects the step to keep, a quarter is read. Columns are standardised,
    which leaves the information unchanged (it is invariant under any invertible map of x alone or y alone). Heavy tails
    are better taken off first, by ranks for example: an unbounded critic can be arbitrarily wrong there, and warns.

    Args:
        x, y: paired samples, shape (n,) or (n, d), numpy arrays or tensors; n ≥ 64.
        estimator: one of `ESTIMATORS`.
        seed: fixes the split, the initial critic and the batches, in [0, 2³²); the global random state is kept.
        steps: the most optimiser steps to take.
        batch_size: rows of a training batch; all other pairs of the batch are its negatives.
        learning_rate: of Adam.
        hidden: width of the critic's networks.
        patience: evaluations without a better validation objective before training stops; there is one each 50 steps,
            and one each 10 among the first 50, where small samples are already overfitted.

    Returns:
        An `MIEstimate`.

    Raises:
        ValueError: rows that do not pair, fewer than 64 of them, NaN or infinite entries, a constant column, an unknown
            estimator, or a count or rate that is not positive.

    Reference: Belghazi et al. 2018; Song & Ermon 2020; the standard error: Efron 1982, chapter 6.

    >>> from mi_estimators import laws
    >>> law = laws.Gaussian(0.75)
    >>> x, y = law.sample(2000, torch.Generator().manual_seed(0))
    >>> low, high = estimate_mi(x, y, hidden=32, batch_size=128).interval
    >>> low < law.mutual_information < high
    True
    """
    row = ESTIMATORS[_checks.choice("estimator", estimator, ESTIMATORS)]
    seed = _checks.count("seed", seed, low=0, high=2**32 - 1)
    batch_size = _checks.count("batch_size", batch_size, low=2)
    steps, patience = _checks.count("steps", steps), _checks.count("patience", patience)
    hidden, learning_rate = _checks.count("hidden", hidden), _checks.number("learning_rate", learning_rate, low=0)
    x, y = _rows("x", x), _rows("y", y)
    if len(x) != len(y):
        raise ValueError(f"y: expected as many rows as x ({len(x)}), got {len(y)}")

    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    train, valid, test = order.tensor_split((len(x) // 2, 3 * len(x) // 4))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        critic = Separable(x.shape[1], y.shape[1], hidden).to(x.dtype)
    history, kept = _train(critic, row, x, y, train, valid, steps, batch_size, learning_rate, patience, generator)

    nats, stderr, ess = _read(critic, row, x[test], y[test])
    train_nats = _read(critic, row, x[train], y[train])[0]
    block = min(len(rows) for rows in _blocks(len(test)))
    diagnostics = {
        "train_rows": len(train),
        "held_out_rows": len(test),
        "effective_sample_size": ess,
        "effective_sample_fraction": ess / (block * (block - 1)),
        "train_nats": train_nats,
        "train_gap": train_nats - nats,
        "kept_step": kept,
    }
    interval = (nats - _LEVEL * stderr, nats + _LEVEL * stderr)
    return MIEstimate(
        nats, stderr, interval, row, history, diagnostics, _warnings(row, nats, ess, block, history, kept)
    )


def _rows(name: str, value: np.ndarray | Tensor) -> Float[Tensor, "n d"]:
    """Return the samples as standardised float32 rows, or say what is wrong with them."""
    if not isinstance(value, np.ndarray | Tensor) or isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name}: expected a numpy array or a torch tensor, got {type(value).__name__}")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iufb":
            raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
        value = torch.from_numpy(np.array(value, dtype=np.float64))  # a copy in native order, whatever the strides
    if value.is_complex():
        raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
    rows = value.detach().to(torch.float64)
    if rows.dim() == 1:
        rows = rows.unsqueeze(1)
    if rows.dim() != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name}: expected shape (n,) or (n, d), got {tuple(rows.shape)}")
    if len(rows) < 64:
        raise ValueError(f"{name}: expected at least 64 rows, got {len(rows)}")
    if not bool(torch.isfinite(rows).all()):
        raise ValueError(f"{name}: expected finite entries, got NaN or infinity")
    constant = (rows == rows[:1]).all(0).nonzero().flatten().tolist()
    if constant:
        raise ValueError(f"{name}: expected columns that vary, got constant column(s) {constant}")
    rows = rows / rows.abs().amax(0)  # first, so that no square overflows
    spread = rows.std(0)
    narrow = (spread < 1e-12).nonzero().flatten().tolist()
    if narrow:
        raise ValueError(f"{name}: expected columns that vary beyond rounding, got nearly constant column(s) {narrow}")
    return ((rows - rows.mean(0)) / spread).float()


def _train(
    critic: Separable,
    row: Estimator,
    x: Tensor,
    y: Tensor,
    train: Tensor,
    valid: Tensor,
    steps: int,
    batch_size: int,
    learning_rate: float,
    patience: int,
    generator: torch.Generator,
) -> tuple[list[dict[str, float]], int]:
    """Ascend the objective, keep the weights that did best on the validation rows; return the history and their step.

    A critic whose scores are no longer finite ends the training; the history's last entry then has no numbers.
    """
    optimizer = torch.optim.Adam(critic.parameters(), learning_rate)
    valid = valid[:_BLOCK]
    best, best_step, best_state, history, stale = -math.inf, 0, critic.state_dict(), [], 0
    for step in range(steps + 1):
        batch = train[torch.randperm(len(train), generator=generator)[:batch_size]]
        scores = critic(x[batch], y[batch])
        if not bool(torch.isfinite(scores).all()):
            history.append({"step": step})
            break
        objective = row.objective(scores)
        if step % 50 == 0 or step == steps or (step < 50 and step % 10 == 0):  # small samples are overfitted early
            with torch.no_grad():
                valid_scores = critic(x[valid], y[valid])
            held_out = float(row.objective(valid_scores)) if bool(torch.isfinite(valid_scores).all()) else -math.inf
            history.append({"step": step, "train": float(objective.detach()), "validation": held_out})
            if held_out > best:
                best, best_step, stale = held_out, step, 0
                best_state = {name: value.clone() for name, value in critic.state_dict().items()}
            elif (stale := stale + 1) >= patience:
                break
        if step == steps:
            break
        optimizer.zero_grad()
        objective.neg().backward()
        optimizer.step()
    critic.load_state_dict(best_state)
    return history, best_step


def _read(critic: Separable, row: Estimator, x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Return the reported value, its standard error and the least ESS of the negatives over blocks of rows.

    The standard error is the infinitesimal jackknife: the derivative of the value with respect to each row's weight,
    which for these U-statistics is the row's influence. A row counts as a positive and in all its negative pairs.
    """
    nats, variance, ess = 0.0, 0.0, math.inf
    for rows in _blocks(len(x)):
        with torch.no_grad():
            scores = critic(x[rows], y[rows]).double()
        log_weights = scores.new_zeros(len(rows)).requires_grad_()
        value = row.reported(scores, log_weights.log_softmax(-1))
        (influence,) = torch.autograd.grad(value, log_weights)
        share = len(rows) / len(x)
        nats += share * float(value.detach())
        variance += share**2 * float((influence**2).sum())
        ess = min(ess, float(effective_sample_size(joint_and_product(scores)[1])))
    return nats, math.sqrt(variance), ess


def _blocks(n: int) -> tuple[Tensor, ...]:
    """Split n rows into blocks of at most `_BLOCK`, as equal as can be."""
    return torch.arange(n).tensor_split(math.ceil(n / _BLOCK))


def _warnings(
    row: Estimator, nats: float, ess: float, rows: int, history: list[dict[str, float]], kept: int
) -> tuple[str, ...]:
    """Say what should make a reader doubt the number."""
    found = []
    if kept == 0:
        found.append(
            "no training step did better on the validation rows than the untrained critic: this is no estimate"
        )
    if "validation" not in history[-1]:
        found.append(f"the scores overflowed at step {history[-1]['step']}: lower the learning rate")
    if row.name == "infonce" and nats > math.log(rows) - 1:
        found.append(f"within 1 nat of the ceiling ln K = {math.log(rows):.2f}: the information may be larger")
    if row.name != "infonce" and ess < 50:
        advice = "do not trust this" if ess < 10 else "do not trust the last digits"
        found.append(f"the normaliser rests on {ess:.1f} effective negatives: {advice}")
    if nats > math.log(rows) / 2:
        found.append(f"above ½ ln n = {math.log(rows) / 2:.2f}: {rows} rows cannot certify that much")
    return tuple(found)
