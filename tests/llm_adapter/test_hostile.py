"""A table of what users hand over: each input is read right, counted by name, or refused in one line."""

import bz2
import gzip
import json
import lzma
import re
from functools import partial

import pytest
from transformers import ByT5Tokenizer

from llm_adapter.arguments.training import read_values
from llm_adapter.data.examples import Unusable
from llm_adapter.data.load import read_examples
from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, check_tokenizer, tokenize_example
from tests.llm_adapter.data.shared import ASKED, GOOD, RIGHT, SPOKEN, TEMPLATE, WRONG, said
from tests.llm_adapter.data.test_joint import byte_pairs, prepending

THOUGHTS = TEMPLATE.replace("{{ m.content }}", "{{ m.reasoning_content or '' }}{{ m.content }}")
BEGUN = [*ASKED, said("assistant", "It is")]
OTHERS = [said("assistant", "4"), said("user", "Sure?"), said("assistant", "Yes.")]
SCORED = {"score_chosen": 1.0, "score_rejected": 2}
AS_TEXT = ("2 + 2?", "4</s>", "5</s>")
AS_CHAT = ("<user>2 + 2?</s><assistant>", "4</s>", "5</s>")
DATED = "{{ strftime_now('%Y')[:2] }}" + TEMPLATE


def typed(role, kind, text):
    return said(role, [{"type": kind, "text": text}])


def turned(*messages):
    """Return messages as the JSON text that tables keep."""
    return json.dumps([*messages])


