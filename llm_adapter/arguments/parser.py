"""Flags of the commands: one for each field of a dataclass, and one line on what a user got wrong."""

from __future__ import annotations

import difflib
import shlex
from argparse import SUPPRESS, Action, ArgumentDefaultsHelpFormatter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import psutil
from transformers import HfArgumentParser
from transformers.hf_argparser import DataClassType


def about(text: str) -> dict[str, str]:
    """Return the metadata of a field that is a flag: its help."""
    return {"help": text}


def command_line(module: str, argv: Sequence[str]) -> str:
    """Return the shell command that runs `module` with `argv`: a launcher's whole one, where one started this process.

    A launcher (accelerate launch, torchrun) is a Python whose own command ends with the module and its flags.
    """
    own = [module, *argv]
    try:
        parent = psutil.Process().parent()
        above = parent.cmdline() if parent else []
    except psutil.Error:  # one that may not be looked at
        above = []
    if above[-len(own) :] != own or not Path(above[0]).name.startswith("python"):
        return shlex.join(["python", "-m", *own])
    _, script, *flags = above
    return shlex.join(
        [*(["python", script] if script.startswith("-") else [Path(script).name]), *flags]
    )


class _Help(ArgumentDefaultsHelpFormatter):
    """Show each flag once, without its twin of dashes, and its default unless its help says it or there is none."""

    def _format_action_invocation(self, action: Action) -> str:
        values = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{action.option_strings[0]} {values}".rstrip()

    def _get_help_string(self, action: Action) -> str | None:
        said = "(default" in (action.help or "") or action.default in (None, "")
        return action.help if said else super()._get_help_string(action)


class Parser(HfArgumentParser):
    """Transformers' parser of a dataclass; it raises a ValueError where argparse would exit."""

    def __init__(self, kind: type, command: str, **options) -> None:
        options = {"formatter_class": _Help} | options
        super().__init__(
            DataClassType(kind), allow_abbrev=False, prog=f"python -m {command}", **options
        )
        self._names = [entry.name for entry in fields(kind) if entry.init]
        for action in self._actions:
            if action.option_strings[0].startswith("--no_"):
                action.help = SUPPRESS  # of a flag that is true: its help says the opposite

    def error(self, message: str):
        """Raise what argparse found."""
        raise ValueError(message)

    def read(self, argv: Sequence[str]):
        """Return the dataclass that the flags give.

        Raises:
            ValueError: an unknown flag, with the nearest known one; a missing one; a value of the wrong type.
        """
        found, *_, unknown = self.parse_args_into_dataclasses(
            list(argv), look_for_args_file=False, return_remaining_strings=True
        )
        if unknown:
            raise ValueError(
                f"{unknown[0]}: expected a known flag, got this one{self.nearest(unknown[0])}"
            )
        return found

    def nearest(self, name: str) -> str:
        """Return " (did you mean …?)" for the field whose name is nearest to a flag or key, or nothing."""
        close = difflib.get_close_matches(
            name.lstrip("-").split("=")[0].replace("-", "_"), self._names, n=1
        )
        return f" (did you mean {close[0]}?)" if close else ""
