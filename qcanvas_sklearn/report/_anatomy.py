"""What a fitted estimator says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..images import PairLayout
from ..structures import PairData

__all__ = ["Anatomy"]

# Where meta-estimators of scikit-learn keep the one that they fitted.
_INNER = ("best_estimator_", "regressor_")


@dataclass(frozen=True)
class Anatomy:
    """A fitted estimator and its parts.

    Attributes
    ----------
    estimator : estimator
        What predicts; of a search the one that it chose.
    search : str
        Class of the search, empty without one.
    """

    estimator: Any
    search: str

    @classmethod
    def of(cls, estimator: Any) -> Anatomy:
        """Take an estimator apart.

        Raises
        ------
        TypeError
            If it is no regressor or classifier.
        NotFittedError
            If it is not fitted.
        """
        is_one = hasattr(estimator, "get_params") and hasattr(estimator, "predict")
        if not is_one or not (is_regressor(estimator) or is_classifier(estimator)):
            raise TypeError(
                "estimator must be a regressor, a classifier or a pipeline that ends in one; "
                f"got {type(estimator).__name__}"
            )
        check_is_fitted(estimator)
        chosen = getattr(estimator, "best_estimator_", None)
        if chosen is None:
            return cls(estimator, "")
        return cls(chosen, type(estimator).__name__)

    @property
    def steps(self) -> dict[str, Any]:
        """Steps of a pipeline by name; empty for any other estimator."""
        return dict(self.estimator.steps) if isinstance(self.estimator, Pipeline) else {}

    @property
    def final(self) -> Any:
        """The last step of a pipeline, or the estimator."""
        return self.estimator[-1] if self.steps else self.estimator

    @cached_property
    def network(self) -> Any:
        """This package's network that does the work, or None."""
        part = self.final
        while part is not None and not hasattr(part, "provenance_"):
            inner = [getattr(part, name) for name in _INNER if hasattr(part, name)]
            part = part[-1] if isinstance(part, Pipeline) else next(iter(inner), None)
        return part

    @property
    def is_classifier(self) -> bool:
        """Whether it predicts classes."""
        return bool(is_classifier(self.estimator))

    @property
    def target_names(self) -> list[str] | None:
        """Names that the targets had in ``fit``, where it kept them."""
        return getattr(self.network, "target_names_", None)

    @property
    def summary(self) -> str:
        """First sentence of what the class says about itself."""
        doc = type(self.final).__doc__ or ""
        return " ".join(doc.strip().partition("\n\n")[0].split())

    @property
    def layout(self) -> PairLayout | None:
        """The last columns of pairs on the way to the model, None for a plain table."""
        layouts = [*filter(None, map(_layout_of, self.steps.values()))]
        return layouts[-1] if layouts else _layout_of(getattr(self.network, "reader_", None))

    @property
    def sees_image(self) -> bool:
        """Whether there are channels that can be permuted before the model."""
        within_reach = self.final is self.network or any(map(_layout_of, self.steps.values()))
        return within_reach and self.layout is not None and bool(self.layout.channels)

    @property
    def source(self) -> str | PairData | None:
        """Where the electronic structure of raw pairs comes from; None without any."""
        reader = getattr(self.network, "reader_", None)
        inner = getattr(reader, "transformer_", None)
        drawing = [s for s in [*self.steps.values(), inner] if hasattr(s, "layout_")]
        return next((s.source for s in drawing if hasattr(s, "source")), None)

    @property
    def refuses_unseen_elements(self) -> bool:
        """Whether ``predict`` raises for elements that were not in the training pairs."""
        return getattr(self.network, "unseen_elements", None) == "error"

    @property
    def gives_std(self) -> bool:
        """Whether ``predict`` can return standard deviations."""
        if hasattr(self.final, "calibration_"):
            return self.final.calibration_ is not None
        return "return_std" in signature(self.final.predict).parameters

    def parameters(self) -> dict[str, dict[str, Any]]:
        """All hyperparameters, flattened, by step."""
        if not self.steps:
            return {type(self.estimator).__name__: self.estimator.get_params()}
        groups = {
            f"{name}: {type(step).__name__}": step.get_params()
            for name, step in self.steps.items()
            if hasattr(step, "get_params")  # not so "passthrough"
        }
        own = self.estimator.get_params(deep=False)
        del own["steps"]
        return {**groups, type(self.estimator).__name__: own}


def _layout_of(part: Any) -> PairLayout | None:
    layout = getattr(part, "layout_", None)
    return layout if isinstance(layout, PairLayout) else None
