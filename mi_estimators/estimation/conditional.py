"""I(X; Y | Z): by strata where Z has few values, else by the chain rule from critics that share their folds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import torch
from torch import Tensor

from ..diagnostics.hashes import codes_of
from .arguments import (
    CriticArguments,
    check_arguments,
    refuse_unknown,
    shows_arguments_of,
)
from .estimate import MIEstimate, interval_text
from .estimator import MIEstimator
from .grouping import Groups, draws_of
from .inputs import default_device_cpu, full_precision, torch_device
from .neighbours import Neighbours, cheap_conditional
from .pairs import Pairs, Sample, draw_rows, pairs_of
from .reading import influences
from .reasons import DRIFT, reasons_of_rows
from .scoring import held_out_scores
from .sides import beside, survey, varying
from .table import ESTIMATORS, EstimatorName
from .tables import Rows, Table, check_aligned

_LEVEL = 1.96  # two-sided 95 % of the normal law
_NOTHING = 1e-6  # nats: rounding
_STRATA = 20  # values of Z at most
_STRATUM = 150  # rows at least
_OTHERS = {"neighbours", "counts"}  # experts whose errors are not those of critics' scores


@dataclass(frozen=True, kw_only=True, repr=False)
class ConditionalMI(MIEstimate):
    """An estimate of I(X; Y | Z); print it for the report.

    Attributes:
        parts: the estimates that it is made of, by name: I(X; (Y, Z)) and I(X; Z), or one for each value of Z.
        nats, stderr, interval, estimator, verdict, warnings, diagnostics: as for `MIEstimate`.
        expert: "chain rule" or "strata".
        readouts: differences of those of the parts, or means over the values of Z.
        history: those of the parts, one after the other.
        scores: None.
    """

    parts: dict[str, MIEstimate] = field(default_factory=dict[str, MIEstimate])

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate and its parts as plain data that strict JSON can hold."""
        parts = {name: part.to_dict() for name, part in self.parts.items()}
        return {**super().to_dict(), "parts": parts}

    def __repr__(self) -> str:
        return f"ConditionalMI({self._headline()}, {self.estimator.name}, {self.verdict})"

    def _lines(self) -> list[str]:
        lines = [
            f"I(X; Y | Z) = {self._headline()}  ({self.estimator.name}, {self.expert})",
            f"verdict: {self.verdict}",
            *(f"  {text}" for text in self.warnings),
        ]

        lines += [
            f"{name} = {part.nats:.3f} nats, 95 % {interval_text(part.interval)}, {part.verdict}"
            for name, part in self.parts.items()
        ]
        if "ksg" in self.diagnostics:
            lines.append(f"nearest neighbours (k = 3): {self.diagnostics['ksg']:.3f}")

        return lines


