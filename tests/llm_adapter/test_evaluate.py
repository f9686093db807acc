"""Evaluation: held-out questions, counts from the journal, and training data that overlap."""

import json
import re
from math import prod

import pytest

from llm_adapter import evaluate, pairs
from llm_adapter.arguments.rollouts import TaskArguments
from llm_adapter.evaluation import rollouts
from llm_adapter.evaluation.sampling import Sample
from llm_adapter.evaluation.tasks import draw_questions, is_held_out

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_same_seed(make, contents, pairs_file, tmp_path, capsys):
    """The same seed gives the same file, and an evaluation of the held-out data."""
    for folder, bars in (("a", "false"), ("b", "true")):
        flags = f"--count 6 --max_new_tokens 12 --disable_tqdm {bars}"
        assert make(tmp_path / folder / "p.jsonl", flags) == 0
        assert ("%|" in capsys.readouterr().err) == (bars == "false")

    assert contents(tmp_path / "a") == contents(tmp_path / "b")

    flags = f"--count 6 --k 1 3 --max_new_tokens 8 --pairs {pairs_file()}"
    assert make(tmp_path / "e.json", flags, evaluate) == 0

    report = json.loads((tmp_path / "e.json").read_text())
    assert report["task"]["questions"] == 6
    assert list(report["task"]["pass_at_k"]) == ["1", "3"]
    assert report["ranking"]["rejected"] == 4

    asked = [record["question"] for record in lines(tmp_path / "e.sampled.journal.jsonl")]
    assert asked == [q.text for q in draw_questions(TaskArguments("products"), "held_out", 6, 0)]
    assert all(map(is_held_out, asked))

    printed = capsys.readouterr().out
    assert "greedy accuracy, 6 held-out questions" in printed
    assert "rejected responses with a lower ln π per token, of 4" in printed


def test_journal_counts(make, tmp_path, calls):
    """Evaluation counts what the journal says."""
    out = tmp_path / "e.json"
    assert make(out, "--count 20 --k 1 6", evaluate) == 0

    task = json.loads(out.read_text())["task"]
    greedy, sampled = (
        [
            [response["right"] for response in record["responses"]]
            for record in lines(tmp_path / f"e.{name}.journal.jsonl")
        ]
        for name in ("greedy", "sampled")
    )

    assert {len(right) for right in greedy} == {1}
    assert {len(right) for right in sampled} == {6}
    assert task["accuracy"]["right"] == sum(map(any, greedy))
    assert task["pass_at_k"]["6"]["mean"] == sum(map(any, sampled)) / 20

    low, high = task["pass_at_k"]["1"]["interval"]
    assert low < task["pass_at_k"]["1"]["mean"] < high
    assert make(out, "--count 20", evaluate) == 0
    assert list(json.loads(out.read_text())["task"]["pass_at_k"]) == ["1", "4"]  # of 6 samples


@pytest.mark.parametrize(
    ("responses", "words"),
    [
        (["The answer is -5."], "base success is 0 of 18 samples: "),
        (["The answer is {}."], "all 18 samples are right"),
        (["The answer is {}.", "The answer is -5."], None),
    ],
)
@pytest.mark.parametrize("command", [pairs, evaluate])
def test_no_contrast(make, tmp_path, monkeypatch, capsys, command, responses, words):
    """Where all answers are wrong, or all right, a line says what it means and what to do."""

    def draw(model, tokenizer, prompts, samples, *others, seed):
        products = [prod(map(int, re.findall(r"\d+", prompt))) for prompt in prompts]
        return [
            [Sample(responses[n % len(responses)].format(product), True, 5) for n in range(samples)]
            for product in products
        ]

    monkeypatch.setattr(rollouts, "sample", draw)
    out = tmp_path / ("p.jsonl" if command is pairs else "e.json")
    assert make(out, "--count 3 --disable_tqdm", command) == 0

    printed = capsys.readouterr().out
    if words is None:
        assert not re.search("base success|no wrong one|no pair", printed)
    else:
        assert words in printed
        assert ("no pair: " in printed) == (command is pairs)


def test_asked_questions(make, pairs_file, tmp_path, capsys):
    """Training on the questions asked is refused."""
    asked = draw_questions(TaskArguments("products"), "held_out", 6, 0)
    path = pairs_file(asked[2].text)
    assert make(tmp_path / "e.json", f"--count 6 --k 1 --train_data {path}", evaluate) == 2
    message = f"expected none of the 6 questions asked here, got 1, the first in {path}:3"
    assert message in capsys.readouterr().err


def test_preferences(pairs_file, tmp_path, capsys):
    """A file of preferences is read as training reads it.

    An unusable row is dropped up to a share, listed and counted, and so are the responses that are cut.
    """
    path = pairs_file(*(f"{n} + 1 = {'?' * n}" for n in range(20)))
    with path.open("a") as file:
        file.write(json.dumps({"prompt": "?", "chosen": "1", "rejected": " "}) + "\n")

    out = tmp_path / "e.json"
    flags = f"--pairs {path} --out {out} --disable_tqdm --max_length 18"

    assert evaluate.main(flags.split()) == 2
    assert "max_dropped: expected at most 0.05 of the rows, got " in capsys.readouterr().err
    assert evaluate.main([*flags.split(), "--max_dropped", "0.9"]) == 0

    printed = capsys.readouterr().out
    assert "dropped rows: " in printed

    data = json.loads(out.read_text())["data"]
    assert data["dropped"]["empty"] == 1

    listed = lines(tmp_path / "e.dropped.jsonl")
    assert len(listed) == sum(data["dropped"].values())
    assert data["truncated"] > 0
    assert f"cut responses: {data['truncated']} (max_length 18)" in printed
