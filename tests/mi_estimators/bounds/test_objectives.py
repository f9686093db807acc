"""MINE's objective: value and gradient, its state, and its bias over every batch of a small law."""

import itertools
import math

import pytest
import torch

import mi_estimators as mi


def random_law(seed: int, nx: int = 2, ny: int = 3) -> mi.laws.Finite:
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(nx * ny, generator=generator, dtype=torch.float64)
    return mi.laws.Finite(logits.log_softmax(0).reshape(nx, ny))


def random_critic(seed: int, law: mi.laws.Finite, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 999)
    return law.log_ratio_matrix + scale * torch.randn(law.log_joint.shape, generator=generator)


def all_batches(
    law: mi.laws.Finite, critic: torch.Tensor, n: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the score matrices (B, n, n) of every batch of n pairs, its probability (B,), and its x (B, n)."""
    ny = law.log_joint.shape[1]
    support = (law.log_joint.flatten() > -math.inf).nonzero().flatten().tolist()
    atoms = torch.tensor(list(itertools.product(support, repeat=n)))
    x, y = atoms // ny, atoms % ny
    return critic[x.unsqueeze(2), y.unsqueeze(1)], law.log_joint.flatten()[atoms].sum(1).exp(), x


def gradients(objective, *scores):
    return torch.autograd.grad(objective.sum(), scores)


def test_mine_has_the_value_of_dv_and_the_gradient_of_nwj_with_a_baseline():
    joint, product = torch.randn(3, 5).requires_grad_(), torch.randn(3, 7).requires_grad_()
    log_ema = torch.randn(3)
    objective, new = mi.mine(joint, product, log_ema, decay=0.9)
    torch.testing.assert_close(objective, mi.dv(joint, product), rtol=0, atol=0)
    batch = product.detach().exp().mean(-1)
    torch.testing.assert_close(new, (0.9 * log_ema.exp() + 0.1 * batch).log())
    assert not new.requires_grad
    log_a = new.unsqueeze(-1)
    expected = gradients(mi.nwj(joint - log_a, product - log_a), joint, product)
    torch.testing.assert_close(gradients(objective, joint, product), expected)


@pytest.mark.parametrize("arguments", [{}, {"log_ema": torch.tensor(3.0), "decay": 0.0}])
def test_mine_starts_as_dv(arguments):
    joint, product = torch.randn(5).requires_grad_(), torch.randn(7).requires_grad_()
    objective, new = mi.mine(joint, product, **arguments)
    torch.testing.assert_close(new, mi.log_mean_exp(product.detach()))
    torch.testing.assert_close(
        gradients(objective, joint, product), gradients(mi.dv(joint, product), joint, product)
    )


@pytest.mark.parametrize("law", [random_law(s) for s in range(4)])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_minibatch_gradient_is_unbiased_at_the_population_normaliser_and_dvs_is_not(law, m):
    critic = random_critic(1, law).requires_grad_()
    (population,) = torch.autograd.grad(law.exact(mi.dv, critic), critic)
    atoms = torch.tensor(list(itertools.product(range(critic.numel()), repeat=m)))
    log_probability = law.log_product.flatten()[atoms].sum(1)
    joint = critic.flatten().expand(len(atoms), -1)  # the positives are exact; their term is linear
    product = critic.flatten()[atoms]
    log_p = law.log_joint.flatten()
    log_z = mi.log_mean_exp(critic.detach().flatten(), law.log_product.flatten())
    objective, _ = mi.mine(joint, product, log_z.expand(len(atoms)), 1 - 1e-13, log_p)
    plain = mi.dv(joint, product, log_p)
    mean = [
        torch.autograd.grad((log_probability.exp() * v).sum(), critic, retain_graph=True)[0]
        for v in (objective, plain)
    ]
    torch.testing.assert_close(mean[0], population, rtol=1e-9, atol=1e-9)
    assert (mean[1] - population).abs().max() > 1e-3


def test_the_weights_of_the_negatives_are_bounded_in_float32_whatever_the_past():
    joint, product = (
        t.float().requires_grad_()
        for t in (torch.tensor([1e4, -1e4]), torch.tensor([1e4, -1e4, 0.0]))
    )
    for log_ema in (-1e4, 0.0, 1e4):
        objective, new = mi.mine(
            joint, product, torch.tensor(log_ema, dtype=torch.float32), decay=0.99
        )
        assert new.dtype == torch.float32
        assert objective == mi.dv(joint, product)
        _, negative = gradients(objective, joint, product)
        assert -100.1 < negative.sum() <= 0


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (r"decay: expected a number in \[0, 1\)", {"decay": 1.0}),
        ("decay: expected a number", {"decay": -0.1}),
        ("log_ema: expected finite", {"log_ema": torch.tensor(math.inf)}),
        ("log_ema: expected a torch tensor", {"log_ema": 0.0}),
        (r"log_ema: expected shape \(\), got \(3,\)", {"log_ema": torch.zeros(3)}),
    ],
)
def test_mine_refuses_by_name(message, arguments):
    with pytest.raises(ValueError, match=message):
        mi.mine(torch.zeros(2), torch.zeros(2), **arguments)
    with pytest.raises(ValueError, match="product: expected at least one"):
        mi.mine(torch.zeros(2), torch.zeros(0))
