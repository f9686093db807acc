"""What the tests of the data share: rows of every outcome, a fast tokenizer, and their tokens."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from llm_adapter.data.load import prepare
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import Options
from tests.llm_adapter.data.shared import TEMPLATE


@pytest.fixture
def rows():
    """A function that returns rows of every outcome: kept, cut, too long, identical once cut, empty, duplicate."""
    good = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
    long = {"chosen": "12345678", "rejected": ["12", "987654321"]}
    kinds = (
        lambda n: good | {"prompt": f"{n} + 2?"},
        lambda n: long | {"prompt": f"é abcdefgh {n}"},
        lambda n: good | {"prompt": "2" * 30 + str(n)},
        lambda n: {"prompt": f"{n}" * 5, "chosen": "4" * 30, "rejected": "4" * 31},
        lambda n: good | {"prompt": f"{n}", "chosen": " "},
        lambda n: good,
    )

    return lambda count: [kinds[n % len(kinds)](n) for n in range(count)]


@pytest.fixture
def byte_level():
    """A function that returns a fast tokenizer with a token for each byte, and saves it as a model's folder has it."""

    def make(folder, **special):
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {letter: index for index, letter in enumerate(alphabet)}
        backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token="<end>", chat_template=TEMPLATE, **special
        )
        tokenizer.save_pretrained(folder)

        return tokenizer

    return make


@pytest.fixture
def prepared():
    """A function that returns the data of a path."""

    def read(path, tokenizer, folder=None, workers=1, **options):
        options = Options(**{"max_length": 20} | options)
        return prepare(open_source(path), tokenizer, options, None, folder, workers)

    return read
