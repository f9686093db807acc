"""The measured rows as markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from statistics import median

from mi_estimators.display import Table
from mi_estimators.display.jsonl import Row

PEER = "TRL"
LOGPS = ("logps/chosen", "logps/rejected")
COMPARED = ("loss", "rewards/chosen", "rewards/rejected", *LOGPS)


def page(runs: list[Row], layouts: list[Row], command: str) -> str:
    """Return the whole page."""
    versions = ", ".join(sorted({row["version"] for row in runs if row["side"] == PEER}))
    peers = versions or "not run"
    parts = [
        "# Language models: the same trajectory as TRL, and what shared rows save\n",
        f"Written by `{command}`; peer: {peers}; one thread a process, float32 unless said, CPU-seconds.\n",
    ]

    if runs:
        parts += [
            "## The same trajectory\n",
            "K = 1, AdamW, cosine schedule, the same pairs in the same steps. Each side reads the pairs' text with its "
            "own code and computes\nits own reference before training. Δ: largest difference from TRL over all steps, "
            "in nats. The bar is 1e-4 nats on loss and rewards,\nwhich the steps depend on. A logp is a sum over all "
            "tokens of a response; ulp is the spacing of the numbers in use at the largest\none. Each side rounds in "
            "its own order, and Adam's steps, of the learning rate's size whatever the gradient's, spread that: in\n"
            "float64 (`--float64`) the same runs agree to that many more digits.\n",
            trajectories(runs),
            "\n## What a step costs\n",
            "The sides take turns, a round after another. CPU-seconds of a step, median of all but the first, and peak "
            "memory of the process.\nRatios: TRL's over ours, same loss and same round, median (range).\n",
            costs([row for row in runs if row["dtype"] == "float32"]),
        ]

    if layouts:
        parts += [
            "\n## Shared rows\n",
            "Forward and backward, the two layouts in turn on each batch. Positions: what the model computes over the "
            "whole file, tokens and\npadding; filled: the share that are tokens. Speed-up: CPU-seconds of padded over "
            "shared rows, median (range over timed batches).\n",
            savings(layouts),
        ]

    return "\n".join(parts) + "\n"


def trajectories(runs: list[Row]) -> str:
    """Return the largest differences from TRL of each model, loss and layout."""
    head = [
        "model",
        "loss",
        "rows",
        "steps",
        "first loss",
        "last loss",
        *(f"Δ {name}" for name in COMPARED),
        "ulp",
    ]

    body = []
    keys = ("model", "data", "dtype", "loss_type", "steps", "batch")
    for (model, data, dtype, loss, steps, batch), group in _grouped(runs, *keys):
        peers = [row for row in group if row["side"] == PEER]
        for side, side_runs in _grouped((row for row in group if row["side"] != PEER), "side"):
            if peers:
                ours, theirs = side_runs[0]["logs"], peers[0]["logs"]
                turns = [
                    (row["logs"], peer["logs"])
                    for row in side_runs
                    for peer in peers
                    if _turn(row) == _turn(peer)
                ]

                steps_of_both = [pair for turn in turns for pair in zip(*turn, strict=True)]
                gaps = [max(abs(a[name] - b[name]) for a, b in steps_of_both) for name in COMPARED]
                ends = f"{ours[0]['loss']:.6f}", f"{ours[-1]['loss']:.6f}"
                largest = max(abs(log[name]) for log in theirs for name in LOGPS)
                name = f"{model}, {dtype}, {batch} pairs of {data} a step"
                gaps.append(
                    2.0 ** (math.floor(math.log2(largest)) - {"float32": 23, "float64": 52}[dtype])
                )
                body.append(
                    [name, loss, side[0], str(steps), *ends, *(f"{gap:.1e}" for gap in gaps)]
                )

    return Table(head, body).markdown()


def costs(runs: list[Row]) -> str:
    """Return CPU-seconds of a step and peak memory of each model and side."""
    head = ["model", "data", "side", "runs", "CPU s a step", "TRL / ours", "peak GiB", "TRL / ours"]
    body = []
    for (model, data), group in _grouped(runs, "model", "data"):
        peers = {_turn(row): row for row in group if row["side"] == PEER}
        for (side,), side_runs in _grouped(group, "side"):
            seconds = median(_step(row) for row in side_runs)
            peak = median(row["peak_bytes"] for row in side_runs) / 2**30
            pairs = [
                (peers[_turn(row)], row)
                for row in side_runs
                if _turn(row) in peers and side != PEER
            ]
            speed = _spread([_step(peer) / _step(row) for peer, row in pairs])
            memory = _spread([peer["peak_bytes"] / row["peak_bytes"] for peer, row in pairs])
            body.append(
                [
                    model,
                    data,
                    side,
                    str(len(side_runs)),
                    f"{seconds:.2f}",
                    speed,
                    f"{peak:.2f}",
                    memory,
                ]
            )

    return Table(head, body).markdown()


def savings(layouts: list[Row]) -> str:
    """Return positions and speed-up of each model, file and K."""
    head = [
        "model",
        "data",
        "examples",
        "K",
        "positions padded",
        "shared",
        "ratio",
        "filled padded",
        "shared",
    ]

    head += ["CPU s padded", "shared", "speed-up", "batches", "Δ log-prob (nats)"]
    body = []
    for row in layouts:
        padded, shared = row["positions"]["padded"], row["positions"]["shared"]
        spent = row["cpu_seconds"]
        ratios = [a / b for a, b in zip(spent["padded"], spent["shared"], strict=True)]
        body.append(
            [
                row["model"],
                row["data"],
                f"{row['examples']}, {row['batch']} a batch",
                f"≤ {row['negatives']}" if row["negatives"] > 1 else "1",
                f"{padded:,}",
                f"{shared:,}",
                f"{padded / shared:.2f}",
                *(
                    f"{row['real'][name] / row['positions'][name]:.0%}"
                    for name in ("padded", "shared")
                ),
                *(f"{median(spent[name]):.2f}" for name in ("padded", "shared")),
                _spread(ratios),
                str(len(ratios)),
                f"{row['agree']:.0e}",
            ]
        )

    return Table(head, body).markdown()


def _turn(row: Row) -> tuple:
    return row["loss_type"], row["round"], row["steps"], row["batch"]


def _step(row: Row) -> float:
    return median(row["cpu_seconds"][1:])


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else "–"


def _grouped(rows: Iterable[Row], *names: str):
    def key(row: Row) -> tuple:
        return tuple(row[name] for name in names)

    return [(group_key, list(group)) for group_key, group in groupby(sorted(rows, key=key), key)]
