"""What one training run cost, by the same callback on both sides: seconds and CPU-seconds of each step, peak memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from transformers import TrainerCallback, set_seed
from transformers.models.llama import modeling_llama

SEED = 0
# The fields of transformers.TrainingArguments that both sides get; what a side adds of its own stands in its script.
SHARED = {
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
    "logging_steps": 1,
    "logging_first_step": True,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "train_sampling_strategy": "sequential",  # the same pairs in the same steps
    "seed": SEED,
}


IMPORTS: list[int] = []  # peak memory of the process when all is imported and nothing loaded


def peak_bytes() -> int:
    """Return the peak memory of the process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands the peak of getrusage on to child processes
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Meter(TrainerCallback):
    """Note the time at each step's end; the first note is the beginning of training."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, float]] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clock."""
        self._note()

    def on_step_end(self, args, state, control, **kwargs):
        """Note the end of a step."""
        self._note()

    def _note(self) -> None:
        self.notes.append((time.perf_counter(), time.process_time()))

    def steps(self, clock: int) -> list[float]:
        """Return the seconds of each step by the wall's clock (0) or the processor's (1)."""
        times = [note[clock] for note in self.notes]
        return [after - before for before, after in pairwise(times)]


def read_job(*modules: ModuleType) -> dict:
    """Return the job that the command line names, and make the process start as every other.

    Args:
        modules: those that say torch.float32; in a job of float64 they, too, compute in it.
    """
    set_seed(SEED)
    torch.set_num_threads(1)
    IMPORTS.append(peak_bytes())
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))

    if job["dtype"] == "float64":
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
        wide = SimpleNamespace(**vars(torch) | {"float": torch.float64, "float32": torch.float64})
        for module in (modeling_llama, *modules):
            vars(module)["torch"] = wide

    return job


def answer(meter: Meter, log_history: list[dict], **fields: object) -> None:
    """Print the run as the last line of standard output, one JSON object."""
    logs = [log for log in log_history if "loss" in log]
    measures = {
        "seconds": meter.steps(0),
        "cpu_seconds": meter.steps(1),
        "cpu_before": meter.notes[0][1],  # of the process, from its start to the first step
        "peak_bytes": peak_bytes(),
        "imports_bytes": IMPORTS[0],
        "logs": logs,
    }
    print(json.dumps(measures | fields))
