"""What classifiers and regressors share: the parameters, and the public ways to fit."""

from torch.utils.data import DataLoader

from ._fitting import Fitting
from .network import MultimodalNetwork
from .training import DecayAdamW

__all__ = ["MultimodalEstimator"]


class MultimodalEstimator(Fitting):
    """Base class of the estimators; `MultimodalClassifier` documents the parameters."""

    # With metadata routing, groups go to the outer splitter and reach `fit` only if asked for.
    __metadata_request__fit = {"groups": False}
    __metadata_request__partial_fit = {"groups": False}

    def __init__(
        self,
        method,
        *,
        modalities=None,
        encoders="auto",
        fusion="concat",
        fisher="batch",
        optimizer=DecayAdamW,
        lr=1e-3,
        max_epochs=100,
        batch_size=32,
        missing="error",
        modality_dropout=0.0,
        random_state=None,
        dtype="float32",
        device="auto",
        train_split=None,
        callbacks=None,
        warm_start=False,
        verbose=0,
        criterion,
        iterator_train=DataLoader,
        iterator_valid=DataLoader,
        compile=False,
        use_caching="auto",
        torch_load_kwargs=None,
        **kwargs,
    ):
        self._check_names(kwargs)
        super().__init__(
            MultimodalNetwork,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            train_split=train_split,
            callbacks=callbacks,
            warm_start=warm_start,
            verbose=verbose,
            device=device,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            **kwargs,
        )
        self.method = method
        self.modalities = modalities
        self.encoders = encoders
        self.fusion = fusion
        self.fisher = fisher
        self.missing = missing
        self.modality_dropout = modality_dropout
        self.random_state = random_state
        self.dtype = dtype

    def fit(self, X, y, sample_weight=None, groups=None):
        """Train on a dict of modalities.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
            Values of each modality: ``(n_samples, n_features)`` or with more axes, finite
            numbers; a sparse matrix; or a mapping of such for a modality that is made of several
            arrays. With ``missing="allow"`` rows without any value lack the modality.
        y : array-like of shape (n_samples,)
            Class labels of any type. Of a regressor numbers, also of shape (n_samples,
            n_outputs).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss and in the performance score; at least 0.
        groups : array-like of shape (n_samples,), default=None
            Groups for `train_split`.

        Returns
        -------
        self
        """
        if self.warm_start and self.initialized_:
            return self._continue(X, y, sample_weight, groups, None)
        return self._fit_plan(self._prepare(X, y, sample_weight), groups, None)

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        """Train one more epoch on the data given; the first call makes the network.

        Parameters
        ----------
        X, y, sample_weight, groups :
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be. Needed in a classifier's first call if its `y` lacks some; a
            regressor has none.

        Returns
        -------
        self
        """
        if self.initialized_:
            return self._continue(X, y, sample_weight, groups, 1)
        return self._fit_plan(self._prepare(X, y, sample_weight, classes), groups, 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.allow_nan = self.missing == "allow"
        return tags
