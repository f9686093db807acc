"""What the rows say of each claim of llm_adapter/PROTOCOL.md: a number with its interval, how often, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sized
from statistics import fmean, median
from typing import Any, NamedTuple

from scipy.stats import ttest_1samp

from benchmarks.smollm2_offline import compare
from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_offline import tables as offline
from benchmarks.smollm2_online import plan as online_plan
from benchmarks.smollm2_online import tables as online
from llm_adapter.evaluation.rates import bootstrap, powers, wilson

Rows = list[dict]
NONE = "not measured"
STANDS, AGAINST, OPEN = "stands", "counts against it", "not resolved"

RULE, INTERVAL = "none: a threshold decides", "95 % interval, not corrected"
ANSWERS, TEXT = 0.05, 0.05
"""Smallest effects of interest: of pass@1, and of −ln π a token of other text, in nats."""
MARGIN = 1.0
"""The margin z_w − z_l, in nats, at which the first direction of DPO is read."""
QUESTIONS, LEVEL = 5, 0.05
"""The offline questions over which the protocol corrects by Holm's method, and the level of their tests."""


class Claim(NamedTuple):
    """A claim, what was measured of it, from how much, by which test, and whether it stands by the protocol's rule."""

    claim: str
    measured: str
    count: str
    test: str
    verdict: str


def counted(things: Sized, name: str) -> str:
    """Return how many there are, with their name.

    >>> counted([3], "seed"), counted([3, 4], "seed")
    ('1 seed', '2 seeds')
    """
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def missing(claim: str) -> Claim:
    """Return the line of a claim without rows."""
    return Claim(claim, NONE, "–", "–", NONE)


