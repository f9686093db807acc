"""What a benchmark needs: the packages of an extra, and a peer's own virtual environment, made once from its pins."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from mi_estimators.extras import absent


def require(extra: str, command: str) -> None:
    """End the command with one line where the packages of an extra are not installed."""
    if message := absent(extra):
        raise SystemExit(f"{command}: {message}")


def python_of(folder: Path) -> str:
    """Return the interpreter of the environment in `folder`."""
    return str(folder / "bin" / "python")


def prepare(folder: Path, pins: Path, python: str) -> str | None:
    """Make the environment if it is missing or its pins changed; return what went wrong, in one line."""
    digest, ready = hashlib.sha256(pins.read_bytes()).hexdigest(), folder / "ready"
    if ready.exists() and ready.read_text() == digest:
        return None

    print(f"{folder.name}: installing {pins.name} into an environment of its own ...", flush=True)
    log = folder.with_suffix(".log")
    log.parent.mkdir(exist_ok=True)

    with log.open("w") as file:
        for command in (
            [python, "-m", "venv", "--clear", str(folder)],
            [
                python_of(folder),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--requirement",
                str(pins),
            ],
        ):
            try:
                code = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
            except OSError as error:
                return f"could not run {command[0]}: {error.strerror}"
            if code:
                return f"could not be installed (exit status {code}), see {log}"

    ready.write_text(digest)
    return None
