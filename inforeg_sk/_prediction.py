"""What a fitted classifier answers: predictions, each modality by itself, curves of the fit."""

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from skorch.utils import is_dataset

from ._door import enter_again
from ._parameters import ParameterHandling
from .training.batches import ModalityDataset

__all__ = ["Prediction"]


class Prediction(ParameterHandling):
    """Prediction and inspection; `MultimodalClassifier` adds fitting."""

    def get_dataset(self, X, y=None):
        """Checked data as a dataset, for prediction."""
        self.check_is_fitted()
        return ModalityDataset(enter_again(X, self))

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``
            The same modalities, with samples of the same shape.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        self.check_is_fitted()
        return _softmax(self.forward(X))

    def predict(self, X):
        """Class labels.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        # In a callback X is a dataset, whose labels are encoded: so are these.
        return best if is_dataset(X) else self.classes_[best]

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality's unimodal logits.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
        """
        self.check_is_fitted()
        logits = self._by_modality(X, self.module_.unimodal_logits)
        return {name: _softmax(u) for name, u in logits.items()}

    def score_by_modality(self, X, y, sample_weight=None):
        """Accuracy of each modality alone.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        dict of str to float
        """
        return {
            name: float(
                accuracy_score(y, self.classes_[p.argmax(axis=1)], sample_weight=sample_weight)
            )
            for name, p in self.predict_proba_by_modality(X).items()
        }

    def transform_by_modality(self, X):
        """Features of each modality, from its trained encoder.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_features)
        """
        features = self._by_modality(X, lambda features: features)
        return {name: z.numpy() for name, z in features.items()}

    def _by_modality(self, X, function):
        """Apply a function to the features, batch by batch, in evaluation mode."""
        self.check_is_fitted()
        dataset = X if is_dataset(X) else self.get_dataset(X)
        self._set_training(False)
        parts = {name: [] for name in self.modalities_}
        with torch.no_grad():
            for batch, _ in self.get_iterator(dataset, training=False):
                for name, value in function(self.infer(batch).features).items():
                    parts[name].append(value.cpu())
        return {name: torch.cat(values) for name, values in parts.items()}

    # What a fit found

    @property
    def encoders_(self):
        return self._fitted("module_").encoders

    @property
    def head_(self):
        return self._fitted("module_").head

    @property
    def fisher_trace_(self):
        return self._curve("fisher_trace")

    @property
    def performance_score_(self):
        return self._curve("performance_score")

    @property
    def window_(self):
        return self._curve("window")

    @property
    def window_ratio_(self):
        return self._curve("window_ratio")

    @property
    def coefficient_(self):
        return self._curve("coefficient")

    def _fitted(self, attribute):
        if attribute not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        return vars(self)[attribute]

    def _curve(self, quantity):
        modalities, epochs = self._fitted("modalities_"), self.history_.to_list()
        if not all(f"{quantity}_{modalities[0]}" in epoch for epoch in epochs):
            raise AttributeError(
                f"{quantity}_ was not recorded: method {type(self.method_).__name__}, "
                f"fisher={self.fisher!r}."
            )
        return {m: np.array([epoch[f"{quantity}_{m}"] for epoch in epochs]) for m in modalities}


def _softmax(logits):
    # In double precision: rows add up to 1 as closely as scikit-learn's tools expect.
    return logits.cpu().double().softmax(dim=1).numpy()
