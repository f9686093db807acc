"""Two processes, under the engines that the shipped accelerate configs set up, take the steps of one process."""

import json
import os
import socket
from functools import cache

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file

from llm_adapter.arguments.training import HERE

FLAGS = "--use_cpu true --max_steps 3 --logging_steps 1 --warmup_steps 0 --learning_rate 1e-3 --disable_tqdm true"
FLAGS += " --reference_cache none --diagnostics_steps 1 --save_steps 2"
FLAGS += " --save_strategy steps"
NEGATIVES = {"own": "", "batch": "--negatives batch --bound dv"}


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


def command(log, variables, flags):
    os.environ.update(variables)
    torch.set_num_threads(1)
    with open(log, "a", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from llm_adapter import train

    raise SystemExit(train.main(flags))


def run(processes, out, few, flags, config=None):
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
            target=command, args=(str(out / f"log{rank}"), variables, flags.split())
        )
        process.start()
        running.append(process)
    for process in running:
        process.join(200)
    said = "".join(path.read_text() for path in sorted(out.glob("log*")))
    assert [process.exitcode for process in running] == [0] * world, said[-3000:]
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
    [("own", "fsdp2"), ("batch", "ddp"), pytest.param("own", "ddp", marks=pytest.mark.broad)],
)
def test_two_processes_take_the_steps_of_one(processes, few, tmp_path, single, negatives, config):
    lines, weights = single(negatives)
    found = run(processes, tmp_path, few, NEGATIVES[negatives], config=config)
    assert [line["step"] for line in found] == [line["step"] for line in lines] == [1, 2, 3, 3]
    for one, two in zip(lines, found, strict=True):
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
        torch.testing.assert_close(value, weights[name], rtol=1e-3, atol=1e-4)
    if (negatives, config) == ("own", "fsdp2"):  # checkpoints are in shards
        flags = f"--resume_from_checkpoint {tmp_path / 'checkpoint-2'}"
        again = run(processes, tmp_path, few, flags, config)
        assert [line["loss"] for line in again[:3]] == [line["loss"] for line in found[:3]]
        for name, value in load_file(tmp_path / "model.safetensors").items():
            assert value.equal(saved[name]), name