def holm(p_values: dict[str, float], count: int = QUESTIONS) -> dict[str, float]:
    """Return Holm's corrected p-values of some of `count` questions; those without a test count as 1.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03}, count=3)
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, largest = {}, 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda entry: entry[1])):
        largest = max(largest, min(1.0, (count - place) * p))
        corrected[name] = largest

    return corrected


def deepest(rows: Rows, size: offline_plan.Size, name: str) -> tuple[float, list[float]] | None:
    """Return the deepest level that MIO and DPO reach in every seed, and z_w(MIO) − z_w(DPO) there, or None."""
    levels = size.depths if name == "depth" else size.kls
    most = min(len(offline.runs_of(rows, arm)) for arm in ("MIO", "DPO"))

    for level in sorted(levels, reverse=True) if most else ():
        values = offline.differences(rows, "MIO", "gradient", name, level, "steps")
        if len(values) >= most:
            return level, values

    return None


def above_dpo(rows: Rows, value: Callable[[dict], float]) -> list[float]:
    """Return a value of a run, MIO − DPO within each seed."""
    dpo = {row["seed"]: value(row) for row in offline.runs_of(rows, "DPO")}
    mio = offline.runs_of(rows, "MIO")
    return [value(row) - dpo[row["seed"]] for row in mio if row["seed"] in dpo]


def text_differences(rows: Rows) -> list[float]:
    """Return −ln π of a token of other text, MIO − DPO within each seed."""
    return above_dpo(rows, lambda row: row["text_nats"])


def p_values_of(rows: Rows, size: offline_plan.Size) -> dict[str, tuple[float, float]]:
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

    return words, (corrected < LEVEL or None) if low > 0 else False


def absent(
    rows: Rows, size: offline_plan.Size, wanted: Callable[[offline_plan.Run], bool]
) -> list[offline_plan.Run]:
    """Return the wanted ones of the planned offline runs that have no row yet."""
    there = {(r["arm"], r.get("matching"), r.get("beta"), r.get("seed")) for r in rows}
    return [
        run
        for run in offline_plan.runs(size)
        if wanted(run) and (run.arm, run.matching, run.beta, run.seed) not in there
    ]


def decline(rows: Rows, size: offline_plan.Size) -> Claim:
    """DPO sinks the chosen response: at some β, of several seeds and all of them, it falls by 1 nat from its top."""
    claim = "DPO sinks the chosen response, by 1 nat or more at some β"
    turns: dict[float, list[compare.Turn]] = {}
    for row in rows:
        if row["arm"] == "DPO":
            turns.setdefault(row["beta"], []).append(offline.turn_of(row))

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

    shown = sunk or ([offline_plan.BETA] if offline_plan.BETA in falls else list(falls))
    beta = max(shown, key=lambda beta: fmean(falls[beta]))
    tops = offline.interval([turn.top for turn in turns[beta]])
    text = f"β = {beta:g}: z_w has its top at {tops} and falls by {offline.interval(falls[beta], '{:.2f}')} nats"
    text += f", at least {min(falls[beta]):.2f}"

    seeds = f"{len(falls[beta])} of {len(falls[beta]) + without[beta]} seeds"
    return Claim(claim, text, f"{seeds}, {len(falls)} β", RULE, verdict)


def bound(rows: Rows, size: offline_plan.Size, name: str) -> Claim:
    """It is the bound: MIO's z_w lies above DPO's at the deepest level that both reach in every seed."""
    words = "equal displacement of the rejected response" if name == "depth" else "equal KL"
    claim = f"At {words} MIO keeps the chosen response higher than DPO"
    reached = deepest(rows, size, name)
    if reached is None:
        return missing(claim)

    level, values = reached
    test, higher = above(values, name, p_values_of(rows, size), size.seeds)
    where = f"z_l = −{level:g}" if name == "depth" else f"KL = {level:g}"
    text = f"z_w(MIO) − z_w(DPO) at {where}: {offline.interval(values)} nats"
    verdict = {True: STANDS, False: AGAINST, None: OPEN}[higher]

    return Claim(claim, text, counted(values, "seed"), test, verdict)


def turning(rows: Rows, size: offline_plan.Size) -> Claim:
    """T1 predicts the margin at which DPO at its first β turns within a factor of 2, or that it does not turn."""
    claim = "T1 predicts the margin at which DPO (β = 0.1) turns, within a factor of 2"
    prediction = next((row for row in rows if row["arm"] == "T1"), None)
    own = offline.runs_of(rows, "DPO")
    if prediction is None or not own:
        return missing(claim)

    turns = [offline.turn_of(row) for row in own]
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

    without = absent(rows, size, lambda run: (run.arm, run.beta) == ("DPO", offline_plan.BETA))
    count = f"{prediction['prompts']} prompts, {len(own)} of {len(own) + len(without)} planned runs"
    return Claim(claim, text, count, RULE, OPEN if without else verdict)


def first_rise(rows: Rows, size: offline_plan.Size) -> Claim:
    """At a tenth of the rate DPO first makes right answers likelier: in all seeds where the margin reaches 1 nat."""
    claim = f"At {size.learning_rate:g} a step DPO (β = 0.1) first makes right answers likelier, as to first order"
    own = offline.runs_of(rows, "DPO")
    if not own:
        return missing(claim)

    heights = []
    for row in own:
        margins = [chosen - z for chosen, z in zip(row["z_chosen"], row["z_rejected"], strict=True)]
        height = compare.at_depth(row["z_chosen"], [-margin for margin in margins], MARGIN)
        heights += [] if height is None else [height]

    text = f"z_w where the margin first reaches {MARGIN:g} nat: {offline.interval(heights)} nats"
    verdict = OPEN
    if len(heights) == size.seeds:
        verdict = STANDS if min(heights) > 0 else AGAINST if max(heights) < 0 else OPEN

    return Claim(claim, text, f"{len(heights)} of {size.seeds} seeds", RULE, verdict)


def elsewhere(rows: Rows, size: offline_plan.Size) -> Claim:
    """Anchored losses cost nothing: MIO loses neither other text nor pass@1 beside DPO, by the smallest effects."""
    claim = "MIO loses neither other text (the Apache licence) nor right answers beside DPO"
    values = text_differences(rows)
    if not values:
        return missing(claim)

    drawn = offline.answers_of(rows)
    answers = above_dpo(rows, lambda row: fmean(row["right"]) / drawn)

    test, higher = above(values, "text", p_values_of(rows, size), size.seeds)
    text = (
        f"MIO − DPO: −ln π a token {offline.interval(values, '{:+.3f}')} nats,"
        f" pass@1 {offline.interval(answers, '{:+.3f}')}"
    )
    (_, _, most), (_, least, best) = compare.paired(values), compare.paired(answers)
    if len(values) < size.seeds:
        verdict = OPEN
    elif higher or best < -ANSWERS:
        verdict = AGAINST
    else:
        verdict = STANDS if most < TEXT and least > -ANSWERS else OPEN

    return Claim(claim, text, counted(values, "seed"), test, verdict)


def right_answers(rows: Rows, size: offline_plan.Size) -> Claim:
    """Preferences teach more than right answers: the best arm is above SFT by 0.05 in pass@1."""
    claim = "Preferences teach more than right answers alone, by 0.05 in pass@1"
    answers = offline.answers_of(rows)
    sft = {row["seed"]: row["right"] for row in offline.runs_of(rows, "SFT")}

    best: tuple[float, str, list[float], int] | None = None
    for arm, matching, own in offline.settings(rows):
        pairs = [(row["right"], sft[row["seed"]]) for row in own if row["seed"] in sft]
        if arm == "SFT" or not pairs:
            continue

        values = [
            fmean((one[q] - other[q]) / answers for one, other in pairs)
            for q in range(len(pairs[0][0]))
        ]
        if best is None or fmean(values) > best[0]:
            best = fmean(values), f"{arm} ({matching})", values, len(pairs)

    if best is None:
        return missing(claim)

    mean, arm, values, seeds = best
    low, high = bootstrap(values)
    so_far = STANDS if low >= ANSWERS else AGAINST if high < ANSWERS else OPEN
    verdict = OPEN if absent(rows, size, lambda run: run.beta == offline_plan.BETA) else so_far
    text = f"{arm} − SFT: {mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    count = f"{len(values)} questions, {counted(range(seeds), 'seed')}; the best of the arms"
    return Claim(claim, text, count, INTERVAL, verdict)


def sampler(rows: Rows) -> Claim:
    """Who samples decides: from the lowest level an on-policy arm takes more than three times offline MIO's rounds."""
    claim = "From the lowest base success on-policy arms take over three times offline MIO's rounds"
    level = online_plan.LEVELS[-1]
    offline_runs = online.runs_of(rows, "offline MIO", level)
    own = [
        (row["until_half"] or math.inf, row["rounds"])
        for arm, entry in online_plan.ARMS.items()
        if entry.on_policy
        for row in online.runs_of(rows, arm, level)
    ]

    if not own or not offline_runs:
        return missing(claim)

    count = f"{len(own)} on-policy runs, {len(offline_runs)} offline"
    if not all(row["until_half"] for row in offline_runs):
        return Claim(claim, "offline MIO does not reach ½ in every seed", count, RULE, OPEN)

    unit = fmean(row["until_half"] for row in offline_runs)
    best = min(half for half, _ in own)
    ended = min(rounds for _, rounds in own)
    shown = f"> {ended}" if math.isinf(best) else f"{best:g}"
    text = f"rounds to ½: offline MIO {unit:.0f} (mean), the quickest on-policy run {shown}"
    reached = ended if math.isinf(best) else best
    verdict = STANDS if reached > 3 * unit else OPEN if math.isinf(best) else AGAINST

    return Claim(claim, text, count, RULE, verdict)


