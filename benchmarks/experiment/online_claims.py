"""What the rows of part 2 say of its claims."""

from __future__ import annotations

import math
from collections.abc import Collection
from statistics import fmean

from benchmarks.planned import has_row
from benchmarks.smollm2_online import plan, tables
from llm_adapter.evaluation.rates import bootstrap, powers

from .claim import AGAINST, ANSWERS, INTERVAL, NONE, OPEN, RULE, STANDS, Claim, counted, missing

Rows = list[dict]


def sampler(rows: Rows) -> Claim:
    """Who samples decides: from the lowest level an on-policy arm takes more than three times offline MIO's rounds."""
    claim = "From the lowest base success on-policy arms take over three times offline MIO's rounds"
    level = plan.LEVELS[-1]
    offline_runs = tables.runs_of(rows, "offline MIO", level)
    own = [
        (row["until_half"] or math.inf, row["rounds"])
        for arm, entry in plan.ARMS.items()
        if entry.on_policy
        for row in tables.runs_of(rows, arm, level)
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
    """ε before training tells how many groups are without a gradient: Wilson's interval holds the theorem's share.

    `group_relative_zero_gradient` is an identity. What can fail is that its ε, measured before training, is that of
    the first groups.
    """
    claim = "(1 − ε)² + ε² of ε before training is the share of the first groups of two without a gradient"
    parts, inside, total_runs = [], [], 0
    for level, measured in tables.levels_of(rows).items():
        own = tables.runs_of(rows, tables.WITNESS, level)
        if not own:
            continue

        share, low, high = tables.without_gradient(own)
        theory = measured["zero_gradient"]["2"]
        inside.append(low <= theory <= high)
        total_runs += len(own)
        parts.append(f"{share:.3f} [{low:.3f}, {high:.3f}] of {theory:.3f}")

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


def gradient_arms(size: plan.Size) -> list[str]:
    """Return the policy gradients that are arms of their own in groups of two."""
    return [arm for arm in ("GRPO", "GRPO, normalised") if plan.pairs_differ(arm, size)]


def normalising(rows: Rows, size: plan.Size) -> Claim:
    """Normalising changes the rate, not the exponent: ratios of escape between levels agree within a factor of 2."""
    claim = "Normalising the advantages leaves the growth with 1/ε, within a factor of 2"
    if len(gradient_arms(size)) < 2:
        text = "not asked: in groups of two under AdamW both are one arm; the small model answers"
        return Claim(claim, text, "–", "–", NONE)

    values = {}
    high, low = plan.LEVELS[:2]

    for arm in ("GRPO", "GRPO, normalised"):
        near, far = (
            [row["until_half"] for row in tables.runs_of(rows, arm, level)] for level in (high, low)
        )
        if near and far and all(near) and all(far):
            values[arm] = fmean(far) / fmean(near)

    runs = sum(
        len(tables.runs_of(rows, arm, level))
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
    """Escape times grow with 1/ε as their theorems say: the ratio of rounds, within a factor of 2."""
    claim = "From the highest to the lowest base success rounds grow as the theorems say, within a factor of 2"
    parts, factors, runs = [], [], 0
    for name in plan.ARMS:
        measured = tables.stretch(rows, name, plan.LEVELS[-1])
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


def sharpening(rows: Rows, size: plan.Size) -> Claim:
    """On-policy training sharpens and does not reach: no arm's pass@16 rises by 0.05 from any level."""
    claim = "On-policy policy gradients do not raise pass@16, by 0.05 or more, from any level"
    gains, runs, k = [], 0, 16
    for arm in gradient_arms(size):
        for level in plan.LEVELS:
            if own := tables.runs_of(rows, arm, level):
                runs, k = runs + len(own), powers(own[0]["samples"])[-1]
                values = tables.gains(own, k)
                gains.append((fmean(values), *bootstrap(values), f"{arm}, ε near {level:g}"))

    if not gains:
        return missing(claim)

    mean, low, high, name = max(gains)
    raised = any(low > 0 and mean >= ANSWERS for mean, low, _, _ in gains)
    verdict = AGAINST if raised else STANDS if all(g[2] < ANSWERS for g in gains) else OPEN
    text = f"pass@{k} after − before, the largest of {len(gains)}: {mean:+.3f} [{low:+.3f}, {high:+.3f}] ({name})"

    return Claim(claim, text, counted(range(runs), "run"), INTERVAL, verdict)


def awaited(
    claim: Claim,
    rows: Rows,
    size: plan.Size,
    arms: Collection[str],
    levels: Collection[float] = plan.LEVELS,
) -> Claim:
    """Return a claim of these arms and levels, open until all their planned runs with groups of two are there."""
    keys = [
        run.key(size)
        for run in plan.runs(size)
        if run.group == 2 and run.arm in arms and run.level in levels
    ]
    found = sum(has_row(rows, key) for key in keys)
    if found == len(keys) or claim.verdict == NONE:
        return claim

    count = f"{found} of {len(keys)} planned runs"
    return claim._replace(count=count, verdict=OPEN)


def claims(rows: Rows, size: plan.Size) -> list[Claim]:
    """Return the claims of part 2."""
    on_policy = [arm for arm, entry in plan.ARMS.items() if entry.on_policy]
    gradients = gradient_arms(size)
    timed = [arm for arm, entry in plan.ARMS.items() if entry.theorem]
    levels = plan.LEVELS

    return [
        awaited(sampler(rows), rows, size, [*on_policy, "offline MIO"], levels[-1:]),
        awaited(dead_groups(rows), rows, size, [tables.WITNESS]),
        awaited(normalising(rows, size), rows, size, gradients, levels[:2]),
        awaited(growth(rows), rows, size, timed, [levels[0], levels[-1]]),
        awaited(sharpening(rows, size), rows, size, gradients),
    ]
