"""Gradients released in the backward pass: the steps of the optimiser within, and no two gradients at once."""

import ctypes
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig

from llm_adapter.arguments.fields import RECIPES
from llm_adapter.arguments.training import HERE, read_values
from llm_adapter.training import heap
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.release import Released

ROOT = Path(__file__).parents[3]

FLAGS = "--max_steps 4 --learning_rate 1e-3 --warmup_steps 2 --logging_steps 1 --max_grad_norm 0"
FLAGS += " --reference_cache none --per_device_train_batch_size 4 --diagnostics_steps 2"
needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="needs torchao"
)
OPTIMISERS = {
    "adamw": "",
    "weight decay": "--weight_decay 0.1 --lr_scheduler_type linear",
    "kahan": "--weights bf16 --rounding kahan --adam_beta2 0.99",
    "checkpointing": "--gradient_checkpointing true",
    "selective": "--selective_checkpointing true",
}


def weights_of(trainer):
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_released_steps(make_trainer, name):
    """Released steps are those of whole gradients."""
    results = {}
    for release in ("false", "true"):
        flags = f"{FLAGS} {OPTIMISERS[name]} --save_strategy no --release_gradients {release}"
        trainer = make_trainer(flags)
        before = weights_of(trainer)
        trainer.train()
        results[release] = trainer.state.log_history, weights_of(trainer)
        assert any(not weight.equal(before[key]) for key, weight in results[release][1].items())

    for one, other in zip(*(results[release][0] for release in results), strict=True):
        if "loss" in one:
            assert other["loss"] == pytest.approx(one["loss"], abs=1e-6)
            assert other["learning_rate"] == one["learning_rate"]

    for key, weight in results["false"][1].items():
        torch.testing.assert_close(results["true"][1][key], weight, rtol=1e-5, atol=1e-7)


def test_resumed_states(make_trainer, tmp_path):
    """A resumed run goes on with the saved states."""
    flags = f"{FLAGS} --release_gradients true --save_strategy steps --save_steps 2"
    whole = make_trainer(flags)
    whole.train()
    again = make_trainer(f"{flags} --resume_from_checkpoint {tmp_path / 'checkpoint-2'}")
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))

    assert again.state.global_step == 4

    for key, weight in weights_of(whole).items():
        assert weight.equal(weights_of(again)[key]), key


