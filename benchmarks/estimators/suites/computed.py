"""An information that takes a quadrature: computed once, when it is first asked for."""

from __future__ import annotations

from functools import cached_property


class Computed:
    """A law whose `information` takes a while."""

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        raise NotImplementedError

    @cached_property
    def _information(self) -> float:
        return self.information()

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats, computed once."""
        return self._information
