"""Write docs/log/experiment.md and its figures from the rows of both parts; run nothing.

The claims are those of llm_adapter/PROTOCOL.md. Where there are no rows the page says "not measured".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from benchmarks.environment import require

require("llm", "benchmarks.experiment")  # before the imports that need it

from benchmarks import planned
from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_offline import tables as offline
from benchmarks.smollm2_online import plan as online_plan
from benchmarks.smollm2_online import tables as online
from mi_estimators.display import Table, jsonl, png, theme

from . import offline_claims, online_claims
from .claim import LEVEL, Claim
from .figures import FIGURES

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURES = DOCS / "log" / "experiment.md", DOCS / "figures"
COMMAND = "python -m benchmarks.experiment"
HEAD = f"""# Rise and fall, reach and starvation: what was measured

This page is written by `{COMMAND}` from the rows of two commands: only the captions and these lines are typed by hand.
[The protocol](../../llm_adapter/PROTOCOL.md) was written before the runs: it has the questions, the arms, the
matchings, and what counts against each claim.

**Two models.** SmolLM2-135M-Instruct is *dequantised from a 4-bit file (Q4_1)*: its weights are not the published
ones. Both parts start after one pass over its own finished answers, four fifths of them wrong, so that less of what is
learnt is to stop: 0.9 of the start's answers end within the limit. `finished` stands beside every result, because an
answer that is cut counts as wrong.
The small transformer (119 thousand weights) is taught here to be right with a chosen probability; it shows
shapes in minutes and is evidence about no language model.

z = ln π/π_ref in nats; w is a right answer and l a wrong one. Brackets are 95 % intervals: Student's over seeds, the
bootstrap over questions, or Wilson's for shares.