@shows_arguments_of(MIEstimator)
@torch.inference_mode(False)
@torch.enable_grad()
@default_device_cpu()
def conditional_mi(
    x: Rows,
    y: Rows,
    z: Rows,
    estimator: EstimatorName = "js",
    *,
    groups: Groups = None,
    discrete: str | None = "",
    **settings: Unpack[CriticArguments],
) -> ConditionalMI:
    """Estimate I(X; Y | Z) in nats from rows (x, y, z), with an interval and a verdict.

    Where Z has at most 20 values, each with at least 150 rows (or groups), it is the mean of I(X; Y | Z = z) over the
    values, each estimated from its own rows. A dependence that Z alone explains cannot enter.

    Otherwise it is the chain rule I(X; Y | Z) = I(X; (Y, Z)) − I(X; Z). Both terms are estimated from the same rows,
    with the same folds and seed, so that the errors that they share cancel; the standard error is that of the
    difference, row by row. What the critics of I(X; (Y, Z)) may miss extends the interval upwards. What those of
    I(X; Z) may miss extends it downwards, to 0 at most: information on Z that only Y reveals to a critic looks like
    information of Y. So a strong dependence on Z needs more rows. The value is not symmetric in x and y; let x be the
    simpler side.

    Args:
        x, y, z: rows that belong together, as for `estimate_mi`; n ≥ 64.
        estimator: one of `ESTIMATORS`.
        groups: rows that depend on one another, as for `estimate_mi`.
        discrete: which sides are labels whatever their entries are: letters of "xyz", or None.
        settings: any other argument of `MIEstimator`, such as seed, critic, folds or device.

    Returns:
        A `ConditionalMI`, an `MIEstimate` with its parts. The verdict is the first that either part has; it is
        "nothing_found" where the interval reaches 0.

    Raises:
        ValueError: as for `MIEstimator.fit`.

    Reference: Cover & Thomas 2006, theorem 2.5.2 (chain rule); nearest neighbours beside it: Frenzel & Pompe 2007.

    >>> generator = torch.Generator().manual_seed(0)
    >>> z, noise, more = torch.randn(3, 1000, generator=generator, dtype=torch.float64)
    >>> conditional_mi(z + noise, z + more, z, steps=50).verdict  # X and Y share nothing but Z
    'nothing_found'
    """
    declared = "" if discrete is None else discrete
    if not isinstance(declared, Collection) or set(declared) - set("xyz"):
        raise ValueError(f"discrete: expected letters of 'xyz', got {discrete!r}")

    refuse_unknown("conditional_mi", settings, CriticArguments)
    template = MIEstimator(estimator, **settings)
    check_arguments(template.get_params())
    seed = template._seed()  # pyright: ignore[reportPrivateUsage]

    check_aligned({"x": x, "y": y, "z": z, "groups": groups})
    read = [
        survey(name, value, discrete=name in declared)
        for name, value in (("x", x), ("y", y), ("z", z))
    ]
    sides, tables = [side for side, _ in read], [table for _, table in read]
    labels, order = draw_rows(sides, tables, groups, seed, template.max_rows)
    strata = _strata(sides[2].encode(tables[2][order.numpy()]), labels[order])

    grouped = groups is not None
    if strata is not None:
        both = (sides[0], sides[1]), (tables[0], tables[1])
        pairs = pairs_of(*both, labels, order, grouped=grouped)
        first = [(strata == k).nonzero()[0, 0] for k in range(int(strata.max()) + 1)]
        names = [_shown(tables[2], int(row)) for row in order[torch.stack(first)]]
        return _stratified(template, pairs, strata, names, grouped)

    joint = beside(read[1], read[2])
    fits = []
    for other in (joint, read[2]):
        both = (sides[0], other[0]), (tables[0], other[1])
        pairs = pairs_of(*both, labels, order, grouped=grouped)
        fitted = MIEstimator(**template.get_params())
        fitted._fit_pairs(both[0], pairs, grouped, seed)  # pyright: ignore[reportPrivateUsage]
        fits.append((fitted, pairs))

    rows_y = sides[1].encode(tables[1][order.numpy()])
    return _chained(fits[0], fits[1], rows_y, grouped)


def _strata(z: Tensor, labels: Tensor) -> Tensor | None:
    """Return the number of each row's value of Z, if there are few values with many rows, or groups, each."""
    codes = codes_of(z)
    counts = draws_of(codes, labels)
    return codes if len(counts) <= _STRATA and int(counts.min()) >= _STRATUM else None


def _shown(table: Table, row: int) -> str:
    """Return the values of Z in a row, as text."""
    entries = [str(column[row]) for column in table]
    return ", ".join(entries[:3]) + (", …" if len(entries) > 3 else "")


def _stratified(
    template: MIEstimator,
    pairs: Pairs,
    strata: Tensor,
    names: list[str],
    grouped: bool,
) -> ConditionalMI:
    """Return the mean over the values of Z."""
    parts: dict[str, MIEstimate] = {}
    shares: list[float] = []
    for k, name in enumerate(names):
        rows = strata == k
        x, y = pairs.x[rows], pairs.y[rows]
        if all(bool(varying(side).any()) for side in (x, y)):  # else there is nothing to share
            fitted = MIEstimator(**template.get_params())
            fitted.fit(x, y, pairs.labels[rows] if grouped else None)
            parts[f"I(X; Y | Z = {name})"] = fitted.estimate_
            shares.append(float(rows.double().mean()))

    def mean(values: Iterable[float]) -> float:
        weighted = zip(shares, values, strict=True)
        return sum((share * value for share, value in weighted), 0.0)

    own = list(parts.values())
    nats = mean(part.nats for part in own)
    nothing = 1 - sum(shares)  # share of the rows whose strata have nothing to share
    spread = mean((part.nats - nats) ** 2 for part in own) + nothing * nats**2
    noise = sum((s * part.stderr) ** 2 for s, part in zip(shares, own, strict=True))

    reaches = [_reaches(part) for part in own]
    down = mean(low for low, _ in reaches)
    up = mean(high for _, high in reaches)
    names_of = own[0].readouts if own else {}
    readouts = {name: mean(part.readouts[name] for part in own) for name in names_of}

    return _combined(
        template,
        nats,
        math.sqrt(noise + spread / len(strata)),
        (down, up),
        parts,
        readouts,
        pairs.sample,
        {"strata": len(names)},
        None,
    )


