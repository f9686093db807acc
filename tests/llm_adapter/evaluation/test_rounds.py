"""Rounds: a policy learns from its own answers, goes on where it was stopped, and counts groups without a gradient."""

import json
import shutil
from dataclasses import fields

import pytest
import torch
from torch.testing import assert_close
from transformers import LlamaForCausalLM, set_seed

from llm_adapter import online
from llm_adapter.arguments.online import OnlineArguments
from llm_adapter.evaluation import rollouts, rounds
from llm_adapter.evaluation.rounds import Rounds
from llm_adapter.evaluation.tasks import dataset, draw_questions
from llm_adapter.models import load_model, load_tokenizer

SETTINGS = {
    "task": "products",
    "rounds": 12,
    "prompts": 8,
    "samples": 4,
    "max_new_tokens": 2,
    "learning_rate": 5e-3,
    "disable_tqdm": True,
    "save_rounds": 4,
}


@pytest.fixture(autouse=True)
def easy(monkeypatch):
    """A verifier that an untrained model satisfies now and then: the first token is one of a third of all."""

    def verified(response, question, verifier):
        right = bool(response.ids) and response.ids[0] % 3 == 0
        return {"right": right, "finished": response.finished, "tokens": response.tokens} | {
            "ids": list(response.ids)
        }

    monkeypatch.setattr(rounds, "verified", verified)


def start(tmp_path, **changes):
    arguments = OnlineArguments(out=str(tmp_path / "run.json"), **SETTINGS | changes)
    arguments.check()
    questions = draw_questions(arguments, "train", 16, 0)
    set_seed(0)
    tokenizer = load_tokenizer("builtin")

    return Rounds(arguments, questions, load_model("builtin"), tokenizer, dataset(arguments), {})


@pytest.mark.parametrize(
    "changes",
    [
        {"bound": "js", "learning_rate": 1e-2},
        {"bound": "infonce", "samples": 2, "prompts": 16, "updates": 2},
        {"objective": "policy_gradient_normalised", "learning_rate": 1e-2},
        pytest.param({"objective": "policy_gradient"}, marks=pytest.mark.broad),
        pytest.param({"loss": "sft"}, marks=pytest.mark.broad),
        pytest.param({"bound": "dv", "reference": "round"}, marks=pytest.mark.broad),
    ],
    ids=str,
)
def test_success_rises(tmp_path, changes):
    run = start(tmp_path, **changes)
    lines = run.run()
    rates = [line["success"] for line in lines]

    assert rates[0] == pytest.approx(1 / 3, abs=0.15)
    assert sum(rates[-4:]) / 4 > sum(rates[:2]) / 2 + 0.08
    assert lines[-1]["samples"] == 12 * run.arguments.prompts * run.arguments.samples
    assert [json.loads(line) for line in run.journal.open()] == lines


def test_offline_pairs(tmp_path):
    """Offline pairs are of the model as given, and a stopped run goes on.

    The answer stands against what the base model said; resuming draws the same groups.
    """
    changes = {"sampler": "base", "positives": "supplied", "bound": "js", "prompts": 4}
    (tmp_path / "parts").mkdir()
    whole = start(tmp_path, rounds=4, **changes)
    lines = whole.run()
    start(tmp_path / "parts", rounds=2, save_rounds=2, **changes | {"samples": 4}).run()
    again = start(tmp_path / "parts", rounds=4, save_rounds=2, **changes)

    assert [line["loss"] for line in again.run()] == [line["loss"] for line in lines]
    assert again._given == whole._given
    assert all(line["zero_gradient"] < 1 for line in lines)


def test_supplied_answer(tmp_path, monkeypatch):
    """A supplied answer needs nothing right.

    Likelihood of the task's answer takes a step in every group, on-policy gradients in none.
    """

    def never(response, question, verifier):
        return {"right": False, "finished": True, "tokens": 2, "ids": list(response.ids)}

    monkeypatch.setattr(rounds, "verified", never)
    run = start(tmp_path, rounds=6, loss="sft", positives="supplied", learning_rate=1e-2)
    lines = run.run()

    assert {line["zero_gradient"] for line in lines} == {0.0}
    assert lines[-1]["z/right"] > 1 > lines[0]["z/right"]


def test_plain_steps(tmp_path):
    """Plain gradient steps are proportional to the rate.

    SGD's first step is the rate times the gradient; AdamW's has a size of its own.
    """
    steps = []
    for name, rate in (("one", 1e-2), ("two", 2e-2)):
        (tmp_path / name).mkdir()
        run = start(tmp_path / name, rounds=1, optimizer="sgd", learning_rate=rate)
        before = {key: value.clone() for key, value in run.model.state_dict().items()}
        run.run()
        steps.append({key: value - before[key] for key, value in run.model.state_dict().items()})

    for key, step in steps[0].items():
        assert_close(2 * step, steps[1][key], rtol=1e-2, atol=1e-6)


