"""Tables of the escape experiments, from rows alone."""

from __future__ import annotations

import math

import numpy as np

from mi_estimators.display import Table, label, number

from ..models.statistics import fit_exponent, interval
from ..rows import Row, of

_SMALL = 1e-2  # exponents are fitted over ε up to here


def label_of(spec: dict, beta: float) -> str:
    """Return "DPO β = 0.1", or the name alone where the objective has no β; α where it is not MIO's ½."""
    name = label(spec["objective"])
    if spec["objective"] not in ("dpo", "mio"):
        return name
    if spec["mix"] != 0.5:
        name = "α-MIO, 1 − α = ε^β," if spec["mix"] is None else f"α-MIO, α = {spec['mix']:g},"
    return f"{name} β = {beta:g}"


def sampled_label(spec: dict) -> str:
    """Return what a sampled gradient is, in words."""
    name = "RLHF" if spec["objective"] == "rlhf" else f"{label(spec['objective'])}, drawn"
    every = ", every step taken" if spec["every_step"] else ""
    return f"{name}, n = {spec['samples']}, η = {spec['learning_rate']:g}{every}"


_LIMITS = {
    "rlhf": "1",
    "sft": "0 (ln 1/ε)",
    "drawn_dv": "0 (ln 1/ε)",
    "drawn_js": "1 (1/(ε ln 1/ε))",
}
"""Exponent of the escape time as ε → 0, where it does not depend on β."""


def exponents(rows: list[Row]) -> Table:
    """Exponents of the escape time in 1/ε: fitted, of theory at the same ε, and in the limit ε → 0.

    Flows: least squares over ln t, with Student's interval. Samples: the same slope of the mean number of steps, with
    the interval that the means' standard errors give it; different ε have different replicas.
    """
    head = ("objective", "simulated by", "fitted exponent [95 %]", "theory, same ε", "limit ε → 0")
    flows = [line for row in of(rows, "EscapeFlow") for line in _flow_exponents(row)]
    samples = [line for row in of(rows, "EscapeSampled") for line in _sampled_exponent(row)]
    return Table(head, flows + samples)


def _small(spec: dict) -> list[int]:
    return [k for k, eps in enumerate(spec["eps"]) if eps <= _SMALL]


def _flow_exponents(row: Row) -> list[tuple[str, ...]]:
    """Return a line for each β whose flow escapes from every small ε."""
    spec, small, lines = row["spec"], _small(row["spec"]), []
    eps = [spec["eps"][k] for k in small]

    times = zip(
        spec["betas"],
        row["measured"]["time"],
        row["theory"]["time"],
        strict=True,
    )

    for beta, *both in times:
        measured, theory = ([time[k] for k in small] for time in both)
        if None in measured + theory or len(small) < 2:
            continue

        limit = _LIMITS.get(spec["objective"], f"β = {beta:g} (2β with a third response)")
        if spec["objective"] == "mio" and spec["mix"] is None:
            limit = f"β/(1 + β) = {beta / (1 + beta):.3f}"
        elif spec["objective"] == "mio":
            limit = "none: stops below its ε*"

        fitted = interval(*fit_exponent(eps, measured))
        expected = f"{fit_exponent(eps, theory)[0]:.3f}"
        lines.append((label_of(spec, beta), "exact flow", fitted, expected, limit))

    return lines


def _sampled_exponent(row: Row) -> list[tuple[str, ...]]:
    spec, small = row["spec"], _small(row["spec"])
    if len(small) < 2:
        return []

    eps, mean, error, theory = (
        np.array(values, dtype=float)[small]
        for values in (
            spec["eps"],
            row["measured"]["steps_mean"],
            row["measured"]["steps_stderr"],
            row["theory"]["steps_mean"],
        )
    )

    centred = np.log(eps) - np.log(eps).mean()
    half = 1.96 * math.sqrt(((centred * error / mean) ** 2).sum()) / (centred**2).sum()
    fitted = interval(fit_exponent(eps, mean)[0], half)

    limit = _LIMITS["drawn_js"] if spec["objective"] == "js" else "1"
    expected = f"{fit_exponent(eps, theory)[0]:.3f}"
    return [(sampled_label(spec), "samples", fitted, expected, limit)]


def escape_times(rows: list[Row]) -> Table:
    """Escape times measured by exact flow beside the closed forms."""
    body = []
    for row in of(rows, "EscapeFlow"):
        spec = row["spec"]
        tables = zip(
            spec["betas"],
            row["measured"]["time"],
            row["theory"]["time"],
            strict=True,
        )

        for beta, *times in tables:
            for eps, time, theory in zip(spec["eps"], *times, strict=True):
                gap = "" if time is None or theory is None else f"{time / theory - 1:+.1e}"
                cells = (number(time, 7), number(theory, 7), gap)
                body.append((label_of(spec, beta), f"{eps:g}", *cells))

    return Table(("objective", "ε", "time, exact flow", "time, theory", "relative gap"), body)


