"""Speed and memory beside TRL on drawn lengths: `python -m benchmarks.llm.speed`, from the root of a checkout.

Both sides train the same weights on the same pairs of random words, the same examples a step; TRL in one pass a step
and in one a pair, of which the faster counts. The sides take turns, a round after another; a run that was measured is
not repeated, so the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.llm.speed")  # before the imports that need it

from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.models import load_tokenizer
from llm_adapter.training.layouts import Layout
from mi_estimators.display import Table, jsonl

from .. import environment
from . import runs

COMMAND = "python -m benchmarks.llm.speed"
FILE, PAGE, FIGURE = "speed.jsonl", "speed.md", "speed.png"
LENGTHS = {  # tokens of prompt and response: median, 95 %
    "short": ((48, 70), (13, 20)),
    "gsm8k": ((86, 140), (114, 220)),
    "ultrafeedback": ((140, 700), (270, 700)),
    "long": ((444, 600), (62, 110)),
    "longest": ((2000, 2400), (250, 400)),
}
MIO = "nca_pair"  # TRL's name
EXACT, BF16 = "fp32", "bf16"


@dataclass(frozen=True)
class Side:
    """One way to run: a script, the share of a step's pairs in a pass, and flags beside those that all have."""

    name: str
    peer: bool
    whole: bool  # a step in one pass; otherwise a pair a pass
    flags: tuple[tuple[str, object], ...] = ()


