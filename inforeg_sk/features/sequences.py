"""Sequences of unequal length as one array."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._output import OwnOutput
from .._validation import check_word
from ..network.checks import check_number_or_none, check_positive

__all__ = ["PadSequences"]


class PadSequences(OwnOutput, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Pad and cut sequences, such as word vectors or frames of sound, to one number of steps.

    Parameters
    ----------
    n_steps : int, default=None
        Steps of each sample that comes out; None is the longest sequence seen in ``fit``.
    value : float, default=0.0
        What all features of a padding step hold. The encoders ``"gru"`` and ``"transformer"`` and
        `ModalityTransformer` take 0.0 for padding; give another value to them too, as
        `padding_value`.
    side : {"end", "start"}, default="end"
        Where padding is added. Those encoders find it at the end only.
    truncate : {"end", "start"}, default="end"
        What is lost of a longer sequence: its last steps, or its first.
    dtype : dtype, default="float32"
        Floating type of the result.

    Attributes
    ----------
    n_steps_ : int
        Steps of each sample.
    n_features_ : int
        Features of each step.

    Raises
    ------
    TypeError
        If the samples are no sequence of arrays, or one is text or otherwise not numeric.
    ValueError
        If a parameter is wrong; there are no samples, or in ``fit`` none but missing ones; or a
        sample is not of shape ``(n_steps_i, n_features)``, has no steps, another number of
        features than the others, or a number that `dtype` does not hold. The sample is named.

    Notes
    -----
    A sample that is None (or NaN, as pandas may put it, or holds nothing but NaN) lacks the
    modality, and becomes a row of NaN throughout, which ``missing="allow"`` of the classifier
    takes as such. A sequence without any step is an error, for it may be either: a sample that
    lacks the modality (give None), or one that has it and says nothing (give one step of padding).
    NaN in a part of a sequence is left for the classifier to refuse.

    The encoders know padding by its value alone: of a sequence whose real last steps hold `value`
    in all features, such as silence or a token numbered 0, these steps are padding to them too.

    The result is 3-D, so scaling comes after it, in a `ModalityTransformer` of its own::

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
    array([[ 1.,  1.,  0.],
           [ 1.,  1.,  1.],
           [nan, nan, nan]], dtype=float32)

    Sequences of numbers have one feature; here the first steps of the longer are lost:

    >>> PadSequences(n_steps=2, truncate="start").fit_transform([[5], [6, 7, 8]])[:, :, 0]
    array([[5., 0.],
           [7., 8.]], dtype=float32)
    """

    def __init__(self, n_steps=None, *, value=0.0, side="end", truncate="end", dtype="float32"):
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
            A list or array of objects, each an array of shape ``(n_steps_i, n_features)``, or
            ``(n_steps_i,)``, which has one feature; or None. Sequences of equal length may be one
            array.
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
        ndarray of shape (n_samples, n_steps_, n_features_)
        """
        check_is_fitted(self, "n_steps_")
        self._check_parameters()
        return self._pad(self._sequences(X, self.n_features_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True  # the samples' axis is the first, as elsewhere
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        return tags

    def _fit(self, X):
        self._check_parameters()
        sequences = self._sequences(X, None)
        there = [sequence for sequence in sequences if sequence is not None]
        if not there:
            raise ValueError(
                f"PadSequences: all {len(sequences)} samples are missing (None): at least one "
                "sequence is needed to learn the number of features."
            )
        self.n_features_ = there[0].shape[1]
        self.n_steps_ = int(self.n_steps or max(map(len, there)))
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
                    f"Sample {index} has a number too large for {padded.dtype}: scale it, or use "
                    "dtype='float64'."
                ) from error
        return padded

    def _sequences(self, X, n_features):
        """Samples as a list of arrays of shape (n_steps_i, n_features), None where missing."""
        sequences = [_sequence(index, sample) for index, sample in enumerate(_samples(X))]
        first = "in fit"
        for index, sequence in enumerate(sequences):
            if sequence is None:
                continue
            if n_features is None:
                n_features, first = sequence.shape[1], f"in sample {index}"
            elif sequence.shape[1] != n_features:
                raise ValueError(
                    f"Sample {index} has {sequence.shape[1]} features a step, but there were "
                    f"{n_features} {first}."
                )
        return sequences

    def _check_parameters(self):
        if self.n_steps is not None:
            check_positive(n_steps=self.n_steps)
        check_number_or_none(value=self.value)
        check_word(("end", "start"), side=self.side)
        check_word(("end", "start"), truncate=self.truncate)
        try:
            # None is float64 to numpy.
            dtype = None if self.dtype is None else np.dtype(self.dtype)
        except TypeError:
            dtype = None
        if dtype is None or dtype.kind != "f":
            raise ValueError(
                f"dtype={self.dtype!r}: a floating type, such as 'float32', is needed."
            )
        with np.errstate(over="ignore"):
            held = self.value is not None and np.isfinite(dtype.type(self.value))
        if not held:
            raise ValueError(f"value={self.value!r}: a number that {dtype} holds is needed.")


def _samples(X):
    """`X` as something whose items are the samples."""
    accepted = (
        "PadSequences takes a list or array of sequences, each of shape (n_steps_i, n_features)"
    )
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        raise TypeError(
            f"{accepted}; got a mapping of {', '.join(map(repr, X))}: give it one modality, as a "
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
    """One sample as an array with two axes, or None if it is missing."""
    if sample is None or (isinstance(sample, float) and np.isnan(sample)):
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
            f"Sample {index} is {what}: numbers are needed, one row a step; encode text first, for "
            "example as word vectors."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"Sample {index} has shape {array.shape}: a sequence of shape (n_steps, n_features) or "
            "(n_steps,) is needed."
        )
    if len(array) == 0:
        raise ValueError(
            f"Sample {index} has no steps: give None if it lacks the modality, or one step of "
            "padding if it has nothing to say."
        )
    if array.size == 0:
        raise ValueError(f"Sample {index} has 0 features a step, shape {array.shape}.")
    if array.dtype.kind == "f" and np.isnan(array.flat[0]) and np.isnan(array).all():
        return None
    return array[:, None] if array.ndim == 1 else array


def _numbers(index, array):
    """Convert objects that are numbers; text that reads as one is not."""
    text = next((value for value in array.flat if isinstance(value, (str, bytes))), None)
    try:
        if text is not None:
            raise TypeError(f"it holds the text {text!r}")
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise TypeError(f"Sample {index} is not numeric ({error}): numbers are needed.") from error


def _short(sample):
    text = repr(sample)
    return text if len(text) <= 40 else f"{text[:37]}..."
