"""The API pages: a page a namespace, made of signatures and docstrings, and a page of the commands' --help."""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import mi_estimators as mi

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Raises": "Raises",
}
COMMANDS = (
    "mi_estimators",
    "toy",
    "proofs",
    "proofs.kernel",
    *(f"llm_adapter.{name}" for name in ("train", "online", "pairs", "evaluate", "plan", "report")),
)
HEAD = re.compile(r"(Args|Attributes|Returns|Raises)(, after `fit`)?:$")
ENTRY = re.compile(r"([\w*][\w*, ]*): (.*)")


@cache
def homes() -> dict[str, str]:
    """Return the full name of every public name, under its short names: `dv`, `mi.dv`, `bounds.club`."""
    names: dict[str, str] = {}
    for name in mi.__all__:
        if name not in rooms():
            names[name] = names[f"mi.{name}"] = f"mi.{name}"

    for room in rooms():
        for name in getattr(mi, room).__all__:
            home = names.get(f"mi.{name}", f"mi.{room}.{name}")
            names[f"mi.{room}.{name}"] = names[f"{room}.{name}"] = home
            names.setdefault(name, home)
    return names


@cache
def rooms() -> list[str]:
    """Return the public namespaces."""
    return [name for name in mi.__all__ if isinstance(getattr(mi, name), ModuleType)]


@cache
def chapters() -> dict[str, str]:
    """Return the chapter of every theorem, by its name."""
    return {path.stem: path.parent.name for path in ROOT.glob("proofs/theorems/*/[a-z]*.py")}


def pages() -> dict[str, str]:
    """Return the API pages as Markdown, by file name."""
    flat = [name for name in mi.__all__ if name not in rooms()]
    written = {"index.md": _page("API", mi, flat, rooms())}
    for room in rooms():
        module = getattr(mi, room)
        own = [name for name in module.__all__ if homes()[f"mi.{room}.{name}"].count(".") == 2]
        written[f"{room}.md"] = _page(f"mi.{room}", module, own, [])
    written["commands.md"] = _commands()
    return written


def usage(command: str, flag: str = "--help") -> str:
    """Return what `python -m COMMAND --help` prints, at 80 columns."""
    words = [sys.executable, "-m", *command.split(), flag]
    environment = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def _commands() -> str:
    parts = ["# Commands", "What each command says of itself under `--help`."]
    parts += [f"## {command}\n\n```text\n{usage(command)}```" for command in COMMANDS]
    return "\n\n".join(parts) + "\n"


def _page(title: str, module: ModuleType, names: list[str], below: list[str]) -> str:
    lines = [f"# {title}", "", *markdown(inspect.getdoc(module) or "")]
    if below:
        lines += ["", "```python", "import mi_estimators as mi", "```", ""]
        lines += ["```{toctree}", ":maxdepth: 1", "", *below, "```"]
    for name in names:
        home = homes()[name] if module is mi else f"mi.{module.__name__.split('.')[1]}.{name}"
        lines += ["", f"## {name}", "", *_entry(home, getattr(module, name))]
    return "\n".join(lines) + "\n"


def _entry(home: str, item: object) -> list[str]:
    if inspect.isclass(item):
        members = [
            line
            for name, member in vars(item).items()
            if not name.startswith("_") and (text := _member(member)) is not None
            for line in ["", *_directive(_kind(member), name + _signature(member), text, 3)]
        ]
        text = [*markdown(inspect.getdoc(item) or ""), *members]
        return _directive("class", home + _signature(item), text, 4)
    if inspect.isroutine(item):
        return _directive(
            "function", home + _signature(item), markdown(inspect.getdoc(item) or ""), 3
        )
    return _directive("data", home, markdown(documented(home.rpartition(".")[2])), 3)


def _member(member: object) -> list[str] | None:
    """Return the docstring of a method or a property, or None where it is neither or has none."""
    function = member.fget if isinstance(member, property) else member
    if isinstance(function, classmethod | staticmethod):
        function = function.__func__
    if not inspect.isfunction(function) or not function.__doc__:
        return None
    return markdown(inspect.cleandoc(function.__doc__))


def _kind(member: object) -> str:
    return "property" if isinstance(member, property) else "method"


