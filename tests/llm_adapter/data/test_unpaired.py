"""Rows of one response and a label: paired by their prompts, set against one another, or dropped by name."""

import json

import pytest
import torch
from transformers import ByT5Tokenizer

from llm_adapter.data.corpus import Corpus
from llm_adapter.data.load import load_data, read_examples
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.attention import use_way
from llm_adapter.loss.logprobs import log_probs_from_logits, sum_responses
from llm_adapter.training.layouts import Layout
from tests.llm_adapter.data.shared import ASKED, GOOD, RIGHT, TEMPLATE, arguments, lines, said


def row(prompt, completion, label):
    return {"prompt": prompt, "completion": completion, "label": label}


ROWS = [row("1 + 1?", "2", True), row("2 + 2?", "5", False), row("3 + 3?", "6", 1)]
ROWS += [row("4 + 4?", "9", 0), row("5 + 5?", "11", False)]


def load(tmp_path, rows, flags="", tokenizer=None):
    path = lines(tmp_path / "data.jsonl", *rows)
    args = arguments(tmp_path, f"--train_data {path} {flags}")
    return load_data(args, tokenizer or ByT5Tokenizer())[0]


@pytest.mark.parametrize(
    "flags", ["--bound js", "--bound nwj --mix 0.9", "--loss kto", "--loss bco"]
)
def test_different_prompts(tmp_path, flags, capsys):
    """Responses to different prompts stand against one another.

    Two good rows and three bad ones: three examples, in which the first good one stands twice.
    """
    tokenizer = ByT5Tokenizer()
    data = load(tmp_path, [*ROWS, GOOD], flags)
    plain, *across = data.examples

    assert tokenizer.decode(plain.prompt) == "2 + 2?"

    texts = [
        [tokenizer.decode(head + ids) for head, ids in example.continuations] for example in across
    ]

    assert texts == [
        ["1 + 1?2</s>", "2 + 2?5</s>"],
        ["3 + 3?6</s>", "4 + 4?9</s>"],
        ["1 + 1?2</s>", "5 + 5?11</s>"],
    ]
    assert [example.prompt for example in across] == [[], [], []]
    assert data.notes == {"across": 3}
    assert (data.rows, data.dropped) == (6, [])
    assert "of these 3 across" in capsys.readouterr().out

    again = load(tmp_path, [*ROWS, GOOD], flags)
    assert again.cached
    assert again.examples == data.examples


@pytest.mark.parametrize("flags", ["--bound dv", "--bound infonce", "--loss ipo", "--loss dv+js"])
def test_loss_of_one_prompt(tmp_path, flags):
    """A loss of one prompt drops them, and names what trains on them."""
    with pytest.raises(
        ValueError, match=r"max_dropped: .*5 unpaired.*bound js, or loss kto, trains"
    ):
        load(tmp_path, [*ROWS, GOOD], flags)

    (example,) = load(tmp_path, [*ROWS, GOOD], f"{flags} --max_dropped 1").examples
    assert example.label is None


@pytest.mark.parametrize("label", [True, False])
def test_one_label(tmp_path, label):
    """Rows of one label alone teach nothing."""
    rows = [entry | {"label": label} for entry in ROWS]
    message = f"expected rows of both labels, got only {str(label).lower()}"
    with pytest.raises(ValueError, match=message):
        load(tmp_path, rows)


@pytest.mark.parametrize("label", ["true", "good", -1, 2, 0.5, [], {}])
def test_bad_label(tmp_path, label):
    """A label that is no truth value is named."""
    path = lines(tmp_path / "data.jsonl", *ROWS, row("6 + 6?", "12", label))
    with pytest.raises(ValueError, match=r"data.jsonl:6: label: expected true or false, got "):
        read_examples(path)


def test_labelled_conversations(tmp_path):
    """`messages` whose last one is the response; a system turn and a template."""
    wrong = [said("system", "Add."), said("user", "3 + 3?"), said("assistant", "7")]
    rows = [row(ASKED, RIGHT, True), {"messages": wrong, "label": False}]
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    (example,) = load(tmp_path, rows, tokenizer=tokenizer).examples

    assert [tokenizer.decode(head + ids) for head, ids in example.continuations] == [
        "<user>2 + 2?</s><assistant>4</s>",
        "<system>Add.</s><user>3 + 3?</s><assistant>7</s>",
    ]

    same = [{"messages": ASKED + RIGHT, "label": True}]
    same += [{"messages": [*ASKED, said("assistant", "5")], "label": False}]
    (pair,) = load(tmp_path, same, "--bound dv", tokenizer).examples

    assert (pair.heads, len(pair.completions)) == ((), 2)


