"""Chat templates: those of TRL's wheel, and the turns, tools and thoughts that each writes."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest
from transformers import ByT5Tokenizer

from llm_adapter.data.examples import Unusable
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, tokenize_example
from llm_adapter.models import CHATML, load_tokenizer
from tests.llm_adapter.data.shared import ALTERNATING, ASKED, GOOD, TEMPLATE, lines, said

TRL = importlib.util.find_spec("trl")
needs_templates = pytest.mark.skipif(TRL is None, reason="needs trl (pip install --no-deps trl)")

SPEAKS, ENDS = "<|im_start|>assistant\n", "<|im_end|>\n"
CHAT = (SPEAKS, "", ENDS)
GEMMA = ("<start_of_turn>model\n", "", "<end_of_turn>\n")
LLAMA = ("<|start_header_id|>assistant<|end_header_id|>\n\n", "", "<|eot_id|>")
NEMOTRON = (f"{SPEAKS}<think>", "</think>", ENDS)
PHI = ("<|assistant|>\n", "", "<|end|></s>")
QWEN = (f"{SPEAKS}<think>\n", "\n</think>\n\n", ENDS)
SEES = ("<end_of_utterance>\nAssistant:", " ", "<end_of_utterance>\n")
WRITES = {  # template → end of a prompt, what stands before an answer that follows it, and after it
    "cohere": ("<|CHATBOT_TOKEN|>", "", "<|END_OF_TURN_TOKEN|>"),
    "cohere2": ("<|START_RESPONSE|>", "", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"),
    "deepseek_r1_distill": ("<｜Assistant｜>", "", "<｜end▁of▁sentence｜>"),
    "deepseekv3": ("<｜Assistant｜>", "", "<｜end▁of▁sentence｜>"),
    "gemma": GEMMA,
    "gemma3": GEMMA,
    "gemma4": ("<|turn>model\n", "", "<turn|>\n"),
    "gemma4_v5": ("<|turn>model\n", "", "<turn|>\n"),
    "glm4moe": ("<|assistant|>", "\n<think></think>\n", ""),
    "gptoss": ("<|start|>assistant", "<|channel|>final<|message|>", "<|return|>"),
    "idefics3": SEES,
    "lfm2": CHAT,
    "lfm2_2_5": CHAT,
    "llama3": LLAMA,
    "llama3_1": LLAMA,
    "llama3_2": LLAMA,
    "llava_next": ("[/INST]", " ", "</s>"),
    "muse_glimmer": ("<|start|>assistant", " to=user<|message|>", "<|eot|>"),
    "nemotron_3_5_lightning": NEMOTRON,
    "nemotron_3_nano": NEMOTRON,
    "nemotron_3_super": NEMOTRON,
    "nemotron_3_ultra": NEMOTRON,
    "phi3": PHI,
    "phi3_5": PHI,
    "qwen2_5": CHAT,
    "qwen2_5_vl": CHAT,
    "qwen3": (SPEAKS, "<think>\n\n</think>\n\n", ENDS),
    "qwen3_5_nothink": (f"{SPEAKS}<think>\n\n</think>\n\n", "", ENDS),
    "qwen3_5_think": QWEN,
    "qwen3_6": QWEN,
    "qwen3_8": QWEN,
    "qwen3_instruct_2507": CHAT,
    "qwen3_vl": CHAT,
    "smolvlm": SEES,
}
PARTS = ("deepseek_r1_distill", "deepseekv3", "nemotron_3_5_lightning", "nemotron_3_nano")
PARTS += ("nemotron_3_super", "nemotron_3_ultra")  # open thoughts that an answer does not have
BLIND = ("cohere", "cohere2", "deepseek_r1_distill", "gemma", "gemma3", "idefics3", "lfm2")
BLIND += ("llama3", "llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm")  # to tool calls

RIGHT, WRONG = [said("assistant", "It is 4.")], [said("assistant", "It is 5.")]
SURE = said("user", "Sure?")
SPOKEN = {"prompt": ASKED, "chosen": RIGHT, "rejected": WRONG}
ROWS = {
    "one turn": SPOKEN,
    "a system turn": SPOKEN | {"system": "Add."},
    "a longer prompt": SPOKEN | {"prompt": [*ASKED, said("assistant", "4"), SURE]},
    "two turns in the response": {
        "prompt": ASKED,
        "chosen": [*RIGHT, SURE, said("assistant", "Yes.")],
        "rejected": [*WRONG, SURE, said("assistant", "No.")],
    },
}
CALL = {"type": "function", "function": {"name": "plus", "arguments": {"a": 2, "b": 2}}}
SCHEMA = {
    "type": "function",
    "function": {
        "name": "plus",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


@cache
def reader(name):
    """Return a tokenizer of bytes with a template of the wheel."""
    path = Path(TRL.submodule_search_locations[0]) / "chat_templates" / f"{name}.jinja"
    return ByT5Tokenizer(bos_token="<extra_id_0>", chat_template=path.read_text(encoding="utf-8"))


def read(tokenizer, row, **options):
    """Return the text of the prompt and of the responses, and the example."""
    example = tokenize_example(parse_row(row), tokenizer, Options(10**6, **options))
    texts = [tokenizer.decode(ids) for ids in (example.prompt, *example.completions)]
    return texts, example


@needs_templates
@pytest.mark.parametrize("name", WRITES)
def test_answer(name):
    """An answer is what the template writes after the prompt."""
    end, before, after = WRITES[name]
    (prompt, chosen, rejected), example = read(reader(name), SPOKEN)

    assert "2 + 2?" in prompt
    assert prompt.endswith(end)
    assert chosen == f"{before}It is 4.{after}"
    assert rejected == f"{before}It is 5.{after}"
    assert ("template" in example.notes) == (name in PARTS)


@needs_templates
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("name", WRITES)
def test_joined_parts(name, kind):
    """Prompt and response are the conversation.

    Joined, they are what the template writes for the whole conversation, and the prompt holds the question.
    """
    tokenizer, row = reader(name), ROWS[kind]
    if name == "gemma" and "system" in row:
        with pytest.raises(Unusable, match="System role not supported"):
            read(tokenizer, row)
        return

    (prompt, *responses), _ = read(tokenizer, row)
    turns = [{"role": "system", "content": row["system"]}] if "system" in row else []
    parts = name in ("idefics3", "smolvlm", "llava_next")

    for answer, response in zip((row["chosen"], row["rejected"]), responses, strict=True):
        whole = [*turns, *row["prompt"], *answer]
        if parts:
            whole = [m | {"content": [{"type": "text", "text": m["content"]}]} for m in whole]
        text = tokenizer.apply_chat_template(whole, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert prompt + response == tokenizer.decode(ids)

    assert row["prompt"][-1]["content"] in prompt
    assert responses[0] != responses[1]


@needs_templates
@pytest.mark.parametrize(
    "content", [{"content": None}, {}, {"content": ""}], ids=["null", "absent", "empty"]
)
@pytest.mark.parametrize(
    "arguments", [{"a": 2, "b": 2}, '{"a": 2, "b": 2}'], ids=["object", "json"]
)
@pytest.mark.parametrize("name", WRITES)
def test_tool_call(name, arguments, content):
    """A tool call is written or refused."""
    call = {"type": "function", "function": CALL["function"] | {"arguments": arguments}}
    answer = {"role": "assistant", "tool_calls": [call], **content}
    row = SPOKEN | {"tools": [SCHEMA], "chosen": [answer]}

    if name in BLIND:
        with pytest.raises(Unusable, match="plus"):
            read(reader(name), row)
        return

    (prompt, chosen, _), example = read(reader(name), row)
    assert "plus" in chosen
    assert "None" not in chosen
    assert r"\"" not in chosen
    assert ("plus" in prompt) == ("tools_ignored" not in example.notes)


@needs_templates
def test_template_arguments():
    """Arguments of the template reach it.

    With thoughts switched off, a prompt and its answer no longer part.
    """
    tokenizer = reader("nemotron_3_nano")
    (prompt, chosen, _), example = read(tokenizer, SPOKEN, template={"enable_thinking": False})

    assert example.notes == ("endless",) or example.notes == ()
    assert (prompt[-15:], chosen) == ("<think></think>", "It is 4.<|im_end|>\n")

    own = SPOKEN | {"chat_template_kwargs": {"enable_thinking": False, "unused": None}}
    assert read(tokenizer, own)[0][0] == prompt


@needs_templates
def test_lost_thoughts():
    """Thoughts that a template leaves out are noted."""
    thought = [said("assistant", "<think>\nhm\n</think>\n\nIt is 4.")]
    row = SPOKEN | {"chosen": thought}
    assert "rewritten" in read(reader("deepseek_r1_distill"), row)[1].notes
    assert "rewritten" not in read(reader("qwen3"), row)[1].notes


SPEAKING = (  # a template of a model that knows two roles
    "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}<{{ m.role }}>{{ m.content | trim }}</s>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
FIRST = "{{ messages[0].content[:3] }}" + SPEAKING  # cuts the first turn
CALLED = {"role": "assistant", "content": ""}
CALLED["tool_calls"] = [{"type": "function", "function": {"name": "okapi", "arguments": {"a": 2}}}]
PROMPTS = {  # what may get lost, and a word of each text
    "a system turn": ([said("system", "Answer like a zebra."), *ASKED], ["zebra"]),
    "the words of another turn": ([said("system", "2 + 2?"), *ASKED], []),
    "a developer": ([said("developer", "Answer like a zebra.\n"), *ASKED], ["zebra"]),
    "a tool call": (
        [*ASKED, CALLED, said("tool", '{"result": "lemur",\n "ok": true}')],
        ["okapi", "lemur"],
    ),
    "spaces": ([said("user", "  a  zebra\t?\n\n"), said("assistant", " okapi "), SURE], ["okapi"]),
    "earlier thoughts": (
        [*ASKED, said("assistant", "<think>\nlemur\n</think>\n\nAn okapi."), SURE],
        ["okapi"],
    ),
}


@needs_templates
@pytest.mark.parametrize("name", [*WRITES, "two roles", "upper case"])
@pytest.mark.parametrize("kind", PROMPTS)
def test_lost_turns(name, kind):
    """A turn of the prompt is written, or the row is noted or refused; thoughts of earlier turns may go."""
    turns, words = PROMPTS[kind]
    own = {"two roles": SPEAKING, "upper case": ALTERNATING.replace("m.content", "m.content|upper")}
    tokenizer = ByT5Tokenizer(chat_template=own[name]) if name in own else reader(name)
    try:
        (prompt, *_), example = read(tokenizer, SPOKEN | {"prompt": turns, "tools": [SCHEMA]})
    except Unusable:  # a template that refuses the turns names the row
        return

    lost = any(word not in prompt.lower() for word in words)
    if kind == "the words of another turn":
        lost = prompt.count("2 + 2?") < 2
    lost = lost or (name == "upper case" and "ZEBRA" in prompt) or "OKAPI" in prompt
    assert ("turns_ignored" in example.notes) == lost


def test_cut_turn():
    """A turn of which the template writes the beginning is noted."""
    row = SPOKEN | {"prompt": [said("system", "Answer like a zebra."), *ASKED]}
    _, example = read(ByT5Tokenizer(chat_template=FIRST), row)
    assert "turns_ignored" in example.notes


CHANGES = {  # what a template does with a text
    "capitals": "upper",
    "escapes": "e",
    "no line breaks": "replace('\\n', ' ')",
    "words only": "replace('<b>', '')",
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_changed_turn(name, role):
    """A turn of the prompt that the template changes is noted, white space at its ends and a tool's JSON aside."""
    changed = f"{{{{ m.content | {CHANGES[name]} if m.role == '{role}' else m.content | trim }}}}"
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE.replace("{{ m.content }}", changed))
    turns = {turn: [said(turn, f" a\n<b> {turn}\n")] for turn in ("system", "user", "assistant")}
    prompt = [*turns["system"], *turns["user"], *turns["assistant"], said("user", "?")]
    assert "turns_ignored" in read(tokenizer, SPOKEN | {"prompt": prompt})[1].notes

    prompt = [turn for turn in prompt if turn["role"] != role or turn["content"] == "?"]
    assert "turns_ignored" not in read(tokenizer, SPOKEN | {"prompt": prompt})[1].notes


