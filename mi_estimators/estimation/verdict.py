"""What held-out scores say: the value and its error, every other read-out, and whether to believe the value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..bounds.expectation import log_mean_exp
from ..diagnostics.tails import pareto_k
from ..diagnostics.weights import effective_sample_size
from .estimate import MIEstimate
from .neighbours import Neighbours
from .pairs import Sample
from .table import READOUTS, Estimator
from .training import Fit

_LEVEL = 1.96  # two-sided 95 % of the normal law
_NOTHING = 1e-6  # nats: rounding
_COPIES = 0.01  # of the rows
_MISFIT = 6.0  # standard errors
_ANCHORED = 0.6  # of the objective
_CONFIRMED = 0.02  # nats that nearest neighbours may read more
_DRIFT = 0.3  # nats: an error that a verdict must not let pass
_OVERFIT = 0.13  # nats between training and held-out rows; calibrated on the tasks of `laws`
_LEARNING = 1 / (
    math.sqrt(2) - 1
)  # what is missing over what the second half of the rows gave, if it falls as n^(−½)


@dataclass(frozen=True)
class Reading:
    """One critic's readings on the rows of one fold: value, variance, and statistics of its negatives."""

    rows: int
    value: float
    variance: float
    seen: float
    readouts: dict[str, float]
    ess: float
    negatives: int
    candidates: int
    log_normaliser: float
    pareto_k: float


def read(
    row: Estimator,
    held: tuple[Float[Tensor, " n"], Float[Tensor, "n k"]],
    seen: tuple[Float[Tensor, " m"], Float[Tensor, "m k"]] | None = None,
    clusters: Tensor | None = None,
) -> Reading:
    """Read a critic's scores of held-out rows, and of rows it was trained on.

    The variance is the infinitesimal jackknife: the influence of a row is the derivative of the value with respect to
    its weight. A row counts as a positive and in all its negative pairs. `clusters` labels the rows; those of one
    cluster count as one draw.

    Reference: Efron 1982, chapter 6; Giordano et al. 2019.
    """
    joint, product = _finite(held)
    n, k = product.shape
    log_weights = joint.new_zeros(n).requires_grad_()
    with torch.enable_grad():
        grouped = log_weights.view(-1, k + 1)
        own = torch.eye(k + 1, dtype=torch.bool, device=joint.device)
        pairs = (grouped.unsqueeze(-1) + grouped.unsqueeze(-2))[:, ~own].view(n, k)
        value = row.reported(joint, product, log_weights.log_softmax(-1), pairs)
        (influence,) = torch.autograd.grad(value, log_weights)
    if clusters is not None:
        labels = clusters[:n].to(influence.device)
        influence = influence.new_zeros(int(labels.max()) + 1).index_add(0, labels, influence)
    with torch.no_grad():
        flat = product.flatten()
        reported = float(value)
        others = {name: bound for name, bound in READOUTS.items() if bound is not row.reported}
        return Reading(
            rows=n,
            value=reported,
            variance=float((influence**2).sum()),
            seen=math.nan if seen is None else value_of(row, seen),
            readouts=dict.fromkeys(READOUTS, reported)
            | {n: float(b(joint, product)) for n, b in others.items()},
            ess=float(effective_sample_size(flat)),
            negatives=len(flat),
            candidates=k + 1,
            log_normaliser=float(log_mean_exp(flat)),
            pareto_k=pareto_k(flat),
        )


def value_of(row: Estimator, scores: tuple[Tensor, Tensor]) -> float:
    """Return what an estimator reports from scores, in nats."""
    return float(row.reported(*_finite(scores)))