**Words.** *Matching* is what makes the arms' β comparable: *gradient* gives DPO's first gradient on the right answer,
*optimum* DPO's slope at win rate ½. α-MIO has a mix α: K/(K + 1) for K wrong answers to a right one, or 1 − ε^β, ε the
success before training. [`late_decline`](../THEOREMS.md#late_decline) predicts the margin z_w − z_l at which DPO turns,
[`escape_times`](../THEOREMS.md#escape_times) and
[`grpo_normalised_gradient`](../THEOREMS.md#grpo_normalised_gradient) how the rounds to ½ grow with 1/ε.
*Counts against it* is said of a claim whose rule failed once all its runs were there: of a difference, also where its
interval includes 0.

**What is corrected for many tests.** The protocol has one test a question for the five offline questions, and Holm's
correction over the five. Three of them are tests: z_w at equal displacement, z_w at equal KL, and other text, MIO
against DPO. A threshold decides the other two, which count in the correction as p = 1. A verdict that needs a
difference above 0 needs a corrected p below {LEVEL:g}, and stays open until all planned seeds are there. No
other interval is corrected, neither in the claims nor in the tables: of twenty such intervals about one misses its true
value by chance.
"""
SLOW, FULL = offline_plan.SLOW, offline_plan.FULL
SLOWLY = f"""The same start, data and losses, with {SLOW.steps} steps of {SLOW.learning_rate:g} in place of {FULL.steps}
of {FULL.learning_rate:g}: a fall that comes from the size of one step should be gone here. The verdict has a rule that
was written before these runs; all else in this part is described, not tested."""
SECTIONS = {"full": FULL.model, "quick": offline_plan.QUICK.model}


def rows_of(part: ModuleType, size: str) -> list[dict]:
    """Return the rows of a part at a size."""
    return jsonl.read(planned.rows_of(Path(part.__file__ or "").parent, size), ["arm"])


def counted(part: ModuleType, rows: list[dict], size: str) -> tuple[int, int, int]:
    """Return how many planned runs of a part have a row, how many are planned, and how many other runs there are."""
    keys = [run.key(part.SIZES[size]) for run in part.runs(part.SIZES[size])]
    done = sum(planned.has_row(rows, key) for key in keys)
    return done, len(keys), sum("seconds" in row for row in rows) - done


def progress(counts: tuple[int, int, int], kind: str = "runs") -> str:
    """Return the counts of runs in words.

    >>> progress((7, 39, 1), "on-policy")
    '7 of 39 on-policy (and 1 outside the plan)'
    """
    done, planned, others = counts
    beside = f" (and {others} outside the plan)" if others else ""
    return f"{done} of {planned} {kind}{beside}"


def section(size: str, pictures: Path) -> str:
    """Return a model's part of the page, and write its figures."""
    name = SECTIONS[size]
    rows = {part: rows_of(part, size) for part in (offline_plan, online_plan)}
    flag = planned.flag_of_size(size)
    commands = [
        f"python -m benchmarks.{part}{flag}" for part in ("smollm2_offline", "smollm2_online")
    ]
    lines = [
        *offline_claims.claims(rows[offline_plan], offline_plan.SIZES[size]),
        *online_claims.claims(rows[online_plan], online_plan.SIZES[size]),
    ]
    parts = [f"## {name[0].upper()}{name[1:]}", "```sh\n" + "\n".join(commands) + "\n```"]
    counts = [counted(part, rows[part], size) for part in rows]
    whole = all(done == planned for done, planned, _ in counts)
    parts.append(
        f"Runs so far: {progress(counts[0], 'offline')}, {progress(counts[1], 'on-policy')}. "
        + ("" if whole else "What is missing may change a verdict. ")
        + "Each row of the files names its own command."
    )
    parts.append(Table(Claim._fields, lines).markdown())

    for title, (part, draw, caption) in FIGURES.items():
        figure = draw(rows[part])
        if figure is None:
            continue
        file = f"experiment_{size}_{title}.png"
        (pictures / file).write_bytes(png(figure))
        alt = caption.split(":")[0].split(";")[0].replace("\n", " ")
        parts.append(f"![{alt}.](../figures/{file})\n\n*{caption}*")

    if counts[0][0]:
        part = offline_plan.SIZES[size]
        asked = ", ".join(f"{task.held_out} {task.name}" for task in part.tasks)
        held_out = f"Held-out questions (task, operands × digits): {asked}.\n\n"
        parts.append(
            f"### Offline\n\n{'' if part.small else held_out}"
            + offline.tables(rows[offline_plan], part)
        )

    if size == SLOW.twin:
        parts.append(slowly())

    if counts[1][0]:
        text = online.tables(rows[online_plan], online_plan.SIZES[size])
        parts.append(f"### On-policy\n\n{text}")
    return "\n\n".join(parts)


def slowly() -> str:
    """Return what was measured at a tenth of the rate, from the start of the full size."""
    rows = rows_of(offline_plan, SLOW.name)
    lines = offline_claims.slow_claims(rows, SLOW)
    runs = f"So far: {progress(counted(offline_plan, rows, SLOW.name))}. {SLOWLY}"
    command = f"```sh\npython -m benchmarks.smollm2_offline{planned.flag_of_size(SLOW.name)}\n```"
    parts = ["### Offline, at a tenth of the rate", command, runs]
    parts.append(Table(Claim._fields, lines).markdown())
    if rows:
        parts.append(offline.tables(rows, SLOW))

    return "\n\n".join(parts)


def page(pictures: Path) -> str:
    """Return the page, and write its figures."""
    with theme():
        sections = [section(size, pictures) for size in SECTIONS]
    return "\n\n".join([HEAD.rstrip(), *sections]) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the page and its figures."""
    flags = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    flags.add_argument("--out", type=Path, default=PAGE, help="the page (default: %(default)s)")
    flags.add_argument("--figures", type=Path, default=PICTURES, help="folder of its figures")
    options = flags.parse_args(argv)
    options.figures.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page(options.figures), encoding="utf-8")

    return 0


if __name__ == "__main__":
    raise SystemExit(main())