@needs_templates
@pytest.mark.parametrize("name", WRITES)
def test_begun_answer(name):
    """What the assistant has begun stands in the prompt, with its thoughts if the template writes them."""
    begun = said("assistant", "It is") | {"reasoning_content": "Two pairs."}
    row = SPOKEN | {"prompt": [*ASKED, begun], "chosen": " 4.", "rejected": " 5."}
    (prompt, chosen, _), example = read(reader(name), row)
    assert prompt.endswith("It is")
    assert chosen.startswith(" 4.")
    assert ("Two pairs." in prompt) == ("message.reasoning_content" not in example.ignored)


def test_open_call():
    """A tool call is not the end of a prompt: what the tool returned is missing."""
    prompt = [*ASKED, said("assistant", "Let me add.") | {"tool_calls": [CALL]}]
    with pytest.raises(Unusable, match="expected what the tool returned after a tool call"):
        read(ByT5Tokenizer(chat_template=CALLING), SPOKEN | {"prompt": prompt})

    (text, *_), _ = read(
        ByT5Tokenizer(chat_template=CALLING), SPOKEN | {"prompt": [*prompt, said("tool", "4")]}
    )
    assert text == "<user>2 + 2?</s><assistant>Let me add.[plus(22)]</s><tool>4</s><assistant>"


