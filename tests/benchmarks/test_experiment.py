"""The experiment's page: what is not there is said, and a verdict follows from the rows alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.experiment import __main__ as command
from benchmarks.experiment import claim, offline_claims, online_claims
from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_online import plan as online_plan

SIZE = offline_plan.TINY


def offline(arm, seed, z_chosen):
    return {
        **{"size": SIZE.name, "arm": arm, "matching": "gradient", "beta": offline_plan.BETA},
        **{"seed": seed, "steps": [0, 2, 4], "z_chosen": z_chosen, "z_rejected": [0.0, -1.0, -2.0]},
        **{"kl": [0.0, 0.1, 0.2], "text_nats": 5.0, "right": [1, 0], "end_finished": 1.0},
        **{"end_tokens": 2.0, "seconds": 1.0},
    }


def online(arm, level, half, seed=0, size="tiny"):
    return {
        **{"size": size, "arm": arm, "level": level, "group": 2, "seed": seed, "rounds": 100},
        **{"until_half": half, "first": [64, 48], "before": [1, 1], "after": [2, 1], "samples": 4},
        "seconds": 1.0,
    }


def test_no_rows(tmp_path, monkeypatch):
    """Without rows nothing is measured, and nothing is drawn."""
    lines = [*offline_claims.claims([], SIZE), *online_claims.claims([], online_plan.TINY)]
    slow = offline_claims.slow_claims([], offline_plan.SLOW)
    assert {line.verdict for line in lines + slow} == {claim.NONE}
    monkeypatch.setattr(command, "rows_of", lambda part, size: [])
    text = command.page(tmp_path)
    assert text.count(f"| {claim.NONE} |\n") == 2 * len(lines) + len(slow)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("end", "verdict"), [(-2.0, claim.STANDS), (0.5, claim.AGAINST)])
def test_decline(end, verdict):
    """A decline is an end more than a nat below the top."""
    rows = [offline("DPO", seed, [0.0, 1.0, end]) for seed in (0, 1)]
    grid = [rows[0] | {"beta": beta} for beta in SIZE.grid]
    assert offline_claims.decline([*rows, *grid], SIZE).verdict == verdict


@pytest.mark.parametrize("ends", [(-2.0,), (-9.0, 0.5)])
def test_decline_in_all_seeds(ends):
    """A decline that is not there in all planned seeds does not stand, whatever the mean."""
    rows = [offline("DPO", seed, [0.0, 1.0, end]) for seed, end in enumerate(ends)]
    assert offline_claims.decline(rows, SIZE).verdict == claim.OPEN


def test_no_decline_is_open_until_the_whole_grid_is_run():
    rows = [offline("DPO", 0, [0.0, 1.0, 0.5])]
    assert offline_claims.decline(rows, SIZE).verdict == claim.OPEN


PREDICTED = {"arm": "T1", "turns": 0.1, "falls_at_once": 0.0, "margin": 2.0, "prompts": 4}


@pytest.mark.parametrize(
    ("curve", "prediction", "verdict"),
    [
        ([0.0, 1.0, 0.0], {}, claim.STANDS),  # the margin is 2 at the top
        ([0.0, 1.0, 0.0], {"margin": 5.0}, claim.AGAINST),
        ([0.0, -1.0, -2.0], {}, claim.AGAINST),  # it falls at once, and was to rise
        ([0.0, -1.0, -2.0], {"falls_at_once": 0.9}, claim.OPEN),
    ],
)
def test_turning(curve, prediction, verdict):
    """A prediction that fails is said to fail, once all seeds are there."""
    rows = [PREDICTED | prediction, *(offline("DPO", seed, curve) for seed in (0, 1))]
    assert offline_claims.turning(rows, SIZE).verdict == verdict
    assert offline_claims.turning(rows[:2], SIZE).verdict == claim.OPEN


@pytest.mark.parametrize(
    ("text", "right", "verdict"),
    [
        (0.0, [1, 0], claim.STANDS),
        (0.2, [1, 0], claim.OPEN),  # a loss that no test resolves, and none excludes
        (0.0, [0, 0], claim.AGAINST),
    ],
)
def test_elsewhere(text, right, verdict):
    """What is not resolved does not stand, and lost answers count, too."""
    rows = [offline("DPO", seed, [0.0, 0.5, 0.0]) for seed in (0, 1)]
    mio = [offline("MIO", seed, [0.0, 0.5, 0.0]) for seed in (0, 1)]
    rows += [
        row | {"right": right, "text_nats": 5.0 + sign * text}
        for row, sign in zip(mio, (2, -1), strict=True)
    ]
    assert offline_claims.elsewhere(rows, SIZE).verdict == verdict
    assert offline_claims.elsewhere([rows[0], rows[2]], SIZE).verdict == claim.OPEN


def test_right_answers_need_all_arms():
    """The best of the arms is not known before all have run."""
    rows = [
        offline(run.arm, run.seed, [0.0, 0.5, 0.0]) | {"matching": run.matching}
        for run in offline_plan.runs(SIZE)
        if run.beta == offline_plan.BETA
    ]
    assert offline_claims.right_answers(rows, SIZE).verdict == claim.AGAINST
    assert offline_claims.right_answers(rows[:-1], SIZE).verdict == claim.OPEN


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([1, 1], [1, 1], claim.STANDS),
        ([0, 0], [4, 4], claim.AGAINST),
        ([1, 0], [0, 4], claim.OPEN),
    ],
)
def test_sharpening(before, after, verdict):
    """Each arm is held to the rule at each level: a gain at one is not averaged away by losses at others."""
    loss = {"before": [1, 1], "after": [0, 0]}
    rows = [online("GRPO", level, 10) | loss for level in online_plan.LEVELS[:2]]
    rows.append(online("GRPO", online_plan.LEVELS[2], 10) | {"before": before, "after": after})
    assert online_claims.sharpening(rows, online_plan.QUICK).verdict == verdict


def test_one_arm_under_adam():
    """Where both policy gradients take the same steps, the plan has one of them, and no claim compares them."""
    rows = [online(arm, online_plan.LEVELS[0], 10) for arm in ("GRPO", "GRPO, normalised")]
    pairs = {run.arm for run in online_plan.runs(online_plan.FULL) if run.group == 2}
    assert pairs == set(online_plan.ARMS) - {"GRPO, normalised"}
    assert online_claims.normalising(rows, online_plan.FULL).verdict == claim.NONE
    assert "GRPO, normalised" not in online_claims.sharpening(rows, online_plan.FULL).measured


@pytest.mark.parametrize(
    ("values", "wanted"), [([0.1, 0.2], None), ([-1.0, 1.0, 0.0], False), ([1.0, 1.1, 1.2], True)]
)
def test_planned_seeds(values, wanted):
    """No test is read before all planned seeds are there, whichever way it falls."""
    p_values = {"depth": (0.001, 0.005)}
    words, higher = offline_claims.above(values, "depth", p_values, planned=3)
    assert higher is wanted
    assert ("of 3 seeds" in words) is (wanted is None)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1.0, 1.1, 0.9), claim.STANDS),
        ((1.0, 1.4, 0.6), claim.OPEN),  # p 0.05 alone, above it after the correction
        ((1.0, -1.0, 0.1), claim.AGAINST),
        ((1.0,), claim.OPEN),
    ],
)
def test_bound(gains, verdict):
    """The bound stands where the corrected difference lies above 0."""
    rows = [offline("DPO", seed, [0.0, 0.5, 0.0]) for seed in range(len(gains))]
    rows += [offline("MIO", seed, [0.0, 0.5 + g, g]) for seed, g in enumerate(gains)]
    assert offline_claims.bound(rows, SIZE, "depth").verdict == verdict


def test_equal_runs():
    """Differences that are all 0 have p = 1, not NaN."""
    rows = [offline(arm, seed, [0.0, 0.5, 0.0]) for arm in ("DPO", "MIO") for seed in (0, 1, 2)]
    assert offline_claims.bound(rows, SIZE, "depth").test == "Student's: p 1, Holm's 1"


@given(st.dictionaries(st.text(max_size=2), st.floats(0, 1), max_size=5))
def test_holm(p_values):
    """Holm's value lies between the plain one and Bonferroni's, and rejects what the step-down rule rejects."""
    corrected = claim.holm(p_values)
    assert all(p <= corrected[name] <= min(1, 5 * p) for name, p in p_values.items())

    ordered = sorted(p_values.values())
    rejected = 0
    while rejected < len(ordered) and (5 - rejected) * ordered[rejected] < 0.05:
        rejected += 1
    assert sum(p < 0.05 for p in corrected.values()) == rejected


@pytest.mark.parametrize(
    ("grpo", "mio", "verdict"),
    [
        (90, 10, claim.STANDS),
        (20, 10, claim.AGAINST),
        (None, 10, claim.STANDS),
        (None, 90, claim.OPEN),
    ],
)
def test_who_samples(grpo, mio, verdict):
    """Who samples decides if on-policy arms take over three times the rounds."""
    level = online_plan.LEVELS[-1]
    rows = [online("GRPO", level, grpo), online("offline MIO", level, mio)]
    assert online_claims.sampler(rows).verdict == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.75, claim.STANDS), (0.95, claim.AGAINST)])
def test_dead_groups(share, verdict):
    """Groups without a gradient are held against the prediction."""
    level = {"arm": "level", "level": 0.3, "success": 0.2, "zero_gradient": {"2": share}}
    assert online_claims.dead_groups([level, online("GRPO", 0.3, 10)]).verdict == verdict


def test_planned_runs():
    """No claim of part 2 has a verdict before all runs that it speaks of are there."""
    size = online_plan.QUICK
    levels = [
        {"arm": "level", "level": x, "success": x, "zero_gradient": {"2": 0.75}}
        for x in online_plan.LEVELS
    ]
    runs = [
        online(run.arm, run.level, 10, run.seed, size.name)
        for run in online_plan.runs(size)
        if run.group == 2
    ]
    whole = online_claims.claims([*levels, *runs], size)
    assert claim.OPEN not in {line.verdict for line in whole}

    for place, run in enumerate(runs):
        few = online_claims.claims([*levels, *runs[:place], *runs[place + 1 :]], size)
        opened = [line for line in few if line.verdict == claim.OPEN]
        assert all("planned runs" in line.count for line in opened)
        timed = online_plan.ARMS[run["arm"]].theorem and run["level"] == online_plan.LEVELS[0]
        lowest = run["level"] == online_plan.LEVELS[-1]
        assert bool(opened) is (run["arm"].startswith("GRPO") or lowest or bool(timed))


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [(30, claim.STANDS), (700, claim.AGAINST), (2, claim.AGAINST), (None, claim.OPEN)],
)
def test_growth(rounds, verdict):
    """Escape times are held to the theorem's own ratio; a run that ended before ½ has shown a lower end only."""
    high, low = online_plan.LEVELS[0], online_plan.LEVELS[-1]
    rows = [{"arm": "level", "level": x, "success": x} for x in (high, low)]
    name = "SFT, answer supplied"
    rows += [online(name, high, 10), online(name, low, rounds) | {"rounds": 30}]
    line = online_claims.growth(rows)
    assert line.verdict == verdict
    assert "> 3.0 of" in line.measured or rounds is not None


