"""What held-out scores say: the value and its error, every other read-out, and whether to believe the value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .estimate import MIEstimate
from .neighbours import Neighbours
from .pairs import Sample
from .reading import Reading
from .reasons import LEARNING, NARROW, Case, reasons_of_rows, reasons_of_value
from .table import READOUTS, Estimator
from .training import Fit

_LEVEL = 1.96  # two-sided 95 % of the normal law
_NOTHING = 0.01  # nats: below, noise is as large
_LITTLE = 0.05  # nats: what a network finds by chance of a form it cannot see
_CLEARLY = 2.5  # standard errors that nearest neighbours must read more than critics
_HALVES = 1.5  # times what the second half of the rows gave nearest neighbours is still missing
_STILL_GAINING = 0.02  # nats of the objective
_UNSEEN = 0.05  # of the value: what critics that are no copula did not see of the laws of benchmarks/estimators
_SHORTFALLS = ("train_gap", "anchor_shortfall", "learning_shortfall", "unseen_shortfall")
_OF_STEPS = "step_shortfall"  # adds to the largest of them
# Verdicts that say nothing of how much larger the information is
_OPEN = {"anchor_misfit", "ceiling"}
_LAST = 0.9  # of the steps
_COMING = 2.0  # times what the last third of the steps gave is missing, if it falls as 1/steps


@dataclass(frozen=True, kw_only=True)
class Others:
    """What else is known of the rows that were fitted.

    Attributes:
        columns: number of columns of x and of y.
        learned: by how many nats a critic trained on half the rows reads less.
        misfit: how far the rows contradict the copula anchor, as `copula_misfit`.
        flows: number of sides that critics were shown behind a flow to normal rows.
        nearest: the nearest-neighbour estimate; None where rows repeat.
        counts: the estimate of full tables of counts; None where they are not full.
    """

    columns: tuple[int, int]
    learned: float
    misfit: float
    flows: int
    nearest: Neighbours | None
    counts: Neighbours | None


@dataclass(frozen=True)
class Value:
    """A value with its error and its shortfall, in nats, and which expert carries it."""

    nats: float
    stderr: float
    shortfall: float
    expert: str


def combine(
    row: Estimator,
    readings: list[Reading],
    fits: list[Fit],
    others: Others | None = None,
    *,
    fitted: dict[str, float] | None = None,
    nearest: Neighbours | None = None,
    sample: Sample | None = None,
) -> MIEstimate:
    """Average the folds' readings, choose the expert that carries the value, and say whether to believe it.

    Args:
        row: the estimator.
        readings, fits: one a fold; fits are empty where fresh rows were read.
        others: what else is known of the rows that were fitted.
        fitted: the diagnostics of the fit, if all readings are of the same fresh rows. Their errors do not average out,
            and the shortfalls are taken from the fit.
        nearest: the nearest-neighbour estimate of these fresh rows, if there is one.
        sample: facts about the rows besides their values.
    """
    held, diagnostics = _averaged(readings, fits, others, fitted)
    readouts = {
        name: _mean([reading.readouts[name] for reading in readings], readings) for name in READOUTS
    }
    critics = _centred(held, diagnostics["train_gap"]) if _reports_best_guess(row) else held
    value = critics if others is None else _carried(row, critics, others, diagnostics["train_gap"])
    diagnostics |= {"held_out": held.nats, "critics": critics.nats}
    if nearest is not None:
        diagnostics["ksg"] = nearest.value

    case = Case(
        row=row,
        nats=value.nats,
        stderr=value.stderr,
        expert=value.expert,
        readouts=readouts,
        diagnostics=diagnostics,
        finite=all(fit.finite for fit in fits),
        closed_form=_closed_form(fits),
    )
    reasons = reasons_of_value(case)

    if sample is not None:
        of_rows = reasons_of_rows(sample)
        reasons = of_rows | reasons | of_rows  # rows come first, and say why

    nats, (low, high) = value.nats, _interval(value, held)
    if reasons.keys() & _OPEN:
        high = math.inf
    most = math.log(diagnostics["negatives"])
    if fits and nats > most:
        # Any value in the gap between separated scores bridges them. The form of a copula fixes its mean.
        closed = max(most, min(nats, readouts["plug_in"]))
        nats, low, high = closed if case.closed_form else most, most, math.inf

    notes: list[str] = []
    if sample is not None:
        nats, high, entropy_notes = _below_entropy(sample, nats, high)
        notes = [*sample.notes, *_sorting_note(sample), *entropy_notes]
    if value.expert == "network" and "unfinished" not in reasons:
        notes += _budget_note(fits)

    unconfirmed = value.expert == "network" and not case.narrow
    if not reasons and nats <= max(2 * value.stderr, _LITTLE if unconfirmed else _NOTHING):
        reasons["nothing_found"] = (
            "the value is not above the noise of such estimates, or too small to say that the critics see the form of"
            " the dependence. This is no evidence of independence: the interval does not cover what they cannot see."
            " `mi.permutation_test` tests for independence"
        )

    return MIEstimate(
        nats=nats,
        stderr=value.stderr,
        interval=(min(low, nats), high),
        estimator=row,
        expert=value.expert,
        verdict=next(iter(reasons), "ok"),
        readouts=readouts,
        history=[fit.history for fit in fits],
        diagnostics=diagnostics,
        warnings=(*reasons.values(), *notes),
    )


def _interval(value: Value, held: Value) -> tuple[float, float]:
    """Return the ends of a value's interval: down from held-out rows, up by what is still missing."""
    nats, noise = value.nats, _LEVEL * value.stderr
    centred = nats - held.nats if value.expert == held.expert else 0.0
    return nats - centred - noise, nats + noise + value.shortfall


