"""Read-outs of a trained critic: the plug-in value believes it, the certificate never exceeds the information."""

import math

import pytest
import torch

import mi_estimators as mi


def test_plug_in(law, random_critic):
    """`plug_in` believes the critic."""
    critic = random_critic(0, law)
    log_z = mi.log_mean_exp(critic.flatten(), law.log_product.flatten())
    value = law.exact(mi.bounds.plug_in, critic)
    torch.testing.assert_close(value, law.exact(mi.dv, critic) + log_z)
    assert law.exact(mi.bounds.plug_in, critic + 9) > law.mutual_information


@pytest.mark.parametrize("q", [1.0, 0.999, 0.5, 0.1, 1e-3, 1e-9, 1e-60, 1e-300])
def test_two_valued_ratios(q):
    """The certificate inverts the curve of two-valued ratios."""
    k = -math.log(q)
    joint, product = torch.tensor([k]), torch.tensor([k, -1e4])
    log_q = torch.tensor([q, 1 - q]).log()

    assert float(mi.bounds.jsd_certificate(joint, product, log_q=log_q)) == pytest.approx(
        k, rel=1e-12, abs=1e-12
    )


def test_certificate_bound():
    """The certificate bounds KL for any two laws."""
    generator = torch.Generator().manual_seed(3)
    for spread in (0.1, 1.0, 3.0, 8.0):
        logits = spread * torch.randn(2, 5000, 3, generator=generator)
        p, q = logits.log_softmax(-1)
        kl = (p.exp() * (p - q)).sum(-1)
        assert (mi.bounds.jsd_certificate(p - q, p - q, p, q) <= kl + 1e-11).all()


def test_zero_certificate():
    """The certificate is zero where JS says nothing."""
    joint = torch.tensor([-1.0], requires_grad=True)
    product = torch.tensor([0.5])
    value = mi.bounds.jsd_certificate(joint, product)
    assert value == 0
    assert torch.autograd.grad(value, joint)[0] == 0
    assert mi.bounds.jsd_certificate(torch.zeros(1), torch.zeros(1)) == pytest.approx(0, abs=1e-12)