@pytest.mark.parametrize("content", [{"content": None}, {}, {"content": ""}, {"content": "Hm."}])
@pytest.mark.parametrize(
    "call", [{"name": "plus", "arguments": '{"a": 2}'}, '{"name": "plus", "arguments": {"a": 2}}']
)
def test_function_call(content, call):
    """The older form of a tool call is read as one; a template that writes none is refused."""
    answer = {"role": "assistant", "function_call": call, **content}
    (_, chosen, _), example = read(
        ByT5Tokenizer(chat_template=CALLING), SPOKEN | {"chosen": [answer]}
    )
    assert chosen == f"{content.get('content') or ''}[plus(2)]</s>"
    assert example.ignored == ()

    with pytest.raises(Unusable, match="writes tool calls, got none of plus"):
        read(ByT5Tokenizer(chat_template=TEMPLATE), SPOKEN | {"chosen": [answer]})


def test_lost_answer():
    """Text of a response that the template leaves out is noted, though the prompt has the same words."""
    chosen = [said("assistant", "Hm."), said("tool", "2 + 2?"), said("assistant", "4")]
    row = SPOKEN | {"chosen": chosen}
    assert "rewritten" in read(ByT5Tokenizer(chat_template=SPEAKING), row)[1].notes
    assert "rewritten" not in read(ByT5Tokenizer(chat_template=TEMPLATE), row)[1].notes


