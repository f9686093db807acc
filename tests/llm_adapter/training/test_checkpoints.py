"""Checkpoints: the private names of Trainer that we rely on, and runs that are killed or stopped."""

import inspect
import json
import os
import shutil
import signal
import time
from fnmatch import fnmatch

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import Trainer, set_seed

from llm_adapter.arguments.names import LOADED
from llm_adapter.models import load_model, load_tokenizer, with_lora
from llm_adapter.training.checkpoints import (
    INCOMPLETE,
    ResumableTrainer,
    _put_files_in_place,
)
from llm_adapter.training.trainer import PreferenceTrainer
from tests.llm_adapter.shared import needs

OVERRIDDEN = {  # private methods of Trainer that ours replace → their parameters
    "_get_num_items_in_batch": ["batch_samples", "device"],
    "_get_output_dir": ["trial"],
    "_issue_warnings_after_load": ["load_result"],
    "_prepare_input": ["data"],
    "_push_from_checkpoint": ["checkpoint_folder"],
    "_run_epoch": None,  # passed on as they come
    "_save": ["output_dir", "state_dict"],
    "_save_checkpoint": ["model", "trial"],
    "_save_optimizer_and_scheduler": ["output_dir"],
    "_save_rng_state": ["output_dir"],
}


READ = ("_globalstep_last_logged", "_prepare_inputs", "_tr_loss")  # private names that ours read


RELEASE = f"transformers {transformers.__version__}"


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_replaced_methods(name):
    """Each private method that we replace is there, and takes what it took."""
    assert hasattr(Trainer, name), f"{RELEASE} has no Trainer.{name}"
    _, *parameters = inspect.signature(getattr(Trainer, name)).parameters
    expected = OVERRIDDEN[name] or parameters
    assert parameters == expected, f"{RELEASE}: Trainer.{name} takes {parameters}, not {expected}"


def test_complete_list():
    """The list of private methods is complete."""
    classes = PreferenceTrainer.__mro__[: PreferenceTrainer.__mro__.index(Trainer)]
    assert ResumableTrainer in classes

    ours = {name for kind in classes for name in vars(kind)}
    assert {
        name for name in ours & vars(Trainer).keys() if name[0] == "_" != name[1]
    } == OVERRIDDEN.keys()


@pytest.mark.parametrize("name", READ)
def test_private_names(name):
    """Each private name that we read is there."""
    assert f"self.{name}" in inspect.getsource(Trainer), f"{RELEASE}: Trainer uses no {name}"


# 24 pairs, 4 a step: 6 steps an epoch, so that checkpoints 3 and 6 lie in the middle and at the end of one; two batches
# a step; a log every 2 steps, so that checkpoint 3 lies between two logs; a readout of gradients at odd steps
FLAGS = "--max_steps 9 --per_device_train_batch_size 2 --gradient_accumulation_steps 2 --logging_steps 2 --seed 3"


FLAGS += " --save_strategy steps --save_steps 3 --diagnostics_steps 3 --disable_tqdm true --warmup_steps 2"


@pytest.fixture(scope="module")
def few(shipped_pairs):
    """The flags that read 24 pairs to train on and 4 to evaluate on."""
    return f"--train_data {shipped_pairs(24)} --eval_data {shipped_pairs(4)}"


