"""Outputs: a command replaces what it wrote itself, and neither a file of another origin nor one that it reads."""

import json
import shutil

import pytest

from llm_adapter import evaluate, models, online, pairs, report
from llm_adapter.arguments.outputs import (
    DROPPED,
    QUESTIONS,
    ROUNDS,
    begins_as,
    beside,
    is_page,
    results_of,
)
from llm_adapter.training import run as training
from tests.llm_adapter.shared import needs

TASK = "--task products --count 2 --max_new_tokens 2 --disable_tqdm"
OUTPUTS = {  # command → its flags, and all that it writes
    pairs: ("", "a.jsonl a.journal.jsonl a.stats.json"),
    evaluate: ("", "a.json a.greedy.journal.jsonl a.sampled.journal.jsonl a.dropped.jsonl"),
    online: (
        "--rounds 1 --prompts 2 --eval_count 2 --eval_samples 2 --save_model",
        "a.json a.journal.jsonl a.before.jsonl a.after.jsonl a.state.pt a.model",
    ),
}
TAKEN = [(command, name) for command, (_, names) in OUTPUTS.items() for name in names.split()]
TASKS = needs("reasoning_gym")


@pytest.fixture
def unloaded(monkeypatch):
    """Fail where anything is loaded."""

    def load(*_, **__):
        raise AssertionError("loaded before the outputs were checked")

    monkeypatch.setattr(models, "load_tokenizer", load)
    monkeypatch.setattr(training, "load_tokenizer", load)


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, status, argument):
    error = capsys.readouterr().err
    assert (status, error.count("\n")) == (2, 1), error
    assert f"error: {argument}: expected a " in error
    assert f"another {argument})" in error
    return error


@TASKS
@pytest.mark.parametrize(
    ("command", "name"), TAKEN, ids=lambda value: getattr(value, "COMMAND", value)
)
@pytest.mark.parametrize("text", ["mine\n", '{"run": "mine", "question": "?"}\n', '{"a": 1}'])
def test_foreign_file(tmp_path, capsys, unloaded, command, name, text):
    """A file that the command did not write is left alone, whichever of its outputs it is."""
    flags, names = OUTPUTS[command]
    (tmp_path / name).write_text(text)
    before = content(tmp_path)
    argv = f"--out {tmp_path / names.split()[0]} {TASK} {flags}".split()

    assert str(tmp_path / name) in refused(capsys, command.main(argv), "out")
    assert content(tmp_path) == before


@TASKS
@pytest.mark.parametrize("command", OUTPUTS, ids=lambda command: command.COMMAND)
def test_same_command(tmp_path, command):
    """The same command replaces what it wrote, and leaves the same files."""
    flags, names = OUTPUTS[command]
    argv = f"--out {tmp_path / names.split()[0]} {TASK} {flags}".split()
    assert command.main(argv) == 0

    before = content(tmp_path)
    assert command.main(argv) == 0
    after = content(tmp_path)

    assert after.keys() == before.keys()
    assert [path.name for path in after if after[path] != before[path]] in ([], ["a.state.pt"])


@TASKS
@pytest.mark.parametrize(
    ("command", "flags", "name"),
    [
        (online, "--model a.model --out a.json", "model"),
        (online, "--chat_template a.model/chat_template.jinja --out a.json", "chat_template"),
        (online, "--model adapter --out a.json", "model"),
        (evaluate, "--model a.model --out a.model/config.json", "model"),
        (evaluate, "--pairs a.dropped.jsonl --out a.json", "pairs"),
        (evaluate, "--pairs . --out a.json", "pairs"),
        (evaluate, "--train_data a.greedy.journal.jsonl --out a.json", "train_data"),
        (pairs, "--chat_template a.jsonl --out a.jsonl", "chat_template"),
        (online, "--model linked --out a.model/tokenizer.json", "model"),
    ],
)
def test_inputs(folder, tmp_path, monkeypatch, capsys, unloaded, command, flags, name):
    """What a command reads is left alone, also where it has written it, and through a link."""
    shutil.copytree(folder, tmp_path / "a.model")
    (tmp_path / "linked").symlink_to(tmp_path / "a.model")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "a.model"})
    )
    (tmp_path / "a.model" / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "a.journal.jsonl").write_text(f"{ROUNDS}1}}\n")
    (tmp_path / "a.greedy.journal.jsonl").write_text(f'{QUESTIONS}"?"}}\n')
    (tmp_path / "a.dropped.jsonl").write_text(f'{DROPPED}rows.jsonl"}}\n')
    (tmp_path / "a.jsonl").write_text("{}")
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)

    error = refused(capsys, command.main([*TASK.split(), *flags.split()]), "out")
    assert f"a path that {name} does not read" in error
    assert content(tmp_path) == before


