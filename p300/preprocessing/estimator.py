"""What scikit-learn asks of an estimator, without importing scikit-learn."""

from __future__ import annotations

import inspect

from p300.errors import InputError


class Estimator:
    """Parameters, cloning and display by scikit-learn's conventions.

    A base class with one child, so that the child is about EEG only; ``BaseEstimator`` itself
    would cost a second of import.
    """

    @classmethod
    def _param_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep=True) -> dict:
        """Return the parameters as they were given."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params):
        """Set parameters by name; what was fitted stays until the next :meth:`fit`."""
        unknown = sorted(set(params) - set(self._param_names()))
        if unknown:
            raise InputError(f"unknown parameters {unknown}; expected {self._param_names()}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def set_output(self, *, transform=None):
        """Accept scikit-learn's default output; epochs have three axes and fit no data frame."""
        if transform not in (None, "default"):
            raise InputError(f'output {transform!r} cannot hold three axes; expected "default"')
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "ch_names_")

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False),
        )

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default and value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"
