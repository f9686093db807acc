"""The command: no arguments, configs, overrides, and one-line refusals before anything is written."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from transformers.utils import logging

from llm_adapter import models
from llm_adapter.arguments.command import command_line
from llm_adapter.arguments.training import HERE
from llm_adapter.data.sources import PAIRS
from llm_adapter.loss.objective import Objective
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.runlog import headline

ROOT = Path(__file__).parents[2]


def test_without_arguments_it_trains_the_built_in_model(tmp_path):
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
        (["--mix", "0"], "mix: expected a number in (0, 1], got 0.0"),
        (["--mix", "nan"], "mix: expected a number in (0, 1], got nan"),
        (["--beta", "-1"], "beta: expected a finite number > 0, got -1.0"),
        (["--beta", "much"], "beta: expected a number, got much"),
        (["--bound", "dpo"], "bound: expected one of "),
        (["--max_length", "1"], "max_length: expected an integer ≥ 2, got 1"),
        (["--max_negatives", "0"], "max_negatives: expected an integer ≥ 1, got 0"),
        (
            ["--per_device_train_batch_size", "0"],
            "per_device_train_batch_size: expected an integer ≥ 1, got 0",
        ),
        (["--learning_rate", "nan"], "learning_rate: expected a finite number ≥ 0, got nan"),
        (["--bata", "1"], "--bata: expected a known flag, got this one (did you mean beta?)"),
        (["--bata=1"], "--bata=1: expected a known flag, got this one (did you mean beta?)"),
        (
            ["--train_data", "none.jsonl"],
            "none.jsonl: expected a file of JSON lines or parquet, a folder",
        ),
        (
            ["--eval_data", "none.jsonl"],
            "none.jsonl: expected a file of JSON lines or parquet, a folder",
        ),
        (
            ["--eval_strategy", "steps"],
            "eval_data: expected a file with eval_strategy steps, got none",
        ),
        (
            ["--model", "./none"],
            "model: expected 'builtin', a directory, a .gguf file or a hub name, got no such path",
        ),
        (
            ["--model", "none.gguf"],
            "model: expected 'builtin', a directory, a .gguf file or a hub name, got no such",
        ),
        (["--model", "."], "model: expected a model directory, got . without a config.json"),
        (["--config", "none.yaml"], "config: expected a readable YAML file, got none.yaml"),
        (
            ["--resume_from_checkpoint", "true"],
            "resume_from_checkpoint: expected a checkpoint, got none in",
        ),
        (
            ["--resume_from_checkpoint", "none"],
            "resume_from_checkpoint: expected a checkpoint, got none in none",
        ),
        (["--chat", "true"], "pairs.jsonl:1: prompt: expected a tokenizer with a chat template"),
        (
            ["--truncation", "middle"],
            "truncation: expected one of right, left_prompt, drop, refuse, got middle",
        ),
        (["--max_dropped", "5"], "max_dropped: expected a number in [0, 1], got 5.0"),
        (["--max_dropped", "nan"], "max_dropped: expected a number in [0, 1], got nan"),
        (["--tokenize_workers", "0"], "tokenize_workers: expected an integer ≥ 1, got 0"),
        (["--lr_scheduler_type", "flat"], "lr_scheduler_type: expected one of linear, cosine, "),
        (["--seed", "-1"], "seed: expected an integer from 0 to 2^32 - 1, got -1"),
        (
            ["--train_sampling_strategy", "group_by_length"],
            "train_sampling_strategy: expected random or sequential",
        ),
        (
            ["--report_to", "nothing"],
            "report_to: expected none, all or an installed one of azure_ml, ",
        ),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 2
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
            ["--dataloader_drop_last", "true", "--per_device_train_batch_size", "999"],
            "dataloader_drop_last: expected",
        ),
        (["--fsdp", "full_shard"], "Using fsdp only works in distributed training."),
    ],
)
def test_what_no_trainer_can_be_made_of_is_one_line(tmp_path, capsys, flags, message):
    assert main([*flags, "--use_cpu", "true", "--output_dir", str(tmp_path)]) == 2
    assert f"llm_adapter.train: error: {message}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bad_row_far_down_is_refused_before_the_model_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("llm_adapter.training.run.load_model", lambda *_: pytest.fail("loaded"))
    rows = [json.dumps({"prompt": str(n), "chosen": "a", "rejected": "b"}) for n in range(150)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*rows, "no JSON"]))
    assert main(["--train_data", str(path), "--output_dir", str(tmp_path / "out")]) == 2
    assert f"{path}:151: expected a JSON object on one line" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


def test_ctrl_c_before_the_first_step_is_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_adapter.training.run.read_model", interrupted)
    assert main(["--output_dir", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "llm_adapter.train: stopped: before the first step\n"


def test_a_name_that_the_hub_does_not_give_is_one_line(monkeypatch, capsys):
    def unreachable(*args, **kwargs):
        raise OSError("no connection\nto the hub")

    monkeypatch.setattr(models.AutoTokenizer, "from_pretrained", unreachable)
    assert main(["--model", "someone/something"]) == 2
    expected = "a path or a reachable hub name, got someone/something (no connection to the hub)\n"
    assert capsys.readouterr().err.endswith(expected)


PLAIN = "python -m llm_adapter.train --seed 1"


@pytest.mark.parametrize(
    ("above", "said"),
    [
        (f"/bin/bash -c '{PLAIN}'", PLAIN),
        (f"timeout 9 {PLAIN}", PLAIN),
        ("/x/python3.11 /x/torchrun -m llm_adapter.train --seed 2", PLAIN),  # another run's
        ("", PLAIN),
        (
            "/x/python3.11 /x/accelerate launch --config_file 'a b' -m llm_adapter.train --seed 1",
            "accelerate launch --config_file 'a b' -m llm_adapter.train --seed 1",
        ),
        (
            "/x/python3.11 -m torch.distributed.run --nproc_per_node 2 -m llm_adapter.train --seed 1",
            "python -m torch.distributed.run --nproc_per_node 2 -m llm_adapter.train --seed 1",
        ),
    ],
)
def test_the_command_is_the_launcher_s_where_one_started_the_process(monkeypatch, above, said):
    monkeypatch.setattr(
        psutil.Process, "parent", lambda self: SimpleNamespace(cmdline=lambda: shlex.split(above))
    )
    assert command_line("llm_adapter.train", ["--seed", "1"]) == said


def test_a_folder_with_checkpoints_is_gone_on_with_or_refused(tmp_path, capsys):
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")
    assert main(["--output_dir", str(tmp_path)]) == 2
    expected = (
        f"output_dir: expected a folder without checkpoints of another run, got {checkpoint} ("
    )
    said = capsys.readouterr()
    assert said.err.startswith(f"llm_adapter.train: error: {expected}")
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]
    flags = ["--output_dir", str(tmp_path), "--resume_from_checkpoint", "true"]
    assert parse_arguments(flags).resume_from_checkpoint == str(checkpoint)


def test_help_is_that_of_the_fields_that_a_user_sets(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for flag in ("--config", "--bound", "--learning_rate", "--trust_remote_code", "--output_dir"):
        assert f"\n  {flag}" in said
    assert "--hub_token" not in said
    for twice in ("--output-dir", "--no_save_final_model", "(default: None)"):
        assert twice not in said
    assert len(said.splitlines()) < 200


def test_without_tqdm_transformers_draws_no_bars_either(tmp_path):
    flags = [
        "--disable_tqdm",
        "true",
        "--train_data",
        str(PAIRS),
        "--max_length",
        "2",
        "--output_dir",
        str(tmp_path),
    ]
    try:
        assert main(flags) == 2  # no prompt fits
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {},
            "rewards in nats\ntheory: ln π/π_ref of a chosen response, summed over its tokens, tends to",
        ),
        (
            {"log_ratio": "mean"},
            "rewards in nats per token\ntheory: ln π/π_ref of a chosen response, averaged over its tok",
        ),
        ({"mix": 1.0}, "= +inf nats\n"),
        ({"bound": "dv"}, "loss dv, mix 0.5; beta 0.2; rewards in nats\n"),
    ],
)
def test_the_headline_says_what_the_anchor_means(flags, said):
    objective = Objective(beta=0.2, **flags)
    found = headline({"model": "builtin", **asdict(objective), **objective.theory([1])})
    assert said in found
    assert ("anchor" in found) == (objective.bound == "js")
    assert ("= +3.466 nats" in found) == (objective.bound == "js" and objective.mix == 0.5)


def config(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return str(path)


def test_flags_override_the_config_which_overrides_the_defaults(tmp_path):
    path = config(
        tmp_path,
        "bound: dv\nbeta: 0.3\nlearning_rate: 1e-4\nlogging_first_step: false\neval_data: null\nsave_strategy: no\n",
    )
    args = parse_arguments(["--config", path, "--beta", "0.7"])
    assert (args.bound, args.beta, args.learning_rate) == (
        "dv",
        0.7,
        1e-4,
    )  # 1e-4 is a string in YAML 1.1
    assert args.logging_first_step is False
    assert args.save_strategy == "no"
    assert args.mix == 0.5
    assert args.max_steps == -1  # a config of one's own: nothing of the demo's
    assert parse_arguments([]).max_steps > 0
    assert parse_arguments(["--bound", "dv"]).output_dir == "runs/builtin-dv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "beta: 1\nbata: 1\n",
            r"run.yaml:2: expected known fields, got bata \(did you mean beta\?\)",
        ),
        (
            "beta: 1\nmix: 1\nbeta: 2\n",
            r"run.yaml:3: beta: expected it once, got it again \(first in line 1\)",
        ),
        ("model: [a, b]\n", r"run.yaml:1: b: expected a known flag"),
        ("beta: [1\n", r"config: expected a readable YAML file, got .*run.yaml"),
        ("- beta\n", r"run.yaml: expected YAML of 'field: value' lines, got list"),
        ("beta: much\n", r"run.yaml:1: beta: expected a number, got much"),
        ("max_steps: 2.5\n", r"run.yaml:1: max_steps: expected an integer, got 2.5"),
    ],
)
def test_a_bad_config_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--config", config(tmp_path, text)])


KINDS = ("demo", "llama3-8b", "mistral-7b", "qwen2.5-7b", "smollm2", "smollm2-arithmetic")


def test_shipped_configs_come_in_matched_pairs():
    names = {path.name for path in (HERE / "configs").glob("*.yaml")}
    assert names == {f"{kind}-{loss}.yaml" for kind in KINDS for loss in ("dpo", "mio")}
    for kind in KINDS:
        dpo, mio = (
            yaml.safe_load((HERE / "configs" / f"{kind}-{loss}.yaml").read_text())
            for loss in ("dpo", "mio")
        )
        assert (dpo.pop("bound"), mio.pop("bound")) == ("dv", "js")
        assert mio.pop("beta") == 2 * dpo.pop("beta")  # equal first gradients
        assert dpo == mio


@pytest.mark.parametrize(
    "path", sorted((HERE / "configs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_configs_are_read_and_say_what_each_key_means(path):
    if path.parent.name == "configs":
        parse_arguments(["--config", str(path), "--use_cpu", "true"])
    keys = [
        line
        for line in path.read_text().splitlines()
        if not line.startswith("#") and not line.endswith("_config:")
    ]
    assert len(keys) > 5
    for line in keys:
        assert re.fullmatch(r" *\w+: \S+ +# .{9,}", line), line
