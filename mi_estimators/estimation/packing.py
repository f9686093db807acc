"""Values as one file without pickle: numbers as arrays, all else as JSON, in numpy's npz format.

A module of the library is stored as the name of its class, its plain attributes, its tensors and its children. It is
rebuilt from them without its constructor, which may need training rows. So a new critic, anchor or transform needs no
line here. Of anyone else's module only the state is stored, and `completed` puts it into a module made anew.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..display.files import whole_file
from .table import ESTIMATORS, Estimator

_HEADER = "header"
_FORMAT = "mi-estimators: a fitted estimator, version 1"
_KNOWN = ("mi_estimators.", "torch.nn.modules.")
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


class Missing(nn.Module):
    """The place of a module that is not of the library, with its state.

    Attributes:
        kind: name of its class.
        state: its `state_dict`.
    """

    def __init__(self, kind: str, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.kind, self.state = kind, state


def write_file(path: Path, value: Any) -> None:
    """Write plain data, tensors, arrays, modules and dataclasses of the library to a file that is whole or absent.

    Raises:
        ValueError: a value that holds anything else.
    """
    arrays: list[np.ndarray] = []
    header = json.dumps({"format": _FORMAT, "value": _packed(value, arrays)})
    named = {str(k): array for k, array in enumerate(arrays)}
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, **{_HEADER: np.array(header)}, **named)


def read_file(path: Path) -> Any:
    """Read what `write_file` wrote; a module that is not of the library is `Missing`.

    Raises:
        ValueError: another file, or one that was cut short.
        OSError: no such file, or one that cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                header = json.loads(str(archive[_HEADER]))
                if header["format"] != _FORMAT:
                    raise ValueError(f"its format is {header['format']!r}")
                return _unpacked(header["value"], lambda key: archive[key])
        except (ValueError, TypeError, LookupError, AttributeError, EOFError, ImportError) as error:
            cause = error
        except zipfile.BadZipFile as error:
            cause = error

    raise ValueError(f"path: expected a file that MIEstimator.save wrote, got {path} ({cause})")


def is_complete(module: nn.Module) -> bool:
    """Tell whether nothing of a module that was read is `Missing`."""
    return not any(isinstance(part, Missing) for part in module.modules())


def completed(module: nn.Module, made: nn.Module) -> nn.Module:
    """Return a module that was read, with the parts of `made` that are not of the library in its missing places.

    Raises:
        ValueError: parts of another number, class or shape than those that were saved.
    """
    if is_complete(module):
        return module  # the network was not kept

    parts = _foreign(made)
    whole = _filled(module, parts)
    if any(True for _ in parts):
        raise ValueError("critic: expected the critic that was saved, got one with more parts")

    return whole.eval()


def _filled(module: nn.Module, parts: Iterator[nn.Module]) -> nn.Module:
    if not isinstance(module, Missing):
        for name, child in module.named_children():
            setattr(module, name, _filled(child, parts))
        return module

    part = next(parts, None)
    name = "one without it" if part is None else type(part).__qualname__
    try:
        if part is None or name != module.kind:
            raise RuntimeError("another class")
        part.load_state_dict(module.state)
    except RuntimeError as error:
        raise ValueError(
            f"critic: expected what made the {module.kind} that was saved, got {name}: {error}"
        ) from None

    return part


def _foreign(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules that are not of the library."""
    if not _is_known(type(module)):
        yield module
        return
    for child in module.children():
        yield from _foreign(child)


def _is_known(kind: type) -> bool:
    home = kind.__module__
    return (
        home.startswith(_KNOWN)
        and getattr(importlib.import_module(home), kind.__name__, None) is kind
    )


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return a value as JSON; its arrays are appended, and stand there by their number."""

    def stored(array: np.ndarray) -> str:
        if array.dtype.kind == "O":
            raise ValueError("save: expected arrays of numbers or text, got an array of objects")
        arrays.append(array)
        return str(len(arrays) - 1)

    def fields(items: dict[str, Any]) -> dict[str, Any]:
        return {name: _packed(item, arrays) for name, item in items.items()}

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        items = [_packed(item, arrays) for item in cast("list[Any] | tuple[Any, ...]", value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        return {"dict": fields(cast("dict[str, Any]", value))}
    if isinstance(value, Tensor):
        return {"tensor": stored(value.detach().cpu().numpy())}
    if isinstance(value, np.generic):
        return _packed(cast(Any, value).item(), arrays)
    if isinstance(value, np.ndarray):
        return {"array": stored(cast(Any, value))}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, Estimator) and ESTIMATORS.get(value.name) is value:
        return {"estimator": value.name}

    kind = type(value)
    name = f"{kind.__module__}.{kind.__name__}"
    if isinstance(value, nn.Module):
        if not _is_known(kind):
            return {"missing": kind.__qualname__, "state": fields(value.state_dict())}

        attributes = vars(value)
        own = {key: item for key, item in attributes.items() if key not in _OF_EVERY_MODULE}
        return {
            "module": name,
            "attributes": fields(own),
            "parameters": fields(attributes["_parameters"]),
            "buffers": fields(attributes["_buffers"]),
            "modules": fields(attributes["_modules"]),
        }

    if dataclasses.is_dataclass(value) and _is_known(kind):
        names = [field.name for field in dataclasses.fields(value)]
        items = {name: getattr(value, name) for name in names}
        return {"dataclass": name, "fields": fields(items)}

    raise ValueError(f"save: expected values that a file can hold, got {kind.__name__}")


def _unpacked(value: Any, array: Callable[[str], np.ndarray]) -> Any:
    """Return the value that `_packed` made JSON of."""

    def fields(items: dict[str, Any]) -> dict[str, Any]:
        return {name: _unpacked(item, array) for name, item in items.items()}

    match value:
        case list():
            return [_unpacked(item, array) for item in cast("list[Any]", value)]
        case {"tuple": items}:
            return tuple(_unpacked(item, array) for item in items)
        case {"dict": items}:
            return fields(items)
        case {"tensor": key}:
            return torch.from_numpy(array(key))
        case {"array": key}:
            return array(key)
        case {"device": name}:
            return torch.device(name)
        case {"estimator": name}:
            return ESTIMATORS[name]
        case {"missing": kind, "state": state}:
            return Missing(kind, fields(state))
        case {"dataclass": name, "fields": items}:
            return _class(name, object)(**fields(items))
        case {"module": name, **parts}:
            return _module(
                _class(name, nn.Module), {key: fields(part) for key, part in parts.items()}
            )
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise ValueError(f"unknown content {value!r}")


def _module(
    kind: type[nn.Module],
    parts: dict[str, dict[str, Any]],
) -> nn.Module:
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    vars(module).update(parts["attributes"])

    for name, tensor in parts["parameters"].items():
        gradient = tensor is not None and tensor.is_floating_point()
        module.register_parameter(name, None if tensor is None else nn.Parameter(tensor, gradient))

    for name, tensor in parts["buffers"].items():
        module.register_buffer(name, tensor)
    for name, child in parts["modules"].items():
        module.add_module(name, child)

    return module.eval()


def _class(name: str, base: type) -> Any:
    """Return a class of the library by its full name."""
    home, _, kind = name.rpartition(".")
    if not home.startswith(_KNOWN):
        raise ValueError(f"{name} is not of the library")

    named = getattr(importlib.import_module(home), kind)
    if not (isinstance(named, type) and _is_known(named) and issubclass(named, base)):
        raise ValueError(f"{name} is no class of the library")
    if base is object and not dataclasses.is_dataclass(named):
        raise ValueError(f"{name} is no dataclass")

    return named
