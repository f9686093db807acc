"""Negatives from all processes: the value and the gradient of one process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mi_estimators.bounds.distributed import gather

ROOT = Path(__file__).parents[3]


GLOO = """
import sys, torch, torch.distributed as dist, mi_estimators as mi
from mi_estimators.estimation.critics import Separable
from mi_estimators.bounds.distributed import gather
from mi_estimators.bounds.expectation import log_mean_exp
from mi_estimators.bounds.scores import joint_and_product

rank, init = int(sys.argv[1]), sys.argv[2]
torch.set_default_dtype(torch.float64)
dist.init_process_group("gloo", init_method="file://" + init, rank=rank, world_size=2)
x, y = mi.laws.Gaussian(0.8, 3).sample(12, torch.Generator().manual_seed(0))
own = slice(6 * rank, 6 * rank + 6)
objectives = {
    "dv": lambda scores: mi.dv(*joint_and_product(scores)),
    "js": lambda scores: mi.js(*joint_and_product(scores)),
    "infonce": mi.infonce,
}

separable = lambda dim=2: Separable(dim, dim, 8, zero_start=False)

class Model(torch.nn.Module):  # the critic, behind encoders whose outputs are gathered with their gradient
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encode_x, self.encode_y, self.critic = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2), separable()

    def forward(self, x, y):
        return self.critic, self.encode_x(x), self.encode_y(y)

def gradient(model, value):
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])

def averaged(gradient):
    dist.all_reduce(gradient)
    return gradient / 2

for name, objective in objectives.items():
    model = Model()
    critic, a, b = model(x, y)
    expected = objective(critic(a, b))
    single = gradient(model, expected)

    critic, a, b = model(x[own], y[own])
    value = objective(gather(critic(a, gather(b))))
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(averaged(gradient(model, value)), single, rtol=0, atol=1e-10)

    critic, a, b = model(x[own], y[own])  # embeddings gathered instead of scores
    value = objective(critic(gather(a), gather(b)))
    torch.testing.assert_close(averaged(gradient(model, value)), single, rtol=0, atol=1e-10)

    wrapped = torch.nn.parallel.DistributedDataParallel(separable(3), broadcast_buffers=False)
    value = objective(gather(wrapped(x[own], gather(y[own]))))
    value.backward()
    alone = separable(3)
    alone.load_state_dict(wrapped.module.state_dict())
    objective(alone(x, y)).backward()
    for p, q in zip(wrapped.parameters(), alone.parameters()):
        torch.testing.assert_close(p.grad, q.grad, rtol=0, atol=1e-10)

# A mean over rows needs no gathered matrix, and DV needs one number a row.
model = Model()
critic, a, b = model(x, y)
scores = critic(a, b)
single = gradient(model, mi.infonce(scores)), gradient(model, mi.dv(*joint_and_product(critic(*model(x, y)[1:]))))
critic, a, b = model(x[own], y[own])
rows = critic(a, gather(b))
positive = rows.diagonal(6 * rank)
value = mi.dv(positive[:, None], rows).mean()
torch.testing.assert_close(averaged(gradient(model, value)), single[0], rtol=0, atol=1e-10)
critic, a, b = model(x[own], y[own])
rows = critic(a, gather(b))
negatives = rows[torch.arange(12) != torch.arange(6 * rank, 6 * rank + 6)[:, None]].unflatten(0, (6, 11))
value = mi.dv(gather(rows.diagonal(6 * rank)), gather(log_mean_exp(negatives)))
torch.testing.assert_close(averaged(gradient(model, value)), single[1], rtol=0, atol=1e-10)

assert gather(torch.full((2, 3), float(rank)))[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
assert gather(torch.tensor([rank])).tolist() == [0, 1]
try:
    gather(torch.zeros(1 + rank, 2))
except ValueError as error:
    assert str(error) == "tensor: expected as many rows on every process, got [1, 2]", error
else:
    raise AssertionError("uneven rows were gathered")
dist.barrier()  # no process leaves while the other still talks to it
dist.destroy_process_group()
print("ok")
"""


def test_two_processes(tmp_path):
    """Two processes have the value and the gradient of one."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GLOO, str(rank), str(tmp_path / "init")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(2)
    ]

    try:
        results = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()

    assert [out for out, _ in results] == ["ok\n", "ok\n"], "\n".join(error for _, error in results)


def test_one_process():
    """One process gathers nothing."""
    x = torch.randn(5, 2)
    assert gather(x) is x


def test_empty_tensor():
    """A tensor without dimensions is refused."""
    with pytest.raises(ValueError, match="tensor: expected at least 1 dimension"):
        gather(torch.tensor(0.0))