def test_stopped_run(tmp_path, monkeypatch):
    """A stopped run goes on bit by bit."""
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = start(tmp_path / "whole", rounds=7)
    lines = whole.run()
    first = start(tmp_path / "parts", rounds=7)
    original = Rounds._round

    def stop(self, number):
        if number == 6:
            raise KeyboardInterrupt
        return original(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Rounds, "_round", stop)
        with pytest.raises(KeyboardInterrupt):
            first.run()

    assert len(first.journal.read_text().splitlines()) == 6  # two of them after the checkpoint

    second = start(tmp_path / "parts", rounds=7)
    assert second.run() == lines

    for name, value in second.model.state_dict().items():
        assert value.equal(whole.model.state_dict()[name]), name
    more = start(tmp_path / "parts", rounds=8)

    assert more.run()[:7] == lines


def test_other_run(tmp_path):
    """Another run is refused."""
    start(tmp_path, rounds=1).run()
    with pytest.raises(
        ValueError, match=r"^out: expected a run of the same weights, questions and"
    ):
        start(tmp_path, rounds=1, beta=0.2).run()

    (tmp_path / "run.state.pt").unlink()
    with pytest.raises(ValueError, match=r"^out: expected a run of .* in .*run.journal.jsonl \("):
        start(tmp_path, rounds=1, beta=0.2).run()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state, journal: state.write_bytes(b"mine"), "expected a checkpoint of rounds, got"),
        (lambda state, journal: journal.write_bytes(b""), "expected a journal of 1 rounds beside"),
    ],
)
def test_damaged_run(tmp_path, damage, message):
    """What a run cannot go on from is refused before it asks anything."""
    start(tmp_path, rounds=1).run()
    damage(tmp_path / "run.state.pt", tmp_path / "run.journal.jsonl")
    with pytest.raises(ValueError, match=f"^out: {message}"):
        start(tmp_path, rounds=2)


def test_nothing_right(tmp_path, monkeypatch):
    """Nothing right is no step."""

    def never(response, question, verifier):
        return {"right": False, "finished": False, "tokens": 2, "ids": list(response.ids)}

    monkeypatch.setattr(rounds, "verified", never)
    run = start(tmp_path, rounds=3, objective="policy_gradient")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    lines = run.run()

    assert [line["zero_gradient"] for line in lines] == [1.0] * 3
    assert "loss" not in lines[0]

    for name, value in run.model.state_dict().items():
        assert value.equal(before[name])


@pytest.mark.parametrize(
    ("share", "finished", "flags", "words"),
    [
        (0, True, "", "base success is 0 of 32 samples: take an easier task"),
        (0, True, "", ", or --positives supplied"),
        (0, True, "--objective policy_gradient", ", or more --samples"),
        (0, False, "", "raise --max_new_tokens"),
        (1, True, "--positives supplied", "all 32 samples are right"),
        (0.5, True, "", None),
    ],
)
def test_advice(tmp_path, monkeypatch, capsys, share, finished, flags, words):
    """Rounds in which no group has a gradient say so, and what to do."""
    drawn = []

    def marked(response, question, verifier):
        drawn.append(0)
        right = len(drawn) % 2 < 2 * share
        return {"right": right, "finished": finished, "tokens": 2, "ids": list(response.ids)}

    monkeypatch.setattr(rounds, "verified", marked)
    command = f"--task products --out {tmp_path / 'run.json'} --disable_tqdm --rounds 2 --prompts 8"
    flags += " --count 5 --eval_count 0 --max_new_tokens 2"

    assert online.main([*command.split(), *flags.split()]) == 0
    printed = capsys.readouterr().out
    assert (words or "½ in") in printed
    assert ("no group had a gradient" in printed) == (words is not None)


def test_questions_in_turn(tmp_path):
    """A round takes all questions in turn."""
    run = start(tmp_path, prompts=8)
    for epoch in range(3):
        asked = run._asked(2 * epoch) + run._asked(2 * epoch + 1)
        assert sorted(asked) == list(range(16))
    assert run._asked(0) != run._asked(2)


def test_first_step(tmp_path):
    """The first step of a policy gradient ignores the reference.

    At the reference the gradient on a group is that of its advantages, whatever is frozen.
    """
    ends = []
    for name, changes in (("pair", {"bound": "dv", "beta": 0.5}), ("gradient", {})):
        (tmp_path / name).mkdir()
        kind = {} if changes else {"objective": "policy_gradient"}
        run = start(tmp_path / name, rounds=1, samples=2, **changes, **kind)
        run.run()
        ends.append(run.model.state_dict())

    for name, value in ends[0].items():
        assert_close(value, ends[1][name], rtol=1e-3, atol=1e-5)


