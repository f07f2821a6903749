"""Sequences of unequal length as one array."""

from collections.abc import Mapping
from numbers import Real
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..data.presence import is_missing
from ..utils.output import SetOutputNoOpMixin
from ..utils.parameters import (
    Constraint,
    Interval,
    InvalidParameterError,
    IsNaN,
    IsNone,
    Options,
    check_parameters,
)
from ._constraints import COUNT

__all__ = ["PadSequences"]


class _FloatDtype(Constraint):
    """What numpy accepts as a floating dtype."""

    def accepts(self, value):
        if value is None:  # float64 to numpy
            return False
        try:
            return np.dtype(value).kind == "f"
        except (TypeError, ValueError):
            return False

    def __str__(self):
        return "a floating dtype, such as 'float32'"


class PadSequences(SetOutputNoOpMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Pad and cut sequences, such as word vectors or audio frames, to the same number of steps.

    Parameters
    ----------
    n_steps : int, default=None
        Number of steps of the result; None is that of the longest sequence seen in ``fit``.
    value : float, default=NaN
        Value of all features of a padding step. NaN is what the classifiers, the encoders
        ``"gru"`` and ``"transformer"`` and `ModalityTransformer` take for padding; pass any other
        value to these encoders and to `ModalityTransformer` too, as `padding_value`.
    side : {"end", "start"}, default="end"
        Where padding is added. It is recognised at the end only, so "start" needs a number as
        `value`, and steps that hold it are data.
    truncate : {"end", "start"}, default="end"
        What is cut from a longer sequence: its last steps, or its first.
    dtype : dtype, default="float32"
        Floating dtype of the result.

    Attributes
    ----------
    n_steps_ : int
        Steps of each sample.
    n_features_ : int
        Features of each step.

    Raises
    ------
    TypeError
        If the samples are not a sequence of arrays, or one is text or otherwise not numeric.
    ValueError
        If a parameter is wrong; if there are no samples, or ``fit`` gets missing ones only; or if
        a sample is not of shape ``(n_steps_i, n_features)``, has no steps, has another number of
        features than the others, or has a number that is too large for `dtype`. The message names
        the sample.

    Notes
    -----
    A sample that is None (or NaN, NA or NaT, as pandas has it, or an array of NaN only) lacks the
    modality. It becomes a row of NaN, which a classifier with ``missing="allow"`` takes for a
    missing modality. A sequence without any step is an error, because it is ambiguous: give None
    for a sample that lacks the modality, and one step of padding for one that has it and says
    nothing. NaN in a part of a sequence is kept; the classifier refuses it, except in
    steps at the end that have no number, which are padding too.

    Padding is recognised by its value alone, and no number can be mistaken for NaN: silence, or a
    token numbered 0, at the end of a sequence is data. With a number as `value` it may be padding.

    The result is 3-D, so scale it afterwards, in a second `ModalityTransformer`::

        make_pipeline(
            ModalityTransformer({"text": PadSequences()}),
            ModalityTransformer({"text": StandardScaler()}),
            MultimodalClassifier(encoders={"text": "gru"}),
        )

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk.features import PadSequences
    >>> words = [np.ones((2, 4)), np.ones((3, 4)), None]
    >>> padded = PadSequences().fit_transform(words)
    >>> padded.shape
    (3, 3, 4)
    >>> padded[:, :, 0]
    array([[ 1.,  1., nan],
           [ 1.,  1.,  1.],
           [nan, nan, nan]], dtype=float32)

    Sequences of numbers have one feature; here the longer one loses its first steps:

    >>> PadSequences(n_steps=2, truncate="start").fit_transform([[5], [6, 7, 8]])[:, :, 0]
    array([[ 5., nan],
           [ 7.,  8.]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "n_steps": [IsNone(), COUNT],
        "value": [IsNaN(), Interval(Real)],
        "side": [Options("end", "start")],
        "truncate": [Options("end", "start")],
        "dtype": [_FloatDtype()],
    }

    def __init__(self, n_steps=None, *, value=np.nan, side="end", truncate="end", dtype="float32"):
        self.n_steps = n_steps
        self.value = value
        self.side = side
        self.truncate = truncate
        self.dtype = dtype

    def fit(self, X, y=None):
        """Learn the number of steps and of features.

        Parameters
        ----------
        X : array-like of shape (n_samples,), or (n_samples, n_steps[, n_features])
            A list or array of objects, each None or an array of shape ``(n_steps_i, n_features)``
            or ``(n_steps_i,)``, which has one feature. Sequences of equal length may be one array.
        y : ignored

        Returns
        -------
        self : PadSequences
        """
        self._fit(X)
        return self

    def fit_transform(self, X, y=None):
        """Learn the number of steps and of features, and pad; see `fit` and `transform`."""
        return self._pad(self._fit(X))

    def transform(self, X):
        """Pad and cut.

        Parameters
        ----------
        X : array-like of shape (n_samples,), or (n_samples, n_steps[, n_features])
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_steps, n_features)
        """
        check_is_fitted(self, "n_steps_")
        self._check_parameters()
        return self._pad(self._sequences(X, self.n_features_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True  # samples are along the first axis, as elsewhere
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        return tags

    def _fit(self, X):
        self._check_parameters()
        sequences = self._sequences(X, None)
        present = [sequence for sequence in sequences if sequence is not None]
        if not present:
            raise ValueError(
                f"PadSequences: all {len(sequences)} samples are missing (None); it needs at least "
                "one sequence to learn the number of features."
            )
        self.n_features_ = present[0].shape[1]
        self.n_steps_ = int(self.n_steps or max(map(len, present)))
        return sequences

    def _pad(self, sequences):
        shape = (len(sequences), self.n_steps_, self.n_features_)
        padded = np.full(shape, self.value, dtype=self.dtype)
        for index, sequence in enumerate(sequences):
            if sequence is None:
                padded[index] = np.nan
                continue
            kept = (
                slice(0, self.n_steps_) if self.truncate == "end" else slice(-self.n_steps_, None)
            )
            sequence = sequence[kept]
            start = self.n_steps_ - len(sequence) if self.side == "start" else 0
            try:
                with np.errstate(over="raise"):
                    padded[index, start : start + len(sequence)] = sequence
            except FloatingPointError as error:
                raise ValueError(
                    f"Sample {index} has a number that is too large for {padded.dtype}: scale it, "
                    "or use dtype='float64'."
                ) from error
        return padded

    def _sequences(self, X, n_features):
        """Return the samples as arrays of shape (n_steps_i, n_features), None where missing."""
        sequences = [_sequence(index, sample) for index, sample in enumerate(_samples(X))]
        first = "in fit"
        for index, sequence in enumerate(sequences):
            if sequence is None:
                continue
            if n_features is None:
                n_features, first = sequence.shape[1], f"in sample {index}"
            elif sequence.shape[1] != n_features:
                raise ValueError(
                    f"Sample {index} has {sequence.shape[1]} features per step, but there were "
                    f"{n_features} {first}."
                )
        return sequences

    def _check_parameters(self):
        check_parameters(self)
        dtype = np.dtype(self.dtype)
        with np.errstate(over="ignore"):
            held = not np.isinf(dtype.type(self.value))
        if self.side == "start" and np.isnan(self.value):
            raise InvalidParameterError(
                f"The 'value' parameter of {type(self).__name__} must be a number with "
                "side='start', such as 0: padding that is NaN is recognised at the end only. Got "
                f"{self.value!r}."
            )
        if not held:
            raise InvalidParameterError(
                f"The 'value' parameter of {type(self).__name__} must be a number that dtype, "
                f"{dtype}, can hold. Got {self.value!r}."
            )


def _samples(X):
    """Return `X` as an object whose items are the samples."""
    accepted = (
        "PadSequences takes a list or array of sequences, each of shape (n_steps_i, n_features)"
    )
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        raise TypeError(
            f"{accepted}; got a mapping of {', '.join(map(repr, X))}. Give it one modality, as a "
            "ModalityTransformer does."
        )
    if isinstance(X, (str, bytes)) or sparse.issparse(X):
        raise TypeError(f"{accepted}; got {type(X).__name__}.")
    if hasattr(X, "to_numpy"):  # a Series of arrays, or a table whose rows are the sequences
        X = X.to_numpy()
    if not hasattr(X, "__len__") or getattr(X, "ndim", 1) == 0:
        raise TypeError(f"{accepted}; got {X!r}.")
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s): {accepted}, at least one.")
    return X


def _sequence(index, sample):
    """Return one sample as an array with two axes, or None if it is missing."""
    if is_missing(sample):
        return None
    try:
        array = np.asarray(sample)
    except ValueError as error:  # steps of unequal length
        raise ValueError(
            f"Sample {index} has steps with different numbers of features ({error})."
        ) from error
    if array.dtype.kind == "O":
        array = _numbers(index, array)
    if array.size and array.dtype.kind not in "biuf":
        text = isinstance(sample, (str, bytes))
        what = f"the text {_short(sample)}" if text else f"an array of {array.dtype}"
        raise TypeError(
            f"Sample {index} is {what}; it must hold numbers, one row per step. Encode text first, "
            "for example as word vectors."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"Sample {index} has shape {array.shape}; it must be a sequence of shape (n_steps, "
            "n_features) or (n_steps,)."
        )
    if len(array) == 0:
        raise ValueError(
            f"Sample {index} has no steps. Give None if it lacks the modality, or one step of "
            "padding if it has the modality but is empty."
        )
    if array.size == 0:
        raise ValueError(f"Sample {index} has 0 features per step, shape {array.shape}.")
    if array.dtype.kind == "f" and np.isnan(array.flat[0]) and np.isnan(array).all():
        return None
    return array[:, None] if array.ndim == 1 else array


def _numbers(index, array):
    """Convert objects that are numbers; refuse text, even if it reads as a number."""
    text = next((value for value in array.flat if isinstance(value, (str, bytes))), None)
    try:
        if text is not None:
            raise TypeError(f"it holds the text {text!r}")
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise TypeError(f"Sample {index} is not numeric ({error}).") from error


def _short(sample):
    text = repr(sample)
    return text if len(text) <= 40 else f"{text[:37]}..."
