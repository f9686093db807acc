"""Marks and settings that the tests of the adapter share."""

import socket
from importlib.util import find_spec

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from llm_adapter.arguments.training import HERE


def needs(package):
    missing = find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs the optional package {package}")


def launched(config):
    """Return what `accelerate launch` hands to each of two processes of this machine.

    Args:
        config: the name of a shipped config, and flags that override it.
    """
    name, *flags = config.split()
    path = str(HERE / "configs" / "accelerate" / f"{name}.yaml")
    flags = ["--config_file", path, "--num_processes", "2", *flags, "-m", "llm_adapter.train"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(flags))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    variables = prepare_multi_gpu_env(arguments)
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [variables | {"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