def test_lost_tools():
    """Tools that a template does not write are noted."""
    row = SPOKEN | {"tools": [SCHEMA]}
    assert "tools_ignored" in read(ByT5Tokenizer(chat_template=ALTERNATING), row)[1].notes


def test_named_template(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text(ALTERNATING)

    assert load_tokenizer("builtin", chat_template=str(path)).chat_template == ALTERNATING

    chatml = load_tokenizer("builtin", chat_template="chatml")
    texts, _ = read(chatml, GOOD, chat=True)

    assert texts[0] == "<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    assert texts[1:] == ["4<|im_end|>\n", "5<|im_end|>\n"]

    named = ByT5Tokenizer(chat_template={"default": ALTERNATING, "other": CHATML})
    named.save_pretrained(tmp_path / "named")

    with pytest.raises(
        ValueError, match=r"^chat_template: expected a readable file, or one of chatml, got"
    ):
        load_tokenizer("builtin", chat_template="nowhere")


FUNCTION = {"name": "plus", "arguments": {"a": 2}}
TEXT = '{"name": "plus", "arguments": {"a": 2}}'
CALLS = {  # tool calls as tables keep them
    "objects": [{"type": "function", "function": FUNCTION}],
    "text": f'[{{"type": "function", "function": {TEXT}}}]',
    "text of one": TEXT,
    "texts": [TEXT],
    "an object": FUNCTION,
    "arguments in text": [FUNCTION | {"arguments": '{"a": 2}'}],
    "no function in it": [FUNCTION | {"function": None}],
}
NO_CALLS = {
    "words": "plus",
    "words in a list": ["plus"],
    "a number": [7],
    "no name": [{"function": {"arguments": "{}"}}],
    "a name that is no text": [{"function": {"name": 7}}],
    "a function in words": [{"function": "plus"}],
    "damaged text": TEXT[:-1],
}
CALLING = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}"
    "{% set f = c.function or c %}[{{ f.name }}({{ f.arguments.values() | join }})]{% endfor %}</s>"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def calling(calls):
    return {"role": "assistant", "content": None, "tool_calls": calls}


