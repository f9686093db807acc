"""Rankings against plain sums of log-probabilities."""

from dataclasses import replace

import pytest

from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.evaluation.ranking import rank

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


def test_plain_sums(pairs_file, tmp_path, model, tokenizer, log_prob):
    """Ranking is that of plain sums."""
    path = pairs_file()
    examples = tokenize(read_examples(path), tokenizer, 64, path)
    single, whole = (rank(examples, model, batch=batch) for batch in (1, 2))

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
        assert single[name]["pairs"]["mean"] == whole[name]["pairs"]["mean"] == below
        assert single[name]["first"]["mean"] == sum(min(row) > 0 for row in gaps) / 2
        assert single[name]["margin"] == pytest.approx(sum(flat) / 4, abs=1e-4)

    chosen = examples[1].completions[0]
    same = replace(examples[1], completions=(chosen, chosen))

    tied = rank([same], model, 1)
    assert tied["sum"]["pairs"]["mean"] == 0  # equal responses
    assert tied["sum"]["ties"] == tied["rejected"] == 1
    assert tied["advice"]

    mixed = rank([same, examples[0]], model, 2)
    assert mixed["sum"]["ties"] == 1
    assert mixed["advice"] is None
