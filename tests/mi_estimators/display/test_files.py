"""Files are whole or absent; JSON holds no number that is not finite; rows survive an interruption."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_estimators.display import jsonl
from mi_estimators.display.files import strict, versions, whole_file, write_json
from mi_estimators.display.runs import read_run

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_strict_json(value):
    text = json.dumps(strict(value), allow_nan=False)
    assert strict(json.loads(text)) == json.loads(text)


def test_failed_write(tmp_path):
    """A failed write leaves the old file and nothing else."""
    path = tmp_path / "page.html"
    write_json(path, {"kept": 1})

    with pytest.raises(TypeError), whole_file(path) as file:
        file.write("text where bytes are expected")  # type: ignore

    assert json.loads(path.read_text()) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_truncated_line(tmp_path):
    """A line cut short is left out and the next row starts a line."""
    path = tmp_path / "rows.jsonl"
    for value in (1.0, float("inf")):
        with jsonl.appending(path) as file:
            jsonl.append(file, {"value": value})
            file.write('{"value": 3')

    assert jsonl.read(path) == [{"value": 1.0}, {"value": None}]

    jsonl.write(path, [{"value": math.nan}])
    assert jsonl.read(path) == [{"value": None}]
    assert jsonl.read(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize("line", ["{", "3", "[]", '{"other": 1}'])
def test_bad_line(tmp_path, line):
    """A line that is no row is named."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"value": 1}}\n{line}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl: expected a row of results in line 2, got"):
        jsonl.read(path, ("value",))


def test_versions():
    """Versions name what was asked and what always matters."""
    names = versions("numpy", "no-such-package")
    assert list(names) == ["python", "torch", "numpy", "no-such-package", "mi-estimators"]
    assert names["no-such-package"] == "source"


def test_other_encoding(tmp_path):
    """A file in another encoding is named."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"value": "ü"}\n'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"rows.jsonl: expected UTF-8, got another byte at 11"):
        jsonl.read(path)


@pytest.mark.parametrize(
    ("facts", "message"),
    [(b"[]", "expected one JSON object, got list"), (b"\xff{}", "expected a run's")],
)
def test_bad_run(tmp_path, facts, message):
    """So is a run whose facts are none."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "run.json").write_bytes(facts)
    with pytest.raises(ValueError, match=message):
        read_run(tmp_path)
