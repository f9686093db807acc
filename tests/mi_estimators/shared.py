"""What the tests of the library share: randomness, and the test that calls are refused."""

import pytest
import torch


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sample(law, n, seed=0):
    return law.sample(n, seeded(seed))


def refused(calls):
    """Return a test that each call (message, function, *arguments) raises a ValueError with the message."""

    @pytest.mark.parametrize("call", calls, ids=map(str, range(len(calls))))
    def test(call):
        message, function, *arguments = call
        with pytest.raises(ValueError, match=message):
            function(*arguments)

    return test
