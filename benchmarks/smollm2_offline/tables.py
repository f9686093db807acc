"""Tables of the offline experiment: one a question, few columns, intervals where there are seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median

from benchmarks.planned import row_named
from llm_adapter.evaluation.rates import bootstrap
from mi_estimators.display import Table

from . import compare, plan

Rows = list[dict]
NONE = "not measured"


def runs_of(rows: Rows, arm: str, matching: str = "gradient", beta: float = plan.BETA) -> Rows:
    """Return an arm's runs at a matching and a β, by seed."""
    own = [
        row
        for row in rows
        if (row["arm"], row.get("matching"), row.get("beta")) == (arm, matching, beta)
    ]

    return sorted(own, key=lambda row: row["seed"])


def beside(own: Rows, others: Rows) -> list[tuple[dict, dict]]:
    """Return runs with those of the same seeds among others."""
    by_seed = {row["seed"]: row for row in others}
    return [(row, by_seed[row["seed"]]) for row in own if row["seed"] in by_seed]


def settings(rows: Rows) -> Iterator[tuple[str, str, Rows]]:
    """Yield each arm and matching of the plan with its runs at DPO's β = 0.1, if it has any."""
    for arm in plan.ARMS:
        for matching in plan.MATCHINGS:
            if own := runs_of(rows, arm, matching):
                yield arm, matching, own


def interval(values: Sequence[float], form: str = "{:+.2f}") -> str:
    """Return a mean with Student's 95 % interval over seeds; of one seed the number alone.

    >>> interval([1.0]), interval([1.0, 1.0])
    ('+1.00', '+1.00 [+1.00, +1.00]')
    """
    if not values:
        return NONE
    mean, low, high = compare.paired(values)
    if len(values) == 1:
        return form.format(mean)
    return f"{form.format(mean)} [{form.format(low)}, {form.format(high)}]"


def turn_of(row: dict) -> compare.Turn:
    """Return the top of a run's z_w."""
    return compare.turn(row["steps"], row["z_chosen"], row["z_rejected"])


def rise_and_fall(rows: Rows) -> str:
    """Return how far z_w rises and falls, a line an arm and matching."""
    body = []
    for arm, matching, own in settings(rows):
        turns = [turn_of(row) for row in own]
        body.append(
            [
                *(arm, matching, str(len(own))),
                interval([t.top for t in turns]),
                interval([t.fall for t in turns], "{:.2f}"),
                interval([r["z_rejected"][-1] for r in own]),
                interval([r["kl"][-1] for r in own], "{:.2f}"),
            ]
        )

    head = ["arm", "matching", "seeds", "top of z_w", "fall from it", "z_l at the end", "KL"]
    return Table(head, body).markdown()


def at(row: dict, name: str, level: float) -> float | None:
    """Return z_w where −z_l or the KL has first reached a level along a run; None where it never has."""
    against = row["z_rejected"] if name == "depth" else [-value for value in row["kl"]]
    return compare.at_depth(row["z_chosen"], against, level)


def over_grid(rows: Rows, arm: str, seed: int, name: str, level: float) -> float | None:
    """Return z_w at a displacement or KL, interpolated over the β grid at the last step of one seed's runs.

    The runs are put in the order of how far they have gone; None where no two of them enclose the level.
    """
    own = [
        row
        for row in rows
        if (row["arm"], row.get("seed"), row.get("matching")) == (arm, seed, "gradient")
    ]

    points = sorted(
        (-r["z_rejected"][-1] if name == "depth" else r["kl"][-1], r["z_chosen"][-1]) for r in own
    )

    for (near, one), (far, other) in pairwise(points):
        if near <= level <= far and far > near:
            return one + (other - one) * (level - near) / (far - near)

    return None