def test_stop_at_success(tmp_path):
    """It stops at a success."""
    lines = start(tmp_path, stop_at=0.1, prompts=32).run()
    assert len(lines) == 2  # 64 questions


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--samples 1", "samples: expected at least 2 responses"),
        ("--bound tv", "bound: expected one of dv, "),
        ("--objective ppo", "objective: expected one of preference, "),
        ("--objective policy_gradient --loss ipo", "loss: expected none with objective"),
        ("--objective policy_gradient --updates 2", "updates: expected 1 without a preference"),
        ("--reference round --updates 2", "updates: expected 1 without a preference"),
        ("--bound infonce --mix 0.5", "mix: expected auto with bound infonce"),
        ("--stop_at 2", "stop_at: expected a number in [0, 1]"),
        ("--loss nothing", "loss: expected one of ipo"),
        ("--prompts 0", "prompts: expected an integer ≥ 1"),
    ],
)
def test_mistakes(tmp_path, capsys, flags, message):
    """Mistakes are one line."""
    out = tmp_path / "run.json"
    assert online.main(f"--task products --out {out} --disable_tqdm {flags}".split()) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"llm_adapter.online: error: {message}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


SMALL = "--task products --disable_tqdm --rounds 1 --prompts 4 --count 8 --max_new_tokens 2"
SMALL += " --eval_count 2 --eval_samples 2 --learning_rate 1e-2"


def command(out, flags=""):
    return online.main([*SMALL.split(), "--out", str(out), *flags.split()])


def content(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("flags", "anew"),
    [
        ("", []),
        ("--rounds 2", ["after"]),
        ("--rounds 2 --save_rounds 1 --micro_batch 2", ["after"]),
        ("--eval_samples 3", ["before", "after"]),
        ("--eval_count 3", ["before", "after"]),
        ("--eval_split train", ["before", "after"]),
        ("--eval_count 0", []),
        ("--rounds 2 --eval_count 0", []),
    ],
)
def test_free_arguments(tmp_path, capsys, flags, anew):
    """A finished run goes on under arguments that may change; what changes an evaluation has it done anew."""
    out = tmp_path / "run.json"
    assert command(out) == 0
    first = json.loads(out.read_text())
    line = (tmp_path / "run.journal.jsonl").read_text()
    capsys.readouterr()

    assert command(out, f"{flags} --save_model") == 0
    printed = capsys.readouterr().out
    for name in ("before", "after"):
        notice = f"run.{name}.jsonl is of other weights or settings: the questions are asked anew"
        assert printed.count(notice) == (name in anew)

    results, rounds = json.loads(out.read_text()), 2 if "--rounds 2" in flags else 1
    assert results["rounds"]["rounds"] == rounds
    assert (tmp_path / "run.journal.jsonl").read_text().startswith(line)
    assert ("after" in results) == ("--eval_count 0" not in flags)
    if not anew and "after" in results:
        assert (results["before"], results["after"]) == (first["before"], first["after"])

    state = torch.load(tmp_path / "run.state.pt", weights_only=True)["model"]
    saved = load_model(str(tmp_path / "run.model")).state_dict()
    assert all(value.equal(state[name]) for name, value in saved.items())


LAW = {  # argument that decides the course of a run → flags that change it
    "task": "--task chain_sum",
    "operands": "--operands 3",
    "digits": "--digits 2",
    "max_value": "--max_value 21",
    "count": "--count 9",
    "samples": "--samples 3",
    "temperature": "--temperature 0.9",
    "max_new_tokens": "--max_new_tokens 3",
    "seed": "--seed 1",
    "chat_template_kwargs": "--chat_template_kwargs {}",
    "batch": "--batch 4",
    "prompts": "--prompts 5",
    "objective": "--objective policy_gradient",
    "bound": "--bound dv",
    "mix": "--mix 0.4",
    "beta": "--beta 0.2",
    "loss": "--loss sft",
    "sampler": "--sampler base",
    "positives": "--positives supplied",
    "reference": "--reference round",
    "optimizer": "--optimizer sgd",
    "learning_rate": "--learning_rate 1e-3",
    "max_grad_norm": "--max_grad_norm 2",
    "updates": "--updates 2",
}
OTHERS = {  # what else does
    "template": "",
    "weights": "--model MODEL",
    "tokenizer": "",
}


def test_all_arguments():
    """Every argument is free, or decides the course of a run."""
    assert {entry.name for entry in fields(OnlineArguments)} == {*LAW, *rounds.FREE}


