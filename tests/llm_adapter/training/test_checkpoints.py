"""Checkpoints: the private names of Trainer that we rely on, and runs that are killed or stopped."""

import inspect
import json
import os
import signal
import time

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import Trainer

from llm_adapter.training.checkpoints import INCOMPLETE, ResumableTrainer
from llm_adapter.training.trainer import PreferenceTrainer

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
