"""What the commands share: their exit status, and the shell command that repeats a run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def run_command(command: str, body: Callable[[list[str]], None], argv: Sequence[str] | None) -> int:
    """Call `body(argv)`; return 0, or 2 after an error in one line, or 130 after Ctrl-C."""
    try:
        body(sys.argv[1:] if argv is None else list(argv))
    except (ValueError, ImportError, OSError) as error:  # wrong, not installed, not there
        complain(command, error)
        return 2
    except KeyboardInterrupt:
        print(f"\n{command}: stopped; the same command continues from here", file=sys.stderr)
        return 130

    return 0


def complain(command: str, error: BaseException | str, kind: str = "error") -> None:
    """Print an error on one line; one of a package that is not installed says which extra brings it."""
    if isinstance(error, ModuleNotFoundError):
        from mi_estimators.extras import absent

        error = absent("llm") or error
    print(f"{command}: {kind}:", " ".join(str(error).split()), file=sys.stderr)


def command_line(module: str, argv: Sequence[str]) -> str:
    """Return the shell command that runs `module` with `argv`, with its launcher where one started this process.

    A launcher (accelerate launch, torchrun) is a Python whose own command ends with the module and its flags.
    """
    import psutil

    own = [module, *argv]
    try:
        parent = psutil.Process().parent()
        above = parent.cmdline() if parent else []
    except psutil.Error:  # a process that we may not look at
        above = []

    if above[-len(own) :] != own or not Path(above[0]).name.startswith("python"):
        return shlex.join(["python", "-m", *own])

    _, script, *flags = above
    launcher = ["python", script] if script.startswith("-") else [Path(script).name]
    return shlex.join([*launcher, *flags])
