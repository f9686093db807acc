"""Batches against what they were made of, in both layouts."""

import json
import math

import torch
from transformers import (
    ByT5Tokenizer,
)

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.tokens import (
    TokenizedExample,
)


def test_row_by_hand():
    examples = [
        TokenizedExample(1, [5, 6], ([8, 9], [10])),
        TokenizedExample(2, [7], ([11, 12], [13], [14, 15], [16])),
        TokenizedExample(3, [20], ([21], [22])),
    ]
    batch = collate_shared(examples, pad_id=5, row_length=8)

    assert batch["input_ids"].tolist() == [
        [7, 11, 12, 13, 14, 15, 16, 5],
        [5, 6, 8, 9, 10, 20, 21, 22],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 1, 1, 2, 1, 0], [0, 1, 2, 3, 2, 0, 1, 1]]

    for name in ("targets", "lengths", "negatives"):
        assert torch.equal(batch[name], collate(examples)[name]), name


def test_packing(examples):
    """Rows are packed into the room of the longest."""
    shared, padded = collate_shared(examples), collate(examples)
    # 53, 22 + 21, 15 + 14: longest first, each where there is room
    assert shared["input_ids"].shape == (3, 53)
    assert padded["input_ids"].shape == (14, 31)

    alone = collate_shared(examples, row_length=1)
    assert alone["input_ids"].shape == (5, 53)

    flat = collate_shared(examples, row_length=math.inf)
    assert flat["input_ids"].shape == (1, sum(example.size for example in examples))

    wide = collate_shared(examples, row_length=math.inf, multiple=128)
    assert wide["input_ids"].shape == (1, 128)


GOOD = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}


LONG = {"prompt": "abcd", "chosen": "12345678", "rejected": ["12", "987654321"]}


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(tmp_path, row, tokenizer, max_length=64, **options):
    path = lines(tmp_path / "data.jsonl", row)
    (example,) = tokenize(read_examples(path), tokenizer, max_length, path, **options)
    return example


def test_pad_id(tmp_path):
    """A pad id that is EOS or text hides nothing."""
    tokenizer = ByT5Tokenizer()
    example = one(tmp_path, LONG, tokenizer)
    for pad in (tokenizer.pad_token_id, tokenizer.eos_token_id, example.completions[0][0]):
        batch = collate([example], pad)
        assert batch["targets"].tolist() == [token for ids in example.completions for token in ids]
        assert batch["attention_mask"].sum() == sum(
            len(example.prompt) + len(ids) for ids in example.completions
        )
