"""The command: no arguments, and one-line refusals before anything is written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from transformers.utils import logging

from llm_adapter import models
from llm_adapter.data.sources import PAIRS
from llm_adapter.train import main

ROOT = Path(__file__).parents[2]


def test_no_arguments(tmp_path):
    """Without arguments it trains the built-in model."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "llm_adapter.train"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr

    out = tmp_path / "runs" / "builtin-js"
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    run = json.loads((out / "run.json").read_text())

    assert [lines[0]["step"], lines[-1]["step"]] == [1, run["steps"]]
    assert f"{lines[0]['loss']:.4f}" == "1.3863"
    assert lines[-1]["rewards/margins"] > 0.1
    assert run["command"] == "python -m llm_adapter.train"
    assert run["seconds"] > 0

    for text in (
        "step     loss   chosen",
        "1.386294",
        "0.954771",
        "+0.6931",
        "[-0.8545, +2.5462]",
        "first loss",
    ):
        assert text in done.stdout

    assert "%|" in done.stderr  # the progress bar
    assert (out / "model.safetensors").is_file()
    assert (
        models.load_model(str(out)).num_parameters()
        == models.load_model("builtin").num_parameters()
    )
    assert models.load_tokenizer(str(out))("a", add_special_tokens=False)["input_ids"] == [100]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--mix 0", "mix: expected a number in (0, 1] or auto, got 0.0"),
        ("--mix nan", "mix: expected a number in (0, 1] or auto, got nan"),
        ("--beta -1", "beta: expected a finite number > 0, got -1.0"),
        ("--beta much", "beta: expected a number, got much"),
        ("--bound dpo", "bound: expected one of "),
        ("--max_length 1", "max_length: expected an integer ≥ 2, got 1"),
        ("--max_negatives 0", "max_negatives: expected an integer ≥ 1, got 0"),
        (
            "--per_device_train_batch_size 0",
            "per_device_train_batch_size: expected an integer ≥ 1, got 0",
        ),
        ("--learning_rate nan", "learning_rate: expected a finite number ≥ 0, got nan"),
        ("--bata 1", "--bata: expected a known flag, got this one (did you mean beta?)"),
        ("--bata=1", "--bata=1: expected a known flag, got this one (did you mean beta?)"),
        ("--train_data=", "train_data: expected a file, a folder or a hub name, got none"),
        (
            "--train_data none.jsonl",
            "none.jsonl: expected a file of JSON lines or parquet, a folder",
        ),
        (
            "--eval_data none.jsonl",
            "none.jsonl: expected a file of JSON lines or parquet, a folder",
        ),
        ("--eval_strategy steps", "eval_data: expected a file with eval_strategy steps, got none"),
        (
            "--model ./none",
            "model: expected 'builtin', a directory, a .gguf file or a hub name, got no such path",
        ),
        (
            "--model none.gguf",
            "model: expected 'builtin', a directory, a .gguf file or a hub name, got no such",
        ),
        ("--model .", "model: expected a model directory, got . without a config.json"),
        ("--config none.yaml", "config: expected a readable YAML file, got none.yaml"),
        (
            "--resume_from_checkpoint true",
            "resume_from_checkpoint: expected a checkpoint, got none in",
        ),
        (
            "--resume_from_checkpoint none",
            "resume_from_checkpoint: expected a checkpoint, got none in none",
        ),
        ("--chat true", "pairs.jsonl:1: prompt: expected a tokenizer with a chat template"),
        (
            "--truncation middle",
            "truncation: expected one of right, left_prompt, drop, refuse, got middle",
        ),
        ("--max_dropped 5", "max_dropped: expected a number in [0, 1], got 5.0"),
        ("--max_dropped nan", "max_dropped: expected a number in [0, 1], got nan"),
        ("--tokenize_workers 0", "tokenize_workers: expected an integer ≥ 1, got 0"),
        ("--lr_scheduler_type flat", "lr_scheduler_type: expected one of linear, cosine, "),
        ("--seed -1", "seed: expected an integer from 0 to 2^32 - 1, got -1"),
        (
            "--train_sampling_strategy group_by_length",
            "train_sampling_strategy: expected random or sequential",
        ),
        ("--report_to nothing", "report_to: expected none, all or an installed one of azure_ml, "),
    ],
)
def test_user_mistakes(tmp_path, monkeypatch, capsys, flags, message):
    """What a user can get wrong is one line."""
    monkeypatch.chdir(tmp_path)
    assert main(flags.split()) == 2

    captured = capsys.readouterr()
    assert captured.err.startswith("llm_adapter.train: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--dataloader_drop_last true --per_device_train_batch_size 999",
            "dataloader_drop_last: expected",
        ),
        ("--fsdp full_shard", "Using fsdp only works in distributed training."),
    ],
)
def test_no_trainer(tmp_path, capsys, flags, message):
    """What no trainer can be made of is one line."""
    with mock.patch.dict(os.environ):  # accelerate writes there what it was asked for
        assert main(f"{flags} --use_cpu true --output_dir {tmp_path}".split()) == 2
    assert f"llm_adapter.train: error: {message}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_late_bad_row(tmp_path, monkeypatch, capsys):
    """A bad row far down is refused before the model is loaded."""
    monkeypatch.setattr("llm_adapter.training.run.load_model", lambda *_: pytest.fail("loaded"))
    rows = [json.dumps({"prompt": str(n), "chosen": "a", "rejected": "b"}) for n in range(150)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*rows, "no JSON"]))

    assert main(f"--train_data {path} --output_dir {tmp_path / 'out'}".split()) == 2
    assert f"{path}:151: expected a JSON object on one line" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


def test_early_ctrl_c(tmp_path, monkeypatch, capsys):
    """Ctrl-C before the first step is one line."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_adapter.training.run.read_model", interrupted)
    assert main(["--output_dir", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "llm_adapter.train: stopped: before the first step\n"


def test_unknown_hub_name(monkeypatch, capsys):
    """A name that the hub does not give is one line."""

    def unreachable(*args, **kwargs):
        raise OSError("no connection\nto the hub")

    monkeypatch.setattr(models.AutoTokenizer, "from_pretrained", unreachable)
    assert main(["--model", "someone/something"]) == 2

    expected = "a path or a reachable hub name, got someone/something (no connection to the hub)\n"
    assert capsys.readouterr().err.endswith(expected)


def test_no_bars(tmp_path):
    """Without tqdm, transformers draws no bars either."""
    flags = f"--disable_tqdm true --train_data {PAIRS} --max_length 2 --output_dir {tmp_path}"
    try:
        assert main(flags.split()) == 2  # no prompt fits
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()