@pytest.mark.parametrize("name", CALLS)
def test_forms_of_calls(name):
    """All forms of a tool call are the same text, in a prompt and in a response."""
    tokenizer = ByT5Tokenizer(chat_template=CALLING)
    (prompt, chosen, _), example = read(tokenizer, SPOKEN | {"chosen": [calling(CALLS[name])]})
    assert (prompt, chosen) == ("<user>2 + 2?</s><assistant>", "[plus(2)]</s>")

    turns = [*ASKED, calling(CALLS[name]), said("tool", "4")]
    (prompt, *_), example = read(tokenizer, SPOKEN | {"prompt": turns})
    assert "<assistant>[plus(2)]</s><tool>4</s>" in prompt
    assert "turns_ignored" not in example.notes


@pytest.mark.parametrize("calls", [None, [], "", "null", "[]"])
def test_absent_calls(calls):
    row = SPOKEN | {"chosen": [RIGHT[0] | {"tool_calls": calls}]}
    assert read(ByT5Tokenizer(chat_template=CALLING), row)[0][1] == "It is 4.</s>"


@pytest.mark.parametrize("name", NO_CALLS)
def test_no_calls(tmp_path, name):
    """What is no tool call is named by file and line."""
    for turns in ({"chosen": [calling(NO_CALLS[name])]}, {"prompt": [calling(NO_CALLS[name])]}):
        path = lines(tmp_path / "data.jsonl", SPOKEN, SPOKEN | turns)
        with pytest.raises(ValueError, match=r"data.jsonl:2: \w+: expected tool_calls, a list of"):
            read_examples(path)


FAILING = {  # what a template does with a conversation of one turn
    "raises": "{{ raise_exception('no\nsuch turns') }}",
    "divides by zero": "{{ 1 // 0 }}",
    "calls itself": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "adds text to a number": "{{ 1 + 'a' }}",
}


@pytest.mark.parametrize("open_prompt", ["", "not ", "true or "])
@pytest.mark.parametrize("name", FAILING)
def test_failing_template(name, open_prompt):
    """A template that fails, with an answer to come or without, names the row; where it is not asked to, it writes."""
    when = f"messages | length == 1 and ({open_prompt}add_generation_prompt)"
    template = f"{{% if {when} %}}{FAILING[name]}{{% endif %}}{TEMPLATE}"
    tokenizer = ByT5Tokenizer(chat_template=template)
    if open_prompt == "not ":
        assert read(tokenizer, SPOKEN)[0][1] == "It is 4.</s>"
        return

    with pytest.raises(Unusable, match="expected turns that the chat template accepts, got: ") as e:
        read(tokenizer, SPOKEN)
    assert "\n" not in str(e.value)


class Failing(ByT5Tokenizer):
    """A tokenizer that is a program with a fault of its own."""

    def _tokenize(self, text):
        raise KeyError("a\nb")


def test_failing_tokenizer(tmp_path):
    path = lines(tmp_path / "data.jsonl", GOOD)
    with pytest.raises(ValueError, match=r"data.jsonl:1: .* be read, got KeyError: 'a\\nb'$"):
        tokenize(read_examples(path), Failing(), 64, path)
