"""Two processes, under the engines that the shipped accelerate configs set up, take the steps of one process."""

import json
import os
import resource
from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import set_seed

from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.training import checkpoints
from tests.llm_adapter.shared import launched

FLAGS = "--use_cpu true --max_steps 3 --logging_steps 1 --warmup_steps 0 --learning_rate 1e-3 --disable_tqdm true"
FLAGS += " --reference_cache none --diagnostics_steps 1 --save_steps 2"
FLAGS += " --save_strategy steps"
WHOLE = "fsdp2 --fsdp_cpu_ram_efficient_loading false"
FOLDER = "--model {model} "  # whose weights one process reads
CASES = {
    "own": "",
    "batch": "--negatives batch --bound dv",
    "kto": "--loss kto",
    "passes": "--max_tokens_per_batch 500",  # for two or three of the four examples of a step
    "folder": FOLDER,
    "live": FOLDER + "--precompute_ref_log_probs false",
    "lora": FOLDER + "--lora_rank 4",
    "accumulated": FOLDER + "--gradient_accumulation_steps 2 --gradient_checkpointing true",
    "selective": FOLDER + "--selective_checkpointing true",
    "best": FOLDER
    + "--load_best_model_at_end true --eval_strategy steps --eval_steps 3 --save_steps 3",
}


@pytest.fixture(scope="module")
def few(shipped_pairs):
    path = shipped_pairs(12)
    return f"--train_data {path} --eval_data {path}"


def command(log, variables, flags, room=None):
    """Run the command in this process; until it first waits, files may have `room` bytes."""
    os.environ.update(variables)
    torch.set_num_threads(1)
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        limits = [(resource.RLIM_INFINITY,) * 2]
        checkpoints.time.sleep = lambda _: (
            limits and resource.setrlimit(resource.RLIMIT_FSIZE, limits.pop())
        )

    with open(log, "a", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    from llm_adapter import train

    raise SystemExit(train.main(flags))


def run(processes, out, few, flags, config=None, room=None):
    """Run the command in one process, or in two under a config; return the lines of metrics.jsonl."""
    out.mkdir(exist_ok=True)
    variables = launched(config) if config else [{}]
    world = len(variables)
    flags = f"--output_dir {out} {few} {FLAGS} {flags}"

    for kind in ("train", "eval"):
        flags += f" --per_device_{kind}_batch_size {4 // world}"

    running = []
    for rank in range(world):
        process = processes.Process(
            target=command, args=(str(out / f"log{rank}"), variables[rank], flags.split(), room)
        )
        process.start()
        running.append(process)

    for process in running:
        process.join(200)
    logs = "".join(path.read_text() for path in sorted(out.glob("log*")))

    assert [process.exitcode for process in running] == [0] * world, logs[-3000:]

    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def flags_of(tmp_path_factory):
    """The flags of a case; its folder has tied weights in bf16, which a run reads as fp32."""
    model = tmp_path_factory.mktemp("model")
    set_seed(1)
    load_model("builtin", dtype=torch.bfloat16).save_pretrained(model)
    load_tokenizer("builtin").save_pretrained(model)
    return lambda case: CASES[case].format(model=model)


@pytest.fixture(scope="module")
def single(processes, few, flags_of, tmp_path_factory):
    """What one process logs and saves, by case."""

    @cache
    def of_one(case):
        out = tmp_path_factory.mktemp(case)
        return run(processes, out, few, flags_of(case)), saved_in(out)

    return of_one


def saved_in(out):
    """Return the weights in a run's folder, or those of its adapter."""
    (path,) = out.glob("*model.safetensors")
    return load_file(path)


@pytest.mark.parametrize(
    ("case", "config"),
    [
        ("own", "fsdp2"),
        ("folder", "fsdp2"),
        ("batch", "ddp"),
        ("passes", "ddp"),
        pytest.param("own", "ddp", marks=pytest.mark.broad),
        pytest.param("folder", WHOLE, marks=pytest.mark.broad),
        pytest.param("kto", "ddp", marks=pytest.mark.broad),
        *(
            pytest.param(case, "fsdp2", marks=pytest.mark.broad)
            for case in CASES
            if case not in ("own", "folder")
        ),
    ],
)
def test_same_steps(processes, few, tmp_path, single, flags_of, case, config):
    """Two processes take the steps of one."""
    lines, weights = single(case)
    parallel = run(processes, tmp_path, few, flags_of(case), config=config)
    in_shards = any(tmp_path.glob("checkpoint-*/pytorch_model_fsdp_0"))
    assert in_shards == (config != "ddp")  # the engine that the config names has run

    assert [line["step"] for line in parallel] == [line["step"] for line in lines] == [1, 2, 3, 3]

    for one, two in zip(lines, parallel, strict=True):
        assert one.keys() == two.keys()

        by_rounding = {"rewards/accuracies"} if one["step"] == 1 else set()
        for name in (
            one.keys()
            - by_rounding
            - {key for key in one if key.startswith("eval_") and "/" not in key}
        ):
            wanted = (
                one[name] if one[name] is None else pytest.approx(one[name], rel=1e-3, abs=1e-4)
            )
            assert two[name] == wanted, (one["step"], name)

    saved = saved_in(tmp_path)
    assert saved.keys() == weights.keys()

    for name, value in saved.items():
        assert_close(value, weights[name], rtol=1e-3, atol=1e-4)
    if (case, config) == ("folder", "fsdp2"):
        flags = f"{flags_of(case)} --resume_from_checkpoint {tmp_path / 'checkpoint-2'}"
        again = run(processes, tmp_path, few, flags, config)
        assert [line["loss"] for line in again[:3]] == [line["loss"] for line in parallel[:3]]
        for name, value in saved_in(tmp_path).items():
            assert value.equal(saved[name]), name


@pytest.mark.broad
def test_bf16(processes, few, tmp_path, flags_of):
    """In bf16 arithmetic two processes take the steps of one within its rounding."""
    flags = f"{flags_of('folder')} --bf16 true"
    one = run(processes, tmp_path / "one", few, flags)
    two = run(processes, tmp_path / "two", few, flags, "fsdp2")

    losses = [[line["loss"] for line in lines if "loss" in line] for lines in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)


ROOM = 60_000  # bytes of a file: less than weights or optimiser have, more than a log


@pytest.mark.parametrize("config", ["ddp", pytest.param("fsdp2", marks=pytest.mark.broad)])
def test_full_disk(processes, few, tmp_path, single, config):
    """Two processes wait together at a full disk.

    The checkpoint at step 2 is lost, the model is not: both wait until there is room.
    """
    run(processes, tmp_path, few, CASES["own"], config, ROOM)
    printed = "".join(path.read_text() for path in sorted(tmp_path.glob("log*")))

    assert printed.count("checkpoint: warning: none at step 2, training goes on") == 1
    assert printed.count("The weights are kept in memory; make room there") == 1
    assert not list(tmp_path.glob("checkpoint-*"))
    assert not (tmp_path / checkpoints.INCOMPLETE).exists()

    for name, value in load_file(tmp_path / "model.safetensors").items():
        assert_close(value, single("own")[1][name], rtol=1e-3, atol=1e-4)
