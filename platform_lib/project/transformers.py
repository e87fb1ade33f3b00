"""Transformers that can be part of a model file. Their names and fitted attributes never change."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:  # a server imports this module with a model, and may never need a frame
    import pandas as pd

PARTS = ("year", "month", "day", "weekday", "hour")
_ATTRIBUTES = {"weekday": "day_of_week"}  # pandas is about to drop the name `weekday`


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn each datetime column into one number per part: year, month, day, weekday (Monday is 0) and hour.

    A missing time becomes NaN in every part.

    Args:
        parts: Which parts, in this order.
    """

    def __init__(self, parts: tuple[str, ...] = PARTS) -> None:
        self.parts = parts

    def fit(self, X: "pd.DataFrame", y: Any = None) -> "DateParts":
        """Record the names of the columns; nothing else is learned."""
        del y
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: "pd.DataFrame") -> NDArray[np.float64]:
        """Turn datetime columns, shape (n, k), into numbers, shape (n, k · parts)."""
        import pandas as pd

        check_is_fitted(self, "n_features_in_")
        out = np.empty((len(X), X.shape[1] * len(self.parts)))
        for column in range(X.shape[1]):
            times = pd.DatetimeIndex(X.iloc[:, column])
            for place, part in enumerate(self.parts):
                out[:, column * len(self.parts) + place] = getattr(times, _ATTRIBUTES.get(part, part))
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return `<column>_<part>` for each output column."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.array([f"{name}_{part}" for name in names for part in self.parts], dtype=object)


class EmptyColumnsAsZero(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill columns without values with 0, and keep missing values in all others, for estimators that understand them.

    Args:
        least: Fewest values in the training rows that make a column worth keeping.
        share: As `least`, as a share of the rows.
    """

    def __init__(self, least: int = 1, share: float = 0.0) -> None:
        self.least = least
        self.share = share

    def fit(self, X: "pd.DataFrame | NDArray[np.float64]", y: Any = None) -> "EmptyColumnsAsZero":
        """Learn which of k columns have too few values, shape (n, k)."""
        del y
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        numbers = np.asarray(X, dtype=np.float64)
        self.n_features_in_ = numbers.shape[1]
        self.is_empty_ = (~np.isnan(numbers)).sum(axis=0) < max(self.least, self.share * len(numbers))
        return self

    def transform(self, X: "pd.DataFrame | NDArray[np.float64]") -> NDArray[np.float64]:
        """Return numbers, shape (n, k); the columns that had no values are 0."""
        check_is_fitted(self, "is_empty_")
        numbers = np.asarray(X, dtype=np.float64)
        return np.where(self.is_empty_, 0.0, numbers) if self.is_empty_.any() else numbers

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns."""
        return np.asarray(self.feature_names_in_ if input_features is None else input_features, dtype=object)


class HashedTexts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replace each text by a hash, so that an encoder after it learns categories without storing them.

    Equal texts have equal hashes, and a missing text stays missing. Whoever has the model file can still hash a guess
    and compare: this hides texts from readers, not from somebody who tries all phone numbers.

    Args:
        salt: Part of every hash, so that tables of hashes do not fit two models.
    """

    def __init__(self, salt: str = "") -> None:
        self.salt = salt

    def fit(self, X: "pd.DataFrame", y: Any = None) -> "HashedTexts":
        """Record the names of the columns; nothing else is learned."""
        del y
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: "pd.DataFrame") -> NDArray[Any]:
        """Turn text columns, shape (n, k), into hashes, shape (n, k), as objects; NaN stays."""
        check_is_fitted(self, "n_features_in_")
        out = np.empty(X.shape, dtype=object)
        for column in range(X.shape[1]):
            out[:, column] = [
                hashed_text(value, self.salt) if isinstance(value, str) else np.nan for value in X.iloc[:, column]
            ]
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns."""
        return np.asarray(self.feature_names_in_ if input_features is None else input_features, dtype=object)


def hashed_text(text: str, salt: str) -> str:
    """The first 64 bits of a text's SHA-256 with a salt, as 16 hexadecimal digits."""
    return hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