def test_page(tmp_path, monkeypatch):
    """A page with rows has figures and tables."""
    rows = {
        offline_plan: [offline(arm, s, [0.0, 1.0, -1.0]) for arm in ("DPO", "MIO", "SFT") for s in (0, 1)],
        online_plan: [
            *({"arm": "level", "level": x, "success": x, "zero_gradient": {"2": 0.7}} for x in online_plan.LEVELS),
            *(online(arm, x, round(6 / x)) for arm in online_plan.ARMS for x in online_plan.LEVELS),
            online("SFT, answer supplied", online_plan.LEVELS[-1], None, seed=1),  # it ended before
        ],
    }  # fmt: skip
    monkeypatch.setattr(command, "SECTIONS", {"quick": "a model"})
    monkeypatch.setattr(
        command, "rows_of", lambda part, size: [row | {"size": size} for row in rows[part]]
    )
    text = command.page(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"experiment_quick_{name}.png" for name in ("displacement", "decline", "escape")
    }
    assert all(f"(../figures/{path.name})" in text for path in tmp_path.iterdir())
    assert f"| GRPO | 0.010 | {0.3 / 0.01:.1f} " in text
    assert "(and" not in text


def test_progress():
    """A run outside the plan does not count as one of the planned ones."""
    planned = [
        online(run.arm, run.level, 10, run.seed, "full")
        for run in online_plan.runs(online_plan.FULL)
        if run.group == 2
    ]
    outside = online("GRPO, normalised", online_plan.LEVELS[0], 10, size="full")
    count = len(list(online_plan.runs(online_plan.FULL)))
    counts = command.counted(online_plan, [*planned, outside], "full")
    assert counts == (len(planned), count, 1)


@pytest.mark.parametrize(
    ("heights", "verdict"),
    [
        ((0.2, 0.1, 0.3), claim.STANDS),
        ((-0.2, -0.1, -0.3), claim.AGAINST),
        ((0.2, -0.1, 0.3), claim.OPEN),
        ((0.2, 0.1), claim.OPEN),
    ],
)
def test_first_rise(heights, verdict):
    """The first direction is read where the margin reaches a nat, in all planned seeds."""
    rows = [
        offline("DPO", seed, [0.0, height, -3.0]) | {"z_rejected": [0.0, height - 1.0, -9.0]}
        for seed, height in enumerate(heights)
    ]
    line = offline_claims.first_rise(rows, offline_plan.SLOW)
    assert line.verdict == verdict
    assert f"{len(heights)} of 3 seeds" == line.count