def _chained(
    total: tuple[MIEstimator, Pairs],
    shared: tuple[MIEstimator, Pairs],
    y: Tensor,
    grouped: bool,
) -> ConditionalMI:
    """Return the difference of two estimates from the same rows and folds."""
    (more, pairs), (less, others) = total, shared
    first, second = more.estimate_, less.estimate_
    labels = pairs.labels if grouped else None
    nearest = cheap_conditional(pairs.x, y, others.y, labels)
    diagnostics = {"total": first.nats, "shared": second.nats}
    if nearest is not None:
        diagnostics["ksg"] = nearest.value

    # What takes the total down takes the difference down; what takes the shared part down takes it up.
    (first_down, first_up), (second_down, second_up) = _reaches(first), _reaches(second)
    return _combined(
        more,
        first.nats - second.nats,
        _stderr_of_difference(total, shared, grouped),
        (first_down + second_up, first_up + second_down),
        {"I(X; (Y, Z))": first, "I(X; Z)": second},
        {name: first.readouts[name] - second.readouts[name] for name in first.readouts},
        pairs.sample,
        diagnostics,
        nearest,
    )


def _reaches(part: MIEstimate) -> tuple[float, float]:
    """Return by how much an interval reaches below and above what its standard error says."""
    low, high = part.interval
    noise = _LEVEL * part.stderr
    below, above = part.nats - noise - low, high - part.nats - noise
    return max(0.0, below), max(0.0, above)


def _stderr_of_difference(
    total: tuple[MIEstimator, Pairs], shared: tuple[MIEstimator, Pairs], grouped: bool
) -> float:
    """Return the standard error of the difference of two estimates, from the influences of the same rows."""
    row, order = total[0].estimate_.estimator, total[1].order
    place = torch.zeros(int(order.max()) + 1, dtype=torch.long)
    place[order] = torch.arange(len(order))

    if _OTHERS & {fitted.estimate_.expert for fitted, _ in (total, shared)}:
        return math.hypot(*(fitted.estimate_.stderr for fitted, _ in (total, shared)))

    rows, variance = 0, 0.0
    for folds in zip(total[0].folds_, shared[0].folds_, strict=True):
        pair = []
        for (fitted, pairs), (maps, critic, held) in zip((total, shared), folds, strict=True):
            test, device = place[held], torch_device(fitted.device)
            sides = (m(r[test].to(device)) for m, r in zip(maps, (pairs.x, pairs.y), strict=True))
            with full_precision(device):
                pair.append(influences(row, held_out_scores(critic, *sides))[1].cpu())

        count = min(map(len, pair))  # a few rows at the end of a fold may be left over
        apart = pair[0][:count] - pair[1][:count]
        if grouped:
            own = total[1].labels[place[folds[0][2]]][:count]
            apart = apart.new_zeros(int(own.max()) + 1).index_add(0, own, apart)

        variance += count**2 * float(apart.square().sum())
        rows += count

    return math.sqrt(variance) / rows


def _combined(
    fitted: MIEstimator,
    nats: float,
    stderr: float,
    reaches: tuple[float, float],
    parts: dict[str, MIEstimate],
    readouts: dict[str, float],
    sample: Sample,
    diagnostics: dict[str, float],
    nearest: Neighbours | None,
) -> ConditionalMI:
    """Return the estimate with its interval and its verdict."""
    low = nats - _LEVEL * stderr - reaches[0]
    low = max(low, min(nats, 0.0))  # no information is below 0
    high = nats + _LEVEL * stderr + reaches[1]

    reasons = dict(reasons_of_rows(sample))
    for name, part in parts.items():
        if part.verdict not in ("ok", "nothing_found"):
            reasons.setdefault(part.verdict, f"{name}: {part.warnings[0]}")

    if nearest is not None:
        high = max(high, nearest.value + _LEVEL * nearest.stderr)
        more, less = nearest.value - nats, nats - nearest.value - nearest.shortfall
        if max(more, less) > max(DRIFT, 6 * stderr):
            reasons["disagreement"] = f"nearest neighbours read {nearest.value:.2f} nats"

    if not reasons and (nats <= max(2 * stderr, _NOTHING) or low <= 0):
        reasons["nothing_found"] = (
            "the value is not above its noise and what the critics may miss. This is no evidence that X and Y are"
            " independent given Z: the interval does not cover dependence that these critics cannot see"
        )

    return ConditionalMI(
        nats=nats,
        stderr=stderr,
        interval=(low, high),
        estimator=replace(ESTIMATORS[fitted.estimator], kind="neither"),
        expert="chain rule" if "shared" in diagnostics else "strata",
        verdict=next(iter(reasons), "ok"),
        readouts=readouts,
        history=[history for part in parts.values() for history in part.history],
        diagnostics=diagnostics,
        warnings=(*reasons.values(), *sample.notes),
        parts=parts,
    )
