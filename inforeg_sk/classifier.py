"""The estimators: a dict of modalities in, class labels out."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import validate_data
from skorch.utils import is_dataset
from torch import nn
from torch.utils.data import DataLoader

from ._door import encode_target, enter, enter_again, first_classes, sample_weights
from ._parameters import ParameterHandling, merged_signature
from ._validation import check_target, lookup, nearest
from .methods import METHODS, BalancingMethod, InfoReg
from .network import MultimodalNetwork, build_network
from .training.batches import ModalityDataset
from .training.device import resolve_dtype
from .training.loop import has_batch_norm
from .training.random import draw_seeds, initialisation, isolated

__all__ = ["MultimodalClassifier", "MultimodalInfoRegClassifier"]


class _Plan(NamedTuple):
    """Everything a first fit needs, checked and built before the estimator changes."""

    entry: object
    classes: np.ndarray
    dataset: ModalityDataset
    method: BalancingMethod
    network: MultimodalNetwork
    seeds: object


class MultimodalClassifier(ParameterHandling):
    """Neural classifier of several modalities, with a method that balances their training.

    Parameters
    ----------
    method : str, class or BalancingMethod, default="joint"
        "joint" (plain joint training), "inforeg", a `BalancingMethod` class, or an instance. Its
        settings are nested parameters: ``method__alpha=0.3``.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame: ``{"text": slice(0, 100), "audio": ["pitch",
        "energy"]}``; see `ColumnsToModalities`. Without it a 2-D array is one modality, "X".
    encoders : "auto", str, class, callable, or dict of str to these or a module, default="auto"
        Encoder of each modality, or of all. "auto" takes an MLP for vectors and a GRU for
        sequences; names are "mlp" and "gru". A class or callable is called with ``input_shape``
        (the shape of one sample; or ``in_features``, the last axis, if that is what it takes)
        and the settings ``encoders__hidden=32`` (all encoders that take it) or
        ``encoders__text__hidden=32`` (one). A module instance in a dict is copied, its weights
        are the start. Encoders give one vector a sample.
    fusion : str, class, callable or module, default="concat"
        "concat", or a module that maps a dict of feature tensors to one vector a sample; a class
        or callable is called with ``widths``, a dict of numbers of features.
    fisher : {"batch", None}, default="batch"
        Whether each encoder's Fisher trace and performance score are tracked. None saves their
        time in plain joint training.
    optimizer : torch optimizer class, default=torch.optim.AdamW
        Its settings are ``optimizer__weight_decay`` and so on; per-modality learning rates by
        ``optimizer__param_groups=[("encoder_text.*", {"lr": 1e-4})]``.
    lr : float, default=0.001
        Learning rate.
    max_epochs : int, default=30
        Epochs of a fit.
    batch_size : int, default=64
        Samples in a batch; -1 takes all.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, scikit-learn's meaning.
    random_state : int, RandomState instance or None, default=None
        Initial weights, shuffling and dropout. With an int the same thread count gives the same
        result bit for bit; the global generators of torch and numpy stay as they were.
    dtype : {"float32", "float64"}, default="float32"
        Floating type of data and network.
    device : str or torch.device, default="auto"
        "auto" takes cuda, else mps, else the CPU.
    train_split : callable or None, default=None
        Validation split, such as ``skorch.dataset.ValidSplit(5, stratified=True)``. None trains
        on everything. It gets ``groups`` if ``fit`` does.
    callbacks : list, "disable" or None, default=None
        skorch callbacks.
    warm_start : bool, default=False
        A further ``fit`` goes on for `max_epochs` from where the last ended; see Notes.
    verbose : int, default=0
        1 prints a line an epoch.
    criterion : subclass of torch.nn.CrossEntropyLoss, default=torch.nn.CrossEntropyLoss
        ``criterion__label_smoothing`` is searchable; class weights go to `class_weight`.
    iterator_train, iterator_valid : class, default=torch.utils.data.DataLoader
        ``iterator_train__num_workers``, ``iterator_train__drop_last``, ... reach them.
    compile : bool, default=False
        Compile the network with torch.
    use_caching : "auto" or bool, default="auto"
        Whether skorch's scoring callbacks reuse the predictions of a pass.
    torch_load_kwargs : dict, default=None
        See skorch.
    **kwargs
        Nested settings of method, encoders, fusion, optimizer, criterion, iterators and
        callbacks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    modalities_ : tuple of str
        Names of the modalities, sorted.
    encoders_ : dict of str to torch.nn.Module
        Trained encoders.
    head_ : torch.nn.Module
        Trained head.
    fisher_trace_ : dict of str to ndarray of shape (n_epochs,)
        Fisher trace of each encoder: how much information it gains in an epoch.
    performance_score_ : dict of str to ndarray of shape (n_epochs,)
        Mean over the batches of the score of each modality alone.
    window_ : dict of str to ndarray of bool of shape (n_epochs,)
        Whether the prime learning window was open (methods that have one).
    window_ratio_ : dict of str to ndarray of shape (n_epochs,)
        Relative growth of the trace that decided it; NaN where undefined.
    coefficient_ : dict of str to ndarray of shape (n_epochs,)
        Mean over the batches of the regulation coefficient.
    history : skorch.history.History
        All of these as ``<quantity>_<modality>``, and ``train_loss`` and ``valid_loss`` (both the
        joint cross-entropy), ``train_objective`` (what was minimised), ``valid_acc``.
    method_ : BalancingMethod
        The method that ran.
    n_features_in_, feature_names_in_ :
        After a fit with a 2-D array or DataFrame.

    Raises
    ------
    TypeError, ValueError
        Before training, and before a model fitted earlier is touched: what was got, what is
        accepted.

    Notes
    -----
    **Validation, groups, early stopping.** ``fit(X, y, groups=g)`` hands the groups to
    `train_split`, for example ``ValidSplit(GroupKFold(5))``; with a split, skorch's
    ``EarlyStopping(monitor="valid_loss", load_best=True)`` works as a callback.

    **Going on.** ``partial_fit`` trains one epoch on what it gets; ``fit`` with `warm_start` for
    `max_epochs`. Both keep weights, optimizer state, random generators, and the history, so that
    traces and windows continue. Method settings and `lr` are read anew; the network is not
    rebuilt, so other modalities, shapes or labels are an error.

    **Threads.** Fits may run in several threads at once: building a network takes a lock, and
    shuffling and the built-in dropout have generators of their own, so results equal serial
    ones. Modules of yours that draw on torch's global generator are seeded too, but only serial
    fits reproduce them. Results depend on ``torch.get_num_threads()`` in the last bits; processes
    started by joblib have one thread.

    **Parameters without an owner.** Frozen parameters are neither measured nor pulled; unused
    ones count as zero. One shared by several modalities enters the trace of each and is not
    pulled. Fusion and head never are.

    **A last batch of one sample** joins the batch before it if the network has batch
    normalisation; without it, it is a batch of its own.

    **Mixed precision.** With bfloat16 gradients are not scaled and nothing is to do. With a loss
    scaler override ``gradient_scale``, so that traces and pull are freed of the factor.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> clf.predict(X).shape
    (200,)
    """

    def __init__(
        self,
        method="joint",
        *,
        modalities=None,
        encoders="auto",
        fusion="concat",
        fisher="batch",
        optimizer=torch.optim.AdamW,
        lr=1e-3,
        max_epochs=30,
        batch_size=64,
        class_weight=None,
        random_state=None,
        dtype="float32",
        device="auto",
        train_split=None,
        callbacks=None,
        warm_start=False,
        verbose=0,
        criterion=nn.CrossEntropyLoss,
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
        self.class_weight = class_weight
        self.random_state = random_state
        self.dtype = dtype

    # Fitting

    def fit(self, X, y, sample_weight=None, groups=None):
        """Train on a dict of modalities.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
            Values of each modality: ``(n_samples, n_features)`` or ``(n_samples, n_steps,
            n_features)``, finite numbers.
        y : array-like of shape (n_samples,)
            Class labels of any type.
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
        plan = self._prepare(X, y, sample_weight)
        self._start(plan)
        return self._train(plan.dataset, groups, None)

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        """Train one more epoch on the data given; the first call makes the network.

        Parameters
        ----------
        X, y, sample_weight, groups :
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be. Needed in the first call if its `y` lacks some.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all of y and is not defined for "
                "partial_fit; give the weights as a dict."
            )
        if self.initialized_:
            return self._continue(X, y, sample_weight, groups, 1)
        plan = self._prepare(X, y, sample_weight, classes)
        self._start(plan)
        return self._train(plan.dataset, groups, 1)

    def _prepare(self, X, y, sample_weight, classes=None):
        """Check and build everything; the estimator itself does not change."""
        self._check_training_parameters()
        entry = enter(X, self, resolve_dtype(self.dtype)[0])
        y = check_target(y, entry.n_samples, self)
        classes = first_classes(y, self, classes)
        dataset = self._make_dataset(entry.X, y, classes, sample_weight)
        method = self._make_method(tuple(entry.X))
        seeds = draw_seeds(self.random_state)
        with initialisation(seeds.weights):
            network = build_network(
                entry.shapes,
                len(classes),
                encoders=self.encoders,
                fusion=self.fusion,
                settings={part: self.get_params_for(part) for part in ("encoders", "fusion")},
                dtype=resolve_dtype(self.dtype)[1],
                dropout_seed=seeds.dropout,
            )
        if has_batch_norm(network) and (self.batch_size == 1 or len(y) == 1):
            raise ValueError(
                "The network has batch normalisation, which needs at least 2 samples in a batch; "
                f"got batch_size={self.batch_size} and {len(y)} samples."
            )
        return _Plan(entry, classes, dataset, method, network, seeds)

    def _start(self, plan):
        """Take a plan over; if skorch then refuses a setting, all is as it was."""
        before = vars(self).copy()
        try:
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)
            if plan.entry.table is not None:
                validate_data(self, plan.entry.table, skip_check_array=True)
            self.classes_inferred_ = plan.classes
            self.modalities_ = tuple(plan.entry.X)
            self.method_ = plan.method
            self.shuffling_ = torch.Generator().manual_seed(plan.seeds.shuffling)
            self._shapes, self._columns = plan.entry.shapes, plan.entry.columns
            self._plan = plan
            self.initialize()
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        finally:
            vars(self).pop("_plan", None)

    def initialize_module(self):
        plan = vars(self).get("_plan")
        if plan is None:
            raise RuntimeError(
                f"{type(self).__name__} learns the network's shapes from data: call fit."
            )
        self.module_ = plan.network
        return self

    def _continue(self, X, y, sample_weight, groups, epochs):
        self.check_is_fitted()
        self._check_training_parameters()
        arrays = enter_again(X, self, resolve_dtype(self.dtype)[0])
        y = check_target(y, len(next(iter(arrays.values()))), self)
        dataset = self._make_dataset(arrays, y, self.classes_, sample_weight)
        self.method_ = self._make_method(self.modalities_)
        return self._train(dataset, groups, epochs)

    def _make_dataset(self, arrays, y, classes, sample_weight):
        target = encode_target(y, classes)
        weight = sample_weights(sample_weight, self.class_weight, target, classes, y)
        dtype = next(iter(arrays.values())).dtype
        return ModalityDataset(arrays, target, None if weight is None else weight.astype(dtype))

    def _train(self, dataset, groups, epochs):
        seed = int(torch.randint(2**62, (), generator=self.shuffling_))
        self.notify("on_train_begin", X=dataset.X, y=dataset.y)
        with isolated(seed, self.device):
            try:
                self.fit_loop(dataset, dataset.y, epochs=epochs, groups=groups)
            except KeyboardInterrupt:
                # skorch's habit: keep the weights. The unfinished epoch has no traces to go on.
                if self.history and "train_batch_count" not in self.history[-1]:
                    del self.history[-1]
        self.notify("on_train_end", X=dataset.X, y=dataset.y)
        return self

    def _make_method(self, modalities):
        """Make the method from the parameters and check its settings."""
        method, settings = self.method, self._method_settings()
        if isinstance(method, str):
            method = lookup(method, METHODS, "method")
        if isinstance(method, type) and issubclass(method, BalancingMethod):
            known = method._get_param_names()
        elif isinstance(method, BalancingMethod):
            known = method.get_params(deep=False)
        else:
            raise TypeError(
                f"method={method!r}; accepted are {', '.join(map(repr, METHODS))}, a "
                "BalancingMethod class or an instance of one."
            )
        for key in settings:
            if key not in known:
                raise ValueError(
                    f"method__{key}: the method takes {', '.join(known) or 'no settings'}"
                    f"{nearest(key, known)}"
                )
        if isinstance(method, type):
            made = method(**settings)
        else:
            made = clone(method).set_params(**settings)
        made.check(tuple(modalities), self.fisher)
        return made

    def _method_settings(self):
        return self.get_params_for("method")

    def _check_training_parameters(self):
        resolve_dtype(self.dtype), self.device
        if self.fisher not in ("batch", None):
            raise ValueError(f"fisher={self.fisher!r}: accepted are 'batch' and None.")
        for name, minimum in (("max_epochs", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if name == "batch_size" and value == -1:
                continue
            if not isinstance(value, Integral) or value < minimum:
                raise ValueError(f"{name}={value!r}: an integer of at least {minimum} is needed.")
        if isinstance(self.lr, Real) and not 0 <= self.lr < np.inf:
            raise ValueError(f"lr={self.lr!r}: a finite number of at least 0 is needed.")
        criterion = self.criterion if isinstance(self.criterion, type) else type(self.criterion)
        if not issubclass(criterion, nn.CrossEntropyLoss):
            raise TypeError(
                f"criterion={self.criterion!r}: CrossEntropyLoss or a subclass of it is needed."
            )
        for key in ("weight", "reduction"):
            if hasattr(self, f"criterion__{key}"):
                raise ValueError(
                    f"criterion__{key} is not accepted: weights are given as class_weight or "
                    "sample_weight, and the loss is their mean."
                )

    # Predicting

    def get_dataset(self, X, y=None):
        """Checked data as a dataset, for prediction."""
        self.check_is_fitted()
        return ModalityDataset(enter_again(X, self, resolve_dtype(self.dtype)[0]))

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        return tags


def _softmax(logits):
    # In double precision: rows add up to 1 as closely as scikit-learn's tools expect.
    return logits.cpu().double().softmax(dim=1).numpy()


class MultimodalInfoRegClassifier(MultimodalClassifier):
    """Multimodal classifier trained with InfoReg: no modality starves in the first epochs.

    The main settings of `InfoReg` are parameters of the estimator, so that a search reads
    ``{"alpha": [0, 0.3, 1, 3], "unimodal_weight": [0, 1]}``; the rarer ones are
    ``method__score``, ``method__trace``, ``method__padding``, ``method__leader`` and
    ``method__first_epoch``.

    Parameters
    ----------
    alpha : float or dict of str to float, default=1.0
        Strength of the regulation; by modality if a dict (one left out is not regulated). 0 is
        joint training, and ``alpha=0, unimodal_weight=1`` joint training with unimodal losses.
    beta : float, default=0.9
        How fast the strength grows with the performance gap.
    window_threshold : float, default=0.04
        Growth of the trace, relative, above which the prime learning window is open.
    window_smoothing : int, default=1
        Epochs over which the trace is averaged before.
    unimodal_weight : float, default=0.0
        Weight of the unimodal losses.
    strength : {"coefficient", "drift"}, default="coefficient"
        The published pull on the gradient, or a pull on the weights after the step whose strength
        does not depend on optimizer and learning rate.
    method : class, default=InfoReg
        `InfoReg` or a subclass.
    **kwargs
        All parameters of `MultimodalClassifier`.

    Attributes
    ----------
    classes_, modalities_, encoders_, head_, fisher_trace_, performance_score_, window_,
    window_ratio_, coefficient_, history, method_ :
        See `MultimodalClassifier`.

    See Also
    --------
    InfoReg : All settings of the method.
    inforeg_sk.presets : The published settings.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=3, random_state=0)
    >>> search = GridSearchCV(clf, {"alpha": [0, 1]}, cv=2).fit(ModalityDict(X), y)
    >>> sorted(search.best_estimator_.fisher_trace_) == sorted(X)
    True
    """

    def __init__(
        self,
        alpha=1.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=1,
        unimodal_weight=0.0,
        strength="coefficient",
        *,
        method=InfoReg,
        **kwargs,
    ):
        super().__init__(method, **kwargs)
        self.alpha = alpha
        self.beta = beta
        self.window_threshold = window_threshold
        self.window_smoothing = window_smoothing
        self.unimodal_weight = unimodal_weight
        self.strength = strength

    def _method_settings(self):
        if not (isinstance(self.method, type) and issubclass(self.method, InfoReg)):
            raise TypeError(
                f"method={self.method!r}: {type(self).__name__} takes the class InfoReg or a "
                "subclass, since its settings are alpha, beta, ... and method__...; for another "
                "method or an instance use MultimodalClassifier(method=...)."
            )
        flat = {name: getattr(self, name) for name in _FLAT}
        nested = self.get_params_for("method")
        for key in nested:
            if key in flat:
                raise ValueError(f"method__{key} is given as {key} here.")
        return {**flat, **nested}


_FLAT = (
    "alpha",
    "beta",
    "window_threshold",
    "window_smoothing",
    "unimodal_weight",
    "strength",
)
MultimodalInfoRegClassifier.__init__.__signature__ = merged_signature(MultimodalInfoRegClassifier)
