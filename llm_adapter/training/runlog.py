"""Print a run: its headline, a table of its logs, and a summary of what was measured beside what theory says."""

from __future__ import annotations

import sys

from tqdm import tqdm
from transformers import ProgressCallback, TrainerCallback

import mi_estimators as mi

from ..loss.objective import shown

COLUMNS = {  # heading: key, width, format
    "step": ("step", 6, "d"),
    "loss": ("loss", 9, ".4f"),
    "chosen": ("rewards/chosen", 9, "+.4f"),
    "rejected": ("rewards/rejected", 9, "+.4f"),
    "margin": ("rewards/margins", 9, "+.4f"),
    "accuracy": ("rewards/accuracies", 9, ".2f"),
    "logp chosen": ("logps/chosen", 12, ".2f"),
}


class Bar(ProgressCallback):
    """Trainer's progress bar without its dump of every log."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print nothing: `Table` prints the row."""


class Table(TrainerCallback):
    """Print a row for each log."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Print the headings."""
        if state.is_world_process_zero:
            say("".join(f"{name:>{width}}" for name, (_, width, _) in COLUMNS.items()))

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Print the row of a training log or an evaluation."""
        logs = logs or {}
        prefix = "eval_" if "eval_loss" in logs else ""
        if not state.is_world_process_zero or f"{prefix}loss" not in logs:
            return

        values = {key.removeprefix(prefix): value for key, value in logs.items()}
        values["step"] = state.global_step
        cells = [
            f"{values[key]:{form}}".rjust(width)
            for key, width, form in COLUMNS.values()
            if key in values
        ]
        say("".join(cells) + ("  (evaluation)" if prefix else ""))


def say(line: str) -> None:
    """Print a line above the progress bar."""
    tqdm.write(line)
    sys.stdout.flush()  # a run piped into a file is watched too


def headline(run: dict) -> str:
    """Return what is trained, by which loss, and what its anchor means, from run.json's fields."""
    loss = f"{run['bound']}, mix {shown(run['mix'])}"
    if run["loss"]:
        row = mi.preference.ALTERNATIVES.get(run["loss"])
        loss = row.label if row else run["loss"]

    mean = run["log_ratio"] == "mean"
    unit = "nats per token" if mean else "nats"
    lines = [f"model {run['model']}; loss {loss}; beta {run['beta']:g}; rewards in {unit}"]

    if run["mix"] == "auto" and run["loss_floor"] is not None:
        lines.append(
            f"mix auto: K/(K + 1) of each example; mean floor {run['loss_floor']:.6f}, mean anchor "
            + ("none" if run["anchor"] is None else f"{run['anchor']:.6f} of βz_w")
        )

    if run["anchor"] is not None:
        lines.append(
            f"theory: ln π/π_ref of a chosen response, {'averaged' if mean else 'summed'} over its "
            f"tokens, tends to the anchor −ln(1 − mix)/beta = {run['anchor'] / run['beta']:+.4g} {unit}"
        )

    return "\n".join(lines) + "\n"


def summary(run: dict, logs: list[dict]) -> str:
    """Return what was measured beside what theory says, from run.json's fields and the training logs."""
    rewards = [log["rewards/chosen"] for log in logs]
    start, floor, anchor = run["loss_start"], run["loss_floor"], run["anchor"]
    interval = run["no_collapse_interval"]
    lines = (
        ("", "measured", "theory"),
        (
            "first loss",
            f"{logs[0]['loss']:.4f}",
            f"{'ln(1 + rejected responses in the batch)' if start is None else f'{start:.6f}'} "
            "(policy = reference)",
        ),
        (
            "last loss",
            f"{logs[-1]['loss']:.4f}",
            "no floor known" if floor is None else f"floor {floor:.6f}",
        ),
        (
            "last chosen reward",
            f"{rewards[-1]:+.4f}",
            "no anchor" if anchor is None else f"anchor −ln(1 − mix) = {anchor:+.4f}",
        ),
        (
            "chosen rewards",
            f"{min(rewards):+.4f} to {max(rewards):+.4f}",
            "no interval"
            if interval is None
            else "no collapse in [{:+.4f}, {:+.4f}], over beta in nats of z: [{:+.4g}, {:+.4g}]".format(
                *interval, *(end / run["beta"] for end in interval)
            ),
        ),
    )

    return "\n".join(f"{name:<18} {measured:>20}   {theory}" for name, measured, theory in lines)
