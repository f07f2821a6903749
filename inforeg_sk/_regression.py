"""What the estimators do with real-valued targets: standardise, predict and score them."""

from typing import NamedTuple

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array
from skorch.utils import is_dataset
from torch import nn

from ._validation import check_sample_weight, check_y_given

__all__ = ["Regression", "Standardised"]


class Standardised(NamedTuple):
    """Mean and scale of a target, by output."""

    mean: np.ndarray  # float64, (n_outputs,)
    scale: np.ndarray
    flat: bool  # whether the target is 1-D

    @property
    def n_outputs(self):
        return len(self.mean)

    def encode(self, y, dtype):
        """Targets of mean 0 and standard deviation 1 in the first fit, (n_samples, n_outputs)."""
        y = y.reshape(len(y), -1)
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"y has {y.shape[1]} output(s) a sample, but had {self.n_outputs} in the first fit."
            )
        with np.errstate(over="ignore"):
            encoded = ((y - self.mean) / self.scale).astype(dtype)
        if not np.isfinite(encoded).all():
            row = int(np.argmin(np.isfinite(encoded).all(axis=1)))
            raise ValueError(
                f"y has a value in row {row} that is too far from those of the first fit for "
                f"{np.dtype(dtype)}: scale it, or use dtype='float64'."
            )
        return encoded

    def decode(self, outputs):
        """Predictions in the units and the shape of the target."""
        values = outputs * self.scale + self.mean
        return values[:, 0] if self.flat else values


class Regression(RegressorMixin):
    """The kind of target of `MultimodalRegressor`; see `Fitting` for the hooks."""

    _task = "regression"
    _scores = ("negative_loss",)
    _criterion_classes = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
    _metric = staticmethod(r2_score)

    # Fitting

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        # skorch has the parameter for any estimator, and scikit-learn 1.6 wants it then.
        if classes is not None:
            raise ValueError(f"{type(self).__name__} takes no classes; got {classes!r}.")
        return super().partial_fit(X, y, None, sample_weight, groups)

    def _check_target(self, y, n_samples):
        """Return the target as float64, or raise."""
        check_y_given(y, self)
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        except (TypeError, ValueError) as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(
                f"y has to hold numbers for {type(self).__name__} ({error}); labels are for a "
                "classifier, such as MultimodalInfoRegClassifier."
            ) from error
        if y.ndim > 2:
            raise ValueError(
                f"y has shape {y.shape}: (n_samples,) or (n_samples, n_outputs) is needed."
            )
        if len(y) != n_samples:
            raise ValueError(f"y has {len(y)} values, but X has {n_samples} samples.")
        return y

    def _first_target(self, y, sample_weight, classes=None):
        """Learn mean and standard deviation, by output, with the sample weights."""
        weight = check_sample_weight(sample_weight, len(y))
        table = y.reshape(len(y), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(table, axis=0, weights=weight)
            scale = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weight))
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            raise ValueError("The values of y are too large to take their variance: scale them.")
        # A constant has no spread, or only that of rounding.
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
        return Standardised(mean, scale, y.ndim == 1)

    def _fitted_target(self):
        return self._target

    def _take_target(self, target):
        self._target = target

    def _weights(self, sample_weight, y, target):
        return check_sample_weight(sample_weight, len(y))

    # Prediction

    @property
    def target_mean_(self):
        return self._fitted("_target").mean

    @property
    def target_scale_(self):
        return self._fitted("_target").scale

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : as in ``fit``
            The same modalities, with samples of the same shape.

        Returns
        -------
        ndarray of float64 of shape (n_samples,), or (n_samples, n_outputs) if ``y`` was 2-D
        """
        self.check_is_fitted()
        outputs = self.forward(X).cpu()
        # In a callback X is a dataset, whose target is standardised: so are these.
        return self._decide_encoded(outputs) if is_dataset(X) else self._decide(outputs)

    def predict_by_modality(self, X):
        """Values that each modality predicts by itself, from its unimodal outputs.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64, shaped as in `predict`
            NaN where a sample lacks the modality.
        """
        decide = self._decide_encoded if is_dataset(X) else self._decide
        return {name: decide(u) for name, u in self._unimodal_outputs(X)[0].items()}

    def _decide(self, outputs):
        return self._target.decode(self._decide_encoded(outputs))

    def _decide_encoded(self, outputs):
        return outputs.double().numpy()

    @property
    def predict_proba(self):
        raise AttributeError(f"{type(self).__name__} predicts values; it has no probabilities.")