SIDES = (
    Side("TRL, a pair a pass", True, False),
    Side("TRL, a step a pass", True, True),
    Side("ours", False, True),
    Side("ours, a pair a pass", False, False),
    Side("ours, selective", False, True, (("selective_checkpointing", True),)),
    Side("ours, balanced", False, True, (("memory", "balanced"),)),
    Side("ours, lean", False, True, (("memory", "lean"),)),
)


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, write the table and the figure; return the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split(":")[0])
    parser.add_argument("--model", default="SmolLM2-135M", help="SmolLM2-135M or builtin")
    parser.add_argument("--lengths", nargs="*", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--negatives", nargs="*", type=int, default=[1, 3], help="K")
    parser.add_argument("--examples", type=int, default=2, help="of a step at K = 1 (default: 2)")
    parser.add_argument("--steps", type=int, default=5, help="of a run; the first is left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", nargs="*", default=[EXACT], choices=[EXACT, BF16])
    parser.add_argument("--sides", nargs="*", help="parts of names of sides (default: all)")
    parser.add_argument("--note", default="", help="kept with each row, such as the machine's load")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    parser.add_argument("--collate", action="store_true", help="time the making of batches alone")
    parser.add_argument("--out", type=Path, default=runs.HERE)
    parser.add_argument("--python", default=sys.executable, help="for the environment of TRL")
    options = parser.parse_args(argv)

    try:
        if options.collate:
            for line in collating(options):
                print(line)
            return 0
        if not options.tables:
            measure(options)
    except (OSError, ValueError) as error:
        print(f"benchmarks.llm.speed: {error}", file=sys.stderr)
        return 1

    rows = jsonl.read(options.out / FILE)
    text = page(rows)
    (options.out / PAGE).write_text(text, encoding="utf-8")
    figure(rows, options.out / FIGURE)
    print(text)

    return 0


def jobs(options: argparse.Namespace) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Yield the runs, a round after another."""
    sides = [
        side
        for side in SIDES
        if not options.sides or any(part in side.name for part in options.sides)
    ]

    for round_ in range(options.rounds):
        for lengths in options.lengths:
            for negatives in options.negatives:
                for precision in options.precision:
                    for side in sides:
                        yield (
                            side,
                            {
                                "model": options.model,
                                "lengths": lengths,
                                "negatives": negatives,
                                "examples": options.examples if negatives == 1 else 1,
                                "precision": precision,
                                "steps": options.steps,
                                "side": side.name,
                                "round": round_,
                            },
                        )


def measure(options: argparse.Namespace) -> None:
    """Run what has no row yet."""
    if any(side.peer for side, _ in jobs(options)):
        trouble = environment.prepare(runs.TRL, runs.PINS, options.python)
        if trouble:
            raise ValueError(f"TRL: {trouble}")

    for side, setting in jobs(options):
        path = options.out / FILE
        rows = jsonl.read(path) if path.exists() else []
        if any(setting.items() <= row.items() for row in rows):
            continue

        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        try:
            outcome = run(side, setting)
        except RuntimeError as error:  # such as a package that a recipe needs
            print(f"{setting}: {error}", flush=True)
            continue

        options.out.mkdir(parents=True, exist_ok=True)
        row = setting | {"note": options.note, "load": load} | outcome
        jsonl.write(path, [*rows, row])
        seconds = median(outcome["cpu_seconds"][1:])
        print(f"{setting}: {seconds:.2f} CPU s a step", flush=True)


def run(side: Side, setting: dict[str, Any]) -> dict[str, Any]:
    """Return what one training run cost.

    Raises:
        RuntimeError: the process failed; the message has its last line.
    """
    model, negatives = runs.saved_model(setting["model"]), setting["negatives"]
    count = setting["examples"] * setting["steps"]
    rows = drawn(model, setting["lengths"], count, negatives)
    step = setting["examples"] * (negatives if side.peer else 1)
    batch = step if side.whole else 1
    training = {
        "learning_rate": 5e-6,
        "beta": 0.1,
        "max_length": 4096 if setting["model"] != "builtin" else 1024,
        "max_steps": setting["steps"],
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": step // batch,
        "use_cpu": True,  # or bf16 is refused
    }

    added = dict(side.flags) | {"bf16": setting["precision"] == BF16}
    if side.peer:  # an example of K negatives is K pairs
        rows = [row | {"rejected": wrong} for row in rows for wrong in row["rejected"]]

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "pairs.jsonl"
        data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        fields = {
            "model": str(model),
            "data": str(data),
            "out": folder,
            "loss_type": MIO,
            "dtype": "float32",
            "training": training,
            "added": added,
            "precomputed": True,
            "row_layout": "shared",
        }

        script = "peer_trl.py" if side.peer else "ours.py"
        outcome = runs.launch(script, side.peer, fields, side.name)

    return outcome | {"tokens": tokens_of(model, rows, side.peer, negatives)}


def drawn(model: Path, lengths: str, count: int, negatives: int) -> list[dict[str, Any]]:
    """Return examples of random words, each one token long, with log-normal lengths; always the same ones."""
    words = one_token_words(model)
    draw = random.Random(f"{lengths} {count} {negatives}")

    def text(law: tuple[int, int]) -> str:
        middle, high = law
        sigma = math.log(high / middle) / 1.645
        length = round(middle * math.exp(draw.gauss(0, sigma)))
        return "".join(draw.choices(words, k=min(max(length, 2), 3 * high)))

    prompt, response = LENGTHS[lengths]
    return [
        {
            "prompt": text(prompt),
            "chosen": text(response),
            "rejected": [text(response) for _ in range(negatives)],
        }
        for _ in range(count)
    ]


def one_token_words(model: Path) -> list[str]:
    """Return words with a space before them that a tokenizer reads as one token; letters for one that reads bytes."""
    tokenizer = load_tokenizer(str(model))
    texts = (tokenizer.decode([index]) for index in range(min(len(tokenizer), 20_000)))
    words = [text for text in texts if text.startswith(" ") and text[1:].isalpha()]
    words = [word for word in words if word.isascii() and len(word) > 3]
    return words[:2000] or list("abcdefghij")


def tokens_of(model: Path, rows: list[dict[str, Any]], peer: bool, negatives: int) -> int:
    """Return the real tokens that a side's pairs hold: prompt, chosen and rejected response of each pair."""
    tokenizer = load_tokenizer(str(model))

    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    total = 0
    for row in rows:
        wrong = [row["rejected"]] if peer else row["rejected"]
        shared = 2 * length(row["prompt"]) + length(row["chosen"])
        total += sum(shared + length(text) for text in wrong)

    return total


def collating(options: argparse.Namespace, size: int = 4, count: int = 40) -> Iterator[str]:
    """Yield how long shared rows of `size` examples take to make: no step, no model."""
    model = runs.saved_model(options.model)
    tokenizer, collate = load_tokenizer(str(model)), Layout("shared", "segments").collate

    for lengths in options.lengths:
        for negatives in options.negatives:
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "pairs.jsonl"
                jsonl.write(data, drawn(model, lengths, count, negatives))
                examples = tokenize(read_examples(data, negatives), tokenizer, 4096, data, False)

            seconds = []
            for start in range(0, count, size):
                began = time.perf_counter()
                collate(examples[start : start + size])
                seconds.append(time.perf_counter() - began)

            yield (
                f"{lengths}, K = {negatives}: {size} examples collated in {1e3 * median(seconds):.2f} ms"
                f" (at most {1e3 * max(seconds):.2f})"
            )


SETTING = ("model", "lengths", "negatives", "examples", "precision", "steps")


def groups(rows: list[jsonl.Row]) -> dict[tuple, list[jsonl.Row]]:
    """Return the rows of each setting."""
    grouped: dict[tuple, list[jsonl.Row]] = {}
    for row in rows:
        grouped.setdefault(tuple(row[name] for name in SETTING), []).append(row)
    return grouped


def rates(rows: list[jsonl.Row]) -> dict[str, dict[int, float]]:
    """Return pairs a CPU-second of each side and round."""
    sides: dict[str, dict[int, float]] = {}
    for row in rows:
        pairs = row["examples"] * row["negatives"]
        seconds = median(row["cpu_seconds"][1:])
        sides.setdefault(row["side"], {})[row["round"]] = pairs / seconds

    return sides


def best_peer(rows: list[jsonl.Row]) -> str | None:
    """Return the peer's faster way, by the median of its rounds."""
    speed = {side: median(values.values()) for side, values in rates(rows).items()}
    peers = [side for side in speed if side.startswith("TRL")]
    return max(peers, key=lambda side: speed[side]) if peers else None


def above_imports(row: jsonl.Row) -> float:
    """Return the peak memory above the imports' footprint, in bytes."""
    return row["peak_bytes"] - row["imports_bytes"]


def lines(setting: tuple, members: list[jsonl.Row]) -> list[list[str]]:
    """Return the lines of the table that belong to a setting, a side each."""
    model, lengths, negatives, examples, precision, steps = setting
    speeds, peer = rates(members), best_peer(members)
    others = {row["round"]: row for row in members if row["side"] == peer}

    body = []
    for side, values in speeds.items():
        own = [row for row in members if row["side"] == side]
        seconds = median(median(row["cpu_seconds"][1:]) for row in own)
        tokens = median(row["tokens"] / steps / median(row["cpu_seconds"][1:]) for row in own)
        pairs = [(row, others[row["round"]]) for row in own if row["round"] in others]
        faster = [values[row["round"]] / speeds[row["side"]][row["round"]] for _, row in pairs]
        body.append(
            [
                *(lengths, str(negatives), str(examples), precision, side, str(len(values))),
                spread(faster),
                spread([above_imports(row) / above_imports(other) for row, other in pairs]),
                f"{seconds:.2f}",
                f"{median(values.values()):.3f}",
                f"{tokens:.0f}",
                f"{median(row['cpu_before'] for row in own):.0f}",
                f"{median(map(above_imports, own)) / 2**30:.2f}",
                model,
            ]
        )

    return body


def page(rows: list[jsonl.Row]) -> str:
    """Return the table as a page."""
    head = ["lengths", "K", "examples", "precision", "side", "rounds", "speed / TRL"]
    head += ["memory / TRL", "CPU s a step", "pairs / CPU s", "tokens / CPU s", "CPU s before"]
    head += ["peak GiB above imports", "model"]
    body = [line for setting, own in groups(rows).items() for line in lines(setting, own)]

    versions = ", ".join(sorted({v for row in rows for v in str(row["version"]).split(", ")}))
    notes = ", ".join(sorted({str(row["note"]) for row in rows if row.get("note")}))
    parts = [
        "# Speed and memory beside TRL\n",
        f"Written by `{COMMAND}`; {versions or 'not run'}. One thread a process, precomputed references\n"
        "on both sides, the same pairs in the same steps. CPU s a step: median of all but the first. Ratios are to\n"
        "TRL's faster way in the same round: median (range). A pair is a chosen and a rejected response; an example\n"
        "with K rejected ones is K pairs. Examples are those of a step. Tokens are those of the pairs, each with its\n"
        "prompt twice.\n",
        *([f"Measured: {notes}.\n"] if notes else []),
        Table(head, body).markdown(),
    ]

    return "\n".join(parts) + "\n"


def spread(ratios: list[float]) -> str:
    """Return a median with its range."""
    if not ratios:
        return "–"
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def figure(rows: list[jsonl.Row], path: Path) -> None:
    """Draw speed and memory of each setting beside TRL's faster way, as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars: list[tuple[str, str, float, float]] = []
    for setting, members in groups(rows).items():
        peer = best_peer(members)
        if peer is None:
            continue

        speeds = {side: median(values.values()) for side, values in rates(members).items()}
        memory = {
            side: median(above_imports(row) for row in members if row["side"] == side)
            for side in speeds
        }
        name = f"{setting[1]}, K = {setting[2]}, {setting[3]} a step, {setting[4]}"
        bars += [
            (name, side, speeds[side] / speeds[peer], memory[side] / memory[peer])
            for side in speeds
            if not side.startswith("TRL")
        ]

    if not bars:
        return

    figure, axes = plt.subplots(1, 2, figsize=(10, 1 + 0.35 * len(bars)), sharey=True)
    labels = [f"{name}: {side}" for name, side, _, _ in bars]
    for axis, column, title in zip(
        axes, (2, 3), ("pairs a CPU-second", "peak memory"), strict=True
    ):
        axis.barh(labels, [bar[column] for bar in bars], color="#4477aa")
        axis.axvline(1, color="#333333", linewidth=1)
        axis.set_title(f"{title}, TRL = 1")

    axes[0].margins(y=0.01)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
