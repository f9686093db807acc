"""Tables of the escape experiments, from rows alone."""

from __future__ import annotations

import math

import numpy as np

from mi_estimators.display.style import NAMES
from mi_estimators.display.table import Table, number

from ..rows import Row, of
from ..tables import fit_exponent, interval

_SMALL = 1e-2  # exponents are fitted over ε up to here


def label(spec: dict, beta: float) -> str:
    """Return "DPO β = 0.1", or the name alone where the objective has no β; α where it is not MIO's ½."""
    name = NAMES[spec["objective"]]
    if spec["objective"] not in ("dpo", "mio"):
        return name
    if spec["mix"] != 0.5:
        name = "α-MIO, 1 − α = ε^β," if spec["mix"] is None else f"α-MIO, α = {spec['mix']:g},"
    return f"{name} β = {beta:g}"


def sampled_label(spec: dict) -> str:
    """Return what a sampled gradient is, in words."""
    name = "RLHF" if spec["objective"] == "rlhf" else f"{NAMES[spec['objective']]}, drawn"
    every = ", every step taken" if spec["every_step"] else ""
    return f"{name}, n = {spec['samples']}, η = {spec['learning_rate']:g}{every}"


def exponents(rows: list[Row]) -> Table:
    """Exponents of the escape time in 1/ε: fitted, of theory at the same ε, and in the limit ε → 0.

    Flows: least squares over ln t, with Student's interval. Samples: the same slope of the mean number of steps, with
    the interval that the means' standard errors give it; different ε have different replicas.
    """
    body = []
    limits = {
        "rlhf": "1",
        "sft": "0 (ln 1/ε)",
        "drawn_dv": "0 (ln 1/ε)",
        "drawn_js": "1 (1/(ε ln 1/ε))",
    }
    for row in of(rows, "EscapeFlow"):
        spec = row["spec"]
        small = [k for k, e in enumerate(spec["eps"]) if e <= _SMALL]
        eps = [spec["eps"][k] for k in small]
        for beta, *pair in zip(
            spec["betas"], row["measured"]["time"], row["theory"]["time"], strict=True
        ):
            times, said = ([line[k] for k in small] for line in pair)
            if None in times + said or len(small) < 2:
                continue
            limit = limits.get(spec["objective"], f"β = {beta:g}")
            if spec["objective"] == "mio":
                stops = spec["mix"] is not None
                limit = (
                    "none: stops below its ε*" if stops else f"β/(1 + β) = {beta / (1 + beta):.3f}"
                )
            fitted = fit_exponent(eps, times)
            body.append(
                (
                    label(spec, beta),
                    "exact flow",
                    interval(*fitted),
                    f"{fit_exponent(eps, said)[0]:.3f}",
                    limit,
                )
            )
    for row in of(rows, "EscapeSampled"):
        spec, small = row["spec"], [k for k, e in enumerate(row["spec"]["eps"]) if e <= _SMALL]
        if len(small) < 2:
            continue
        eps = [spec["eps"][k] for k in small]
        mean, error = (
            np.array(row["measured"][key], dtype=float)[small]
            for key in ("steps_mean", "steps_stderr")
        )
        slope, _ = fit_exponent(eps, list(mean))
        across = np.log(eps) - np.log(eps).mean()
        half = 1.96 * math.sqrt(((across * error / mean) ** 2).sum()) / (across**2).sum()
        theory = fit_exponent(eps, [row["theory"]["steps_mean"][k] for k in small])[0]
        limit = limits["drawn_js"] if spec["objective"] == "js" else "1"
        body.append((sampled_label(spec), "samples", interval(slope, half), f"{theory:.3f}", limit))
    return Table(
        ("objective", "simulated by", "fitted exponent [95 %]", "theory, same ε", "limit ε → 0"),
        body,
    )


def escape_times(rows: list[Row]) -> Table:
    """Escape times measured by exact flow beside the closed forms."""
    body = []
    for row in of(rows, "EscapeFlow"):
        spec = row["spec"]
        for beta, times, said in zip(
            spec["betas"], row["measured"]["time"], row["theory"]["time"], strict=True
        ):
            for e, t, s in zip(spec["eps"], times, said, strict=True):
                gap = "" if t is None or s is None else f"{t / s - 1:+.1e}"
                body.append((label(spec, beta), f"{e:g}", number(t, 7), number(s, 7), gap))
    return Table(("objective", "ε", "time, exact flow", "time, theory", "relative gap"), body)


def sampled(rows: list[Row]) -> Table:
    """Sampled gradients: mean steps beside the renewal equation's, and the wait for a first correct answer."""
    body = []
    for row in of(rows, "EscapeSampled"):
        spec, measured, said = row["spec"], row["measured"], row["theory"]
        for k, e in enumerate(spec["eps"]):
            pairs = []
            for key in ("steps_mean", "first_signal"):
                error = measured[key.replace("_mean", "") + "_stderr"][k]
                pairs += [f"{number(measured[key][k])} ± {number(error, 2)}", number(said[key][k])]
            body.append((sampled_label(spec), f"{e:g}", *pairs))
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
        spec, measured, said = row["spec"], row["measured"], row["theory"]
        for b, beta in enumerate(spec["betas"]):
            for k, e in enumerate(spec["eps"]):
                cells = (measured["lift"][b][k], said["lift"][b][k], measured["highest_lift"][b][k])
                most = min(2 ** (1 / beta), 1 / e)
                body.append(
                    (str(spec["arms"]), f"{beta:g}", f"{e:g}", *map(number, (*cells, most)))
                )
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
    "dv": ("the policy", "DV, T = ln dP/dπ"),
    "nwj": ("the policy", "NWJ, T = ln dP/dπ"),
    "js": ("the policy", "JS, T = ln dP/dπ"),
    "dpo_drawn": ("the policy", "DPO on a pair of its answers"),
    "dpo": ("supplied", "DPO"),
    "mio": ("supplied", "MIO"),
    "alpha_mio": ("supplied", "α-MIO"),
}
"""Rows of the table: who supplies the correct answer, and what is descended or ascended."""
WEIGHTS = {
    "dv": "1",
    "nwj": "1",
    "js": "ε ln(1 + 1/ε)",
    "dpo_drawn": "ε(1 − ε)",
    "dpo": "½",
    "mio": "¼",
    "alpha_mio": "α/2",
}


def who_samples(rows: list[Row]) -> Table:
    """Weight on ∇ ln π(correct): theory, exact, of groups of draws; share of groups without any. At three ε."""
    body = []
    for row in of(rows, "WhoSamples"):
        spec, measured, said = row["spec"], row["measured"], row["theory"]
        picks = sorted({0, len(spec["eps"]) // 2, len(spec["eps"]) - 1})
        for name, (who, what) in SAMPLERS.items():
            for k in picks:
                cells = [f"{number(part['exact'][name][k], 3)}" for part in (said, measured)]
                if name in measured["sampled"]:
                    mean, error = measured["sampled"][name][k], 2 * measured["stderr"][name][k]
                    none = f"0: not in one of {spec['groups']:,}"
                    cells.append(f"{number(mean, 3)} ± {number(error, 2)}" if mean else none)
                    cells += [f"{part['missed'][name][k]:.4f}" for part in (measured, said)]
                else:
                    cells += ["nothing is drawn", "0", "0"]
                body.append((who, what, WEIGHTS[name], f"{spec['eps'][k]:g}", *cells))
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
