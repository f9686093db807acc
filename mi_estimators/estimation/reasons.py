"""Reasons not to believe a value: checks of the rows and of the critics, a function each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .pairs import Sample
from .table import Estimator

NARROW = 3  # columns of x and y together, up to which nearest neighbours need no second opinion
DRIFT = 0.3  # nats: a larger error must not be called ok
LEARNING = 1 / (math.sqrt(2) - 1)
"""What is missing, over what the second half of the rows gave, if it falls as n^(−½)."""

_ESS = 50.0, 10.0  # effective negatives, below which a normaliser is uncertain, and arbitrary
_SMALL = 0.07  # share of the value: a smaller error is not flagged
_ERRORS = 6.0  # standard errors between two values of the same rows
_COPIES = 0.01  # share of the rows, beyond which copies are flagged
_EQUAL = 0.003  # share of the rows, beyond which equal numbers on both sides are flagged
_GROWING = 0.08  # share of the value, read less by nearest neighbours of half the rows
_MISFIT = 6.0  # standard errors by which squares contradict an anchor
_OVERFIT, _MUCH = 0.02, 0.15  # nats, and a share of the value, between training and held-out rows
_APART, _TENTH = 0.01, 0.1  # nats, and a share of the value, between nearest neighbours and critics
# Shares of the objective that a misfitting anchor may have: at most, and where training ended with more to learn.
_RESTING, _LEANING = 0.6, 0.25
_LEARNT = 0.05, 1 / 3  # nats, and a share of the value, that more rows may add
_BENT = 0.2  # of the scores of fresh rows: critics of their own law are calibrated better
_HALTING = 0.08  # share of the value, between training and held-out rows: there is more to learn
_UNFINISHED = 0.03  # share of the value, gained late in training: there is more to learn
_RISING = 0.01, 0.12  # nats, and a share of the value, that more steps may add


def reasons_of_rows(sample: Sample) -> dict[str, str]:
    """Return what the rows themselves say against an estimate."""
    reasons = {}
    dependence = sample.dependence
    if dependence is not None and dependence.dependent:
        reasons["dependent_rows"] = (
            "neighbouring rows depend on one another (lag-1 autocorrelations of x and y:"
            f" {dependence.lag_x:.2f} and {dependence.lag_y:.2f}), which looks like information. Pass"
            " groups=: a label for each independent stretch of rows, or the length of equal blocks"
        )
        if dependence.sorted_by:
            reasons["dependent_rows"] += (
                f". The rows are sorted by {dependence.sorted_by}: if they are independent, shuffle them"
            )

    if sample.copies > _COPIES * sample.rows:
        reasons["repeated_rows"] = (
            f"{sample.copies} of {sample.rows} rows are exact copies of other rows. A copy in another fold looks like"
            " information. Remove the copies, or pass groups= with a label for each original row"
        )
    elif sample.subjects:
        side, count = next(iter(sample.subjects.items()))
        reasons["repeated_rows"] = (
            f"a measured column of {side} has only {count} values, as if the rows were of {count} subjects. What is"
            " true of them looks like information. Pass groups= with a label for each subject, or"
            f' discrete="{side}" if the values are labels'
        )
    elif sample.cluster:
        reasons["repeated_rows"] = (
            f"rows lie in clusters of about {sample.cluster}, much closer to one another than to others, as copies of a"
            " row with a jitter do. They look like information. Keep one row of each cluster, or pass groups= with a"
            " label for each original row"
        )

    if sample.equal > _EQUAL * sample.rows:
        reasons["ceiling"] = (
            f"in {sample.equal} of {sample.rows} rows a measured number of x stands in y, too, digit by digit. Then the"
            " information is infinite, and a value only says how much of it so many rows show. Leave out a column that"
            " both sides share, and rows whose numbers were filled in from the other side"
        )

    return reasons


@dataclass(frozen=True, kw_only=True)
class Case:
    """A value, and what speaks for and against it.

    Attributes:
        row: the estimator.
        nats, stderr: the value and its standard error.
        expert: what carries it.
        readouts, diagnostics: as `MIEstimate` has them.
        finite: whether all scores in training were finite.
        closed_form: whether an anchor alone is every fold's critic.
    """

    row: Estimator
    nats: float
    stderr: float
    expert: str
    readouts: dict[str, float]
    diagnostics: dict[str, float]
    finite: bool
    closed_form: bool

    @property
    def by_critics(self) -> bool:
        """Whether critics carry the value."""
        return self.expert not in ("neighbours", "counts")

    @property
    def narrow(self) -> bool:
        """Whether nearest neighbours need no second opinion."""
        return self.diagnostics.get("columns", 0) <= NARROW

    @property
    def confirmed(self) -> bool:
        """Whether what critics miss would show beside them: full tables, or nearest neighbours of few columns."""
        return self.expert == "counts" or (self.narrow and "ksg" in self.diagnostics)

    @property
    def error(self) -> float:
        """An error to flag, in nats."""
        return max(DRIFT, _SMALL * self.nats)


def reasons_of_value(case: Case) -> dict[str, str]:
    """Return the verdicts that apply to a value, the worst first, each with its explanation."""
    reasons: dict[str, str] = {}
    for verdict, check in _CHECKS:
        reason = check(case)
        if reason is not None:
            reasons.setdefault(verdict, reason)
    return reasons


def _low_ess(case: Case) -> str | None:
    ess, (few, fewest) = case.diagnostics["effective_sample_size"], _ESS
    if not (case.row.averages_exp and ess < few):
        return None

    doubt = "arbitrary" if ess < fewest else "less certain than its standard error says"
    return f"the normaliser rests on only {ess:.1f} effective negatives: the value is {doubt}. Use estimator='js'"


def _ceiling(case: Case) -> str | None:
    nats, negatives = case.nats, case.diagnostics["negatives"]
    log_k, log_m = math.log(case.diagnostics["candidates"]), math.log(negatives)
    if case.row.name == "infonce" and nats > log_k - 1:
        return (
            f"the value is within 1 nat of ln K = {log_k:.2f}, the largest that infonce can report"
        )

    if nats > log_m and case.closed_form:
        return (
            f"the value is above ln M = {log_m:.2f}: M = {negatives:.0f} negatives support no more. What is beyond"
            " rests on the form of a copula"
        )
    if nats > log_m:
        return (
            f"the critics separate the pairs: they read {nats:.2f} nats, and M = {negatives:.0f} negatives support"
            f" no more than ln M = {log_m:.2f}, which is reported. The information may be larger, or infinite"
        )
    return None


def _unresolved(case: Case) -> str | None:
    gain = case.diagnostics.get("ksg_shortfall", 0.0)
    if not case.diagnostics.get("ksg_growing") or gain <= _GROWING * case.nats:
        return None
    if case.expert != "neighbours" and not (case.expert == "network" and case.narrow):
        return None

    return (
        f"nearest neighbours of all rows read {gain:.2f} nats more than those of half the rows, and the doubling before"
        " added no more than that: the value grows with the rows, as where one side is a function of the other without"
        " noise. The information is larger, or infinite"
    )


def _overflow(case: Case) -> str | None:
    if case.finite:
        return None
    return "the scores overflowed and training stopped early. Lower learning_rate"


def _anchor_misfit(case: Case) -> str | None:
    d, nats = case.diagnostics, case.nats
    unfinished = d["train_gap"] > _HALTING * nats or d.get("late_gain", 0.0) > _UNFINISHED * nats
    leaning = d.get("anchor_share", 0.0) > (_LEANING if unfinished else _RESTING)
    contradicted = d.get("anchor_misfit", 0.0) > _MISFIT
    if d.get("flows", 0) and leaning:
        return (
            "the value rests on a copula behind a flow that makes each side normal, and no test tells what such a flow"
            ' leaves. The information may be larger, by an unknown amount. More rows, or effort="thorough", may find it'
        )
    if not (contradicted and leaning) or case.confirmed:
        return None

    return (
        "the value rests on a copula that does not fit these rows, and the network added little to it. The"
        " information is larger, by an unknown amount. More rows, or a critic of your own, may find it"
    )


def _overfit(case: Case) -> str | None:
    if not case.by_critics:
        return None

    gap, shortfall = case.diagnostics["train_gap"], case.diagnostics["learning_shortfall"]
    if gap > max(_OVERFIT + _MUCH * case.nats, 2 * case.stderr):
        return (
            f"the critic reads {gap:.2f} nats more on its training rows than on held-out rows: more rows would raise"
            " the estimate"
        )
    least, share = _LEARNT
    large = max(least, share * case.nats, _ERRORS * case.stderr)
    if shortfall > min(case.error, large):
        return (
            f"a critic trained on half the rows reads {shortfall / LEARNING:.2f} nats less: more rows"
            " would raise the estimate"
        )
    return None


def _drift(case: Case) -> str | None:
    apart = case.readouts["plug_in"] - case.readouts["bridge"]
    if not (case.by_critics and case.row.calibrated and abs(apart) > case.error):
        return None
    return f"plug_in and bridge differ by {apart:+.2f} nats. They agree at the log-ratio, so the critic is not there"


def _other_law(case: Case) -> str | None:
    slope, error = case.diagnostics.get("slope", 1.0), case.diagnostics.get("slope_error", 0.0)
    if not case.row.calibrated or abs(slope - 1) <= max(_BENT, _ERRORS * error):
        return None
    return (
        f"the critics' scores are off by a factor of about {slope:.2f} on these rows, which are of another law than the"
        " rows of fit: the value is not theirs. Fit the critics on rows of this law"
    )


def _still_rising(case: Case) -> str | None:
    missing, (least, share) = case.diagnostics.get("step_shortfall", 0.0), _RISING
    small = missing <= max(least, share * case.nats)
    beaten = not case.by_critics and case.diagnostics["critics"] + missing <= case.nats
    if small or beaten or case.confirmed:
        return None
    return (
        f"training ended while validation rows still gained: if they go on like 1/steps, {missing:.2f} nats of the"
        ' critics\' value are missing. More steps would raise it: effort="thorough", or a larger steps='
    )


def _disagreement(case: Case) -> str | None:
    d, nats, errors = case.diagnostics, case.nats, _ERRORS * case.stderr
    spread, critics = d["fold_spread"], d["critics"]
    if case.by_critics and spread > max(DRIFT, nats / 10, errors):
        return f"the values of the folds differ by {spread:.2f} nats"

    doubtful = case.expert == "neighbours" and not case.narrow
    if doubtful and nats - critics > max(_APART, _TENTH * nats):
        return (
            f"nearest neighbours read {nats:.2f} nats and the critics {critics:.2f}. Both err downwards: more rows"
            " would raise the estimate"
        )

    if case.by_critics and d.get("ksg", -math.inf) - nats > max(DRIFT, errors):
        return f"the nearest-neighbour estimate (KSG) is {d['ksg']:.2f} nats"

    dv, bridge = case.readouts["dv"], case.readouts["bridge"]
    if case.row.kind == "neither" and case.by_critics and abs(nats - bridge) > max(DRIFT, errors):
        return (
            f"{case.row.name} reads {nats:.2f} nats and bridge {bridge:.2f} from the same scores: beyond its clip, or"
            ' off the log-ratio, it errs by an unknown amount. Use estimator="js"'
        )

    reliable = case.row.calibrated and d["effective_sample_size"] >= _ESS[0]
    if reliable and abs(dv - bridge) > DRIFT:
        return f"dv reads {dv:.2f} nats and bridge {bridge:.2f} from the same scores"
    return None


_CHECKS: tuple[tuple[str, Callable[[Case], str | None]], ...] = (
    ("low_ess", _low_ess),
    ("ceiling", _ceiling),
    ("drift", _overflow),
    ("ceiling", _unresolved),
    ("anchor_misfit", _anchor_misfit),
    ("overfit", _overfit),
    ("drift", _drift),
    ("drift", _other_law),
    ("unfinished", _still_rising),
    ("disagreement", _disagreement),
)
"""Verdict and check, the worst first."""
