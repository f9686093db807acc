"""Packages that only some rooms need: which extra or dependency group brings them, and an error that says so."""

from importlib.util import find_spec

MODULES = {
    "plot": ("matplotlib",),
    "llm": ("transformers", "accelerate", "gguf", "yaml", "matplotlib"),
    "lora": ("peft",),
    "bf16": ("optimi", "torchao"),
    "hub": ("datasets", "pyarrow"),
    "tasks": ("reasoning_gym",),
    "lab": ("matplotlib",),
    "proofs": ("sympy", "flint", "hypothesis"),
}
"""Extra of the package, or group of a clone, to the modules that it brings."""

GROUPS = ("lab", "proofs")
"""Those that a clone alone has: `pip install --group NAME`."""


def need(extra: str) -> None:
    """Check that the packages of an extra or a group are installed; none of them is imported.

    Args:
        extra: a key of `MODULES`.

    Raises:
        ImportError: one line that names the modules that are missing, and the command that installs them.
    """
    if message := absent(extra):
        raise ImportError(message)


def absent(extra: str) -> str:
    """Return which modules of an extra are not installed and what installs them, or nothing if all are there."""
    missing = [name for name in MODULES[extra] if find_spec(name) is None]
    return f"{', '.join(missing)}: not installed; run {install(extra)}" if missing else ""


def install(extra: str) -> str:
    """Return the command that installs an extra or a group.

    >>> install("lora"), install("lab")
    ("pip install 'mi-estimators[lora]'", 'pip install --group lab')
    """
    return (
        f"pip install --group {extra}"
        if extra in GROUPS
        else f"pip install 'mi-estimators[{extra}]'"
    )
