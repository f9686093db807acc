"""Two processes, under the engines that the shipped accelerate configs set up, take the steps of one process."""

import json
import os
import resource
import socket
from functools import cache

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from torch.testing import assert_close

from llm_adapter.arguments.training import HERE
from llm_adapter.training import checkpoints

FLAGS = "--use_cpu true --max_steps 3 --logging_steps 1 --warmup_steps 0 --learning_rate 1e-3 --disable_tqdm true"
FLAGS += " --reference_cache none --diagnostics_steps 1 --save_steps 2"
FLAGS += " --save_strategy steps"
NEGATIVES = {
    "own": "",
    "batch": "--negatives batch --bound dv",
    "kto": "--loss kto",
    "passes": "--max_tokens_per_batch 500",  # for two or three of the four examples of a step
}


@pytest.fixture(scope="module")
def few(shipped_pairs):
    path = shipped_pairs(12)
    return f"--train_data {path} --eval_data {path}"


def environment(config):
    """What `accelerate launch --config_file` hands to its processes."""
    path = str(HERE / "configs" / "accelerate" / f"{config}.yaml")
    flags = ["--config_file", path, "--num_processes", "2", "-m", "llm_adapter.train"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(flags))
    return prepare_multi_gpu_env(arguments)


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
    world = 2 if config else 1
    flags = f"--output_dir {out} {few} {FLAGS} {flags}"

    for kind in ("train", "eval"):
        flags += f" --per_device_{kind}_batch_size {4 // world}"
    shared = {}

    if config:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        shared = environment(config) | {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "WORLD_SIZE": str(world),
        }

    running = []
    for rank in range(world):
        variables = shared | ({"RANK": str(rank), "LOCAL_RANK": str(rank)} if config else {})
        process = processes.Process(
            target=command, args=(str(out / f"log{rank}"), variables, flags.split(), room)
        )
        process.start()
        running.append(process)

    for process in running:
        process.join(200)
    logs = "".join(path.read_text() for path in sorted(out.glob("log*")))

    assert [process.exitcode for process in running] == [0] * world, logs[-3000:]

    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def single(processes, few, tmp_path_factory):
    """What one process logs and saves, by negatives."""

    @cache
    def found(negatives):
        out = tmp_path_factory.mktemp(negatives)
        return run(processes, out, few, NEGATIVES[negatives]), load_file(out / "model.safetensors")

    return found


@pytest.mark.parametrize(
    ("negatives", "config"),
    [
        ("own", "fsdp2"),
        ("batch", "ddp"),
        ("passes", "ddp"),
        pytest.param("passes", "fsdp2", marks=pytest.mark.broad),
        pytest.param("own", "ddp", marks=pytest.mark.broad),
        pytest.param("kto", "ddp", marks=pytest.mark.broad),
    ],
)
def test_same_steps(processes, few, tmp_path, single, negatives, config):
    """Two processes take the steps of one."""
    lines, weights = single(negatives)
    parallel = run(processes, tmp_path, few, NEGATIVES[negatives], config=config)

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

    saved = load_file(tmp_path / "model.safetensors")
    assert saved.keys() == weights.keys()

    for name, value in saved.items():
        assert_close(value, weights[name], rtol=1e-3, atol=1e-4)
    if (negatives, config) == ("own", "fsdp2"):  # checkpoints are in shards
        flags = f"--resume_from_checkpoint {tmp_path / 'checkpoint-2'}"
        again = run(processes, tmp_path, few, flags, config)
        assert [line["loss"] for line in again[:3]] == [line["loss"] for line in parallel[:3]]
        for name, value in load_file(tmp_path / "model.safetensors").items():
            assert value.equal(saved[name]), name


ROOM = 60_000  # bytes of a file: less than weights or optimiser have, more than a log


@pytest.mark.parametrize("config", ["ddp", pytest.param("fsdp2", marks=pytest.mark.broad)])
def test_full_disk(processes, few, tmp_path, single, config):
    """Two processes wait together at a full disk.

    The checkpoint at step 2 is lost, the model is not: both wait until there is room.
    """
    run(processes, tmp_path, few, NEGATIVES["own"], config, ROOM)
    printed = "".join(path.read_text() for path in sorted(tmp_path.glob("log*")))

    assert printed.count("checkpoint: warning: none at step 2, training goes on") == 1
    assert printed.count("The weights are kept in memory; make room there") == 1
    assert not list(tmp_path.glob("checkpoint-*"))
    assert not (tmp_path / checkpoints.INCOMPLETE).exists()

    for name, value in load_file(tmp_path / "model.safetensors").items():
        assert_close(value, single("own")[1][name], rtol=1e-3, atol=1e-4)
