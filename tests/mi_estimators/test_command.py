"""The command: a file in, a report and what to do next out; mistakes are one line that names the argument."""

import numpy as np
import pytest

import mi_estimators as mi
from mi_estimators import __main__ as command


@pytest.fixture
def table(tmp_path):
    x, y = mi.laws.Gaussian(0.8).sample(200)
    lines = [
        "height;weight;sex",
        *(f"{a:.4f};{b:.4f};{'fm'[a > 0]}" for a, b in zip(x[:, 0], y[:, 0], strict=True)),
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")

    return path


def run(capsys, line):
    return command.main(line.split()), *capsys.readouterr()


def test_report(table, capsys):
    """The command prints the report and what to do next."""
    status, printed, _ = run(capsys, f"{table} --x height --y weight --effort fast")
    assert " nats, 95 % [" in printed
    assert "\nverdict: " in printed

    verdict = printed.partition("\nverdict: ")[2].split()[0].rstrip(":,;")
    assert printed.splitlines()[-1] == f"next: {command.NEXT[verdict]}"
    assert status == int(verdict != "ok")


def test_columns(table):
    """Texts are labels, and several columns are rows."""
    columns = command.read(table)
    assert set(command._pick(columns, "sex", "y")) == {"f", "m"}
    assert np.shape(command._pick(columns, "height,weight", "x")) == (200, 2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--x heigth --y weight", "x: expected one of height, weight, sex, got 'heigth'"),
        ("--x height --y none", "y: expected one of"),
        ("--x height --y weight --groups who", "groups: expected one of"),
    ],
)
def test_wrong_column(table, capsys, flags, message):
    status, printed, complaint = run(capsys, f"{table} {flags}")
    assert (status, printed) == (2, "")
    assert message in complaint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "expected 2 fields in row 3, got 1"),
        ("a,b\n", "expected a line of column names and rows below"),
        ("", "expected a line of column names and rows below"),
        ("a,b,a\n1,2,3\n", "rows.csv: expected distinct column names, got 'a' twice"),
        ("a,b\n1,2\n,3\n", "a: expected a value in every row, got 1 empty, the first in row 3"),
    ],
)
def test_broken_file(tmp_path, capsys, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    status, _, complaint = run(capsys, f"{path} --x a --y b")

    assert status == 2
    assert message in complaint
    assert run(capsys, f"{tmp_path / 'none.csv'} --x a --y b")[0] == 2


def test_skip_missing(table, tmp_path, capsys):
    """A missing number is refused by its row and the flag that leaves it out; then the others are read."""
    head, first, second, *others = table.read_text(encoding="utf-8-sig").splitlines()
    whole, holed = tmp_path / "whole.csv", tmp_path / "holed.csv"
    whole.write_text("\n".join([head, *others]))
    first, second = f"NA;{first.split(';', 1)[1]}", f"{second.split(';', 1)[0]};;f"
    holed.write_text("\n".join([head, first, second, *others]))
    flags = "--x height --y weight --effort fast"

    status, _, complaint = run(capsys, f"{holed} {flags}")
    assert status == 2
    assert "height: expected a value in every row, got 1 empty, the first in row 2" in complaint
    assert "--skip_missing" in complaint

    note, _, report = run(capsys, f"{holed} {flags} --skip_missing")[1].partition("\n")
    assert note == "left out: 2 of 200 rows, without height (1), weight (1)"
    assert report == run(capsys, f"{whole} {flags}")[1]


@pytest.mark.parametrize("gap", ["", " ", "NA", "nan", "n/a", "?"])
def test_missing_numbers(gap):
    assert command._gaps(["1", gap, "2.5"]) == {1}


def test_missing_labels():
    """A label may be called none; an empty one is missing."""
    assert command._gaps(["none", "mild", "NA"]) == set()
    assert command._gaps(["none", "mild", " "]) == {2}
