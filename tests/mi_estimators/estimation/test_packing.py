"""Values as files: what is packed comes back as it was, to the last bit."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.estimation import packing
from mi_estimators.estimation.experts.additive import AdditiveModel
from mi_estimators.estimation.experts.copula import EllipticalCopula


def sample(n):
    return mi.laws.Gaussian(0.8, 2).sample(n, torch.Generator().manual_seed(0))


NUMBERS = (
    st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none() | st.text(max_size=5)
)
VALUES = st.recursive(
    NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_plain_values(tmp_path_factory, value):
    """Plain values come back as they were."""
    path = tmp_path_factory.getbasetemp() / "value"
    packing.write_file(path, value)
    again = packing.read_file(path)
    assert (again, repr(again)) == (value, repr(value))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8]
)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors(dtype, shape, tmp_path):
    """Tensors come back as they were."""
    tensor = torch.full(shape, 1, dtype=dtype)
    packing.write_file(tmp_path / "value", [tensor, tensor.numpy()])
    again, array = packing.read_file(tmp_path / "value")

    assert again.dtype == tensor.dtype
    assert torch.equal(again, tensor)
    assert array.dtype == tensor.numpy().dtype


@pytest.mark.parametrize(
    "make",
    [
        EllipticalCopula,
        lambda x, y: EllipticalCopula(x, y, 2.0),
        lambda x, y: EllipticalCopula(x, x + 1e-4 * y, jointly=True),  # in float64
        lambda x, y: AdditiveModel(x, y, (x, y), backwards=True),
    ],
)
def test_anchor(make, tmp_path):
    """An anchor is rebuilt without its training rows."""
    rows = sample(300)
    anchor = make(*rows)
    packing.write_file(tmp_path / "anchor", anchor)
    again = packing.read_file(tmp_path / "anchor")

    assert type(again) is type(anchor)
    x, y = (side.float() for side in rows)
    assert torch.equal(again(x, y), anchor(x, y))
    assert math.isfinite(again.shortfall)
