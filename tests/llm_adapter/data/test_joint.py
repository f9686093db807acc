"""Joint tokens: whatever a tokenizer does where a text begins, prompt and response have the tokens of their text."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, ByT5Tokenizer, LlamaTokenizer, PreTrainedTokenizerFast

from llm_adapter.data.examples import Example, Fault
from llm_adapter.data.load import load_data, report
from llm_adapter.data.rows import parse_row
from llm_adapter.data.sources import PAIRS
from llm_adapter.data.tokens import (
    Options,
    prompt_ids,
    tokenize_example,
    tokenize_examples,
    vocabulary_digest,
)
from llm_adapter.evaluation.sampling import prompt_text
from tests.llm_adapter.data.shared import GOOD, TEMPLATE, arguments, lines

MISTRAL = importlib.util.find_spec("mistral_common")
needs_sentencepiece = pytest.mark.skipif(
    MISTRAL is None or importlib.util.find_spec("sentencepiece") is None,
    reason="needs sentencepiece and mistral-common (pip install --no-deps)",
)
ROOM = Options(10_000)


@cache
def mistral():
    """Return Mistral 7B's SentencePiece tokenizer: its vocabulary, merges and dummy prefix."""
    from transformers.tokenization_utils_sentencepiece import SentencePieceExtractor

    folder = Path(MISTRAL.submodule_search_locations[0]) / "data"
    vocabulary, _, merges = SentencePieceExtractor(str(folder / "tokenizer.model.v1")).extract(True)
    return LlamaTokenizer(vocab=vocabulary, merges=merges)


def trained(normalizer, pre_tokenizer, decoder, **special):
    """Return a BPE tokenizer that is trained on the shipped pairs, with BOS and EOS."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.normalizer, backend.pre_tokenizer, backend.decoder = normalizer, pre_tokenizer, decoder
    letters = sorted({*PAIRS.read_text(encoding="utf-8"), *"▁ \n"})
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=special.pop("alphabet", letters),
        show_progress=False,
    )
    texts = [row[key] for row in map(json.loads, PAIRS.open()) for key in ("prompt", "chosen")]
    backend.train_from_iterator(texts, trainer)

    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>", **special
    )


@cache
def prepending():
    """Return a tokenizer as Llama 2's tokenizer.json has it: "▁" before a text, and "▁" for each space."""
    return trained(
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        None,
        decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        ),
    )


@cache
def byte_pairs():
    """Return a byte-level BPE tokenizer, as GPT-2's."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return trained(None, level, decoders.ByteLevel(), alphabet=alphabet)


TOKENIZERS = [
    pytest.param(mistral, marks=needs_sentencepiece, id="sentencepiece"),
    pytest.param(prepending, id="prepend and replace"),
    pytest.param(byte_pairs, id="byte pairs"),
    pytest.param(ByT5Tokenizer, id="bytes"),
]


def plain(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def pieces(tokenizer, prompt, *responses):
    row = {"prompt": prompt, "chosen": responses[0], "rejected": [*responses[1:]]}
    return tokenize_example(parse_row(row), tokenizer, ROOM)


@pytest.mark.parametrize("make", TOKENIZERS)
def test_shipped_pairs(make):
    """The shipped pairs have the tokens of their text.

    Read apart from its prompt, each response would begin with a space that the text does not have.
    """
    tokenizer, responses, apart = make(), 0, 0
    for line in PAIRS.open(encoding="utf-8"):
        row = json.loads(line)
        texts = [row["chosen"], *row["rejected"]]
        example = pieces(tokenizer, row["prompt"], *texts)

        for text, ids in zip(texts, example.completions, strict=True):
            whole = plain(tokenizer, row["prompt"] + text)
            own = (example.prompt + ids)[-len(whole) - 1 :]
            assert own == [*whole, tokenizer.eos_token_id]
            assert tokenizer.decode(whole) == row["prompt"] + text
            responses += 1
            apart += ids[:-1] != plain(tokenizer, text)

    assert responses == 595
    assert apart == (responses if make in (mistral, prepending) else 0)


TEXT = st.text("ab 12+=.\né▁", max_size=8)


@pytest.mark.parametrize("make", TOKENIZERS)
@given(prompt=TEXT, chosen=TEXT, rejected=st.lists(TEXT, min_size=1, max_size=3))
def test_joint_tokens(make, prompt, chosen, rejected):
    """Prompt and response have the text's tokens; the prompt is the longest beginning that all have in common."""
    tokenizer, texts = make(), [chosen, *rejected]
    if chosen in rejected:
        return

    (example,) = tokenize_examples([Example(1, prompt, chosen, (*rejected,))], tokenizer, ROOM)
    bos = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    bos = bos if tokenizer("a")["input_ids"][:1] == bos else []
    wholes = [bos + plain(tokenizer, prompt + text) for text in texts]
    alone = bos + plain(tokenizer, prompt)
    apart = bool(alone) and any(ids[:1] != alone[:1] for ids in wholes)
    if isinstance(example, Fault):
        assert example.reason in (("no_boundary",) if apart else ("no_tokens", "identical"))
        return

    assert not apart

    end = [tokenizer.eos_token_id]
    assert [example.prompt + ids for ids in example.completions] == [ids + end for ids in wholes]

    assert example.prompt == alone[: len(example.prompt)]

    longer = alone[: len(example.prompt) + 1]
    shared = len(longer) > len(example.prompt) and all(
        ids[: len(longer)] == longer for ids in wholes
    )

    assert not shared
    assert ("merged" in example.notes) == (len(example.prompt) < len(alone))


