"""The trainer's trajectory with K = 3 is that of a plain loop: one model call a response, the formula as published."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F
from transformers import set_seed

from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.sources import PAIRS
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.trainer import PreferenceTrainer

BETA, RATE, SIZE = 0.2, 5e-4, 2
FORMULAS = {  # T_w of the chosen response, T of the three rejected
    "js": lambda w, l: -F.logsigmoid(w) - F.logsigmoid(-w) / 2 - F.logsigmoid(-l).mean() / 2,
    "dv": lambda w, l: -(w - (w.exp() / 2 + l.exp().mean() / 2).log()) + math.log(2),
    # InfoNCA, one good response of four
    "infonce": lambda w, l: -torch.cat([w.view(1), l]).log_softmax(0)[0],
}
STARTS = {"js": 2 * math.log(2), "dv": math.log(2), "infonce": math.log(4)}


@pytest.fixture(scope="module")
def rows():
    examples = [example for example in read_examples(PAIRS) if len(example.rejected) == 3]
    return tokenize(examples[: 6 * SIZE], load_tokenizer("builtin"), 512, PAIRS)


def plain_loop(model, rows, formula):
    """Return the loss of each step, two examples a step."""

    def log_prob(model, prompt, response):
        log_probs = model(torch.tensor([prompt + response])).logits[0, :-1].log_softmax(-1)
        return log_probs[len(prompt) - 1 :].gather(-1, torch.tensor(response)[:, None]).sum()

    reference, losses = copy.deepcopy(model).requires_grad_(False), []
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0)
    for start in range(0, len(rows), SIZE):
        loss = 0
        for row in rows[start : start + SIZE]:
            pairs = [(row.prompt, response) for response in row.completions]
            scores = BETA * torch.stack(
                [log_prob(model, *pair) - log_prob(reference, *pair) for pair in pairs]
            )
            loss = loss + formula(scores[0], scores[1:]) / SIZE

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())

    return losses


@pytest.mark.parametrize("layout", ["shared", pytest.param("padded", marks=pytest.mark.broad)])
@pytest.mark.parametrize("bound", FORMULAS)
def test_three_negatives(tmp_path, rows, bound, layout):
    """Three negatives follow a plain loop."""
    flags = f"--model builtin --output_dir {tmp_path} --bound {bound} --beta {BETA} --learning_rate {RATE}"
    flags += f" --row_layout {layout} --per_device_train_batch_size {SIZE} --num_train_epochs 1"
    flags += " --lr_scheduler_type constant --train_sampling_strategy sequential --warmup_steps 0"
    flags += " --logging_steps 1 --disable_tqdm true --reference_cache none --diagnostics_steps 0"
    args = parse_arguments(flags.split())
    set_seed(0)
    model = load_model("builtin")
    trainer = PreferenceTrainer(copy.deepcopy(model), args, rows, None, load_tokenizer("builtin"))
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    expected = plain_loop(model, rows, FORMULAS[bound])

    assert len(losses) == 6
    assert losses[0] == pytest.approx(STARTS[bound], abs=1e-5)
    assert max(expected) - min(expected) > 0.01  # it moved
    assert losses == pytest.approx(expected, abs=1e-5)