@pytest.mark.parametrize(
    "layout", [Layout(), Layout("shared", "dense"), Layout("shared", "segments")], ids=str
)
def test_own_prompt(layout, examples, scaled, log_prob):
    """Each response sees its own prompt alone.

    In either layout a response has the log-probability that it has in a row of its own.
    """
    across = [
        TokenizedExample(
            9,
            [],
            (one.completions[0], two.completions[1]),
            heads=(one.prompt, two.prompt),
        )
        for one, two in zip(examples[:2], examples[2:4], strict=True)
    ]
    rows = [across[0], examples[0], across[1]]
    batch, model = layout.collate(rows), scaled(4)
    if layout.name == "shared":
        use_way([model.config], layout.way)

    values = sum_responses(log_probs_from_logits(model, batch), batch["lengths"])
    order = [(row, 0) for row in rows]
    order += [(row, k) for row in rows for k in range(1, len(row.completions))]
    plain = scaled(4)
    expected = [
        log_prob(plain, row.prompt + row.continuations[k][0], row.completions[k])
        for row, k in order
    ]

    torch.testing.assert_close(values, torch.tensor(expected), rtol=0, atol=1e-4)


def test_mismatched():
    """Mismatched responses answer other prompts."""
    rows = [
        TokenizedExample(1, [7], ([1], [2])),
        TokenizedExample(2, [7], ([3], [4])),
        TokenizedExample(3, [], ([5, 5, 5], [6]), heads=([8], [9, 9])),
    ]
    corpus = Corpus.of(rows)
    one, two, three = (example.mismatched for example in corpus.with_mismatched(4))

    assert (one.prompt, one.completions) == ([7], ([5, 5, 5], [6]))
    assert two.completions == ([5, 5, 5], [6])  # row 1 has the same prompt
    assert (three.heads, three.completions) == (([8], [9, 9]), ([3], [4]))
    assert corpus[:2].with_mismatched(4) == rows[:2]
    assert corpus.with_mismatched(3)[0].mismatched.completions[0] == [5, 5]


@pytest.mark.parametrize("flags", ["--loss kto", "--bound js", "--loss bco --row_layout padded"])
def test_train_and_evaluate(tmp_path, flags, folder):
    """Unpaired rows train and are evaluated."""
    from llm_adapter.train import main

    path = lines(tmp_path / "data.jsonl", *ROWS, GOOD)
    out = tmp_path / "out"
    data = f"--model {folder} --train_data {path} --eval_data {path} --output_dir {out}"
    flags += (
        " --use_cpu true --max_steps 3 --warmup_steps 0 --learning_rate 1e-2 --disable_tqdm true"
    )

    assert main(f"{data} {flags} --logging_steps 1 --lr_scheduler_type constant".split()) == 0

    logs = [json.loads(line) for line in (out / "metrics.jsonl").open()]
    assert logs[2]["rewards/margins"] > logs[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert logs[-1]["eval_rewards/margins"] > 0


@pytest.mark.parametrize(
    "context",
    [
        ({"input": "Hello."}, {"input": "Bye."}),
        ({"system_prompt": "Be short."}, {"system_prompt": "Be long."}),
        ({"history": [["1 + 1?", "2"]]}, {"history": [["1 + 1?", "3"]]}),
    ],
    ids=["input", "system_prompt", "history"],
)
def test_whole_context(tmp_path, context):
    """Rows are paired by all that comes before the response.

    The same question in two contexts is two prompts.
    """
    rows = [
        {"instruction": "Translate.", "completion": text, "label": label} | before
        for before in context
        for text, label in (("good", True), ("bad", False))
    ]
    path = lines(tmp_path / "data.jsonl", *rows)
    examples = read_examples(path)

    assert len(examples) == 2
    assert [example.rejected for example in examples] == [("bad",)] * 2
    assert len({str((example.system, example.prompt)) for example in examples}) == 2