@pytest.mark.parametrize("make", TOKENIZERS)
@pytest.mark.parametrize("template", [None, TEMPLATE], ids=["plain", "chat"])
def test_continued_prompt(make, template):
    """A model continues the prompt that it was trained on."""
    tokenizer = make()
    before, tokenizer.chat_template = tokenizer.chat_template, template
    try:
        row = parse_row(GOOD | {"prompt": "2 + 2?" + "\n" * (template is None)})
        example = tokenize_example(row, tokenizer, Options(99, chat=template is not None))
        text = prompt_text("2 + 2?", tokenizer)
        assert prompt_ids(text, tokenizer) == example.prompt
    finally:
        tokenizer.chat_template = before


@pytest.mark.parametrize("make", TOKENIZERS)
def test_text_ends(make):
    """A text begins and ends once."""
    tokenizer = make()
    bos, eos = tokenizer.bos_token or "", tokenizer.eos_token
    example = pieces(tokenizer, f"{bos}2 + 2?", f"4{eos}", "5")
    ids = [example.prompt + completion for completion in example.completions]

    for special in filter(None, (tokenizer.bos_token_id, tokenizer.eos_token_id)):
        assert [row.count(special) for row in ids] == [1, 1]

    assert [row[-1] for row in ids] == [tokenizer.eos_token_id] * 2

    ended = pieces(tokenizer, "2 + 2?", f"4{eos}", f"5{eos}")
    assert ended.completions == pieces(tokenizer, "2 + 2?", "4", "5").completions


CLOSING = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.mark.parametrize(
    ("prompt", "chosen"), [("2 + 2?", "4"), ("<s>2 + 2?", "4"), ("2 + 2?", "4</s>")]
)
def test_template_ends(prompt, chosen):
    """A template begins and ends once."""
    tokenizer = prepending()
    tokenizer.chat_template = CLOSING
    try:
        row = parse_row({"prompt": prompt, "chosen": chosen, "rejected": "5"})
        example = tokenize_example(row, tokenizer, Options(99, chat=True))
    finally:
        tokenizer.chat_template = None

    ids = example.prompt + example.completions[0]
    assert ids.count(tokenizer.eos_token_id) == 2  # of the question and of the answer
    assert tokenizer.decode(example.completions[0]).strip() == "4</s>"
    assert "endless" not in example.notes
    assert ids[:2].count(tokenizer.bos_token_id) == 1