def dead_groups(rows: Rows) -> Claim:
    """ε before training tells how many groups are without a gradient: Wilson's interval holds 4b's share, by level.

    4b itself is an identity; what can fail is that its ε, measured before training, is that of the first groups.
    """
    claim = "(1 − ε)² + ε² of ε before training is the share of the first groups of two without a gradient"
    parts, inside, total_runs = [], [], 0
    for level, measured in online.levels_of(rows).items():
        own = online.runs_of(rows, online.WITNESS, level)
        if not own:
            continue

        total, dead = (sum(row["first"][k] for row in own) for k in (0, 1))
        low, high = wilson(dead, total)
        theory = measured["zero_gradient"]["2"]
        inside.append(low <= theory <= high)
        total_runs += len(own)
        parts.append(f"{dead / total:.3f} [{low:.3f}, {high:.3f}] of {theory:.3f}")

    if not parts:
        return missing(claim)

    verdict = STANDS if all(inside) else AGAINST
    return Claim(
        claim,
        "; ".join(parts),
        f"{counted(range(total_runs), 'run')}, 64 groups each",
        INTERVAL,
        verdict,
    )


def gradient_arms(size: online_plan.Size) -> list[str]:
    """Return the policy gradients that are arms of their own in groups of two."""
    return [arm for arm in ("GRPO", "GRPO, normalised") if online_plan.pairs_differ(arm, size)]


def normalising(rows: Rows, size: online_plan.Size) -> Claim:
    """Normalising changes the rate, not the exponent: ratios of escape between levels agree within a factor of 2."""
    claim = "Normalising the advantages leaves the growth with 1/ε (T8), within a factor of 2"
    if len(gradient_arms(size)) < 2:
        text = "not asked: in groups of two under AdamW both are one arm; the small model answers"
        return Claim(claim, text, "–", "–", NONE)

    values = {}
    high, low = online_plan.LEVELS[:2]

    for arm in ("GRPO", "GRPO, normalised"):
        near, far = (
            [row["until_half"] for row in online.runs_of(rows, arm, level)] for level in (high, low)
        )
        if near and far and all(near) and all(far):
            values[arm] = fmean(far) / fmean(near)

    runs = sum(
        len(online.runs_of(rows, arm, level))
        for arm in ("GRPO", "GRPO, normalised")
        for level in (high, low)
    )
    if not runs:
        return missing(claim)
    if len(values) < 2:
        text = "the runs do not show both arms at ½ from both levels"
        return Claim(claim, text, counted(range(runs), "run"), RULE, OPEN)

    plain, normalised = values.values()
    text = f"ratio of rounds, ε near {low:g} over {high:g}: plain {plain:.1f}, normalised {normalised:.1f}"
    verdict = STANDS if 0.5 <= normalised / plain <= 2 else AGAINST

    return Claim(claim, text, f"{runs} runs", RULE, verdict)


