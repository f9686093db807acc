"""What the rows of part 1 say of its claims."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean, median
from typing import Any

from scipy.stats import ttest_1samp

from benchmarks.planned import has_row, row_named
from benchmarks.smollm2_offline import compare, plan, tables
from llm_adapter.evaluation.rates import bootstrap

from .claim import (
    AGAINST,
    ANSWERS,
    INTERVAL,
    LEVEL,
    MARGIN,
    OPEN,
    RULE,
    STANDS,
    TEXT,
    Claim,
    counted,
    holm,
    missing,
)

Rows = list[dict]


def deepest(rows: Rows, size: plan.Size, name: str) -> tuple[float, list[float]] | None:
    """Return the deepest level that MIO and DPO reach in every seed, and z_w(MIO) − z_w(DPO) there, or None."""
    levels = size.depths if name == "depth" else size.kls
    most = min(len(tables.runs_of(rows, arm)) for arm in ("MIO", "DPO"))

    for level in sorted(levels, reverse=True) if most else ():
        values = tables.differences(rows, "MIO", "gradient", name, level, "steps")
        if len(values) >= most:
            return level, values

    return None


def above_dpo(rows: Rows, value: Callable[[dict], float]) -> list[float]:
    """Return a value of a run, MIO − DPO within each seed."""
    pairs = tables.beside(tables.runs_of(rows, "MIO"), tables.runs_of(rows, "DPO"))
    return [value(mio) - value(dpo) for mio, dpo in pairs]


def text_differences(rows: Rows) -> list[float]:
    """Return −ln π of a token of other text, MIO − DPO within each seed."""
    return above_dpo(rows, lambda row: row["text_nats"])


def p_values_of(rows: Rows, size: plan.Size) -> dict[str, tuple[float, float]]:
    """Return (p, Holm's corrected p) of the questions that have a test: Student's, two-sided, over seeds."""
    samples = {"text": text_differences(rows)}
    for name in ("depth", "kl"):
        if reached := deepest(rows, size, name):
            samples[name] = reached[1]

    plain = {}
    for name, values in samples.items():
        if len(values) > 1:
            test: Any = ttest_1samp(values, 0)
            plain[name] = float(test.pvalue) if any(values) else 1.0

    return {name: (plain[name], p) for name, p in holm(plain).items()}


def above(
    values: list[float], name: str, p_values: dict[str, tuple[float, float]], planned: int
) -> tuple[str, bool | None]:
    """Return a test in words, and whether the mean is above 0 after the correction; None where that is open.

    It is open while there are fewer seeds than `planned`: the protocol's test is over all of them.
    """
    if name not in p_values:
        return "one seed: no test", None

    low, (plain, corrected) = compare.paired(values)[1], p_values[name]
    words = f"Student's: p {plain:.2g}, Holm's {corrected:.2g}"
    if len(values) < planned:
        return f"{words}; {len(values)} of {planned} seeds", None

    if low <= 0:
        return words, False
    return words, True if corrected < LEVEL else None


def absent(rows: Rows, size: plan.Size, wanted: Callable[[plan.Run], bool]) -> list[plan.Run]:
    """Return the wanted ones of the planned offline runs that have no row yet."""
    return [run for run in plan.runs(size) if wanted(run) and not has_row(rows, run.key(size))]


def decline(rows: Rows, size: plan.Size) -> Claim:
    """DPO sinks the chosen response: at some β with two planned seeds or more, z_w falls by 1 nat in all."""
    claim = "DPO sinks the chosen response, by 1 nat or more at some β"
    turns: dict[float, list[compare.Turn]] = {}
    for row in rows:
        if row["arm"] == "DPO":
            turns.setdefault(row["beta"], []).append(tables.turn_of(row))

    if not turns:
        return missing(claim)

    falls = {beta: [turn.fall for turn in several] for beta, several in turns.items()}
    without = {
        beta: len(absent(rows, size, lambda run, b=beta: (run.arm, run.beta) == ("DPO", b)))
        for beta in falls
    }
    sunk = [b for b, own in falls.items() if len(own) > 1 and min(own) >= 1 and not without[b]]
    shallow = all(fmean(own) < 1 for own in falls.values())
    whole = not absent(rows, size, lambda run: run.arm == "DPO")
    verdict = STANDS if sunk else AGAINST if shallow and whole else OPEN

    shown = sunk or ([plan.BETA] if plan.BETA in falls else list(falls))
    beta = max(shown, key=lambda beta: fmean(falls[beta]))
    tops = tables.interval([turn.top for turn in turns[beta]])
    text = f"β = {beta:g}: z_w has its top at {tops} and falls by {tables.interval(falls[beta], '{:.2f}')} nats"
    text += f", at least {min(falls[beta]):.2f}"

    seeds = f"{len(falls[beta])} of {len(falls[beta]) + without[beta]} seeds"
    return Claim(claim, text, f"{seeds}, {len(falls)} β", RULE, verdict)


def bound(rows: Rows, size: plan.Size, name: str) -> Claim:
    """It is the bound: MIO's z_w lies above DPO's at the deepest level that both reach in every seed."""
    words = "equal displacement of the rejected response" if name == "depth" else "equal KL"
    claim = f"At {words} MIO keeps the chosen response higher than DPO"
    reached = deepest(rows, size, name)
    if reached is None:
        return missing(claim)

    level, values = reached
    test, higher = above(values, name, p_values_of(rows, size), size.seeds)
    where = f"z_l = −{level:g}" if name == "depth" else f"KL = {level:g}"
    text = f"z_w(MIO) − z_w(DPO) at {where}: {tables.interval(values)} nats"
    verdict = {True: STANDS, False: AGAINST, None: OPEN}[higher]

    return Claim(claim, text, counted(values, "seed"), test, verdict)


def turning(rows: Rows, size: plan.Size) -> Claim:
    """`late_decline` predicts where DPO at its first β turns, within a factor of 2, or that it does not turn."""
    claim = "`late_decline` predicts the margin at which DPO (β = 0.1) turns, within a factor of 2"
    prediction = row_named(rows, "T1")
    own = tables.runs_of(rows, "DPO")
    if prediction is None or not own:
        return missing(claim)

    turns = [tables.turn_of(row) for row in own]
    sinking = sum(turn.step == 0 for turn in turns)
    inside = [
        turn.margin
        for turn, row in zip(turns, own, strict=True)
        if 0 < turn.step < row["steps"][-1]
    ]
    if inside and prediction["margin"] is not None:
        text = f"{prediction['margin']:.2f} predicted, {median(inside):.2f} measured (median, nats)"
        verdict = STANDS if 0.5 <= median(inside) / prediction["margin"] <= 2 else AGAINST
    else:
        text = (
            f"of the prompts {prediction['turns']:.0%} are predicted to turn and {prediction['falls_at_once']:.0%} to"
            f" fall at once, the others to rise; runs that fall at once: {sinking} of {len(own)}"
        )
        verdict = AGAINST if sinking == len(own) and prediction["falls_at_once"] < 0.5 else OPEN

    without = absent(rows, size, lambda run: (run.arm, run.beta) == ("DPO", plan.BETA))
    count = f"{prediction['prompts']} prompts, {len(own)} of {len(own) + len(without)} planned runs"
    return Claim(claim, text, count, RULE, OPEN if without else verdict)


def first_rise(rows: Rows, size: plan.Size) -> Claim:
    """At a tenth of the rate DPO first makes right answers likelier: in all seeds where the margin reaches 1 nat."""
    claim = f"At {size.learning_rate:g} a step DPO (β = 0.1) first makes right answers likelier, as to first order"
    own = tables.runs_of(rows, "DPO")
    if not own:
        return missing(claim)

    heights = []
    for row in own:
        margins = [chosen - z for chosen, z in zip(row["z_chosen"], row["z_rejected"], strict=True)]
        height = compare.at_depth(row["z_chosen"], [-margin for margin in margins], MARGIN)
        heights += [] if height is None else [height]

    text = f"z_w where the margin first reaches {MARGIN:g} nat: {tables.interval(heights)} nats"
    verdict = OPEN
    if len(heights) == size.seeds:
        verdict = STANDS if min(heights) > 0 else AGAINST if max(heights) < 0 else OPEN

    return Claim(claim, text, f"{len(heights)} of {size.seeds} seeds", RULE, verdict)


def elsewhere(rows: Rows, size: plan.Size) -> Claim:
    """Anchored losses cost nothing: MIO loses neither other text nor pass@1 beside DPO, by the smallest effects."""
    claim = "MIO loses neither other text (the Apache licence) nor right answers beside DPO"
    values = text_differences(rows)
    if not values:
        return missing(claim)

    drawn = tables.answers_of(rows)
    answers = above_dpo(rows, lambda row: fmean(row["right"]) / drawn)

    test, higher = above(values, "text", p_values_of(rows, size), size.seeds)
    text = (
        f"MIO − DPO: −ln π a token {tables.interval(values, '{:+.3f}')} nats,"
        f" pass@1 {tables.interval(answers, '{:+.3f}')}"
    )
    (_, _, most), (_, least, best) = compare.paired(values), compare.paired(answers)
    if len(values) < size.seeds:
        verdict = OPEN
    elif higher or best < -ANSWERS:
        verdict = AGAINST
    else:
        verdict = STANDS if most < TEXT and least > -ANSWERS else OPEN

    return Claim(claim, text, counted(values, "seed"), test, verdict)


def right_answers(rows: Rows, size: plan.Size) -> Claim:
    """Preferences teach more than right answers: the best arm is above SFT by 0.05 in pass@1."""
    claim = "Preferences teach more than right answers alone, by 0.05 in pass@1"
    answers = tables.answers_of(rows)
    sft = tables.runs_of(rows, "SFT")

    best: tuple[float, str, list[float], int] | None = None
    for arm, matching, own in tables.settings(rows):
        pairs = tables.beside(own, sft)
        if arm == "SFT" or not pairs:
            continue

        values = tables.differences_of_answers(pairs, answers)
        if best is None or fmean(values) > best[0]:
            best = fmean(values), f"{arm} ({matching})", values, len(pairs)

    if best is None:
        return missing(claim)

    mean, arm, values, seeds = best
    low, high = bootstrap(values)
    so_far = STANDS if low >= ANSWERS else AGAINST if high < ANSWERS else OPEN
    verdict = OPEN if absent(rows, size, lambda run: run.beta == plan.BETA) else so_far
    text = f"{arm} − SFT: {mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    count = f"{len(values)} questions, {counted(range(seeds), 'seed')}; the best of the arms"
    return Claim(claim, text, count, INTERVAL, verdict)


def claims(rows: Rows, size: plan.Size) -> list[Claim]:
    """Return the claims of part 1."""
    return [
        decline(rows, size),
        bound(rows, size, "depth"),
        bound(rows, size, "kl"),
        turning(rows, size),
        elsewhere(rows, size),
        right_answers(rows, size),
    ]


def slow_claims(rows: Rows, size: plan.Size) -> list[Claim]:
    """Return the claim of part 1 at a tenth of the rate."""
    return [first_rise(rows, size)]
