import pytest
import torch


@pytest.fixture(autouse=True)
def _double_precision():
    """Theorems are checked in float64; the float32 tests say so where they are."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)
