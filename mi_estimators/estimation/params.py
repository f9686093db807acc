"""A constructor's arguments as named parameters, in scikit-learn's convention."""

from __future__ import annotations

import inspect
import sys
from html import escape
from typing import Any, TypeVar, cast

from .. import _validate

P = TypeVar("P", bound="Params")


class Params:
    """A class whose constructor stores every argument under its own name."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the constructor's arguments."""
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, so that `type(self)(**self.get_params())` is a clone."""
        return {name: getattr(self, name) for name in self.names()}

    def set_params(self: P, **params: Any) -> P:
        """Set constructor arguments by name, and return the estimator.

        Raises:
            ValueError: a name that the constructor does not have.
        """
        for name, value in params.items():
            _validate.choice("set_params", name, self.names())
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` has left its results: attributes whose names end in an underscore."""
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags. Only scikit-learn asks for them, so it has been imported."""
        utils = cast(Any, sys.modules["sklearn.utils"])
        return utils.Tags(
            estimator_type=None,
            target_tags=utils.TargetTags(required=True, multi_output=True),
            input_tags=utils.InputTags(string=True, categorical=True),
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows of it."""
        return f"<pre>{escape(repr(self))}</pre>"

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        changed = [
            f"{k}={v!r}"
            for k, v in self.get_params().items()
            if v is not defaults[k] and v != defaults[k]
        ]

        return f"{type(self).__name__}({', '.join(changed)})"