def test_one_gradient_at_once():
    """No two gradients exist at once."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(5)))
    optimizer = Released(layers.parameters(), inner=torch.optim.AdamW, lr=0.1)

    alive = []
    for weight in layers.parameters():
        weight.register_post_accumulate_grad_hook(
            lambda _: alive.append(sum(other.grad is not None for other in layers.parameters()))
        )

    layers(torch.ones(2, 3)).sum().backward()
    optimizer.step()

    assert alive == [0] * 10  # those of `Released` ran first
    assert len(optimizer.state_dict()["state"]) == 10


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--max_grad_norm 1", "max_grad_norm: expected 0 with release_gradients"),
        ("--gradient_accumulation_steps 2", "gradient_accumulation_steps: expected 1 with release"),
        ("--max_tokens_per_batch 900", "max_tokens_per_batch: expected none with release_gradient"),
        ("--optim sgd", "optim: expected the default"),
    ],
)
def test_exclusions(tmp_path, flags, message):
    """What releasing excludes is refused."""
    command = f"--model builtin --output_dir {tmp_path} --release_gradients true --max_grad_norm 0"
    with pytest.raises(ValueError, match=message):
        parse_arguments(f"{command} {flags}".split())


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_flags(recipe):
    """A recipe sets flags, and a flag overrides it."""
    values = read_values(f"--model builtin --memory {recipe}".split())
    assert RECIPES[recipe].items() <= values.items()
    assert values["memory"] == recipe
    values = read_values(f"--model builtin --memory {recipe} --adam_beta2 0.9".split())
    assert values["adam_beta2"] == 0.9


def test_recipe_precedence():
    """A recipe of the command line overrides a config."""
    flags = ["--config", str(HERE / "configs" / "llama3-8b-mio.yaml"), "--memory", "lean"]
    values = read_values([*flags, "--release_gradients", "false", "--max_grad_norm", "1.0"])
    assert (values["weights"], values["bf16"], values["max_grad_norm"]) == ("bf16", False, 1.0)
    assert values["beta"] == 0.02


def test_unknown_recipe():
    """An unknown recipe is refused."""
    with pytest.raises(ValueError, match="memory: expected one of exact, balanced, lean, got tiny"):
        read_values(["--model", "builtin", "--memory", "tiny"])


@pytest.mark.parametrize("states", ["weights", pytest.param("8bit", marks=needs_torchao)])
def test_lean_run(make_trainer, states):
    """The lean recipe runs and moves the weights."""
    recipe = " ".join(f"--{name} {value}" for name, value in RECIPES["lean"].items())
    flags = FLAGS.replace("--max_grad_norm 0", "")
    trainer = make_trainer(f"{flags} {recipe} --adam_states {states} --save_strategy no")
    before = weights_of(trainer)

    with torch.compiler.set_stance("force_eager"):  # torchao compiles its step: minutes on a CPU
        trainer.train()

    assert all(weight.dtype == torch.bfloat16 for weight in trainer.model.parameters())

    moved = [not weight.equal(before[key]) for key, weight in weights_of(trainer).items()]
    assert all(moved)

    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert losses[0] == pytest.approx(2 * math.log(2), abs=1e-3) != losses[-1]
    assert not any("grad_norm" in log for log in trainer.state.log_history)


def test_freed_bytes(monkeypatch):
    """Freed memory goes back to the system after so many bytes of gradients."""
    calls = []
    monkeypatch.setattr(heap, "give_back", lambda: calls.append(1))
    monkeypatch.setattr(heap, "OFTEN", 3 * 36)  # bytes: three weights of 3 x 3
    layers = torch.nn.Sequential(*(torch.nn.Linear(3, 3, bias=False) for _ in range(7)))
    heap.give_back_in_backward(layers)
    layers(torch.ones(2, 3)).sum().backward()

    assert len(calls) == 2


@pytest.mark.parametrize(("release", "forward"), [(True, 1), (False, 0)])
def test_middle_of_a_pass(release, forward, monkeypatch):
    """A long pass gives memory back before its backward pass and at the middle weight."""
    calls, config = [], LlamaConfig(hidden_size=64)
    monkeypatch.setattr(heap, "give_back", lambda: calls.append(1))
    monkeypatch.setattr(heap, "keep_freed", lambda: None)
    layers = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(4)))
    owner = heap.Heap(layers, release)

    for positions, long in ((100, True), (0, False)):
        calls.clear()
        owner.begin(torch.zeros(positions), SimpleNamespace(config=config))
        result = layers(torch.ones(2, 3)).sum()
        assert len(calls) == forward * long
        owner.turn(first=False)
        assert len(calls) == forward * long + (long or release)
        result.backward()
        assert len(calls) == 2 * long + (release and not long)


glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc"
)


def in_process(script: str) -> str:
    """Return what a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return done.stdout


@glibc
def test_give_back():
    """The heap of a process of its own: blocks between kept ones are freed, and stay until they are given back."""
    script = (
        "import torch, sys\n"
        "from llm_adapter.training.heap import give_back\n"
        "def held():\n"
        "    lines = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    return int(lines['VmRSS'].split()[0]) // 1024\n"
        "blocks = [torch.ones(2**14) for _ in range(2048)]\n"  # 64 KiB each, 128 MiB in all
        "kept = blocks[::8]\n"
        "del blocks\n"
        "before = held()\n"
        "give_back()\n"
        "print(before, held())\n"
    )
    before, after = map(int, in_process(script).split())

    assert after < before - 50  # MiB


@glibc
def test_keep_freed():
    """In a process of its own: a block that is made and freed again and again is filled with zeros once."""
    script = (
        "import torch, resource\n"
        "from llm_adapter.training.heap import keep_freed\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(10):\n"
        "        blocks = [torch.ones(2**22) for _ in range(4)]\n"  # 16 MiB each
        "        del blocks\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "given_back = faults()\n"
        "keep_freed()\n"
        "faults()\n"
        "print(given_back, faults())\n"
    )
    given_back, kept = map(int, in_process(script).split())

    assert kept < given_back / 10


def test_long_passes():
    """Short pairs of SmolLM2-135M, of 576 hidden units, are short; the pairs of GSM8K are long."""
    config = LlamaConfig(hidden_size=576)
    assert not heap.is_long(2 * 75, config)
    assert heap.is_long(2 * 314, config)
