"""What a fitted estimator answers of each modality by itself, and the curves of the fit."""

import numpy as np
import torch
from sklearn.utils import _safe_indexing, check_consistent_length
from skorch.utils import is_dataset

from ._door import enter_again
from ._parameters import ParameterHandling
from .training.batches import ModalityDataset

__all__ = ["Prediction"]


class Prediction(ParameterHandling):
    """Inspection; `Fitting` adds how a fit goes, and the kind of target the predictions."""

    def get_dataset(self, X, y=None):
        """Checked data as a dataset, for prediction."""
        self.check_is_fitted()
        return ModalityDataset(enter_again(X, self))

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common"):
        """Score of each modality alone: accuracy, or R^2 of a regressor.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True target; encoded, if `X` is a dataset that skorch hands to a callback.
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            Where samples lack modalities: score on the samples that have all modalities of `X`,
            so that the scores compare, or each modality on the samples that have it.

        Returns
        -------
        dict of str to float
            Without modalities that no sample has.

        Raises
        ------
        ValueError
            If there is no sample to score on.
        """
        if samples not in ("common", "each"):
            raise ValueError(f"samples={samples!r}: accepted are 'common' and 'each'.")
        outputs, there = self._unimodal_outputs(X)
        check_consistent_length(next(iter(outputs.values())), y, sample_weight)
        names = [name for name in outputs if there[name].any()]
        if samples == "common":
            common = np.logical_and.reduce([there[name] for name in names])
            if not common.any():
                raise ValueError(
                    f"No sample has all of {', '.join(map(repr, names))}, so their scores do not "
                    "compare; samples='each' scores each modality on the samples that have it."
                )
            there = dict.fromkeys(names, common)
        decide = self._decide_encoded if is_dataset(X) else self._decide
        scores = {}
        for name in names:
            rows, truth, weight = there[name], y, sample_weight
            if not rows.all():
                truth = _safe_indexing(y, rows)
                weight = None if weight is None else np.asarray(weight)[rows]
            predicted = decide(outputs[name][rows])
            scores[name] = float(self._metric(truth, predicted, sample_weight=weight))
        return scores

    def common_samples(self, X):
        """Which samples have all of the modalities that any has.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of bool of shape (n_samples,)
        """
        dataset = self.get_dataset(X)
        masks = [mask for mask in dataset.present.values() if mask.any()]
        return np.logical_and.reduce([np.ones(len(dataset), dtype=bool), *masks])

    def transform_by_modality(self, X):
        """Features of each modality, from its trained encoder.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_features)
            Rows of NaN where a sample lacks the modality.
        """
        features, _ = self._by_modality(X, lambda features: features)
        return {name: z.numpy() for name, z in features.items()}

    def _unimodal_outputs(self, X):
        """Unimodal logits (or outputs, in regression); see `_by_modality`."""
        self.check_is_fitted()
        return self._by_modality(X, self.module_.unimodal_logits)

    def _by_modality(self, X, function):
        """Apply a function to the features, batch by batch, in evaluation mode.

        Returns
        -------
        values : dict of str to Tensor of shape (n_samples, ...)
            On the CPU, NaN where a sample lacks the modality.
        there : dict of str to ndarray of bool of shape (n_samples,)
        """
        self.check_is_fitted()
        dataset = X if is_dataset(X) else self.get_dataset(X)
        self._set_training(False)
        parts, masks = {name: [] for name in self.modalities_}, []
        with torch.no_grad():
            for batch, _ in self.get_iterator(dataset, training=False):
                output = self.infer(batch)
                present = output.present
                if present is None:
                    shape = (batch.n_samples, len(parts))
                    present = torch.ones(shape, dtype=torch.bool, device=output.logits.device)
                values = function(output.features)
                for i, (name, part) in enumerate(parts.items()):
                    part.append(values[name].masked_fill(~present[:, i : i + 1], torch.nan).cpu())
                masks.append(present.cpu())
        there = torch.cat(masks).numpy()
        return (
            {name: torch.cat(values) for name, values in parts.items()},
            {name: there[:, i] for i, name in enumerate(parts)},
        )

    # What a fit found

    @property
    def encoders_(self):
        return self._fitted("module_").encoders

    @property
    def head_(self):
        return self._fitted("module_").head

    @property
    def curves_(self):
        return self._fitted("_curve_keys").curves(self.history_)

    def _fitted(self, attribute):
        if attribute not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        return vars(self)[attribute]
