"""Sampling is the law it says; a stopped run leaves the bytes of one that was not; pairs and rankings are verified."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from jinja2 import Template
from transformers import set_seed

from llm_adapter import evaluate, models, pairs
from llm_adapter.arguments.rollouts import TaskArguments
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.evaluation import rollouts, sampling
from llm_adapter.evaluation.ranking import rank
from llm_adapter.evaluation.sampling import Sample, prompt_text, sample
from llm_adapter.evaluation.tasks import draw_questions, is_held_out
from llm_adapter.models import load_model, load_tokenizer

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)

PROMPTS = ["3 * 4 =\n", "What is the greatest common divisor of 12 and 18?\n", "7\n"]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def scaled(factor):
    """Return the built-in model with its matrices scaled up: the past hardly matters to small random weights."""
    set_seed(0)
    model = load_model("builtin").eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(factor if weight.ndim > 1 else 1)
    return model


@pytest.fixture(scope="module")
def model():
    return scaled(4)


@pytest.fixture
def tokenizer():
    return load_tokenizer("builtin")


def plain(model, tokenizer, prompt, tokens):
    """Return the greedy continuation of one unpadded prompt by one call of generate."""
    ids = tokenizer([prompt], return_tensors="pt", add_special_tokens=False)["input_ids"]
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False
    )
    return out[0, ids.shape[1] :].tolist()


def test_greedy_is_generate_s_on_each_prompt_alone_and_ends_at_the_end_token(
    model, tokenizer, monkeypatch
):
    whole = [plain(model, tokenizer, prompt, 30) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in whole}) == 3
    monkeypatch.setattr(
        model.generation_config, "eos_token_id", [tokenizer.eos_token_id, whole[0][10]]
    )
    ends = [plain(model, tokenizer, prompt, 30) for prompt in PROMPTS]
    assert min(map(len, ends)) < 30  # one row leaves the batch early
    for (found,), ids in zip(sample(model, tokenizer, PROMPTS, 1, 0.0, 30, 0), ends, strict=True):
        stopped = ids[-1] in model.generation_config.eos_token_id
        text = tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True)
        assert found == Sample(text, stopped, len(ids))
    monkeypatch.setattr(sampling, "_read", lambda ids, *_: ids.tolist())
    for (found,), ids in zip(sample(model, tokenizer, PROMPTS, 1, 0.0, 30, 0), ends, strict=True):
        assert found[: len(ids)] == ids


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_follow_the_tempered_softmax_over_every_token(tokenizer, temperature, monkeypatch):
    model, read = scaled(4), []
    monkeypatch.setattr(sampling, "_read", lambda ids, *_: read.append(ids))
    draws = 1000
    sample(model, tokenizer, PROMPTS[:2], draws, temperature, 3, seed=0)
    for prompt, start in zip(PROMPTS, (0, draws), strict=False):
        prompt = tokenizer([prompt], return_tensors="pt", add_special_tokens=False)["input_ids"]
        rows = torch.stack([row for row in read[start : start + draws] if len(row) == 3])
        with torch.no_grad():
            logits = (
                model(torch.cat([prompt.expand(len(rows), -1), rows], 1)).logits[:, -4:-1].double()
            )
        for position in range(3):
            seen, said = rows[:, position], logits[:, position]
            assert abs(_surprise(seen, said / temperature)) < 4
            assert (
                abs(_surprise(seen, said / (1.5 - temperature))) > 8
            )  # the other temperature is noticed


def test_a_model_s_own_settings_of_generation_do_not_bend_the_law(model, tokenizer, monkeypatch):
    def drawn():
        ways = ((2, 1.0), (1, 0.0))
        return [sample(model, tokenizer, PROMPTS[:2], *way, 12, 0) for way in ways]

    plain_law = drawn()
    for name, value in {
        "repetition_penalty": 3.0,
        "no_repeat_ngram_size": 1,
        "min_p": 0.9,
        "top_k": 1,
    }.items():
        monkeypatch.setattr(model.generation_config, name, value)
    assert drawn() == plain_law
    assert model.generation_config.repetition_penalty == 3.0  # the model keeps them


def _surprise(seen, logits):
    """Return by how many standard deviations −Σ ln p of the seen tokens exceeds the sum of the entropies."""
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    variance = (log_p.exp() * log_p.square()).sum(-1) - entropy.square()
    surprise = -log_p.gather(-1, seen.unsqueeze(-1)).squeeze(-1)
    return ((surprise - entropy).sum() / variance.sum().sqrt()).item()


def test_prompt_goes_through_the_template_where_there_is_one(tokenizer):
    assert prompt_text("2 + 2?", tokenizer) == "2 + 2?\n"
    tokenizer.chat_template = TEMPLATE
    assert prompt_text("2 + 2?", tokenizer) == "<user>2 + 2?</s><assistant>"


# --- the journal, with a policy of known rates in place of the language model ---------------------------------------


def policy(calls):
    """Return a stand-in for `sample` that is right with probability ½, cut with 1/8, and repeats itself."""

    def draw(model, tokenizer, prompts, samples, temperature, max_new_tokens, seed):
        calls.append(list(prompts))
        generator = torch.Generator().manual_seed(seed)

        def response(prompt):
            numbers = [int(number) for number in re.findall(r"\d+", prompt)]
            right, cut, slip = torch.rand(3, generator=generator).tolist()
            said = numbers[0] * numbers[1] + (0 if right < 0.5 else 1 + int(3 * slip))
            return Sample(f"The answer is {said}.", cut > 1 / 8, 5)

        return [[response(prompt) for _ in range(samples)] for prompt in prompts]

    return draw


@pytest.fixture
def calls(monkeypatch):
    """Put the stand-in into the rollouts; return the prompts it was called with."""
    calls = []
    monkeypatch.setattr(rollouts, "sample", policy(calls))
    return calls


def make(out, flags, command=pairs):
    return command.main(f"--task products --samples 6 --batch 4 --out {out} {flags}".split())


def contents(folder):
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {
        name: text for name, text in found.items() if not name.endswith(".stats.json")
    }  # it names the folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pairs_are_verified_and_counted(tmp_path, calls, capsys):
    assert make(tmp_path / "a.jsonl", "--count 30 --negatives 2") == 0
    journal = lines(tmp_path / "a.journal.jsonl")
    stats = json.loads((tmp_path / "a.stats.json").read_text())
    rows = read_examples(tmp_path / "a.jsonl")  # what the trainer reads
    assert len(journal) == stats["questions"] == sum(stats["outcomes"].values()) == 30
    assert len(rows) == stats["outcomes"]["pair"] > 15
    assert stats["outcomes"]["none_right"] > 0
    assert stats["outcomes"]["all_right"] == sum(
        all(r["right"] for r in record["responses"]) for record in journal
    )
    said = {record["question"]: record for record in journal}
    for row in rows:
        first, second = (int(number) for number in re.findall(r"\d+", row.prompt))
        assert row.chosen == f"The answer is {first * second}."
        finished = {r["text"] for r in said[row.prompt.strip()]["responses"] if r["finished"]}
        assert {row.chosen, *row.rejected} <= finished
        assert len({row.chosen, *row.rejected}) == 1 + len(row.rejected)
        assert not is_held_out(row.prompt)
    assert {len(row.rejected) for row in rows} == {1, 2}
    rates = [entry["rate"] for entry in stats["per_question"]]
    assert stats["pass_at_k"]["1"]["mean"] == pytest.approx(sum(rates) / 30)
    assert sum(rates) / 30 == pytest.approx(7 / 16, abs=0.15)  # right and not cut
    printed = capsys.readouterr().out
    skipped = stats["outcomes"]["none_right"]
    assert f"pairs written: {len(rows)}; questions skipped: {skipped} without a" in printed
    last = stats["starvation"][-1]
    _, measured, theory, _ = printed.splitlines()[-1].split()
    assert (measured, theory) == (f"{last['measured']:.4f}", f"{last['theory']:.4f}")


def test_after_ctrl_c_the_same_command_goes_on_and_leaves_the_same_bytes(
    tmp_path, calls, monkeypatch, capsys
):
    whole, parts, stopped = tmp_path / "whole", tmp_path / "parts", []
    assert make(whole / "a.jsonl", "--count 14") == 0
    draw = policy(stopped)

    def interrupted(*args, **kwargs):
        if len(stopped) == 2:
            raise KeyboardInterrupt
        return draw(*args, **kwargs)

    monkeypatch.setattr(rollouts, "sample", interrupted)
    assert make(parts / "a.jsonl", "--count 14") == 130
    assert "the same command continues from here" in capsys.readouterr().err
    assert list(contents(parts)) == ["a.journal.jsonl"]  # no half-made pairs
    monkeypatch.setattr(rollouts, "sample", draw)
    for _ in range(2):  # nothing is asked twice, and a finished run asks nothing
        assert make(parts / "a.jsonl", "--count 14") == 0
        assert stopped == calls
        assert contents(parts) == contents(whole)


@pytest.mark.parametrize("cut", [1, 300])
def test_after_a_kill_in_the_middle_of_a_line(tmp_path, calls, cut):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make(whole / "a.jsonl", "--count 10")
    parts.mkdir()
    (parts / "a.journal.jsonl").write_bytes(contents(whole)["a.journal.jsonl"][:-cut])
    make(parts / "a.jsonl", "--count 10")
    assert contents(parts) == contents(whole)


@pytest.mark.parametrize(
    "change",
    ["--seed 1", "--temperature 0.7", "--samples 5", "--count 9", "template", "verifier"],
)
def test_a_journal_of_another_run_is_refused_and_left_alone(
    tmp_path, calls, monkeypatch, capsys, change
):
    make(tmp_path / "a.jsonl", "--count 10")
    before = contents(tmp_path)
    if change == "template":
        other = load_tokenizer("builtin")
        other.chat_template = TEMPLATE
        monkeypatch.setattr("llm_adapter.models.load_tokenizer", lambda *_: other)
    elif change == "verifier":
        monkeypatch.setattr(rollouts.metadata, "version", lambda name: "0.0.1")
    flags = "--count 10 " + (change if change.startswith("--") else "")
    assert make(tmp_path / "a.jsonl", flags) == 2
    message = "a journal of the same weights, template, questions, settings and verifier, got"
    assert message in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_the_fingerprint_is_the_weights():
    model = scaled(4)
    name = rollouts.fingerprint(model)
    assert rollouts.fingerprint(model) == name
    with torch.no_grad():
        model.get_output_embeddings().weight[3, 3] += 1e-3
    assert rollouts.fingerprint(model) != name


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


def test_a_chat_model_gets_messages_that_lm_eval_s_tasks_read():
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


# --- the commands on the built-in model -------------------------------------------------------------------------------


def test_same_seed_same_file_and_evaluation_of_the_held_out(tmp_path, capsys):
    for folder, bars in (("a", "false"), ("b", "true")):
        flags = f"--count 6 --max_new_tokens 12 --disable_tqdm {bars}"
        assert make(tmp_path / folder / "p.jsonl", flags) == 0
        assert ("%|" in capsys.readouterr().err) == (bars == "false")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    flags = f"--count 6 --k 1 3 --max_new_tokens 8 --pairs {pairs_file(tmp_path)}"
    assert make(tmp_path / "e.json", flags, evaluate) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["task"]["questions"] == 6
    assert list(found["task"]["pass_at_k"]) == ["1", "3"]
    assert found["ranking"]["rejected"] == 4
    asked = [record["question"] for record in lines(tmp_path / "e.sampled.journal.jsonl")]
    assert asked == [q.text for q in draw_questions(TaskArguments("products"), "held_out", 6, 0)]
    assert all(map(is_held_out, asked))
    printed = capsys.readouterr().out
    assert "greedy accuracy, 6 held-out questions" in printed
    assert "rejected responses with a lower ln π per token, of 4" in printed


def pairs_file(tmp_path, *questions):
    rows = [
        {"prompt": "3 * 4 =\n", "chosen": "12", "rejected": ["13", "1 2", "12 and some"]},
        {"prompt": "7 - 5 =\n", "chosen": "The answer is 2.", "rejected": ["3"]},
        *({"prompt": question + "\n", "chosen": "1", "rejected": "2"} for question in questions),
    ]
    path = tmp_path / "rank.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_evaluation_counts_what_the_journal_says(tmp_path, calls):
    out = tmp_path / "e.json"
    assert make(out, "--count 20 --k 1 6", evaluate) == 0
    found = json.loads(out.read_text())["task"]
    greedy, sampled = (
        [
            [response["right"] for response in record["responses"]]
            for record in lines(tmp_path / f"e.{name}.journal.jsonl")
        ]
        for name in ("greedy", "sampled")
    )
    assert {len(right) for right in greedy} == {1}
    assert {len(right) for right in sampled} == {6}
    assert found["accuracy"]["right"] == sum(map(any, greedy))
    assert found["pass_at_k"]["6"]["mean"] == sum(map(any, sampled)) / 20
    low, high = found["pass_at_k"]["1"]["interval"]
    assert low < found["pass_at_k"]["1"]["mean"] < high
    assert make(out, "--count 20", evaluate) == 0
    assert list(json.loads(out.read_text())["task"]["pass_at_k"]) == ["1", "4"]  # of 6 samples


def test_ranking_against_plain_sums(tmp_path, model, tokenizer, log_prob):
    path = pairs_file(tmp_path)
    examples = tokenize(read_examples(path), tokenizer, 64, path)
    found, whole = (rank(examples, model, batch=batch) for batch in (1, 2))
    for name in ("sum", "per_token"):
        gaps = []
        for example in examples:
            chosen, *rejected = (
                log_prob(model, example.prompt, ids) / (len(ids) if name == "per_token" else 1)
                for ids in example.completions
            )
            gaps.append([chosen - value for value in rejected])
        flat = [gap for row in gaps for gap in row]
        below = sum(gap > 0 for gap in flat) / 4
        assert below > 0
        assert found[name]["pairs"]["mean"] == whole[name]["pairs"]["mean"] == below
        assert found[name]["first"]["mean"] == sum(min(row) > 0 for row in gaps) / 2
        assert found[name]["margin"] == pytest.approx(sum(flat) / 4, abs=1e-4)
    chosen = examples[1].completions[0]
    same = replace(examples[1], completions=(chosen, chosen))
    assert rank([same], model, 1)["sum"]["pairs"]["mean"] == 0  # equal responses


@pytest.mark.parametrize(("command", "flags"), [(pairs, ""), (evaluate, "--k 1")])
def test_a_model_s_own_code_runs_only_if_asked_for(tmp_path, calls, monkeypatch, command, flags):
    asked = []
    monkeypatch.setattr(
        models, "load_tokenizer", lambda name, trust: asked.append(trust) or load_tokenizer(name)
    )
    monkeypatch.setattr(
        rollouts, "load_model", lambda name, **options: asked.append(options) or load_model(name)
    )
    out = tmp_path / ("p.jsonl" if command is pairs else "e.json")
    for trust in ("", "--trust_remote_code true"):
        assert make(out, f"--count 2 {flags} {trust}", command) == 0
    assert asked == [False, {"trust_remote_code": False}, True, {"trust_remote_code": True}]


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        (pairs, "--task sums", "task: expected one of products, chain_sum, gcd, lcm, got sums"),
        (pairs, "", "task: expected a value (--task …), got none"),
        (pairs, "--task gcd --samples 0", "samples: expected an integer ≥ 1, got 0"),
        (
            pairs,
            "--task gcd --temperature 0",
            "temperature: expected a finite number ≥ 1e-6, got 0.0",
        ),
        (pairs, "--task gcd --max_new_tokens 0", "max_new_tokens: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --batch 0", "batch: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --count 0", "count: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --negatives 0", "negatives: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --out x.txt", "out: expected a file.jsonl to write, got x.txt"),
        (pairs, "--task gcd --out=", "out: expected a file to write, got none"),
        (pairs, "--task gcd --model ./none", "model: expected 'builtin', a directory"),
        (pairs, "--task gcd --sede 1", "expected a known flag, got this one (did you mean seed?)"),
        (evaluate, "--tesk gcd", "expected a known flag, got this one (did you mean task?)"),
        (evaluate, "", "task: expected a task to ask, or pairs to rank, got none"),
        (evaluate, "--task gcd --k 32", "k: expected integers from 1 to samples=16"),
        (
            evaluate,
            "--task gcd --out e.jsonl",
            "out: expected a file.json to write, got e.jsonl",
        ),
        (evaluate, "--pairs none.jsonl", "none.jsonl: expected"),
        (pairs, "--task gcd --count 1 --out /dev/null/x.jsonl", "/dev/null"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    tmp_path, monkeypatch, capsys, command, flags, message
):
    monkeypatch.chdir(tmp_path)
    out = "p.jsonl" if command is pairs else "e.json"
    assert command.main([f"--out={out}", *flags.split()]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_training_on_the_questions_asked_is_refused(tmp_path, capsys):
    asked = draw_questions(TaskArguments("products"), "held_out", 6, 0)
    path = pairs_file(tmp_path, asked[2].text)
    assert make(tmp_path / "e.json", f"--count 6 --k 1 --train_data {path}", evaluate) == 2
    message = f"expected none of the 6 questions asked here, got 1, the first in {path}:3"
    assert message in capsys.readouterr().err
