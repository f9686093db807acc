"""Flags of the commands: one for each field of a dataclass, and one line on what a user got wrong."""

from __future__ import annotations

import difflib
import json
import math
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A condition on one value, and what was expected where it does not hold."""

    expected: str
    holds: Callable[[Any], bool]


COUNT = Rule("an integer ≥ 1", lambda value: value >= 1)
COUNT_OR_NONE = Rule("an integer ≥ 0", lambda value: value >= 0)
JSON_OBJECT = Rule("a JSON object", lambda value: _is_json_object(value))
POSITIVE = Rule("a finite number > 0", lambda value: 0 < value < math.inf)
SHARE = Rule("a number in [0, 1]", lambda value: 0 <= value <= 1)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


@dataclass(frozen=True)
class Flag:
    """One flag.

    `kind` is a key of `KINDS`; a bool or a switch may stand without a value, which means true. `shown` is what --help
    shows for the default where the value itself says little. A flag with `several` takes one value or more.
    """

    name: str
    kind: str = "str"
    default: Any = None
    help: str = ""
    choices: Sequence[str] = ()
    rule: Rule | None = None
    shown: str = ""
    several: bool = False


def flag(default: Any, help: str, **options: Any) -> Any:
    """Return a dataclass field that is a flag; without a default (MISSING) it is required.

    Args:
        default: the field's default.
        help: one or two sentences.
        options: `choices`, `rule` and `shown` of `Flag`.
    """
    return field(default=default, metadata={"help": help, **options})


def flag_of(kind: type, name: str, default: Any = MISSING) -> Any:
    """Return a dataclass field that is the flag `name` of another dataclass: its help, its rule, and its default."""
    (entry,) = (entry for entry in fields(kind) if entry.name == name)
    default = entry.default if default is MISSING else default
    return field(default=default, metadata=entry.metadata)


def flags_of(kind: type) -> list[Flag]:
    """Return the flags of a dataclass whose annotations are strings, such as "int | None" or "tuple[int, ...]"."""
    flags = []
    for entry in fields(kind):
        if not entry.metadata:
            continue
        annotation = str(entry.type)
        (value_kind,) = re.findall(r"^(?:tuple\[)?(\w+)", annotation)
        several = annotation.startswith("tuple[")
        flags.append(Flag(entry.name, value_kind, entry.default, several=several, **entry.metadata))

    return flags


def groups_of(kind: type) -> dict[str, list[Flag]]:
    """Return the flags of a dataclass by heading: a class in its ancestry, named by its docstring up to the colon."""
    flags = {entry.name: entry for entry in flags_of(kind)}
    groups = {}
    for base in filter(is_dataclass, reversed(kind.__mro__)):
        names = [entry.name for entry in fields(base) if entry.name in flags]
        if names:
            heading = (base.__doc__ or "").split(":")[0].lower()
            groups[heading] = [flags.pop(name) for name in names]

    return groups


def require(values: Any, *conditions: tuple[str, bool, str]) -> None:
    """Raise a ValueError for the first (field, condition, what was expected) whose condition does not hold."""
    for name, holds, expected in conditions:
        if not holds:
            value = getattr(values, name)
            raise ValueError(
                f"{name}: expected {expected}, got {'none' if value in (None, '') else value}"
            )


def check_fields(values: Any, kind: type) -> None:
    """Check each field of `values` that is a flag of `kind` by its choices and its rule.

    Raises:
        ValueError: the first value that is not legal, named with what was expected.
    """
    for entry in flags_of(kind):
        value = getattr(values, entry.name)
        if value is None and entry.default is None:
            continue
        choices, rule = entry.choices, entry.rule
        if choices:
            require(values, (entry.name, value in choices, f"one of {', '.join(choices)}"))
        if rule:
            require(values, (entry.name, rule.holds(value), rule.expected))


def _truth(text: str) -> bool:
    words = {True: ("true", "t", "yes", "y", "1"), False: ("false", "f", "no", "n", "0")}
    for value, synonyms in words.items():
        if text.lower() in synonyms:
            return value
    raise ValueError(text)


KINDS: dict[str, tuple[Callable[[str], Any], str, str]] = {  # reader, placeholder, in words
    "str": (str, "TEXT", "text"),
    "int": (int, "N", "an integer"),
    "float": (float, "X", "a number"),
    "Mix": (lambda text: text if text == "auto" else float(text), "X|auto", "a number or auto"),
    "bool": (_truth, "true|false", "true or false"),
    "switch": (lambda text: text.lower() == "true" or text, "true|TEXT", "true or text"),
}


def _reader(kind: str) -> Callable[[str], Any]:
    """Return the function that reads a value of this kind from the command line."""
    read, _, words = KINDS[kind]

    def value(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            raise ArgumentTypeError(f"expected {words}, got {text}") from None

    return value


class Parser(ArgumentParser):
    """Read the flags that a user gave; raise a ValueError where argparse would exit."""

    def __init__(self, command: str, groups: Mapping[str, Iterable[Flag]], **options: Any) -> None:
        """Make the parser of `python -m COMMAND`; `groups` maps headings of --help to flags; those of "" come first."""
        super().__init__(
            prog=f"python -m {command}",
            add_help=False,
            allow_abbrev=False,
            argument_default=SUPPRESS,
            formatter_class=lambda prog: RawDescriptionHelpFormatter(prog, max_help_position=28),
            **options,
        )

        self.names: list[str] = []
        self._required: list[str] = []
        self.add_argument("-h", "--help", action="help", help="Show this help.")

        for heading, flags in groups.items():
            group = self.add_argument_group(heading) if heading else self
            for entry in flags:
                self._add(group, entry)

    def _add(self, group: Any, entry: Flag) -> None:
        """Add a flag; for one that is true, --no_NAME, too."""
        self.names.append(entry.name)
        if entry.default is MISSING:
            self._required.append(entry.name)

        choices = "{" + ",".join(entry.choices) + "}"
        options: dict[str, Any] = {
            "type": _reader(entry.kind),
            "metavar": choices if 2 < len(choices) < 40 else KINDS[entry.kind][1],
            "help": _described(entry),
        }

        if entry.several:
            options["nargs"] = "+"
        if entry.kind in ("bool", "switch"):
            options |= {"nargs": "?", "const": True}

        group.add_argument(f"--{entry.name}", **options)
        if entry.default is True:
            name = f"--no_{entry.name}"
            group.add_argument(name, dest=entry.name, action="store_false", help=SUPPRESS)

    def error(self, message: str):
        """Raise what argparse has to say, in the form of our own errors."""
        message = re.sub(r"^(argument --|the following arguments are required: )", "", message)
        if ": " not in message:
            message += ": expected a value, got none"
        raise ValueError(re.sub(r"expected .*one argument$", "expected a value, got none", message))

    def read(self, argv: Sequence[str]) -> dict[str, Any]:
        """Return the values that the flags give, without the defaults; --a-b is read as --a_b.

        Raises:
            ValueError: an unknown flag, with the nearest known one; a missing one; a value of the wrong type.
        """
        values, unknown = self.parse_known_args([_underscored(text) for text in argv])
        if unknown:
            raise ValueError(
                f"{unknown[0]}: expected a known flag, got this one{self.nearest(unknown[0])}"
            )

        for name in self._required:
            if name not in values:
                raise ValueError(f"{name}: expected a value (--{name} …), got none")

        return vars(values)

    def nearest(self, name: str) -> str:
        """Return " (did you mean …?)" for the flag whose name is nearest, or nothing."""
        plain = name.lstrip("-").split("=")[0].replace("-", "_")
        close = difflib.get_close_matches(plain, self.names, n=1)
        return f" (did you mean {close[0]}?)" if close else ""


def _underscored(text: str) -> str:
    """Return a flag with underscores for the dashes in its name; anything else as it is."""
    name, equals, value = text.removeprefix("--").partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}" if text.startswith("--") else text


def _described(entry: Flag) -> str:
    """Return the help with its default, in argparse's notation: % is written twice."""
    if not entry.help:
        return SUPPRESS

    default = entry.shown or entry.default
    if default is None or default is MISSING or default is False or default == ():
        return entry.help.replace("%", "%%")

    words = "true" if default is True else default
    return f"{entry.help} (default: {words})".replace("%", "%%")