def command(log, flags, at=None, action="kill"):
    """Run the command in this process; at the n-th call of a trainer's method, (name, n), kill or signal it."""
    from llm_adapter import train
    from llm_adapter.training.trainer import PreferenceTrainer

    torch.set_num_threads(1)
    with open(log, "a", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    if at:
        name, count = at
        original, calls = getattr(PreferenceTrainer, name), []

        def method(self, *args, **kwargs):
            calls.append(name)
            if len(calls) == count:
                os.kill(
                    os.getpid(),
                    {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM}[action],
                )

            return original(self, *args, **kwargs)

        setattr(PreferenceTrainer, name, method)

    raise SystemExit(train.main(flags))


def start(processes, out, few, flags="", **options):
    out.mkdir(exist_ok=True)
    flags = f"--output_dir {out} {few} {FLAGS} {flags}".split()
    process = processes.Process(target=command, args=(str(out / "log"), flags), kwargs=options)
    process.start()
    return process


def finish(*arguments, **options):
    process = start(*arguments, **options)
    process.join(120)
    return process.exitcode


def left(out):
    """What a run leaves: the lines of metrics.jsonl without what a clock says, and the weights."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    lines = [
        [(k, v) for k, v in line.items() if not k.endswith(("runtime", "per_second"))]
        for line in lines
    ]

    return lines, load_file(out / "model.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(processes, few, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert finish(processes, out, few) == 0
    lines, weights = left(out)
    assert [dict(line)["step"] for line in lines] == [1, 2, 4, 6, 8, 9, 9]  # and the evaluation
    return lines, weights


def assert_goes_on(processes, out, few, uninterrupted):
    status = finish(processes, out, few, "--resume_from_checkpoint true")
    assert status == 0, (out / "log").read_text()

    lines, weights = left(out)
    assert lines == uninterrupted[0]
    assert weights.keys() == uninterrupted[1].keys()

    for name, value in weights.items():
        assert value.equal(uninterrupted[1][name]), name


@pytest.mark.parametrize(
    ("at", "checkpoints"),
    [
        (("compute_loss", 8), ["checkpoint-3"]),  # between the two batches of step 4
        (("_save_rng_state", 2), ["checkpoint-3"]),  # while checkpoint-6 is written
        pytest.param(  # after training, before the model is saved
            ("save_final_model", 1),
            ["checkpoint-3", "checkpoint-6", "checkpoint-9"],
            marks=pytest.mark.broad,
        ),
    ],
)
def test_killed_run(processes, few, tmp_path, uninterrupted, at, checkpoints):
    """A killed run goes on bit by bit."""
    out = tmp_path / "run"
    assert finish(processes, out, few, at=at) == -signal.SIGKILL
    assert sorted(path.name for path in out.glob("checkpoint-*")) == checkpoints
    assert (out / INCOMPLETE).exists() == (at[0] == "_save_rng_state")
    assert not (out / "model.safetensors").exists()
    assert_goes_on(processes, out, few, uninterrupted)
    assert not (out / INCOMPLETE).exists()

    notice = "removed the unfinished files of a stopped run: checkpoint-6"
    assert (notice in (out / "log").read_text()) == (at[0] == "_save_rng_state")


@pytest.mark.parametrize(
    ("name", "status"), [("term", 143), pytest.param("int", 130, marks=pytest.mark.broad)]
)
def test_signal(processes, few, tmp_path, uninterrupted, name, status):
    """A signal saves a checkpoint and says how to go on."""
    out = tmp_path / "run"
    assert finish(processes, out, few, at=("compute_loss", 9), action=name) == status
    assert sorted(path.name for path in out.glob("checkpoint-*")) == [
        "checkpoint-3",
        "checkpoint-5",
    ]

    log = (out / "log").read_text()
    assert f"SIG{name.upper()}: stopped after step 5. checkpoint-5 is complete.\n" in log
    assert log.endswith(" --resume_from_checkpoint true\n")
    assert not (out / "model.safetensors").exists()
    assert_goes_on(processes, out, few, uninterrupted)


def test_second_interrupt(processes, few, tmp_path):
    """A second interrupt ends at once."""
    out = tmp_path / "run"
    process = start(processes, out, few, "--max_steps 100000")
    for _ in range(600):
        if (out / "log").exists() and "     1 " in (out / "log").read_text():
            break
        time.sleep(0.1)

    while process.is_alive():
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGINT)
        process.join(1)

    assert process.exitcode == 130


KINDS = {  # how a model is saved → its files of weights
    "adapter": ["adapter_config.json", "adapter_model.safetensors"],
    "single": ["model.safetensors"],
    "sharded": [
        *(f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)),
        "model.safetensors.index.json",
    ],
    "other shards": [
        *(f"model-0000{k}-of-00002.safetensors" for k in (1, 2)),
        "model.safetensors.index.json",
    ],
}
SHARDS = {"sharded": "60KB", "other shards": "100KB"}


def save(folder, base, kind, seed):
    """Save a model of random weights and its tokenizer; an adapter has a chat template."""
    set_seed(seed)
    model, tokenizer = load_model(str(base)), load_tokenizer(str(base))
    if kind == "adapter":
        model = with_lora(model, str(base), 2, 4, "all-linear")
        tokenizer.chat_template = "{{ messages }}"

    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_()

    model.save_pretrained(folder, max_shard_size=SHARDS.get(kind, "1GB"))
    tokenizer.save_pretrained(folder)


@needs("peft")
@pytest.mark.parametrize("former", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_loaded_as_saved(folder, tmp_path, former, kind):
    """What is loaded is what was saved last, in whatever form the former model is; other files stay."""
    out, alone, hidden = (tmp_path / name for name in ("out", "alone", INCOMPLETE))
    save(out, folder, former, seed=1)
    others = {"pytorch_model.bin", "notes.txt", "tokenizer_notes.md", "vocab.py", "model.gguf"}
    for name in others:
        (out / name).write_text("mine")

    save(alone, folder, kind, seed=2)
    shutil.copytree(alone, hidden / "model")
    _put_files_in_place(hidden / "model", out)

    expected, loaded = (load_model(str(path)).state_dict() for path in (alone, out))
    assert expected.keys() == loaded.keys()
    for name, value in loaded.items():
        assert value.equal(expected[name]), name

    template = load_tokenizer(str(alone)).chat_template
    assert (template is not None) == (kind == "adapter")
    assert load_tokenizer(str(out)).chat_template == template

    names = {path.name for path in alone.iterdir()}
    assert names >= set(KINDS[kind])
    assert {path.name for path in out.iterdir()} - others - {"README.md"} == names - {"README.md"}


@needs("peft")
def test_written_names(folder, tmp_path):
    """The names that a model is loaded from are those of its saves."""
    for kind in KINDS:
        save(tmp_path / kind, folder, kind, seed=1)
        names = {path.name for path in (tmp_path / kind).iterdir()} - {"README.md"}
        assert not [name for name in names if not any(fnmatch(name, pattern) for pattern in LOADED)]


@needs("peft")
def test_full_after_adapter(run, folder, tmp_path):
    """All weights, trained where an adapter was trained before, are the model that is loaded."""
    for rank in ("4", "0"):
        assert run(folder, tmp_path, f"--lora_rank {rank} --save_strategy no")[0] == 0

    trained = load_file(tmp_path / "model.safetensors")
    loaded = load_model(str(tmp_path)).state_dict()
    assert all(value.equal(loaded[name]) for name, value in trained.items())
