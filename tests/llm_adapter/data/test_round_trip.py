"""Tokens and their text: unknown and changed text is noted, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from llm_adapter.data.examples import Unusable
from llm_adapter.data.load import load_data
from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, tokenize_example
from llm_adapter.models import CHATML
from tests.llm_adapter.data.shared import GOOD, SPOKEN, arguments, lines
from tests.llm_adapter.data.test_joint import TOKENIZERS, byte_pairs, prepending, trained

ROOM = Options(999)
WORDS = ("what", "is", "the", "word", "for", "a", "nice", "bad", "one")
SPACE = decoders.Metaspace(prepend_scheme="never")


def words():
    """Return a tokenizer of a few words, with a token for all others."""
    names = ["<unk>", "</s>", *WORDS]
    vocabulary = {name: place for place, name in enumerate(names)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", chat_template=CHATML
    )


def changing(normalizer=None, **fields):
    """Return a tokenizer that changes a text before it reads it."""
    tokenizer = trained(None, pre_tokenizers.Metaspace(prepend_scheme="never"), SPACE)
    for name, value in {"normalizer": normalizer, **fields}.items():
        setattr(tokenizer.backend_tokenizer, name, value)
    return tokenizer


def letters():
    """Return a tokenizer of a and b that drops all other text."""
    backend = Tokenizer(models.BPE({"a": 0, "b": 1, "</s>": 2}, []))
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")


def notes(tokenizer, row, **options):
    return tokenize_example(parse_row(row), tokenizer, Options(999, **options)).notes


def test_unknown(tmp_path, capsys):
    """Prompts in an unknown script become the same tokens: the rows are counted, the first one named."""
    rows = [
        {
            "prompt": f"what is the word for {sign} ",
            "chosen": f"a nice {n}",
            "rejected": f"a bad {n}",
        }
        for n, sign in enumerate("猫犬")
    ]
    rows = [{"prompt": "what is ", "chosen": "nice", "rejected": "bad"}, *rows]
    path = lines(tmp_path / "data.jsonl", *rows)
    for _ in range(2):  # the second time from the cache
        data, _ = load_data(arguments(tmp_path, f"--train_data {path}"), words())
        captured = capsys.readouterr()
        assert data.notes == {"unknown": 2, "plain": 3}
        assert f"unknown: 2 of 3 examples, the first in {path}:2: the vocabulary" in captured.err

    assert data.examples[1].prompt == data.examples[2].prompt


@pytest.mark.parametrize("place", ["prompt", "chosen", "rejected"])
def test_place_of_unknown(place):
    """Unknown text is noted wherever it stands; the word for it is a token of its own."""
    row = {"prompt": "what is ", "chosen": "nice", "rejected": "bad"}
    assert notes(words(), row) == ("plain",)
    assert "unknown" in notes(words(), row | {place: f"{row[place]} 猫 "})
    assert "unknown" not in notes(words(), row | {place: f"{row[place]} <unk> "})
    assert "unknown" in notes(words(), row | {place: f"{row[place]} <unk> 猫 "})


CHANGES = {  # the tokenizer, text that it changes, text that it keeps
    "compatible forms": (changing(normalizers.NFKC()), "3²", "32"),
    "capitals": (changing(normalizers.Lowercase()), "Four", "four"),
    "line breaks": (changing(normalizers.Replace("\n", " ")), "3\n4", "3 4"),
    "accents": (
        changing(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
        "né",
        "ne",
    ),
    "an indentation": (changing(normalizers.Replace("    ", " ")), "if a:    b", "if a: b"),
    "characters that no token has": (letters(), "ab猫", "ab"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name):
    """Text that does not come back from its tokens is noted."""
    tokenizer, changed, kept = CHANGES[name]
    row = {"prompt": "a", "chosen": "b", "rejected": "a"}
    assert notes(tokenizer, row) == ()
    for place in ("prompt", "chosen", "rejected"):
        assert notes(tokenizer, row | {place: f"b{changed}"}) == ("lossy",), place
        assert notes(tokenizer, row | {place: f"b{kept}"}) == (), place


def test_ends():
    """At its end a text may lose spaces, but no line break; inside it loses none."""
    tokenizer = changing(normalizers.Strip())
    row = {"prompt": "a", "chosen": "b", "rejected": "a"}
    assert notes(tokenizer, row | {"chosen": "b\n"}) == ("lossy",)
    assert notes(tokenizer, row | {"chosen": "b "}) == ()
    assert "lossy" not in notes(tokenizer, row | {"prompt": "a\n"})


TEXT = st.text("ab 12+=.\n\té漢🐈<|>'", min_size=1, max_size=12)


@pytest.mark.parametrize("make", TOKENIZERS)
@given(texts=st.lists(TEXT, min_size=3, max_size=3))
def test_no_alarm(make, texts):
    """Byte-level vocabularies and those of SentencePiece hold each text."""
    row = dict(zip(("prompt", "chosen", "rejected"), texts, strict=True))
    try:
        found = notes(make(), row)
    except Unusable:
        return

    strange = {*"".join(texts)} - {" "} - make().get_vocab().keys()
    assert "lossy" not in found
    assert ("unknown" in found) == (make is prepending and bool(strange))


def test_marks():
    """White space beside a mark, which tokens may swallow, is no loss, nor is another canonical form."""
    tokenizer = byte_pairs.__wrapped__()
    marks = [AddedToken(mark, lstrip=True, rstrip=True) for mark in ("<|im_start|>", "<|im_end|>")]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.chat_template = CHATML
    assert notes(tokenizer, SPOKEN) == ()

    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    assert notes(tokenizer, GOOD | {"prompt": "e\u0301"}, chat=True) == ()


def test_no_unknown():
    """The end token may stand for unknown text, as GPT-2's does; bytes know all text."""
    tokenizer = byte_pairs.__wrapped__()
    tokenizer.unk_token = tokenizer.eos_token
    assert notes(tokenizer, GOOD | {"chosen": "4</s>"}) == ()
    assert notes(ByT5Tokenizer(), GOOD | {"chosen": "\0\ufffd漢"}) == ()


def test_same_tokens():
    """Responses that become the same tokens are identical."""
    row = {"prompt": "what is ", "chosen": "nice 猫", "rejected": "nice 犬"}
    with pytest.raises(Unusable) as error:
        tokenize_example(parse_row(row), words(), ROOM)
    assert error.value.reason == "identical"