def differences(
    rows: Rows, arm: str, matching: str, name: str, level: float, path: str
) -> list[float]:
    """Return z_w − DPO's within each seed at an equal level; `path` is "steps" or "grid"."""
    values = []
    for row, dpo in beside(runs_of(rows, arm, matching), runs_of(rows, "DPO")):
        if path == "steps":
            here, there = at(row, name, level), at(dpo, name, level)
        else:
            here, there = (over_grid(rows, a, row["seed"], name, level) for a in (arm, "DPO"))

        if here is not None and there is not None:
            values.append(here - there)

    return values


def at_equal(rows: Rows, size: plan.Size, name: str, path: str) -> str:
    """Return z_w − DPO's at equal displacement of the rejected response ("depth") or equal KL ("kl")."""
    levels = size.depths if name == "depth" else size.kls
    body = []
    for arm, matching, _ in settings(rows):
        if arm == "DPO" or (path == "grid" and (matching != "gradient" or arm == "SFT")):
            continue
        cells = []
        for level in levels:
            values = differences(rows, arm, matching, name, level, path)
            cells.append(f"{interval(values)} ({len(values)})" if values else "–")
        body.append([arm, *([matching] if path == "steps" else []), *cells])

    if all(cell == "–" for line in body for cell in line[-len(levels) :]):
        return {
            "steps": "No level is reached by an arm and by DPO with the same seed.",
            "grid": "No level lies between the last steps of two runs, of an arm and of DPO with the same seed.",
        }[path]

    symbol = "z_l = −" if name == "depth" else "KL = "
    head = ["arm", *(["matching"] if path == "steps" else []), *(f"{symbol}{x:g}" for x in levels)]
    return Table(head, body).markdown()


def costs(rows: Rows) -> str:
    """Return pass@1 beside DPO's, how responses end, and −ln π of a token of other text."""
    start = row_named(rows, "start")
    body = []
    if start:
        answers = fmean(start["right"]) / max(1, answers_of(rows))
        body.append(
            ["the start", "", "", f"{answers:.3f}", "", f"{start['end_finished']:.2f}",
             f"{start['end_tokens']:.1f}", f"{start['text_nats']:.3f}"]
        )  # fmt: skip

    for arm, matching, own in settings(rows):
        rates = [fmean(r["right"]) / answers_of(rows) for r in own]
        body.append(
            [
                *(arm, matching, str(len(own)), f"{fmean(rates):.3f}", against_dpo(rows, own)),
                f"{fmean(r['end_finished'] for r in own):.2f}",
                f"{fmean(r['end_tokens'] for r in own):.1f}",
                f"{fmean(r['text_nats'] for r in own):.3f}",
            ]
        )

    head = ["arm", "matching", "seeds", "pass@1", "pass@1 − DPO's", "finished", "tokens"]
    return Table([*head, "other text, nats"], body).markdown()


def answers_of(rows: Rows) -> int:
    """Return how many responses each question got at the end of a run."""
    sizes = {row["size"] for row in rows}
    return plan.SIZES[sizes.pop()].end_samples if sizes else 1


def differences_of_answers(pairs: Sequence[tuple[dict, dict]], answers: int) -> list[float]:
    """Return pass@1 of one run less that of the other, question by question, a mean over pairs of runs."""
    questions = range(len(pairs[0][0]["right"]))
    return [
        fmean((one["right"][q] - other["right"][q]) / answers for one, other in pairs)
        for q in questions
    ]


def against_dpo(rows: Rows, own: Rows) -> str:
    """Return the difference of pass@1 to DPO with the same seeds, with a bootstrap over questions."""
    pairs = beside(own, runs_of(rows, "DPO"))
    if not pairs or own[0]["arm"] == "DPO":
        return ""

    values = differences_of_answers(pairs, answers_of(rows))
    low, high = bootstrap(values)

    return f"{fmean(values):+.3f} [{low:+.3f}, {high:+.3f}]"