def growth(rows: Rows) -> Claim:
    """Escape times grow with 1/ε as T6, T8 and likelihood's theorem say: the ratio of rounds, within a factor of 2."""
    claim = "From the highest to the lowest base success rounds grow as the theorems say, within a factor of 2"
    parts, factors, runs = [], [], 0
    for name in online_plan.ARMS:
        measured = online.stretch(rows, name, online_plan.LEVELS[-1])
        if measured is None or measured.theorem is None:
            continue

        mean, runs = fmean(measured.ratios), runs + len(measured.ratios)
        parts.append(f"{name} {'> ' if measured.ended else ''}{mean:.1f} of {measured.theorem:.1f}")
        factors.append((mean / measured.theorem, measured.ended))

    if not factors:
        return missing(claim)

    off = any(factor > 2 or (factor < 0.5 and not ended) for factor, ended in factors)
    known = not any(ended for _, ended in factors)
    verdict = AGAINST if off else STANDS if known else OPEN

    return Claim(claim, "; ".join(parts), counted(range(runs), "run"), RULE, verdict)


def sharpening(rows: Rows, size: online_plan.Size) -> Claim:
    """On-policy training sharpens and does not reach: no arm's pass@16 rises by 0.05 from any level."""
    claim = "On-policy policy gradients do not raise pass@16, by 0.05 or more, from any level"
    gains, runs, k = [], 0, 16
    for arm in gradient_arms(size):
        for level in online_plan.LEVELS:
            if own := online.runs_of(rows, arm, level):
                runs, k = runs + len(own), powers(own[0]["samples"])[-1]
                values = online.gains(own, k)
                gains.append((fmean(values), *bootstrap(values), f"{arm}, ε near {level:g}"))

    if not gains:
        return missing(claim)

    mean, low, high, name = max(gains)
    raised = any(low > 0 and mean >= ANSWERS for mean, low, _, _ in gains)
    verdict = AGAINST if raised else STANDS if all(g[2] < ANSWERS for g in gains) else OPEN
    text = f"pass@{k} after − before, the largest of {len(gains)}: {mean:+.3f} [{low:+.3f}, {high:+.3f}] ({name})"

    return Claim(claim, text, counted(range(runs), "run"), INTERVAL, verdict)


def offline_claims(rows: Rows, size: offline_plan.Size) -> list[Claim]:
    """Return the claims of part 1."""
    return [
        decline(rows, size),
        bound(rows, size, "depth"),
        bound(rows, size, "kl"),
        turning(rows, size),
        elsewhere(rows, size),
        right_answers(rows, size),
    ]


def slow_claims(rows: Rows, size: offline_plan.Size) -> list[Claim]:
    """Return the claim of part 1 at a tenth of the rate."""
    return [first_rise(rows, size)]


def awaited(
    claim: Claim,
    rows: Rows,
    size: online_plan.Size,
    arms: Collection[str],
    levels: Collection[float] = online_plan.LEVELS,
) -> Claim:
    """Return a claim of these arms and levels, open until all their planned runs with groups of two are there."""
    planned = {
        (run.arm, run.level, run.seed)
        for run in online_plan.runs(size)
        if run.group == 2 and run.arm in arms and run.level in levels
    }
    found = planned & {
        (row["arm"], row["level"], row["seed"]) for row in rows if row.get("group") == 2
    }
    if found == planned or claim.verdict == NONE:
        return claim

    count = f"{len(found)} of {len(planned)} planned runs"
    return claim._replace(count=count, verdict=OPEN)


def online_claims(rows: Rows, size: online_plan.Size) -> list[Claim]:
    """Return the claims of part 2."""
    on_policy = [arm for arm, entry in online_plan.ARMS.items() if entry.on_policy]
    gradients = gradient_arms(size)
    timed = [arm for arm, entry in online_plan.ARMS.items() if entry.theorem]
    levels = online_plan.LEVELS

    return [
        awaited(sampler(rows), rows, size, [*on_policy, "offline MIO"], levels[-1:]),
        awaited(dead_groups(rows), rows, size, [online.WITNESS]),
        awaited(normalising(rows, size), rows, size, gradients, levels[:2]),
        awaited(growth(rows), rows, size, timed, [levels[0], levels[-1]]),
        awaited(sharpening(rows, size), rows, size, gradients),
    ]
