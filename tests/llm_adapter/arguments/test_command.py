"""The shell command that repeats a run."""

import shlex
from types import SimpleNamespace

import psutil
import pytest

from llm_adapter.arguments.command import command_line

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
def test_launcher(monkeypatch, above, said):
    """The command is the launcher's where one started the process."""
    monkeypatch.setattr(
        psutil.Process, "parent", lambda self: SimpleNamespace(cmdline=lambda: shlex.split(above))
    )
    assert command_line("llm_adapter.train", ["--seed", "1"]) == said
