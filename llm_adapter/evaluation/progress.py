"""Where a run of rounds stands on the disk: a journal with a line a round, and a checkpoint to go on from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mi_estimators.display import whole_file


class Progress:
    """The journal and the checkpoint of a run.

    Args:
        out: the file of the run's results; both lie beside it.
        settings: a hash of what decides the course of the run.

    Raises:
        ValueError: they are of another run, damaged, or not of the same rounds.
    """

    def __init__(self, out: Path, settings: str) -> None:
        self.journal = out.with_suffix(".journal.jsonl")
        self.state = out.with_suffix(".state.pt")
        self.settings = settings
        self._check()

    def _check(self) -> None:
        lines = self._lines()
        if lines and not lines[0].startswith(f'{{"run": "{self.settings}"'.encode()):
            raise self._of_another_run(self.journal)
        if not self.state.exists():
            return

        state = self._load(mmap=True)
        if state.get("settings") != self.settings:
            raise self._of_another_run(self.state)
        if len(lines) < state["rounds"]:
            raise ValueError(
                f"out: expected a journal of {state['rounds']} rounds beside {self.state}, got "
                f"{len(lines)} (choose another out, or remove both)"
            )

    def _of_another_run(self, path: Path) -> ValueError:
        return ValueError(
            "out: expected a run of the same weights, questions and settings, under the same tokenizer "
            f"and template, got another one in {path} (choose another out; or remove {self.journal} "
            f"and {self.state})"
        )

    def _lines(self) -> list[bytes]:
        """Return the whole lines of the journal."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_bytes().splitlines(keepends=True)
        return [line for line in lines if line.endswith(b"\n")]

    def _load(self, **options: Any) -> dict[str, Any]:
        try:
            return torch.load(self.state, weights_only=True, **options)
        except Exception as error:  # a damaged file makes torch, pickle, … raise many classes
            raise ValueError(
                f"out: expected a checkpoint of rounds, got {self.state} ({error}; remove it, or "
                "choose another out)"
            ) from None

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
    ) -> list[dict[str, Any]]:
        """Take over the checkpoint, cut the journal after its rounds, and return their lines."""
        lines, done = self._lines(), 0
        if self.state.exists():
            state = self._load(map_location=device)
            done = state["rounds"]
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])

        if self.journal.exists():
            os.truncate(self.journal, sum(map(len, lines[:done])))

        return [json.loads(line) for line in lines[:done]]

    def save(
        self, lines: Sequence[dict[str, Any]], model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Write the checkpoint of these rounds, whole or not at all."""
        state = {
            "settings": self.settings,
            "rounds": len(lines),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }

        with whole_file(self.state) as file:
            torch.save(state, file)
