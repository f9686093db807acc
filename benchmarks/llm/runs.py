"""One training run, ours or TRL's, in a process of its own; and the model and pairs that both read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import set_seed

from llm_adapter.data.examples import Text
from llm_adapter.data.load import read_examples
from llm_adapter.models import load_model, load_tokenizer

from .. import environment
from ..smollm2_arithmetic.plan import gguf

HERE = Path(__file__).parent
BUILD = HERE / "build"  # ignored by git
TRL, PINS = BUILD / "trl", HERE / "requirements-trl.txt"
SIDES = {  # side → its script and what it adds to the job
    "TRL": ("peer_trl.py", {"precomputed": True}),
    "ours, padded rows": ("ours.py", {"row_layout": "padded"}),
    "ours, shared rows": ("ours.py", {"row_layout": "shared"}),
}
LOSSES = ("nca_pair", "sigmoid")  # TRL's names of MIO and DPO
SETTINGS = {  # of transformers.TrainingArguments, and beta; by model
    "builtin": {
        "learning_rate": 1e-3,
        "per_device_train_batch_size": 4,
        "beta": 0.1,
        "max_length": 512,
    },
    "SmolLM2-135M": {
        "learning_rate": 5e-6,
        "per_device_train_batch_size": 2,
        "beta": 0.1,
        "max_length": 768,
    },
}


def saved_model(name: str) -> Path:
    """Return the folder of a model that both sides load: the built-in one, or SmolLM2 from its package's GGUF."""
    folder = BUILD / name
    if not (folder / "done").exists():
        set_seed(0)
        source = name if name == "builtin" else str(gguf())
        load_model(source).save_pretrained(folder)
        load_tokenizer(source).save_pretrained(folder)
        (folder / "done").touch()

    return folder


def write_pairs(data: Path, count: int, chat: bool, out: Path) -> None:
    """Write the first `count` examples with their first negative, as messages or as text, one JSON object a line."""

    def message(role: str, text: Text) -> Text:
        return [{"role": role, "content": text}] if chat and isinstance(text, str) else text

    with out.open("w", encoding="utf-8") as file:
        for example in read_examples(data, max_negatives=1)[:count]:
            row = {
                "prompt": message("user", example.prompt),
                "chosen": message("assistant", example.chosen),
            }
            row["rejected"] = message("assistant", example.rejected[0])
            file.write(json.dumps(row) + "\n")


def run(side: str, model: str, loss: str, data: Path, steps: int, dtype: str = "float32") -> dict:
    """Train once and return what `meter.answer` printed.

    Raises:
        RuntimeError: the process failed; the message has its last line.
    """
    script, added = SIDES[side]
    with tempfile.TemporaryDirectory() as folder:
        pairs = Path(folder) / "pairs.jsonl"
        settings = SETTINGS[model]
        write_pairs(
            data, steps * settings["per_device_train_batch_size"], model != "builtin", pairs
        )
        fields = {
            "model": str(saved_model(model)),
            "data": str(pairs),
            "out": folder,
            "loss_type": loss,
        } | added

        fields |= {"dtype": dtype, "training": settings | {"max_steps": steps}}
        return launch(script, side == "TRL", fields, side)


def launch(script: str, peer: bool, fields: dict, name: str) -> dict:
    """Run a script of this folder on a job, in a process of its own; return what `meter.answer` printed.

    Raises:
        RuntimeError: the process failed, and the message has its last line; or a signal ended its training early.
    """
    job = Path(fields["out"]) / "job.json"
    job.write_text(json.dumps(fields), encoding="utf-8")
    variables = {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "PYTHONPATH": "",
    }

    if not peer:  # this checkout, and what extends the caller's environment
        paths = [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    command = [environment.python_of(TRL) if peer else sys.executable, str(HERE / script), str(job)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | variables, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")

    outcome = json.loads(done.stdout.strip().splitlines()[-1])
    took, steps = len(outcome["cpu_seconds"]), fields["training"]["max_steps"]
    if took < steps:
        raise RuntimeError(f"{name}: stopped after {took} of {steps} steps")

    return outcome