ROW = '{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}\n'
RUN = json.dumps({"command": "python -m llm_adapter.train", "steps": 2})


@pytest.mark.parametrize(
    ("files", "flags", "name"),
    [
        ({}, "--model out", "model"),
        ({"run.json": RUN}, "--model out", "model"),
        ({"run.json": RUN}, "--model adapter", "model"),
        ({"run.json": RUN, "dropped.jsonl": ROW}, "--train_data out/dropped.jsonl", "train_data"),
        ({"run.json": RUN, "chat_template.jinja": ""}, "--eval_data out", "eval_data"),
        (
            {"run.json": RUN, "chat_template.jinja": "{{ messages }}"},
            "--chat_template out/chat_template.jinja",
            "chat_template",
        ),
        ({"config.json": "{}"}, "", None),
        ({"run.json": '{"command": "python -m another"}'}, "", None),
        ({"run.json": "[1]", "report.html": "<p>mine</p>"}, "", None),
        ({"metrics.jsonl": "{}"}, "", None),
        ({"dropped.jsonl": "mine"}, "", None),
        ({"README.md": "# Mine"}, "", None),
    ],
)  # fmt: skip
def test_folder(folder, tmp_path, monkeypatch, capsys, unloaded, run, files, flags, name):
    """A training leaves a folder alone that it reads, or that holds a model or files of another origin."""
    out = tmp_path / "out"
    if name:
        shutil.copytree(folder, out)
    out.mkdir(exist_ok=True)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(out)})
    )

    for file, text in files.items():
        (out / file).write_text(text)
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)

    error = refused(capsys, run(folder, out, flags)[0], "output_dir")
    assert (
        f"a path that {name} does not read" in error if name else "which it did not write" in error
    )
    assert content(tmp_path) == before


def test_own_folder(run, folder, tmp_path, capsys):
    """A training takes a folder with other files, after a refusal for its rows, and once more."""
    out, rows = tmp_path / "out", tmp_path / "rows.jsonl"
    out.mkdir()
    (out / "log").write_text("mine")
    text = (folder / "few.jsonl").read_text()
    rows.write_text(text + '{"prompt": "a", "chosen": "b", "rejected": "b"}\n')

    assert run(folder, out, f"--train_data {rows} --max_dropped 0")[0] == 2
    assert "max_dropped" in capsys.readouterr().err
    assert [path.name for path in sorted(out.iterdir())] == ["dropped.jsonl", "log"]

    for dropped in ("1", "0.5"):
        flags = f"--train_data {rows} --max_dropped {dropped} --save_strategy no"
        assert run(folder, out, flags)[0] == 0
    assert (out / "log").read_text() == "mine"


def test_page(run, folder, tmp_path, capsys):
    """A page of runs replaces another one, and nothing else."""
    assert run(folder, tmp_path / "a")[0] == 0
    capsys.readouterr()
    page, mine = tmp_path / "both.html", tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>Running</title>")

    for _ in range(2):
        assert report.main([str(tmp_path / "a"), "--out", str(page)]) == 0
    assert is_page(page)
    assert is_page(tmp_path / "a" / "report.html")

    for path in (mine, tmp_path / "a" / "run.json", tmp_path / "a"):
        before = content(tmp_path)
        capsys.readouterr()
        assert str(path) in refused(
            capsys, report.main([str(tmp_path / "a"), "--out", str(path)]), "out"
        )
        assert content(tmp_path) == before


@pytest.mark.parametrize("mark", [QUESTIONS, ROUNDS, DROPPED])
def test_marks(tmp_path, mark):
    """A file that was cut anywhere is the command's, under any hash; one other character makes it another's."""
    path, own = tmp_path / "file", begins_as(mark)
    line = mark.replace("0123456789abcdef", "fedcba9876543210") + "1}\n"
    for end in range(len(line) + 1):
        path.write_text(line[:end])
        assert own(path)

    for place in range(len(mark)):
        path.write_text(line[:place] + "~" + line[place + 1 :])
        assert not own(path)


def test_witness(tmp_path):
    """An empty witness, one of another command and none at all tell nothing."""
    path, own = tmp_path / "a.json", results_of("llm_adapter.pairs")
    for text in ("", "[]", "{", '{"command": "python -m llm_adapter.online"}'):
        path.write_text(text)
        assert not beside(path, own)(tmp_path / "a.jsonl")

    path.write_text('{"command": "python -m llm_adapter.pairs --out a.jsonl"}')
    assert beside(path, own)(tmp_path / "a.jsonl")
    assert not beside(tmp_path / "none", own)(tmp_path / "a.jsonl")
