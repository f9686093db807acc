"""Gradient noise against one backward pass for each example."""

import math

import pytest
import torch
from transformers import LlamaForCausalLM, set_seed

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.loss.gradient_noise import HeadGradients
from llm_adapter.loss.head import output_head
from llm_adapter.loss.logprobs import log_probs_from_head, sum_responses
from llm_adapter.models import load_model


@pytest.fixture
def trainer(make_trainer):
    return make_trainer("--beta 0.3", examples=6)


def test_backward_passes(trainer):
    """Gradient noise is that of one backward pass an example."""
    model, batch = trainer.model.train(), trainer.data_collator(trainer.train_dataset)
    # As a trainer that accumulates four batches
    (trainer.compute_loss(model, batch) / 4).backward()
    statistics = trainer._head_gradients.statistics(lambda rows: rows)

    trainer.args.diagnostics_steps = 0
    # The parameter that docs/guides/metrics.md names
    shift = torch.zeros(model.config.hidden_size, requires_grad=True)
    handle = output_head(model).register_forward_pre_hook(lambda _, inputs: (inputs[0] + shift,))

    rows = []
    for example in trainer.train_dataset:
        loss = trainer.compute_loss(model, trainer.data_collator([example]))
        rows.append(torch.autograd.grad(loss, shift)[0])

    handle.remove()
    gradients = torch.stack(rows)

    assert statistics["gradient_noise/variance"] == pytest.approx(
        gradients.var(0).sum().item(), rel=1e-3
    )

    snr = gradients.mean(0).norm() / (gradients.var(0).sum() / len(gradients)).sqrt()
    assert statistics["gradient_noise/snr"] == pytest.approx(snr.item(), rel=1e-3)
    assert statistics["gradient_noise/scale"] > 0
    assert trainer._head_gradients.statistics(lambda rows: rows) == {}


def test_later_reading(trainer):
    """A later reading takes the place of an earlier one."""
    model, batch = trainer.model.train(), trainer.data_collator(trainer.train_dataset)
    trainer.args.diagnostics_steps = 1

    def read(step):
        trainer.state.global_step = step
        trainer.compute_loss(model, batch).backward()

    read(1)
    with torch.no_grad():
        output_head(model).weight.mul_(1.1)

    read(2)
    read(2)  # accumulated: one step
    n = len(trainer.train_dataset)

    assert len(trainer._head_gradients.state()["head_gradients"]) == 2 * n

    both = trainer._head_gradients.statistics(lambda rows: rows)
    read(3)

    assert len(trainer._head_gradients.state()["head_gradients"]) == n

    alone = trainer._head_gradients.statistics(lambda rows: rows)
    factor = (n - 1) * 2 / (2 * n - 1)  # every row twice: the variance has another divisor
    expected = factor * alone["gradient_noise/variance"]

    assert both["gradient_noise/variance"] == pytest.approx(expected, rel=1e-4)


def test_unknown_head(make_trainer, monkeypatch):
    """A model whose head is not known trains without that reading."""
    monkeypatch.setattr(LlamaForCausalLM, "get_output_embeddings", lambda model: None)
    trainer = make_trainer(examples=6)
    trainer.args.max_steps, trainer.args.diagnostics_steps = 1, 1
    trainer.train()
    first = trainer.state.log_history[0]

    assert first["loss"] == pytest.approx(2 * math.log(2), abs=1e-4)
    assert not any(name.startswith("gradient_noise") for name in first)


@pytest.fixture(scope="module")
def model():
    set_seed(0)
    return load_model("builtin").eval()


def test_shared_position(model, examples):
    """Gradients of examples count a shared position once."""
    states = {}
    for make in (collate, collate_shared):
        gradients, batch = HeadGradients(), make(examples)
        with gradients.watching(model):
            log_probs = log_probs_from_head(model, batch)
        loss = (sum_responses(log_probs, batch["lengths"]) * torch.linspace(1, 2, 14)).sum() / 5
        gradients.catch(loss, batch)
        loss.backward()
        states[make] = gradients.state()["head_gradients"]

    assert states[collate].shape == (5, 64)
    torch.testing.assert_close(states[collate_shared], states[collate], rtol=1e-4, atol=1e-4)