@pytest.mark.parametrize(
    ("name", "asks"), [*((name, 0) for name in (*LAW, *OTHERS)), *((name, 2) for name in OTHERS)]
)
def test_law_of_the_run(tmp_path, folder, monkeypatch, capsys, name, asks):
    """What decides the course of a run is refused at the start, with an evaluation and without."""
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
    common = f"--eval_count {asks} --chat_template {template} "
    assert command(tmp_path / "run.json", common) == 0

    if name == "template":
        template.write_text(template.read_text() + "?")
    if name == "tokenizer":
        other = load_tokenizer("builtin", chat_template=str(template))
        other.add_tokens(["<more>"])
        monkeypatch.setattr("llm_adapter.models.load_tokenizer", lambda *_: other)

    before = content(tmp_path)
    flags = (LAW | OTHERS)[name].replace("MODEL", str(folder))
    assert command(tmp_path / "run.json", f"{common} --rounds 2 {flags}") == 2
    assert content(tmp_path) == before

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "error: out: expected a run of the same weights, questions and settings" in error


def test_moved_model(tmp_path, folder, capsys):
    """A run goes on with equal weights and an equal template in other places."""
    for name in ("a", "b"):
        shutil.copytree(folder, tmp_path / name / "model")
        template = tmp_path / name / "template.jinja"
        template.write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
        flags = f"--model {tmp_path / name / 'model'} --chat_template {template}"
        assert command(tmp_path / "run.json", flags) == 0, capsys.readouterr().err


@pytest.mark.parametrize("stop", [OSError("mine"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_saved_first(tmp_path, monkeypatch, stop):
    """The trained model is saved before the last evaluation, which may fail."""
    collect = rollouts.collect

    def failing(arguments, questions, model, tokenizer, path, **options):
        if path.name == "run.after.jsonl":
            raise stop
        return collect(arguments, questions, model, tokenizer, path, **options)

    monkeypatch.setattr(rollouts, "collect", failing)
    assert command(tmp_path / "run.json", "--save_model") == (
        2 if isinstance(stop, OSError) else 130
    )

    state = torch.load(tmp_path / "run.state.pt", weights_only=True)["model"]
    saved = load_model(str(tmp_path / "run.model")).state_dict()
    assert all(value.equal(state[name]) for name, value in saved.items())


@pytest.mark.parametrize(
    ("stop", "status"), [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130)]
)
def test_half_saved(tmp_path, folder, monkeypatch, capsys, stop, status):
    """A save that is stopped leaves the model that was saved before, and the same command goes on."""
    out, flags = tmp_path / "run.json", f"--model {folder} --save_model"
    assert command(out, flags) == 0
    before = content(tmp_path / "run.model")
    capsys.readouterr()

    def stopped(self, path, **_):
        if "run.model" in str(path):
            (path / "config.json").write_text("{")
            raise stop

    with monkeypatch.context() as patch:
        patch.setattr(LlamaForCausalLM, "save_pretrained", stopped)
        assert command(out, f"{flags} --rounds 2") == status
    assert content(tmp_path / "run.model") == before
    if status == 2:
        assert "No space left on device (make some, and repeat" in capsys.readouterr().err

    assert command(out, f"{flags} --rounds 2") == 0
    assert content(tmp_path / "run.model") != before
    assert not list(tmp_path.glob(".*"))


def test_unsaveable(tmp_path, folder, changed, monkeypatch, capsys):
    """A model that could not be saved is mended, or refused before the first round."""
    model = changed(folder, tmp_path / "model")
    config = json.loads((model / "generation_config.json").read_text())
    (model / "generation_config.json").write_text(
        json.dumps(config | {"temperature": 0.5, "do_sample": False})
    )

    flags = f"--model {model} --save_model"
    assert command(tmp_path / "run.json", flags) == 0
    error = capsys.readouterr().err
    assert "llm_adapter.online: warning: generation_config: expected one that can be saved" in error
    assert load_model(str(tmp_path / "run.model")).num_parameters() > 0

    def refusing(*_, **__):
        raise TypeError("a model's own code")

    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", refusing)
    assert command(tmp_path / "other.json", flags) == 2
    assert "error: model: expected one that works, got" in capsys.readouterr().err
    assert not list(tmp_path.glob("other*"))


def test_command(tmp_path, capsys):
    """The command writes rates before and after."""
    out = tmp_path / "run.json"
    flags = "--rounds 2 --prompts 8 --eval_count 2 --eval_samples 2 --max_new_tokens 2 --count 16"
    command = f"--task products --out {out} --disable_tqdm --save_model {flags}".split()

    assert online.main(command) == 0

    printed = capsys.readouterr().out
    results = json.loads(out.read_text())

    assert set(results["before"]) == set(results["after"]) == {"1", "2"}
    assert results["rounds"]["samples"] == 2 * 8 * 2
    assert (
        f"groups without a gradient {results['rounds']['zero_gradient']['measured']:.3f}" in printed
    )
    assert (tmp_path / "run.model" / "model.safetensors").is_file()

    first = out.read_bytes()
    assert online.main(command) == 0  # from the journals and the checkpoint
    assert out.read_bytes() == first
