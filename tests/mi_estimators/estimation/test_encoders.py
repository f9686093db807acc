"""Encoders of one's own: pictures in their shape, tokens as they are, a file that needs the encoders again."""

import pytest
import torch
from torch import nn

import mi_estimators as mi

FAST = dict(steps=100, folds=2, batch_size=64)


class Pooled(nn.Module):
    """The mean embedding of a row of tokens."""

    def __init__(self, _columns):
        super().__init__()
        self.table = nn.Embedding(16, 8)

    def forward(self, tokens):
        return self.table(tokens.long()).mean(-2)


def pictures(rows=400):
    """Return pictures of a bright column, its place, and ln 4."""
    place = torch.randint(4, (rows,))
    picture = 0.1 * torch.rand(rows, 1, 4, 4)
    picture[torch.arange(rows), 0, :, place] += 1
    return picture, place[:, None] + torch.rand(rows, 1), torch.tensor(4.0).log().item()


def test_pictures():
    """Pictures come to their encoder in their own shape."""
    seen = []

    def convolution(shape):
        seen.append(shape)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )

    x, y, truth = pictures()
    estimate = mi.estimate_mi(x, y, critic=mi.Encoders(encoder_x=convolution), **FAST)

    assert set(seen) == {(1, 4, 4)}
    assert 0.7 * truth < estimate.nats < 1.1 * truth


def test_tokens():
    """Tokens come as they are without a transform."""
    tokens = torch.randint(16, (800, 5))
    worth = torch.randn(16)[tokens].sum(1, keepdim=True)
    y = worth + 0.2 * torch.randn(800, 1)
    critic = mi.Encoders(encoder_x=Pooled)
    estimate = mi.estimate_mi(tokens, y, critic=critic, transform="none", **FAST)

    assert estimate.nats > 0.3


def test_saved_encoders(tmp_path):
    """A saved estimator needs its encoders again."""
    x, y, _ = pictures(200)
    critic = mi.Encoders(encoder_x=nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    estimator = mi.MIEstimator(critic=critic, steps=10, folds=2).fit(x, y)
    estimator.save(tmp_path / "fit")

    with pytest.raises(ValueError, match="critic: expected the function or module"):
        mi.MIEstimator.load(tmp_path / "fit")

    again = mi.MIEstimator.load(tmp_path / "fit", critic)
    assert torch.equal(again.score_matrix(x[:5], y[:5]), estimator.score_matrix(x[:5], y[:5]))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda _: "text", "encoder_y: expected a torch.nn.Module, got str"),
        (nn.Linear(7, 2), "encoder_y: expected rows .* got RuntimeError"),
        (nn.Flatten(0), "encoder_y: expected rows .* got \\(4,\\)"),
    ],
)
def test_wrong_encoder(encoder, message):
    """An encoder of another kind is refused."""
    with pytest.raises(ValueError, match=message):
        mi.estimate_mi(
            torch.randn(80, 2),
            torch.randn(80, 2),
            critic=mi.Encoders(encoder_y=encoder),
        )
