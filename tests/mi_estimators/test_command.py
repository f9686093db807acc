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


def file_of(folder, cells, delimiter=";"):
    """Write a file with the cells in its first column and numbers near them, where they are numbers, in the second."""
    y = np.random.default_rng(0).normal(size=len(cells))
    lines = ["a;b", *(f"{cell};{number:.4f}" for cell, number in zip(cells, y, strict=True))]
    path = folder / "cells.csv"
    path.write_text("\n".join(lines).replace(";", delimiter))

    return path


NORMAL = [f"{number:.3f}" for number in np.random.default_rng(1).normal(size=120)]


@pytest.mark.parametrize("text", ["1_12", "１２", "0x10", "1,5", "<0.1", "1 2", "e5", "1e", "."])
def test_no_number(text):
    """Text is a number only in plain digits: 1_12 and 11_2 are two labels."""
    assert not command.is_number(text)
    assert command._values(["1", text, "a"], "a") == ["1", text, "a"]


@pytest.mark.parametrize("text", ["1", "-1.5", ".5", "5.", "+1e-3", "1E5", " 2 ", "inf"])
def test_number(text):
    assert command._values(["1", text], "a") == [1, float(text)]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas(tmp_path, capsys, delimiter):
    """Decimal commas are read where a file has them throughout, and a line says so."""
    pointed = command.read(file_of(tmp_path, ["3", "NA", *NORMAL], delimiter))
    cells = [cell.replace(".", ",") for cell in ["3", "NA", *NORMAL]]
    path = file_of(tmp_path, cells, delimiter)
    assert command.read(path, ["a"]) == pointed
    assert f"a: {cells[2]} was read as {NORMAL[0]}" in capsys.readouterr().err

    assert command.read(path)["a"] == cells  # not among those that are named
    mixed = file_of(tmp_path, [*cells, "1.5"], delimiter)
    assert command.read(mixed, ["a"])["a"] == [*cells, "1.5"]


@pytest.mark.parametrize("stray", ["<0.1", "1,5", "1_2", "high"])
def test_stray_text(capsys, stray):
    """One cell that is no number is named where it makes labels of a column of numbers."""
    command._warn_of_text("a", [*NORMAL[:50], "NA", stray, *NORMAL[50:]])
    assert f"a: read as labels, since {stray!r} in row 53 is no number" in capsys.readouterr().err


def test_stray_text_of_a_file(tmp_path, capsys):
    """The report says it, too; labels that are declared are taken for such."""
    path = file_of(tmp_path, [*NORMAL[:64], "<0.1"])
    flags = f"{path} --x a --y b --effort fast"
    _, printed, warning = run(capsys, flags)
    assert "a: read as labels, since '<0.1' in row 66 is no number, though 64 of 65" in warning
    assert "x: column 0 was read as labels, though 64 of its 65" in printed
    assert "read as labels" not in "".join(run(capsys, f"{flags} --discrete x")[1:])


def test_labels_without_warning(tmp_path, capsys):
    """Labels beside a few numbers are labels."""
    path = file_of(tmp_path, ["1", "2", "low", "high", "none"] * 24)
    _, printed, warning = run(capsys, f"{path} --x a --y b --effort fast")
    assert warning == ""
    assert "read as labels" not in printed


def test_advised_flags(tmp_path, capsys):
    """What a report advises, the command takes."""
    path = file_of(tmp_path, [str(k % 3) for k in range(120)])
    flags = f"{path} --x a --y b --effort fast"
    assert 'pass discrete="x" if they are class labels' in run(capsys, flags)[1]
    assert "class labels" not in run(capsys, f"{flags} --discrete x")[1]

    assert "max_rows=None reads all" in run(capsys, f"{flags} --max_rows 100")[1]
    assert "max_rows" not in run(capsys, f"{flags} --max_rows all")[1]
    for value in ("63", "few"):
        status, _, complaint = run(capsys, f"{flags} --max_rows {value}")
        assert status == 2
        assert "max_rows: expected an integer of at least 64" in complaint
