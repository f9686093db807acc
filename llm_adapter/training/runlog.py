"""What a run leaves behind: run.json and metrics.jsonl, in strict JSON (null for a number not finite), and a table."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm
from transformers import ProgressCallback, TrainerCallback

import mi_estimators as mi
from mi_estimators.display import jsonl

COLUMNS = {  # heading: (key, format)
    "step": ("step", "{:>6}"),
    "loss": ("loss", "{:>9.4f}"),
    "chosen": ("rewards/chosen", "{:>+9.4f}"),
    "rejected": ("rewards/rejected", "{:>+9.4f}"),
    "margin": ("rewards/margins", "{:>+9.4f}"),
    "accuracy": ("rewards/accuracies", "{:>9.2f}"),
    "logp chosen": ("logps/chosen", "{:>12.2f}"),
}


def append_json_line(path: Path, value: dict) -> None:
    """Append one JSON object as a line."""
    with path.open("a", encoding="utf-8") as file:
        jsonl.append(file, value)


class Bar(ProgressCallback):
    """Trainer's progress bar without its dump of every log."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print nothing: `Table` prints the row."""


class Table(TrainerCallback):
    """Print a row a log."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Print the headings."""
        if state.is_world_process_zero:
            say("".join(_heading(name, form) for name, (_, form) in COLUMNS.items()))

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print the row of a training log or an evaluation."""
        logs = logs or {}
        prefix = "eval_" if "eval_loss" in logs else ""
        if not state.is_world_process_zero or f"{prefix}loss" not in logs:
            return
        values = {
            **{key.removeprefix(prefix): value for key, value in logs.items()},
            "step": state.global_step,
        }
        row = "".join(form.format(values[key]) for key, form in COLUMNS.values() if key in values)
        say(row + ("  (evaluation)" if prefix else ""))


def say(line: str) -> None:
    """Print a line above the progress bar."""
    tqdm.write(line)
    sys.stdout.flush()  # a run piped into a file is watched too


def _heading(name: str, form: str) -> str:
    width = int("".join(c for c in form.split(".")[0] if c.isdigit()))
    return f"{name:>{width}}"


def headline(run: dict) -> str:
    """Return what is trained, by which loss, in which unit, and what its anchor means; the data's line is above it."""
    loss = (
        f"loss {mi.preference.ALTERNATIVES[run['loss']].label}"
        if run["loss"]
        else f"loss {run['bound']}, mix {run['mix']:g}"
    )
    mean = run["log_ratio"] == "mean"
    lines = [
        f"model {run['model']}; {loss}, beta {run['beta']:g}; rewards in nats{' a token' if mean else ''}"
    ]
    if run["anchor"] is not None:
        each = "averaged over its tokens" if mean else "summed over its tokens"
        lines.append(
            f"anchor: a chosen response's ln π/π_ref, {each}, tends to −ln(1 − mix)/beta = "
            f"{run['anchor'] / run['beta']:+.4g} nats{' a token' if mean else ''}"
        )
    return "\n".join(lines) + "\n"


def summary(run: dict, logs: list[dict]) -> str:
    """Return the measured values beside the theory's, one a line, from run.json's fields and the training logs."""
    rewards = [log["rewards/chosen"] for log in logs]
    plateau, interval = "no plateau", "no interval"
    if run["no_collapse_interval"]:
        low, high = run["no_collapse_interval"]
        plateau, interval = (
            f"plateau −ln(1 − mix) = {run['anchor']:+.4f}",
            f"no collapse in [{low:+.4f}, {high:+.4f}]",
        )
    lines = (
        (
            "first loss",
            f"{logs[0]['loss']:.4f}",
            f"{_start(run['loss_start'])} where policy = reference",
        ),
        ("last loss", f"{logs[-1]['loss']:.4f}", _floor(run["loss_floor"])),
        ("last chosen reward", f"{rewards[-1]:+.4f}", plateau),
        ("chosen rewards seen", f"{min(rewards):+.4f} … {max(rewards):+.4f}", interval),
    )
    return "\n".join(
        f"{name:<20} {measured:>20}   theory: {said}" for name, measured, said in lines
    )


def _start(start: float | None) -> str:
    return "ln(1 + the batch's negatives)" if start is None else f"{start:.6f}"


def _floor(floor: float | None) -> str:
    return "no floor known" if floor is None else f"floor {floor:.6f}"