READ = {  # name: the row, the template or none, the text of prompt and responses, its notes
    "roles of other names": (
        {"prompt": [said("human", "2 + 2?")], "chosen": [said("gpt", "4")], "rejected": "5"},
        TEMPLATE,
        AS_CHAT,
        (),
    ),
    "roles in capitals": (
        {"prompt": [said("User", "?")], "chosen": [said("Assistant", "4")], "rejected": "5"},
        TEMPLATE,
        ("<user>?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "Open Assistant's roles": (
        {"prompt": [said("prompter", "?")], "chosen": [said("model", "4")], "rejected": "5"},
        TEMPLATE,
        ("<user>?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "a role of its own stays": (
        SPOKEN | {"prompt": [said("developer", "Add."), *ASKED]},
        TEMPLATE,
        ("<developer>Add.</s><user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "system_prompt": (
        GOOD | {"system_prompt": "Add."},
        None,
        ("Add.\n\n2 + 2?", "4</s>", "5</s>"),
        (),
    ),
    "system_message, in chat": (
        SPOKEN | {"system_message": "Add."},
        TEMPLATE,
        ("<system>Add.</s><user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "a prompt that the assistant has begun": (
        {"prompt": BEGUN, "chosen": [said("assistant", " 4")], "rejected": " 5"},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>It is", " 4</s>", " 5</s>"),
        (),
    ),
    "the same, as whole conversations": (
        {"prompt": BEGUN, "chosen": BEGUN + RIGHT, "rejected": BEGUN + WRONG},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>It is", "4</s>", "5</s>"),
        (),
    ),
    "thoughts that the template drops": (
        SPOKEN | {"chosen": [RIGHT[0] | {"reasoning_content": "Hm."}]},
        TEMPLATE,
        AS_CHAT,
        ("rewritten",),
    ),
    "thoughts that it writes": (
        SPOKEN | {"chosen": [RIGHT[0] | {"reasoning_content": "Hm."}]},
        THOUGHTS,
        ("<user>2 + 2?</s><assistant>", "Hm.4</s>", "5</s>"),
        (),
    ),
    "turns of the user in a response": (
        SPOKEN | {"chosen": OTHERS},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>", "4</s><user>Sure?</s><assistant>Yes.</s>", "5</s>"),
        ("turns",),
    ),
    "tools before plain text": (
        GOOD | {"tools": [{"name": "add"}]},
        None,
        AS_TEXT,
        ("tools_ignored",),
    ),
    "an end in the middle": (
        GOOD | {"chosen": "4</s>5"},
        None,
        ("2 + 2?", "4</s>5</s>", "5</s>"),
        ("control_text",),
    ),
    "ends twice in the text": (
        GOOD | {"chosen": "4</s></s>"},
        None,
        ("2 + 2?", "4</s></s>", "5</s>"),
        ("control_text",),
    ),
    "scores for the other response": (GOOD | SCORED, None, AS_TEXT, ("lower_score",)),
    "a negative margin": (GOOD | {"margin": -0.5}, None, AS_TEXT, ("lower_score",)),
    "equal rewards": (GOOD | {"reward_chosen": 3, "reward_rejected": 3.0}, None, AS_TEXT, ("tie",)),
    "UltraFeedback": (
        {"prompt": "2 + 2?", "prompt_id": "a", "chosen": ASKED + RIGHT, "rejected": ASKED + WRONG}
        | {"messages": ASKED + RIGHT, "score_chosen": 8.5, "score_rejected": 2.0},
        TEMPLATE,
        AS_CHAT,
        (),
    ),
    "Orca": (
        {"system": "", "question": "2 + 2?", "chosen": "4", "rejected": "5"},
        None,
        AS_TEXT,
        (),
    ),
    "null media": (GOOD | {"images": None, "audio": [], "videos": ""}, None, AS_TEXT, ()),
    "white space apart": (
        GOOD | {"rejected": "4 "},
        None,
        ("2 + 2?", "4</s>", "4 </s>"),
        (),
    ),
    "parts of another interface": (
        SPOKEN
        | {"prompt": [typed("user", "input_text", "2 + 2?")]}
        | {"chosen": [typed("assistant", "output_text", "4")]},
        TEMPLATE,
        AS_CHAT,
        (),
    ),
    "questions before the prompt": (
        {"instruction": "And 3 + 3?", "history": [["2 + 2?", "4"]], "chosen": "6", "rejected": "5"},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>4</s><user>And 3 + 3?</s><assistant>", "6</s>", "5</s>"),
        (),
    ),
    "no questions before it": (
        {"instruction": "2 + 2?", "input": "", "history": [], "chosen": "4", "rejected": "5"},
        None,
        AS_TEXT,
        (),
    ),
    "an empty prompt beside whole conversations": (
        {"prompt": "", "chosen": ASKED + RIGHT, "rejected": ASKED + WRONG},
        TEMPLATE,
        AS_CHAT,
        (),
    ),
    "conversations of several questions": (
        {"chosen": ASKED + RIGHT + ASKED + RIGHT, "rejected": ASKED + RIGHT + ASKED + WRONG},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>4</s><user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "conversations of two lengths": (
        {"chosen": ASKED + RIGHT, "rejected": ASKED + WRONG + ASKED + RIGHT},
        TEMPLATE,
        ("<user>2 + 2?</s><assistant>", "4</s>", "5</s><user>2 + 2?</s><assistant>4</s>"),
        ("turns",),
    ),
    "messages as JSON text": (
        {"prompt": turned(*ASKED), "chosen": turned(*RIGHT), "rejected": turned(*WRONG)},
        None,
        (turned(*ASKED), f"{turned(*RIGHT)}</s>", f"{turned(*WRONG)}</s>"),
        ("messages_as_text",),
    ),
    "a list as an answer": (
        GOOD | {"chosen": "[1, 2]", "rejected": '[{"name": "x"}]'},
        None,
        ("2 + 2?", "[1, 2]</s>", '[{"name": "x"}]</s>'),
        (),
    ),
    "scores as text": (
        GOOD | {"score_chosen": "3", "score_rejected": "7"},
        None,
        AS_TEXT,
        ("lower_score",),
    ),
    "a margin as text": (GOOD | {"margin": "0"}, None, AS_TEXT, ("tie",)),
    "a score in words": (GOOD | {"score_chosen": "good", "score_rejected": 1}, None, AS_TEXT, ()),
    "no number as a score": (
        GOOD | {"score_chosen": float("nan"), "score_rejected": 1},
        None,
        AS_TEXT,
        (),
    ),
    "arguments of a template as text": (
        SPOKEN | {"chat_template_kwargs": '{"short": true}'},
        "{% if short %}!{% endif %}" + TEMPLATE,
        ("!<user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "arguments that the template does not read": (
        SPOKEN | {"chat_template_kwargs": {"enable_thinking": False}},
        TEMPLATE,
        AS_CHAT,
        ("kwargs_ignored",),
    ),
    "arguments before plain text": (
        GOOD | {"chat_template_kwargs": {"enable_thinking": False}},
        None,
        AS_TEXT,
        ("kwargs_ignored",),
    ),
    "a date in the prompt": (
        SPOKEN,
        DATED,
        ("20<user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        ("dated",),
    ),
    "a date that is given": (
        SPOKEN | {"chat_template_kwargs": {"date_string": "1 May"}},
        "{{ date_string or strftime_now('%Y') }}" + TEMPLATE,
        ("1 May<user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "marks of what the assistant says": (
        SPOKEN,
        TEMPLATE.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}"),
        AS_CHAT,
        (),
    ),
    "a template in capitals": (
        SPOKEN | {"chosen": [said("assistant", "four")]},
        TEMPLATE.replace("m.content", "m.content | upper"),
        ("<user>2 + 2?</s><assistant>", "FOUR</s>", "5</s>"),
        ("rewritten",),
    ),
    "a template that adds a system turn": (
        SPOKEN,
        "{% if messages[0].role != 'system' %}<system>Add.</s>{% endif %}" + TEMPLATE,
        ("<system>Add.</s><user>2 + 2?</s><assistant>", "4</s>", "5</s>"),
        (),
    ),
    "a template that opens no answer": (
        SPOKEN,
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}",
        ("<user>2 + 2?</s>", "<assistant>4</s>", "<assistant>5</s>"),
        (),
    ),
    "a character of code 0": (GOOD | {"chosen": "4\0"}, None, ("2 + 2?", "4\0</s>", "5</s>"), ()),
    "letters of several bytes with one beginning": (
        GOOD | {"prompt": "é?", "chosen": "漢字", "rejected": "漢数"},
        None,
        ("é?", "漢字</s>", "漢数</s>"),
        (),
    ),
}

DROPPED = {  # name: the row, the reason
    "a response that ends with the user": (
        SPOKEN | {"chosen": OTHERS[:2]},
        "conversation",
    ),
    "a response of a tool": (
        SPOKEN | {"chosen": [said("tool", "4")]},
        "conversation",
    ),
    "parts of thoughts": (
        SPOKEN | {"chosen": [said("assistant", [{"type": "thinking", "thinking": "Hm."}])]},
        "conversation",
    ),
    "a conversation that goes on from the other": (
        {"chosen": ASKED + RIGHT, "rejected": ASKED + RIGHT + ASKED + WRONG},
        "empty",
    ),
    "conversations that ask different questions": (
        {"chosen": ASKED + RIGHT, "rejected": [said("user", "3 + 3?"), *WRONG]},
        "conversation",
    ),
    "sound": (GOOD | {"audio": {"path": "a.wav"}}, "images"),
    "video": (GOOD | {"video": "a.mp4"}, "images"),
    "an image in a part": (
        SPOKEN | {"prompt": [said("user", [{"type": "image_url", "image_url": "x"}])]},
        "images",
    ),
    "a row that says where its prompt ends": (
        SPOKEN | {"chat_template_kwargs": {"add_generation_prompt": True}},
        "conversation",
    ),
    "soft hyphens and joiners": (GOOD | {"chosen": "\u00ad\u200d\u200c"}, "empty"),
    "a label and no prompt": ({"messages": RIGHT, "label": True}, "conversation"),
}

FATAL = {  # name: the row, the beginning of the line
    "a key twice": (b'{"prompt": "?", "chosen": "4", "rejected": "5", "chosen": "6"}', "chosen: "),
    "a number for a response": (GOOD | {"chosen": 4}, "chosen: expected a string or a non-empty"),
    "a null response": (GOOD | {"rejected": None}, "rejected: expected a string or a non-empty"),
    "a list of lists of strings": (GOOD | {"rejected": [["5"]]}, "rejected: expected messages"),
    "a ranking": ({"prompt": "?", "answers": [{"rank": 1}]}, "chosen: expected this key"),
    "two questions": (
        {"question": "?", "instruction": "!"} | {"chosen": "4", "rejected": "5"},
        "prompt: ",
    ),
    "a completion without a label": ({"prompt": "?", "completion": "4"}, "chosen: expected this"),
    "a label in words": (
        {"prompt": "?", "completion": "4", "label": "yes"},
        "label: expected true",
    ),
    "a choice between two": (
        {"prompt": "?", "response_a": "4", "response_b": "5", "preference": "a"},
        "chosen: expected this key, got only the keys ['preference', 'prompt', 'response_a', 'response_b']",
    ),
    "a number of thousands of digits": (
        b'{"prompt": "?", "chosen": "4", "rejected": "5", "id": ' + b"9" * 5000 + b"}",
        "expected a JSON object, got a number of thousands of digits",
    ),
    "arguments of a template that are no JSON": (
        GOOD | {"chat_template_kwargs": "{short}"},
        "chat_template_kwargs: expected JSON, got unparsable text",
    ),
}

COMMANDS = {  # name: flags, the beginning of the line
    "a mix beside a loss without one": ("--loss ipo --mix 0.7", "mix: expected none with loss ipo"),
    "a bound beside a loss": ("--loss kto --bound js", "bound: expected none with loss kto"),
    "a mix beside a sum that names its own": (
        "--loss dv@0.5+js@1 --mix 0.7",
        "mix: expected none with loss dv@0.5+js@1",
    ),
    "a clip without margins": ("--bound js --clip_margin 2", "clip_margin: expected none without"),
    "a clip of a sum": ("--loss dv+sft --clip_margin 2", "clip_margin: expected none without"),
    "weights of KTO's": ("--desirable_weight 2", "desirable_weight: expected nothing: the rows"),
    "WPO": ("--use_weighting true", "use_weighting: expected nothing: WPO"),
    "a streamed set": ("--dataset_streaming true", "dataset_streaming: expected train_data: data"),
    "template arguments that are no object": (
        "--chat_template_kwargs [1]",
        "chat_template_kwargs: expected a JSON object",
    ),
    "no steps": ("--max_steps 0", "max_steps: expected -1 or an integer ≥ 1, got 0"),
    "no epochs": ("--num_train_epochs 0", "num_train_epochs: expected a finite number > 0"),
    "another weight of KTO's": ("--undesirable_weight 1.5", "undesirable_weight: expected nothing"),
    "an infinite beta": ("--beta 1e400", "beta: expected a finite number > 0, got inf"),
    "no temperature at all": ("--beta=", "beta: expected a number"),
}

ARGUMENTS = {  # name: of the template, the beginning of the line
    "misspelt": ({"enable_thinkin": False}, r"names that the template reads \(.*enable_thinking"),
    "where the prompt ends": ({"add_generation_prompt": True}, "got add_generation_prompt"),
    "what is returned": ({"tokenize": True}, "got tokenize"),
    "another conversation": ({"messages": []}, "got messages"),
}
THINKS = TEMPLATE + "{% if enable_thinking %}<think>{% endif %}"


@pytest.mark.parametrize("name", READ)
def test_read(name):
    row, template, texts, notes = READ[name]
    tokenizer = ByT5Tokenizer(chat_template=template)
    example = tokenize_example(parse_row(row), tokenizer, Options(200))
    decoded = [tokenizer.decode(ids) for ids in (example.prompt, *example.completions)]

    assert tuple(decoded) == texts
    assert tuple(note for note in example.notes if note != "plain") == notes


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name):
    row, reason = DROPPED[name]
    with pytest.raises(Unusable) as error:
        tokenize_example(parse_row(row), ByT5Tokenizer(chat_template=TEMPLATE), Options(200))
    assert error.value.reason == reason


@pytest.mark.parametrize("name", FATAL)
def test_fatal(name):
    row, message = FATAL[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        parse_row(row)
    assert not isinstance(error.value, Unusable)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name):
    flags, message = COMMANDS[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_values(["--model", "builtin", *flags.split()])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_template_arguments(name):
    arguments, message = ARGUMENTS[name]
    tokenizer = ByT5Tokenizer(chat_template=THINKS)
    with pytest.raises(ValueError, match=rf"^chat_template_kwargs: expected .*{message}"):
        check_tokenizer(tokenizer, [], Options(200, template=arguments))
    check_tokenizer(tokenizer, [], Options(200, template={"enable_thinking": False}))


PACKED = {  # name: the file's name and its bytes; each holds two rows
    "marked": ("a.jsonl", lambda text: b"\xef\xbb\xbf" + text),
    "lines of Windows": ("a.jsonl", lambda text: text.replace(b"\n", b"\r\n")),
    "no last line end": ("a.jsonl", bytes.rstrip),
    "blank lines": ("a.jsonl", lambda text: b"\n \n" + text.replace(b"\n", b"\n\n")),
    "another name": ("a.txt", bytes),
    "packed under a plain name": ("a.jsonl", gzip.compress),
    "an array, marked": (
        "a.json",
        lambda text: b"\xef\xbb\xbf[" + b",".join(text.split(b"\n")[:2]) + b"]",
    ),
}


@pytest.mark.parametrize("name", PACKED)
def test_files(name, tmp_path):
    file, pack = PACKED[name]
    rows = [GOOD, GOOD | {"prompt": "3 + 3?"}]
    path = tmp_path / file
    path.write_bytes(pack("".join(f"{json.dumps(row)}\n" for row in rows).encode()))
    assert [example.prompt for example in read_examples(path)] == ["2 + 2?", "3 + 3?"]


NO_LINES = {  # name: the file's name, its bytes, what the line says of it
    "CSV": ("a.csv", b"prompt,chosen,rejected\n2?,4,5\n", "a table of text (write it as parquet"),
    "TSV, quoted": ("a.tsv", b'"prompt"\t"chosen"\t"rejected"\n', "a table of text"),
    "bzip2": ("a.jsonl", bz2.compress(b"{}"), "text packed by bzip2 (unpack it"),
    "xz": ("a.jsonl.xz", lzma.compress(b"{}"), "text packed by xz"),
    "zip": ("a.jsonl", b"PK\x03\x04....", "a zip archive (unpack it)"),
    "zstd": ("a.jsonl.zst", b"\x28\xb5\x2f\xfd....", "text packed by zstd"),
    "UTF-16": ("a.jsonl", json.dumps(GOOD).encode("utf-16"), "text in UTF-16 (write it in UTF-8)"),
    "Git LFS": ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid a\n", "a pointer of"),
    "a page": ("a.jsonl", b"<!DOCTYPE html>\n", "a page of HTML or XML"),
    "an object over lines": (
        "a.json",
        json.dumps(GOOD, indent=2).encode(),
        "an object over several",
    ),
    "commas between": ("a.jsonl", (json.dumps(GOOD) + ",\n").encode() * 2, "objects with commas"),
    "lines of an old Mac": (
        "a.jsonl",
        (json.dumps(GOOD) + "\r").encode() * 2,
        "lines that end with",
    ),
    "parquet under another name": ("a.jsonl", b"PAR1....", "parquet under another name"),
}


@pytest.mark.parametrize("name", NO_LINES)
def test_other_files(name, tmp_path):
    """Other files are named."""
    file, content, kind = NO_LINES[name]
    path = tmp_path / file
    path.write_bytes(content)
    expected = f"{path}: expected JSON lines, a JSON array or parquet, got {kind}"

    with pytest.raises(ValueError, match=f"^{re.escape(expected)}") as error:
        read_examples(path)
    assert "\n" not in str(error.value)


SPLITS = {  # files of a folder, whether they are read
    "parts of one": (("train-0.jsonl", "train-1.jsonl"), True),
    "no names of splits": (("testing_grounds.jsonl", "trainers.jsonl"), True),
    "two": (("train.jsonl", "test.jsonl"), False),
    "two, named last": (("pairs_train.jsonl", "pairs_test.jsonl"), False),
    "two, in the middle": (("my.TRAIN.v2.jsonl", "my-dev-v2.jsonl"), False),
    "two, one of them compound": (("eval_train.jsonl", "eval_test.jsonl"), False),
    "one, named last": (("pairs_train_0.jsonl", "more-train1.jsonl"), True),
    "words that hold one": (("constrain.jsonl", "latest.jsonl", "pairs_train.jsonl"), True),
    "two, in parts": (("train-0.jsonl", "train-1.jsonl", "validation-0.jsonl"), False),
}


@pytest.mark.parametrize("name", SPLITS)
def test_several_splits(name, tmp_path):
    """A folder of several splits is refused."""
    files, read = SPLITS[name]
    for number, file in enumerate(files):
        (tmp_path / file).write_text(json.dumps(GOOD | {"prompt": f"{number}?"}))
    if read:
        assert len(read_examples(tmp_path)) == len(files)
        return

    with pytest.raises(ValueError, match=r"expected files of one split, got \S+ and \S+ \(name"):
        read_examples(tmp_path)


JOINTS = {  # prompt, chosen, rejected: what stands where they meet
    "a space before": ("2 + 2 =", " 4", " 5"),
    "a space behind": ("2 + 2 = ", "4", "5"),
    "spaces on both sides": ("2 + 2 = ", " 4", " 5"),
    "a line end": ("2 + 2 =\n", "\n4", "\n5"),
    "one number": ("the answer is 1", "2", "3"),
    "a word in two": ("the ans", "wer is 4", "wer is 5"),
    "only one that merges": ("the ans", "wer", " 5"),
    "a prompt of spaces": ("   ", "4", "5"),
}


@pytest.mark.parametrize("tokenizer", [byte_pairs, prepending], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", JOINTS)
def test_boundary(name, tokenizer):
    """Prompt and response have the tokens of their text, and all responses follow the same tokens."""
    tokenizer = tokenizer()
    prompt, *responses = JOINTS[name]
    row = parse_row({"prompt": prompt, "chosen": responses[0], "rejected": responses[1]})
    example = tokenize_example(row, tokenizer, Options(200))
    encode = partial(tokenizer.encode, add_special_tokens=False)
    start = (
        []
        if tokenizer("a")["input_ids"][:1] != [tokenizer.bos_token_id]
        else [tokenizer.bos_token_id]
    )

    for response, ids in zip(responses, example.completions, strict=True):
        assert example.prompt + ids == start + encode(prompt + response) + [tokenizer.eos_token_id]


def test_table_size():
    """The table has enough inputs."""
    tables = (READ, DROPPED, FATAL, COMMANDS, ARGUMENTS, PACKED, NO_LINES, SPLITS, JOINTS)
    assert sum(map(len, tables)) >= 110