def sampled(rows: list[Row]) -> Table:
    """Sampled gradients: mean steps beside the renewal equation's, and the wait for a first correct answer."""
    body = []
    for row in of(rows, "EscapeSampled"):
        measured, theory = row["measured"], row["theory"]
        for k, eps in enumerate(row["spec"]["eps"]):
            cells = []
            for key, error in (
                ("steps_mean", "steps_stderr"),
                ("first_signal", "first_signal_stderr"),
            ):
                spread = number(measured[error][k], 2)
                cells += [f"{number(measured[key][k])} ± {spread}", number(theory[key][k])]

            body.append((sampled_label(row["spec"]), f"{eps:g}", *cells))

    head = (
        "gradient",
        "ε",
        "steps to ½, mean ± s.e.",
        "theory",
        "steps to a first signal",
        "1/(1 − (1 − ε)ⁿ)",
    )

    return Table(head, body)


def lifts(rows: list[Row]) -> Table:
    """MIO's lift beside theory's, and the highest one on the way."""
    body = []
    for row in of(rows, "MioLift"):
        spec, measured, theory = row["spec"], row["measured"], row["theory"]
        for b, beta in enumerate(spec["betas"]):
            for k, eps in enumerate(spec["eps"]):
                values = (
                    measured["lift"][b][k],
                    theory["lift"][b][k],
                    measured["highest_lift"][b][k],
                    min(2 ** (1 / beta), 1 / eps),
                )
                body.append((str(spec["arms"]), f"{beta:g}", f"{eps:g}", *map(number, values)))

    head = (
        "responses",
        "β",
        "ε",
        "lift at rest",
        "theory",
        "highest on the way",
        "2^(1/β), at most 1/ε",
    )

    return Table(head, body)


SAMPLERS = {
    "dv": ("the policy", "DV, T = ln dP/dπ", "1"),
    "nwj": ("the policy", "NWJ, T = ln dP/dπ", "1"),
    "js": ("the policy", "JS, T = ln dP/dπ", "ε ln(1 + 1/ε)"),
    "dpo_drawn": ("the policy", "DPO on a pair of its answers", "ε(1 − ε)"),
    "dpo": ("supplied", "DPO", "½"),
    "mio": ("supplied", "MIO", "¼"),
    "alpha_mio": ("supplied", "α-MIO", "α/2"),
}
"""Rows of the table: who supplies the correct answer, what is descended or ascended, and the weight in theory."""


def who_samples(rows: list[Row]) -> Table:
    """Weight on ∇ ln π(correct): theory, exact, of groups of draws; share of groups without any. At three ε."""
    body = []
    for row in of(rows, "WhoSamples"):
        spec, measured, theory = row["spec"], row["measured"], row["theory"]
        count = len(spec["eps"])
        for name, texts in SAMPLERS.items():
            for k in sorted({0, count // 2, count - 1}):
                weights = [number(part["exact"][name][k], 3) for part in (theory, measured)]
                cells = (f"{spec['eps'][k]:g}", *weights, *_groups(row, name, k))
                body.append((*texts, *cells))

    head = (
        "correct answer from",
        "gradient of",
        "weight",
        "ε",
        "theory",
        "exact law",
        "groups of n, mean ± 2 s.e.",
    )

    return Table((*head, "groups without it", "theory"), body)


def _groups(row: Row, name: str, k: int) -> list[str]:
    """Return the cells on groups of draws: their mean weight, and the share without the correct answer."""
    measured, theory = row["measured"], row["theory"]
    if name not in measured["sampled"]:
        return ["nothing is drawn", "0", "0"]

    mean = measured["sampled"][name][k]
    error = 2 * measured["stderr"][name][k]
    weight = f"{number(mean, 3)} ± {number(error, 2)}"
    if not mean:
        weight = f"0: not in one of {row['spec']['groups']:,}"

    return [weight, *(f"{part['missed'][name][k]:.4f}" for part in (measured, theory))]


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the lines of the report's head: the largest gap to theory, and the exponents."""
    gaps = [
        abs(time / theory - 1)
        for row in of(rows, "EscapeFlow")
        for times in zip(row["measured"]["time"], row["theory"]["time"], strict=True)
        for time, theory in zip(*times, strict=True)
        if time is not None and theory is not None
    ]

    lines = []
    if gaps:
        lines.append(
            ("escape times, exact flow: largest relative gap to theory", f"{max(gaps):.0e}", "0")
        )

    for name, _, fitted, theory, limit in exponents(rows).body:
        if "drawn" not in name and "every" not in name:  # those are in their own table
            lines.append(
                (f"escape exponent, {name}", fitted, f"{theory} at these ε; limit: {limit}")
            )

    return lines