def _finite(scores: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return scores if they are finite."""
    if not all(bool(torch.isfinite(part).all()) for part in scores):
        raise ValueError(
            "x, y: expected rows on which the critic's scores are finite, got overflow; lower learning_rate"
        )
    return scores


def combine(
    row: Estimator,
    readings: list[Reading],
    fits: list[Fit],
    *,
    learned: float = 0.0,
    fitted: dict[str, float] | None = None,
    ksg: Neighbours | None = None,
    sample: Sample | None = None,
    misfit: float = 0.0,
) -> MIEstimate:
    """Average the folds' readings, and say whether to believe the average.

    Args:
        row: the estimator.
        readings, fits: one a fold; fits are empty where fresh rows were read.
        learned: by how many nats a critic trained on half the rows reads less.
        fitted: the diagnostics of the fit, if all readings are of the same fresh rows. Their errors do not average out,
            and the gap between training and held-out rows is taken from the fit.
        ksg: a nearest-neighbour estimate of the same rows, where there is one.
        sample: facts about the rows besides their values.
        misfit: how far the rows contradict the copula anchor, as `copula_misfit`.
    """
    total = sum(reading.rows for reading in readings)
    shares = [reading.rows / total for reading in readings]

    def average(values: list[float]) -> float:
        return sum(share * value for share, value in zip(shares, values, strict=True))

    values = [reading.value for reading in readings]
    nats = average(values)
    if fitted is not None:
        stderr = average([math.sqrt(reading.variance) for reading in readings])
    else:
        stderr = math.sqrt(
            sum(share**2 * r.variance for share, r in zip(shares, readings, strict=True))
        )
    diagnostics = {
        "effective_sample_size": min(reading.ess for reading in readings),
        "effective_sample_fraction": min(reading.ess / reading.negatives for reading in readings),
        "negatives": min(reading.negatives for reading in readings),
        "pareto_k": max(reading.pareto_k for reading in readings),
        "log_normaliser": average([reading.log_normaliser for reading in readings]),
        "fold_spread": max(values) - min(values),
        "candidates": min(reading.candidates for reading in readings),
        "held_out_rows": total if fitted is None else readings[0].rows,
    }
    if fitted is not None:
        diagnostics |= {
            name: fitted[name] for name in ("train_gap", "anchor_shortfall", "learning_shortfall")
        }
    if fits:
        diagnostics |= {
            "train_gap": average([reading.seen for reading in readings]) - nats,
            "anchor_shortfall": average([fit.shortfall for fit in fits]),
            "learning_shortfall": max(0.0, learned * _LEARNING),
            "kept_step": max(fit.kept_step for fit in fits),
            "anchor_share": max(fit.anchor_share for fit in fits),
            "anchor_misfit": misfit,
            "training_negatives": min(fit.negatives for fit in fits),
            "scale": average([fit.critic.scale for fit in fits]),
            "cap": max(fit.critic.cap for fit in fits),
        }
        if fits[0].degrees_of_freedom is not None:
            diagnostics["degrees_of_freedom"] = min(
                fit.degrees_of_freedom or math.inf for fit in fits
            )
    low, high = nats - _LEVEL * stderr, nats + _LEVEL * stderr
    high += max(
        diagnostics[name] for name in ("train_gap", "anchor_shortfall", "learning_shortfall")
    )
    if ksg is not None:
        diagnostics["ksg"] = ksg.value
        high = max(high, ksg.value + _LEVEL * ksg.stderr + ksg.shortfall)
    readouts = {
        name: average([reading.readouts[name] for reading in readings]) for name in READOUTS
    }
    reasons = _reasons(row, nats, stderr, readouts, diagnostics, fits)
    notes: list[str] = []
    if sample is not None:
        reasons = reasons_of_rows(sample) | reasons
        notes = [*sample.notes, *_sorting_note(sample)]
    if "anchor_misfit" in reasons:
        high = math.inf
    if sample is not None:
        nats, high, note = _below_entropy(sample, nats, high)
        notes += note
    if not reasons and nats <= max(2 * stderr, _NOTHING):
        reasons["nothing_found"] = (
            "the value is not above its noise. This is no evidence of independence: the interval does not cover"
            " dependence that these critics cannot see. `mi.permutation_test` tests for independence"
        )
    return MIEstimate(
        nats=nats,
        stderr=stderr,
        interval=(min(low, nats), high),
        estimator=row,
        verdict=next(iter(reasons), "ok"),
        readouts=readouts,
        history=[fit.history for fit in fits],
        diagnostics=diagnostics,
        warnings=(*reasons.values(), *notes),
    )


def reasons_of_rows(sample: Sample) -> dict[str, str]:
    """Return what the rows themselves say against an estimate."""
    reasons = {}
    if sample.dependence is not None and sample.dependence.dependent:
        reasons["dependent_rows"] = (
            "neighbouring rows depend on one another (lag-1 autocorrelations of x and y:"
            f" {sample.dependence.lag_x:.2f} and {sample.dependence.lag_y:.2f}), which looks like information. Pass"
            " groups=: a label for each independent stretch of rows, or the length of equal blocks"
        )
    if sample.copies > _COPIES * sample.rows:
        reasons["repeated_rows"] = (
            f"{sample.copies} of {sample.rows} rows are exact copies of other rows. A copy in another fold looks like"
            " information. Remove the copies, or pass groups= with a label for each original row"
        )
    return reasons


def _sorting_note(sample: Sample) -> list[str]:
    if sample.dependence is None or not sample.dependence.sorted_by:
        return []
    return [
        f"the rows are sorted by {sample.dependence.sorted_by}, which hides any dependence between neighbouring rows"
    ]


def _below_entropy(sample: Sample, nats: float, high: float) -> tuple[float, float, list[str]]:
    """Cap the value and the upper end at the entropy of each side whose values all repeat."""
    notes = []
    for name, (entropy, error) in sample.entropies.items():
        if nats > entropy:
            notes.append(
                f"the critics read {nats:.3f} nats, more than the entropy of {name}, {entropy:.3f}, which is reported"
            )
        nats, high = min(nats, entropy), min(high, entropy + _LEVEL * error)
    return nats, max(high, nats), notes


def _reasons(
    row: Estimator,
    nats: float,
    stderr: float,
    readouts: dict[str, float],
    diagnostics: dict[str, float],
    fits: list[Fit],
) -> dict[str, str]:
    """Return the verdicts that apply, the worst first, each with its explanation."""
    reasons, d = {}, diagnostics
    ess, gap, spread = d["effective_sample_size"], d["train_gap"], d["fold_spread"]
    if row.averages_exp and ess < 50:
        reasons["low_ess"] = (
            f"the normaliser rests on only {ess:.1f} effective negatives: the value is"
            f" {'arbitrary' if ess < 10 else 'less certain than its standard error says'}. Use estimator='js'"
        )

    log_k, log_m = math.log(d["candidates"]), math.log(d["negatives"])
    if row.name == "infonce" and nats > log_k - 1:
        reasons["ceiling"] = (
            f"the value is within 1 nat of ln K = {log_k:.2f}, the largest that infonce can report"
        )
    elif nats > log_m:
        reasons["ceiling"] = (
            f"the value is above ln M = {log_m:.2f}: M = {d['negatives']:.0f} negatives are too few to support it"
        )

    if any(not fit.finite for fit in fits):
        reasons["drift"] = "the scores overflowed and training stopped early. Lower learning_rate"

    if gap > max(_OVERFIT, 2 * stderr):
        reasons["overfit"] = (
            f"the critic reads {gap:.2f} nats more on its training rows than on held-out rows: more rows would raise"
            " the estimate"
        )
    elif d["learning_shortfall"] > _DRIFT:
        reasons["overfit"] = (
            f"a critic trained on half the rows reads {d['learning_shortfall'] / _LEARNING:.2f} nats less: more rows"
            " would raise the estimate"
        )

    apart = readouts["plug_in"] - readouts["bridge"]
    if "drift" not in reasons and row.calibrated and abs(apart) > _DRIFT:
        reasons["drift"] = (
            f"plug_in and bridge differ by {apart:+.2f} nats. They agree at the log-ratio, so the critic is not there"
        )
    anchored = d.get("anchor_misfit", 0.0) > _MISFIT and d["anchor_share"] > _ANCHORED
    confirmed = d.get("ksg", math.inf) - nats < _CONFIRMED + nats / 20
    if anchored and not confirmed:
        reasons["anchor_misfit"] = (
            "the value rests on a copula that does not fit these rows, and the network added little to it. The"
            " information is larger, by an unknown amount. More rows, or a critic of your own, may find it"
        )
    if spread > max(_DRIFT, nats / 10, 6 * stderr):
        reasons["disagreement"] = f"the values of the folds differ by {spread:.2f} nats"
    elif any(fit.folded and fit.kept_step == 0 for fit in fits):
        reasons["disagreement"] = (
            "the magnitudes of the columns depend on one another, and the network found nothing beyond that. More rows"
            " may reveal more information"
        )
    elif "ksg" in d and abs(d["ksg"] - nats) > max(_DRIFT, 6 * stderr):
        reasons["disagreement"] = f"the nearest-neighbour estimate (KSG) is {d['ksg']:.2f} nats"
    elif row.calibrated and ess >= 50 and abs(readouts["dv"] - readouts["bridge"]) > _DRIFT:
        reasons["disagreement"] = (
            f"dv reads {readouts['dv']:.2f} nats and bridge {readouts['bridge']:.2f} from the same scores"
        )
    return reasons