def _signature(item: object) -> str:
    """Return the arguments with their defaults; docstrings give types, shapes and units."""
    if isinstance(item, property):
        return ""
    function = item.__func__ if isinstance(item, classmethod | staticmethod) else item
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    parameters = [
        p.replace(annotation=p.empty, default=p.default if _plain(p.default) else "...")
        for name, p in signature.parameters.items()
        if name not in ("self", "cls")
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def _plain(value: object) -> bool:
    return value is inspect.Parameter.empty or isinstance(value, str | int | float | bool | None)


def _directive(kind: str, head: str, text: list[str], ticks: int) -> list[str]:
    fence = ":" * ticks
    return [f"{fence}{{py:{kind}}} {head}", "", *text, fence]


@cache
def constants() -> dict[str, str]:
    """Return the docstring under each assignment of the library, by name."""
    texts: dict[str, str] = {}
    for info in pkgutil.walk_packages(mi.__path__, f"{mi.__name__}."):
        file = import_module(info.name).__file__
        body = ast.parse(Path(str(file)).read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                for target in targets:
                    if isinstance(target, ast.Name):
                        texts.setdefault(target.id, str(after.value.value))
    return texts


def documented(name: str) -> str:
    """Return the docstring of a constant."""
    return inspect.cleandoc(constants().get(name, ""))


def markdown(text: str) -> list[str]:
    """Return a docstring as Markdown: its sections as lists, its examples and equations as code."""
    written: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        written += [*_block(block.splitlines()), ""]
    return written


def _block(lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    if lines[0].startswith(">>>"):
        yield from ["```pycon", *lines, "```"]
    elif lines[0].startswith("|"):
        yield from (_table_row(line) for line in lines)
    elif head := HEAD.match(lines[0]):
        yield from _section(head[1], inspect.cleandoc("\n" + "\n".join(lines[1:])).splitlines())
    else:
        yield from _paragraphs(lines)


def _table_row(line: str) -> str:
    return "|".join(_prose(cell) for cell in line.split("|"))


def _section(name: str, lines: list[str]) -> Iterator[str]:
    yield from [f"**{SECTIONS[name]}**", ""]
    entries: list[list[str]] = []
    for line in lines:
        if line.startswith(" ") and entries:
            entries[-1].append(line.strip())
        elif ENTRY.match(line) or name not in ("Args", "Attributes"):
            if name == "Returns" and entries:
                entries[-1].append(line)
            else:
                entries.append([line])
        else:
            entries.append([line])
    for entry in entries:
        match = ENTRY.match(" ".join(entry)) if name != "Returns" else None
        names = ", ".join(f"`{word}`" for word in match[1].split(", ")) if match else ""
        yield f"* {names}: {_prose(match[2])}" if match else f"* {_prose(' '.join(entry))}"


def _paragraphs(lines: list[str]) -> Iterator[str]:
    reference = False
    equation = False
    for line in lines:
        indented = line.startswith("    ") and not reference
        if indented != equation:
            yield from (["", "```text"] if indented else ["```", ""])
        equation = indented
        reference = reference or line.startswith("Reference:")
        if theorem := re.match(r"Theorem: ([a-z0-9_, ]+)\.?$", line):
            yield from ("", f"**Theorem** {', '.join(map(_theorem, theorem[1].split(', ')))}.", "")
        elif equation:
            yield line[4:]
        else:
            yield re.sub(r"^Reference:", "**Reference**", _prose(line.strip()))
    if equation:
        yield "```"


def _theorem(slug: str) -> str:
    return f"[`{slug}`](/theorems/{chapters()[slug]}/{slug}.md)" if slug in chapters() else slug


def _prose(text: str) -> str:
    """Return prose with its names linked and all signs but those of code taken as they are."""
    pieces = re.split(r"(`+[^`]+`+)", text)
    return "".join(_code(p) if k % 2 else _escaped(p) for k, p in enumerate(pieces))


def _code(piece: str) -> str:
    if piece.strip("`") in rooms():
        return f"[{piece}](/api/{piece.strip('`')}.md)"
    home = homes().get(piece.strip("`").removesuffix("()"))
    return f"{{py:obj}}`{piece.strip('`')} <{home}>`" if home else piece


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]<>~$])", r"\\\1", text)
