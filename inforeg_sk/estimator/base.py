"""The base class of the estimators: it holds target, run and network, and says how a fit goes."""

from numbers import Integral
from typing import ClassVar

from sklearn.utils.validation import validate_data
from skorch.utils import is_dataset

from ..data.batches import ModalityDataset
from ..data.checks import FittedInput, check_fitted_modalities, check_rows_beside
from ..network import MultimodalNetwork
from ..training.random import isolated
from ..training.run import TrainingRun
from ..training.split import given_data
from ..utils.parameters import Constraint, Options, check_parameter
from .checks import SHARED_CONSTRAINTS, holds_out
from .files import ParameterFiles
from .outcome import is_early_stopping, warn_of_interrupt, warn_of_outcome
from .parameters import ParameterHandling
from .plan import (
    FitPlan,
    early_stopping_split,
    held_out_weight,
    initial_network,
    kept_parameters,
    plan_continuation,
    plan_fit,
    restore_on_error,
)
from .targets import ClassLabels, TargetScaler
from .unimodal import Reading, by_modality, score_by_modality

__all__ = ["MultimodalEstimator"]


class MultimodalEstimator(ParameterFiles, ParameterHandling):
    """Base class of the estimators; `MultimodalClassifier` documents the parameters.

    A subclass says its kind of target, `ClassLabels` or `TargetScaler`, which a fit learns and
    holds as `target_`.
    """

    target_class: ClassVar[type[ClassLabels] | type[TargetScaler]]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = SHARED_CONSTRAINTS

    # With metadata routing, groups go to the outer splitter and reach `fit` only if asked for.
    __metadata_request__fit: ClassVar[dict] = {"groups": False}
    __metadata_request__partial_fit: ClassVar[dict] = {"groups": False}

    #: The plan of the fit that is about to start.
    _built: dict
    _plan: FitPlan | None = None
    #: How the Fisher traces in the history were measured.
    _measured: str | None = None

    def __init__(
        self,
        method,
        *,
        active,
        modalities,
        encoders,
        fusion,
        fisher,
        fisher_samples,
        record_batches,
        optimizer,
        lr,
        max_epochs,
        batch_size,
        missing,
        modality_dropout,
        standardize,
        random_state,
        dtype,
        device,
        train_split,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        callbacks,
        warm_start,
        verbose,
        criterion,
        iterator_train,
        iterator_valid,
        compile,
        use_caching,
        torch_load_kwargs,
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
        self.active = active
        self.modalities = modalities
        self.encoders = encoders
        self.fusion = fusion
        self.fisher = fisher
        self.fisher_samples = fisher_samples
        self.record_batches = record_batches
        self.missing = missing
        self.modality_dropout = modality_dropout
        self.standardize = standardize
        self.random_state = random_state
        self.dtype = dtype
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol

    # Fitting

    def fit(self, X, y, sample_weight=None, groups=None, validation_data=None):
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
            Weights in the loss and in the performance score; at least 0. The loss of a batch is
            the sum of the samples' losses times their weights, divided by the number of samples
            and by the mean weight of the training part. Further calls keep the mean of the first
            (in which None stands for ones).
        groups : array-like of shape (n_samples,), default=None
            Groups for `train_split`, and for what `early_stopping` holds out.
        validation_data : tuple of X and y, or of X, y and sample_weight, default=None
            The validation part, where there is a published one: the same modalities and labels.
            ``valid_loss`` and ``valid_acc`` are of these samples, and `early_stopping` goes by
            them. They are not trained on. In a Pipeline they are not transformed.

        Returns
        -------
        self
        """
        go_on = self.warm_start and self.initialized_
        if go_on:
            done = self._continue(X, y, sample_weight, groups, self.max_epochs, validation_data)
        else:
            plan = plan_fit(self, X, y, sample_weight, held_out=validation_data is not None)
            done = self._start(plan, groups, self.max_epochs, validation_data)
        return done._judged()

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
        if self.early_stopping:
            raise ValueError(
                f"The 'early_stopping' parameter of {type(self).__name__} must be False in "
                "partial_fit, which trains one epoch. Got True."
            )
        if self.initialized_:
            self._continue(X, y, sample_weight, groups, 1)
        else:
            self._start(plan_fit(self, X, y, sample_weight, classes), groups, 1)
        self._run.train = None  # no verdict after one epoch
        return self

    def _start(self, plan, groups, epochs, validation_data=None):
        """Take a plan over and train; what was fitted before stays if that is refused."""
        with restore_on_error(self):
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)
            data = plan.data
            if data.table is not None:
                validate_data(self, data.table, skip_check_array=True)
            self._take_over(
                plan,
                FittedInput(
                    data.modalities,
                    data.shapes,
                    data.columns,
                    plan.dtype,
                    data.labels,
                    data.sparse,
                ),
            )
            plan.dataset.made_for = self.fitted_input_
            return self._train(plan, groups, epochs, validation_data)

    def _take_over(self, plan, fitted):
        """Take a plan's network and all that goes with it."""
        self.target_ = plan.target
        self._built = kept_parameters(self)
        self.modalities_ = fitted.modalities
        self.fitted_input_ = fitted
        self._run = TrainingRun.first(
            plan.method, plan.seeds, plan.network.modalities, fitted.modalities
        )
        if plan.data is None and not isinstance(self.random_state, Integral):
            self._run.weights_seed = None  # weights come from a file, the seed from nowhere
        self._plan, self._measured = plan, None
        try:
            self.initialize()
        finally:
            self._plan = None

    def _continue(self, X, y, sample_weight, groups, epochs, validation_data=None):
        self.check_is_fitted()
        held_out = validation_data is not None
        plan = plan_continuation(self, X, y, sample_weight, held_out)
        with restore_on_error(self):
            self._run = self._run.next(plan.method)
            return self._train(plan, groups, epochs, validation_data)

    def initialize(self):
        """Make the network, once its shapes are known: ``fit`` and ``load_params`` call this.

        Before, it does nothing, so that skorch's ``net.initialize().load_params(...)`` works.
        """
        if self._plan is None and not self.initialized_:
            return self
        return super().initialize()

    def initialize_module(self):
        """Take the network of the plan; skorch calls this in ``initialize``."""
        if self._plan is None:
            raise RuntimeError(
                f"{type(self).__name__} learns the network's shapes from data: call fit."
            )
        self.module_ = self._plan.network
        return self

    def _train(self, plan, groups, epochs, validation_data):
        run = self._run
        held_out = None
        if validation_data is not None:
            held_out = self._validation_dataset(validation_data, plan.dataset.y)
        run.settings, run.in_fit, run.interrupted = plan.settings, True, False
        self._measured = self.fisher or self._measured
        try:
            return self._train_on(plan.dataset, groups, epochs, held_out, plan.trained)
        except BaseException:
            run.train = None
            raise
        finally:
            run.in_fit = False

    def _train_on(self, dataset, groups, epochs, held_out, trained=None):
        self.notify("on_train_begin", X=dataset.X, y=dataset.y)
        with isolated(self._run.generators.modules, self._placement()):
            try:
                if trained is None:
                    self.fit_loop(dataset, epochs=epochs, groups=groups, held_out=held_out)
                else:
                    self.take_training(trained, epochs)
            except KeyboardInterrupt as error:
                # skorch's habit: an interrupt keeps the weights. Its early stopping is one, too.
                if not is_early_stopping(error):
                    warn_of_interrupt(self, *self._run.stopped_in)
                    self._run.interrupted = True
            except Exception as error:
                nothing = held_out is None and not holds_out(self)
                if nothing and "found in history" in str(error):
                    raise ValueError(
                        f"A callback of {type(self).__name__} looks for a value of held-out "
                        "samples: give train_split=skorch.dataset.ValidSplit(5), or "
                        "validation_data in fit, or let it monitor another. Got train_split=None "
                        f"({error})."
                    ) from error
                raise
        self.notify("on_train_end", X=dataset.X, y=dataset.y)
        return self

    def _judged(self):
        """Say what a finished fit has to say of itself."""
        train, self._run.train = self._run.train, None
        if not self._run.interrupted:
            warn_of_outcome(self, train)
        return self

    def method_settings(self):
        """Settings of the method (dict); an estimator with flat ones adds them."""
        return self.get_params_for("method")

    def _scoring_callbacks(self):
        return self.target_class.callbacks()

    # Prediction

    def get_dataset(self, X, y=None):
        """Checked data as a dataset.

        Parameters
        ----------
        X : as in ``fit``, or Dataset
            A dataset that this estimator has made is returned as it is, with the target that it
            has; from another one X and y are taken.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target, in the user's labels and units.

        Returns
        -------
        ModalityDataset, or ModalitySubset in a callback
            Its ``X`` and ``y`` are what was given; batches hold the encoded target.
        """
        self.check_is_fitted()
        fitted = self.fitted_input_
        if is_dataset(X):
            if getattr(X, "made_for", None) is fitted:
                return X
            X, y = given_data(X)
        checked = check_fitted_modalities(X, self, fitted)
        target = None
        if y is not None:
            y = self.target_.check(y, checked.n_samples, self)
            target = self.target_.encode(y, fitted.dtype)
        dataset = ModalityDataset(checked, target, given=(X, y))
        dataset.made_for = fitted
        return dataset

    def _validation_dataset(self, validation_data, y_fit):
        """The `validation_data` of ``fit`` as a dataset."""
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise TypeError(
                f"validation_data of {type(self).__name__}.fit must be a tuple (X, y) or "
                f"(X, y, sample_weight). Got {type(validation_data).__name__}."
            )
        X, y, sample_weight = (*validation_data, None)[:3]
        try:
            check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
            if y is None:
                raise ValueError("y is None")
            dataset = self.get_dataset(X, y)
            dataset.weight = held_out_weight(self, dataset.y, y_fit, sample_weight)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"validation_data cannot be used: {error}") from error
        return dataset

    def _own_split(self):
        if not self.early_stopping:
            return None
        return early_stopping_split(self, self._run.split_seed)

    def _made_part(self, X, y, whole):
        dataset = self.get_dataset(X, y)
        dataset.weight = held_out_weight(self, dataset.y, whole.y)
        return dataset

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Score of each modality alone: accuracy, or R^2 of a regressor.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True target. Of a dataset, such as skorch hands to a callback, its own counts.
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            Where samples lack modalities: score on the samples that have all modalities of `X`,
            so that the scores compare, or each modality on the samples that have it.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
            Without modalities that no sample has.

        Raises
        ------
        ValueError
            If there is no sample to score on.
        """
        check_parameter("samples", samples, [Options("common", "each")], "score_by_modality")
        if is_dataset(X):  # callbacks hand y on in the order of the batches
            X = self.get_dataset(X, y)
            y = X.y if X.y is not None else y
        else:
            check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        outputs, present = self._unimodal_outputs(X)
        target = self.target_
        reading = Reading(target.decode, target.metric, target.labels, target.proba)
        return score_by_modality(outputs, present, y, sample_weight, samples, reading, scoring)

    def common_samples(self, X):
        """Which samples have all of the modalities that any has.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of bool of shape (n_samples,)
        """
        return self.get_dataset(X).presence.common().numpy()

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
        features, _ = by_modality(self, X, lambda features: features)
        return {name: z.numpy() for name, z in features.items()}

    def initial_network(self):
        """The network that the first fit began with.

        It is made anew from the seed that the fit drew, whatever `random_state` was; what it
        standardizes is as in the fitted network. Random features are the zero point of a measure of
        what an encoder has learned; see `inforeg_sk.inspection.learned_share`.

        Returns
        -------
        MultimodalNetwork
            A new one in evaluation mode, on the device of the fitted one.

        Raises
        ------
        ValueError
            If parameters that the network is made of have changed since the fit, or the weights
            come from a file and `random_state` is not the int that they were trained with.
        """
        self.check_is_fitted()
        return initial_network(self)

    def _unimodal_outputs(self, X):
        """Unimodal logits (or outputs, in regression), and which samples have the modality."""
        self.check_is_fitted()
        return by_modality(self, X, self.module_.unimodal_logits)

    # What a fit found

    @property
    def method_(self):
        self._fitted("module_")
        return self._run.method

    @property
    def best_epoch_(self):
        self._fitted("module_")
        if not self.early_stopping:
            raise AttributeError(
                f"{type(self).__name__} has best_epoch_ after a fit with early_stopping=True only."
            )
        return dict(self.callbacks_)["stop_early"].best_epoch_ - 1

    @property
    def encoders_(self):
        encoders = self._fitted("module_").encoders
        return {name: encoders[name] for name in self.modalities_}

    @property
    def head_(self):
        return self._fitted("module_").head

    @property
    def curves_(self):
        self._fitted("module_")
        return self._run.keys.curves(self.history_)

    def _fitted(self, attribute):
        if attribute not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        return vars(self)[attribute]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.allow_nan = self.missing == "allow"
        return tags