def turning(rows: Rows) -> str:
    """Return the margin that `late_decline` predicts at the top of z_w beside DPO's measured ones, a line a β."""
    prediction = row_named(rows, "T1")
    if prediction is None or prediction["margin"] is None:
        predicted = NONE if prediction is None else "no turn"
    else:
        predicted = f"{prediction['margin']:.2f} ({prediction['turns']:.0%} of {prediction['prompts']} prompts turn)"

    body = []
    betas = sorted({row["beta"] for row in rows if row["arm"] == "DPO"})
    for beta in betas:
        own = runs_of(rows, "DPO", beta=beta)
        turns = [turn_of(row) for row in own]
        inside = [t for t, r in zip(turns, own, strict=True) if 0 < t.step < r["steps"][-1]]
        cell = f"{median(t.margin for t in inside):.2f}" if inside else "no turn inside the run"
        body.append([f"{beta:g}", f"{len(inside)} of {len(own)}", predicted, cell])

    head = ["DPO's β", "runs that turn", "predicted margin", "measured, median"]
    return Table(head, body).markdown()


STEPS = {
    "own": "a gradient step on the pair itself, as in `late_decline`",
    "others": "a gradient step on training pairs",
    "adam": "AdamW's step on batches of training pairs",
}


def first_steps(rows: Rows) -> str:
    """Return which way DPO first moves held-out pairs, predicted to first order for three steps, and as measured."""
    row = row_named(rows, "first steps")
    if row is None:
        return NONE

    body = [
        [title, f"{values['rises']:.0%}", f"{values['parts']:.0%}", f"{values['chosen']:+.2f}"]
        for title, values in ((title, row[name]) for name, title in STEPS.items())
    ]
    if own := runs_of(rows, "DPO"):
        chosen, rejected = (fmean(r[name][1] for r in own) for name in ("z_chosen", "z_rejected"))
        title = f"measured: the first {own[0]['steps'][1]} steps of DPO, {len(own)} seeds"
        body.append([title, "–", "–", f"{chosen / (chosen - rejected):+.2f}"])

    head = ["step", "w gets likelier in", "the margin grows in", "z_w, a nat of margin"]
    return Table(head, body).markdown()


def step_sizes(rows: Rows) -> str:
    """Return z of held-out pairs after one AdamW step of DPO, a line a size of the step."""
    row = row_named(rows, "step sizes")
    if row is None:
        return NONE

    body = [[rate, f"{z[0]:+.2g}", f"{z[1]:+.2g}"] for rate, z in row["moved"].items()]
    return Table(["each weight moves by", "z_w", "z_l"], body).markdown()


OF_TWIN = (
    "How far z_w rises and falls (nats)",
    "z_w − DPO's at equal displacement, along the runs (seeds)",
    "z_w − DPO's at equal KL, along the runs (seeds)",
    "Success, endings, other text",
)
"""The tables of a size that has a twin."""


def tables(rows: Rows, size: plan.Size) -> str:
    """Return all tables as Markdown."""
    parts = {
        "How far z_w rises and falls (nats)": rise_and_fall(rows),
        "z_w − DPO's at equal displacement, along the runs (seeds)": at_equal(rows, size, "depth", "steps"),
        "z_w − DPO's at equal KL, along the runs (seeds)": at_equal(rows, size, "kl", "steps"),
        "z_w − DPO's at equal displacement, over the β grid (seeds)": at_equal(rows, size, "depth", "grid"),
        "z_w − DPO's at equal KL, over the β grid (seeds)": at_equal(rows, size, "kl", "grid"),
        "Success, endings, other text": costs(rows),
        "Where DPO turns, by `late_decline` and measured": turning(rows),
        "Which way DPO first moves held-out pairs, to first order (share of pairs; nats)": first_steps(rows),
        "Held-out pairs after one AdamW step of DPO, by its size (nats)": step_sizes(rows),
    }  # fmt: skip
    if size.twin:  # what it shares with its twin stands there, and it has no grid
        parts = {title: table for title, table in parts.items() if title in OF_TWIN}

    return "\n\n".join(f"**{title}**\n\n{table}" for title, table in parts.items())
