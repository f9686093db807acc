"""Preferences from verified responses, and what lm-eval reads of them."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from jinja2 import Template

from llm_adapter import pairs
from llm_adapter.data.load import read_examples
from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, tokenize_example, vocabulary_digest
from llm_adapter.evaluation.sampling import sample
from llm_adapter.evaluation.tasks import is_held_out

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def written(make, tmp_path, calls):
    """The journal, the counts, and the pairs of thirty questions as the trainer reads them."""
    assert make(tmp_path / "a.jsonl", "--count 30 --negatives 2") == 0
    stats = json.loads((tmp_path / "a.stats.json").read_text())
    return lines(tmp_path / "a.journal.jsonl"), stats, read_examples(tmp_path / "a.jsonl")


def test_verified_pairs(written):
    """Pairs are of verified and finished responses that differ, to questions that are not held out."""
    journal, _, rows = written
    records = {record["question"]: record for record in journal}
    for row in rows:
        first, second = (int(number) for number in re.findall(r"\d+", row.prompt))
        assert row.chosen == f"The answer is {first * second}."
        finished = {r["text"] for r in records[row.prompt.strip()]["responses"] if r["finished"]}
        assert {row.chosen, *row.rejected} <= finished
        assert len({row.chosen, *row.rejected}) == 1 + len(row.rejected)
        assert not is_held_out(row.prompt)

    assert {len(row.rejected) for row in rows} == {1, 2}


def test_counts(capsys, written):
    """Questions are counted by what came of them, and the counts are printed."""
    journal, stats, rows = written
    assert len(journal) == stats["questions"] == sum(stats["outcomes"].values()) == 30
    assert len(rows) == stats["outcomes"]["pair"] > 15
    assert stats["outcomes"]["none_right"] > 0
    assert stats["outcomes"]["all_right"] == sum(
        all(r["right"] for r in record["responses"]) for record in journal
    )

    rates = [entry["rate"] for entry in stats["per_question"]]
    assert stats["pass_at_k"]["1"]["mean"] == pytest.approx(sum(rates) / 30)
    assert sum(rates) / 30 == pytest.approx(7 / 16, abs=0.15)  # right and not cut

    printed = capsys.readouterr().out
    skipped = stats["outcomes"]["none_right"]

    assert f"pairs written: {len(rows)}; questions skipped: {skipped} without a" in printed

    last = stats["starvation"][-1]
    _, measured, theory, _ = printed.splitlines()[-1].split()

    assert (measured, theory) == (f"{last['measured']:.4f}", f"{last['theory']:.4f}")


RECORD = {
    "question": "1 * 2?",
    "answer": "2",
    "responses": [
        {"text": text, "right": right, "finished": True}
        for text, right in (
            ("it's 3", False),
            ('"2"', True),
            ("it's 3", False),
            ("4\n", False),
            (" ", False),
            ("two: 2", True),
        )
    ],
}


def test_chat_messages():
    """A chat model gets messages that lm-eval's tasks read."""
    row = pairs.preference(RECORD, 3, chat=True)
    assert row["prompt"] == [{"role": "user", "content": "1 * 2?"}]
    assert row["chosen"] == [{"role": "assistant", "content": '"2"'}]
    assert [message["content"] for (message,) in row["rejected"]] == ["it's 3", "4\n"]

    folder = Path(pairs.__file__).parent / "lm_eval"
    ranking, asked = (
        yaml.safe_load((folder / f"{name}.yaml").read_text())
        for name in ("preference_ranking", "verifiable")
    )

    assert Template(ranking["doc_to_text"]).render(row) == "1 * 2?"

    choices = Template(ranking["doc_to_choice"]).render(row)
    assert ast.literal_eval(choices) == ['"2"', "it's 3", "4\n"]
    assert ranking["doc_to_target"] == 0
    assert Template(asked["doc_to_text"]).render(RECORD) == "1 * 2?"
    assert Template(asked["doc_to_target"]).render(RECORD) == "2"

    number = asked["filter_list"][0]["filter"][0]
    numbers = re.findall(number["regex_pattern"], "So 1,200 - 3 = 1,197.")

    assert numbers[number["group_select"]] == "1,197"


def test_sampled_tokens(tokenizer):
    """A preference carries the tokens that were sampled.

    The trainer takes them as they are, with the token that ended each response.
    """
    end = tokenizer.eos_token_id
    responses = [
        response | {"ids": [place, end]} for place, response in enumerate(RECORD["responses"], 10)
    ]
    record = RECORD | {"prompt_ids": [7, 8, 9], "responses": responses}
    row = pairs.preference(record, 3, False, vocabulary_digest(tokenizer))
    example = tokenize_example(parse_row(row), tokenizer, Options(64))

    assert example.prompt == [7, 8, 9]
    assert example.completions == ([11, end], [10, end], [13, end])
    assert example.notes == ("sampled",)


def test_drawn_tokens(scaled, tokenizer):
    """A sample is the tokens that a model drew."""
    model, prompt = scaled(4), "2 + 2 =\n"
    ((drawn,),) = sample(model, tokenizer, [prompt], 1, 1.0, 12, seed=1)

    assert len(drawn.ids) == drawn.tokens
    assert drawn.finished == (drawn.ids[-1] == tokenizer.eos_token_id)

    end = drawn.ids[: len(drawn.ids) - drawn.finished]
    assert tokenizer.decode(end, skip_special_tokens=True) == drawn.text