def test_endless_template(tmp_path, capsys):
    """A template without an end is named."""
    tokenizer = ByT5Tokenizer(
        chat_template="{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    path = lines(tmp_path / "data.jsonl", GOOD)
    load_data(arguments(tmp_path, f"--train_data {path} --chat true"), tokenizer)
    captured = capsys.readouterr()

    assert "of these 1 endless" in captured.out
    assert (
        f"endless: 1 of 1 examples, the first in {path}:1: the template writes no" in captured.err
    )


def test_merged_rows(tmp_path, capsys):
    """Merged rows are counted."""
    rows = [{"prompt": "the answer is 4", "chosen": "2", "rejected": "7"}, GOOD]
    path = lines(tmp_path / "data.jsonl", *rows)
    tokenizer = trained(None, None, decoders.Fuse())
    tokenizer.add_tokens("42")
    data, _ = load_data(arguments(tmp_path, f"--train_data {path}"), tokenizer)

    assert data.notes == {"merged": 1}
    assert "of these 1 merged" in capsys.readouterr().out

    again, _ = load_data(arguments(tmp_path, f"--train_data {path}"), tokenizer)
    assert again.cached
    assert again.notes == data.notes
    assert "1 merged" in report(again, arguments(tmp_path))

    prompt, completions = data.examples[0].prompt, data.examples[0].completions
    assert [tokenizer.decode(prompt + ids) for ids in completions] == [
        "the answer is 42</s>",
        "the answer is 47</s>",
    ]


def test_no_prompt_token(tmp_path, capsys):
    """Rows without a token of the prompt are named.

    One token of the prompt merges with each response: the row is dropped, by its line and with what to do.
    """
    rows = [{"prompt": "4", "chosen": "2", "rejected": "7"}, GOOD, GOOD | {"prompt": "4 "}]
    path = lines(tmp_path / "data.jsonl", *rows)
    tokenizer = trained(None, None, decoders.Fuse())
    tokenizer.add_tokens("42")
    data, _ = load_data(arguments(tmp_path, f"--train_data {path} --max_dropped 0.5"), tokenizer)

    assert data.counts == {"no_boundary": 1}
    assert len(data.examples) == 2  # with a space at its end the prompt has a token of its own

    captured = capsys.readouterr()
    assert "dropped rows: 1 (1 no_boundary)" in captured.out
    assert f"no_boundary: 1 of 3 rows dropped: {path}:1: prompt: expected" in captured.err
    assert "got '4' alone and '42' with a response (end the prompt with a space" in captured.err


def test_sampled_ids():
    """Sampled ids are trained on by their own vocabulary alone.

    A model may write a text in other tokens than the tokenizer does: "12" as "1" and "2".
    """
    tokenizer = byte_pairs()
    prompt = plain(tokenizer, "3 * 4 =\n")
    spelled = [token for letter in "12" for token in plain(tokenizer, letter)]

    assert spelled != plain(tokenizer, "12") or len(spelled) == 2

    end = tokenizer.eos_token_id
    tokens = {"prompt": prompt, "chosen": [*spelled, end], "rejected": [[*spelled[:1], end]]}
    row = {"prompt": "3 * 4 =\n", "chosen": "12", "rejected": ["1"]}
    own = row | {"tokens": tokens | {"vocabulary": vocabulary_digest(tokenizer)}}
    example = tokenize_example(parse_row(own), tokenizer, ROOM)

    assert (example.prompt, *example.completions) == (prompt, [*spelled, end], [spelled[0], end])
    assert example.notes == ("sampled",)

    other = row | {"tokens": tokens | {"vocabulary": "another"}}
    anew = tokenize_example(parse_row(other), tokenizer, ROOM)
    text = tokenize_example(parse_row(row), tokenizer, ROOM)

    assert (anew.prompt, anew.completions) == (text.prompt, text.completions)
    assert anew.notes == ("retokenised",)
    with pytest.raises(ValueError, match=r"^tokens: expected vocabulary, and the token ids of"):
        parse_row(row | {"tokens": tokens | {"rejected": []}})

    assert parse_row(row | {"tokens": 17}).ignored == ("tokens",)


@needs_sentencepiece
def test_sentencepiece():
    """Our reading of the wheel is SentencePiece's own.

    The library that made the vocabulary gives the same tokens.
    """
    import sentencepiece

    folder = Path(MISTRAL.submodule_search_locations[0]) / "data"
    own = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model.v1"))
    for text in ("2 + 2 = 4", "a\nb", "é 漢字", "The answer is 12."):
        assert plain(mistral(), text) == own.encode(text)


def test_saved_tokenizer(tmp_path):
    """A saved tokenizer JSON gives the same."""
    prepending().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    example = pieces(loaded, "2 + 2?", "4", "5")
    assert example.completions == pieces(prepending(), "2 + 2?", "4", "5").completions
    assert vocabulary_digest(loaded) == vocabulary_digest(prepending())
