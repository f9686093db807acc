"""The small transformer: a law of responses, causal, its replicas apart."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from toy.models.transformer import log_likelihood, next_token_log_probs, sample, transformer


def _policy(replicas=2, length=4):
    generator = torch.Generator().manual_seed(0)
    return [p.double() for p in transformer(replicas, 3, length, 8, generator)]


def test_normalised():
    """The transformer is a law of responses."""
    every = torch.tensor([[0, 2, *pair] for pair in itertools.product(range(3), repeat=2)])
    total = log_likelihood(_policy(), every.expand(2, -1, -1), 2).exp().sum(-1)
    assert total.tolist() == pytest.approx([1, 1])


def test_causal():
    """The transformer is causal, and its replicas are apart."""
    tokens = torch.tensor([[0, 1, 2, 0], [0, 1, 0, 1]]).expand(
        2,
        2,
        4,
    )
    log_probs = next_token_log_probs(_policy(), tokens)

    assert_close(
        log_probs[:, 0, :2],
        log_probs[:, 1, :2],
    )
    assert not torch.allclose(log_probs[:, 0, 2], log_probs[:, 1, 2])

    changed = _policy()
    changed[0][1] += 1

    assert_close(next_token_log_probs(changed, tokens)[0], log_probs[0])


def test_samples():
    policy = _policy(replicas=1, length=3)
    prompts = torch.tensor([0, 1]).expand(1, 20_000, 2)
    drawn = sample(policy, prompts, 3, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn[0, :, 2], minlength=3) / 20_000
    theory = next_token_log_probs(policy, prompts[:, :1])[0, 0, 1].exp()

    assert share.tolist() == pytest.approx(theory.tolist(), abs=0.015)