def _budget_note(fits: list[Fit]) -> list[str]:
    """Say that training ended while validation rows still gained."""
    gain = min(fit.late_gain for fit in fits)
    if not (all(map(_to_the_end, fits)) and gain > _STILL_GAINING):
        return []
    return [
        f"validation rows still gained {gain:.2f} nats in the last third of the steps: effort='thorough' may read more"
    ]


def _to_the_end(fit: Fit) -> bool:
    """Tell whether one of the last evaluations was the best, so that the steps ended training."""
    return fit.kept_step >= _LAST * fit.history[-1]["step"]


def _reports_best_guess(row: Estimator) -> bool:
    """Tell whether an estimator reports its best guess, rather than a bound that nothing may replace."""
    return row.reported is READOUTS["bridge"]


def _centred(held: Value, gap: float) -> Value:
    """Return the value half-way between held-out and training rows.

    To first order a critic reads held-out rows as much too low as it reads its training rows too high (Akaike 1973).
    """
    half = max(0.0, gap) / 2
    return replace(held, nats=held.nats + half, shortfall=held.shortfall - half)


def _mean(values: list[float], readings: list[Reading]) -> float:
    """Return the mean over the rows that were read."""
    total = sum(reading.rows for reading in readings)
    return sum(r.rows * value for r, value in zip(readings, values, strict=True)) / total


def _averaged(
    readings: list[Reading],
    fits: list[Fit],
    others: Others | None,
    fitted: dict[str, float] | None,
) -> tuple[Value, dict[str, float]]:
    """Return the critics' own value, and the diagnostics."""
    nats = _mean([reading.value for reading in readings], readings)
    if fitted is not None:
        stderr = _mean([math.sqrt(reading.variance) for reading in readings], readings)
    else:
        total = sum(reading.rows for reading in readings)
        stderr = math.sqrt(sum((r.rows / total) ** 2 * r.variance for r in readings))

    diagnostics = _of_readings(readings, fitted is not None)
    if fitted is not None:
        diagnostics |= {name: fitted[name] for name in (*_SHORTFALLS, _OF_STEPS)}
        diagnostics["slope"], diagnostics["slope_error"] = (
            _mean([reading.slope[k] for reading in readings], readings) for k in (0, 1)
        )
    if others is not None:
        diagnostics |= _of_fits(readings, fits, others, nats)

    largest = max(0.0, *(diagnostics[name] for name in _SHORTFALLS))
    shortfall = largest + diagnostics[_OF_STEPS]
    return Value(nats, stderr, shortfall, _expert(fits)), diagnostics


def _of_readings(readings: list[Reading], same_rows: bool) -> dict[str, float]:
    """Return what held-out scores say of themselves."""
    values = [reading.value for reading in readings]
    counts = [reading.rows for reading in readings]
    return {
        "effective_sample_size": min(reading.ess for reading in readings),
        "effective_sample_fraction": min(reading.ess / reading.negatives for reading in readings),
        "negatives": min(reading.negatives for reading in readings),
        "pareto_k": max(reading.pareto_k for reading in readings),
        "log_normaliser": _mean([reading.log_normaliser for reading in readings], readings),
        "fold_spread": max(values) - min(values),
        "candidates": min(reading.candidates for reading in readings),
        "held_out_rows": counts[0] if same_rows else sum(counts),
    }


