"""A fitted estimator as a file: its settings, and all that `fit` left. `packing` writes and reads the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from .arguments import OwnCritic
from .inputs import seeded_random_state, torch_device
from .making import make_critic
from .packing import completed, is_complete, read_file, write_file


def write_fit(
    path: Path,
    params: dict[str, Any],
    attributes: dict[str, Any],
) -> None:
    """Write an estimator's settings and those of its attributes that `fit` left: their names end in an underscore.

    A critic that is not of the library is not written, only its state.
    """
    critic = params["critic"] if isinstance(params["critic"], str) else None
    fitted = {name: value for name, value in attributes.items() if name.endswith("_")}
    write_file(path, {"params": params | {"critic": critic}, "fitted": fitted})


def read_fit(
    path: Path, critic: OwnCritic | None, device: str | torch.device | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings and the attributes that were written, the critics whole and on the device.

    Raises:
        ValueError: another file, no such device, or a critic that is missing, differs or is not needed.
        OSError: no such file.
    """
    saved = read_file(path)
    params, fitted = saved["params"], saved["fitted"]
    folds = fitted["folds_"]
    named = params["critic"] is not None
    needed = not named or not all(is_complete(module) for _, module, _ in folds)

    if needed and (critic is None or isinstance(critic, str)):
        raise ValueError(
            f"critic: expected the function or module that {path} was fitted with, got {critic!r}"
        )

    if critic is not None and not needed:
        raise ValueError(f"critic: expected None, since {path} has {params['critic']!r}")

    params |= {"critic": params["critic"] if named else critic}
    params |= {"device": params["device"] if device is None else device}
    place = torch_device(params["device"])
    widths = [len(side.kept) for side in fitted["sides_"]]

    whole = []
    for maps, module, index in folds:
        if critic is not None:
            module = completed(module, _made(critic, maps, widths))
        whole.append(([part.to(place) for part in maps], module.to(place), index))

    return params, fitted | {"folds_": whole}


def _made(
    critic: OwnCritic,
    maps: list[nn.Module],
    widths: list[int],
) -> nn.Module:
    """Make a critic as it was made for `fit`; the global random state does not change."""
    rows = [
        part(torch.zeros(4, width, dtype=torch.float64))
        for part, width in zip(maps, widths, strict=True)
    ]

    with seeded_random_state(torch.device("cpu"), 0):
        module, _ = make_critic(critic, (rows[0], rows[1]), hidden=1)
    return module