def _of_fits(
    readings: list[Reading],
    fits: list[Fit],
    others: Others,
    nats: float,
) -> dict[str, float]:
    """Return what training, and other estimates of the same rows, say of the critics' value."""
    unfinished = [fit.late_gain if _to_the_end(fit) else 0.0 for fit in fits]
    diagnostics = {
        "train_gap": _mean([reading.seen for reading in readings], readings) - nats,
        "anchor_shortfall": _mean([fit.shortfall for fit in fits], readings),
        "learning_shortfall": max(0.0, others.learned * LEARNING),
        "unseen_shortfall": _UNSEEN * max(0.0, nats) if _expert(fits) != "copula" else 0.0,
        _OF_STEPS: _COMING * _mean(unfinished, readings),
        "late_gain": _mean([fit.late_gain for fit in fits], readings),
        "kept_step": max(fit.kept_step for fit in fits),
        "anchor_share": max(fit.anchor_share for fit in fits),
        "anchor_misfit": others.misfit,
        "flows": others.flows,
        "training_negatives": min(fit.negatives for fit in fits),
        "scale": _mean([fit.critic.scale for fit in fits], readings),
        "cap": max(fit.critic.cap for fit in fits),
        "columns": sum(others.columns),
    }

    forms = [fit.form for fit in fits if fit.form is not None]
    if forms:
        diagnostics["degrees_of_freedom"] = min(form.degrees_of_freedom for form in forms)
    if others.nearest is not None:
        diagnostics["ksg"] = others.nearest.value
        diagnostics["ksg_shortfall"] = others.nearest.shortfall
        diagnostics["ksg_growing"] = float(others.nearest.growing)
    return diagnostics


def _closed_form(fits: list[Fit]) -> bool:
    """Tell whether an anchor alone is every fold's critic."""
    return bool(fits) and all(fit.kept_step == 0 and fit.form is not None for fit in fits)


def _expert(fits: list[Fit]) -> str:
    if not fits:
        return "critics"
    if fits[0].negatives == 0:
        return "classifier"
    form = fits[0].form

    return form.expert if form is not None and _closed_form(fits) else "network"


def _carried(row: Estimator, critics: Value, others: Others, gap: float) -> Value:
    """Return the value of the expert that carries it.

    Full tables of counts are nearly exact. A critic's held-out value is a lower bound, but for noise. Nearest
    neighbours err downwards, too. So of the two the larger is nearer, if it is clearly larger.
    """
    if not _reports_best_guess(row):
        return _reaching(critics, others)
    if others.counts is not None:
        return Value(others.counts.value, others.counts.stderr, 0.0, "counts")

    nearest, most = others.nearest, critics.nats + max(0.0, gap) / 2
    if nearest is None or nearest.value - most < _CLEARLY * nearest.stderr:
        return _reaching(critics, others)

    narrow = sum(others.columns) <= NARROW
    gain = nearest.value - critics.nats
    shortfall = max(_HALVES * nearest.shortfall, critics.shortfall, 0.0 if narrow else gain)

    return Value(nearest.value, nearest.stderr, shortfall, "neighbours")


def _reaching(critics: Value, others: Others) -> Value:
    """Return the critics' value, with an upper end that is at least that of the other experts."""
    ends = [critics.nats + critics.shortfall]
    for other in (others.nearest, others.counts):
        if other is not None:
            ends.append(other.value + _LEVEL * (other.stderr - critics.stderr) + other.shortfall)
    return replace(critics, shortfall=max(ends) - critics.nats)


def _sorting_note(sample: Sample) -> list[str]:
    dependence = sample.dependence
    if dependence is None or not dependence.sorted_by or dependence.dependent:
        return []
    return [
        f"the rows are sorted by {dependence.sorted_by}, which hides a weak dependence between neighbouring rows"
    ]


def _below_entropy(
    sample: Sample,
    nats: float,
    high: float,
) -> tuple[float, float, list[str]]:
    """Cap the value and the upper end at the entropy of each side whose values all repeat."""
    notes = []
    for name, (entropy, error) in sample.entropies.items():
        if nats > entropy + _LEVEL * error + _NOTHING:
            notes.append(
                f"the rows read {nats:.3f} nats, more than the entropy of {name}, {entropy:.3f}, which is reported"
            )
        nats, high = min(nats, entropy), min(high, entropy + _LEVEL * error)

    return nats, max(high, nats), notes
