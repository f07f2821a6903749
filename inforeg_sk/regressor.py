"""The regressors: a dict of modalities in, numbers out."""

from sklearn.base import RegressorMixin
from torch import nn
from torch.utils.data import DataLoader

from .data.checks import check_rows_beside
from .data.target import as_numbers
from .estimator import MultimodalEstimator
from .estimator.inforeg import INFOREG_CONSTRAINTS, InfoRegEstimator
from .estimator.targets import TargetScaler
from .methods import InfoReg
from .training import DecayAdamW

__all__ = ["MultimodalInfoRegRegressor", "MultimodalRegressor"]


class MultimodalRegressor(RegressorMixin, MultimodalEstimator):
    """Neural regressor of several modalities, with a method that balances their training.

    Parameters
    ----------
    method : str, class or BalancingMethod, default="joint"
        "joint" (plain joint training), "inforeg" (`InfoReg`), "g-blending" (`GBlending`),
        "mmpareto" (`MMPareto`), "greedy" (`Greedy`, an adaptation), "dgl" (`DGL`), a
        `BalancingMethod` class, or an instance; the other methods are for classes. Its settings are
        nested parameters: ``method__alpha=0.3``.
    active : {"window", "outside"}, PrimeWindow, range or set of int, default=None
        Where the method may act: inside the prime learning window of a modality, outside it, or in
        given epochs, counted from 0, such as ``range(0, 51)``. A method that acts on each modality
        by itself goes by each window, others act while any is open; where a method may not act, the
        loss is the joint one. It takes the place of InfoReg's own window (and leaves InfoReg's
        unimodal losses as they are). None: wherever the method itself does. See `PrimeWindow`.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame: ``{"text": slice(0, 100), "audio": ["pitch",
        "energy"]}``; see `ColumnsToModalities`. Without it a 2-D array is one modality, "X".
    encoders : "auto", str, class, callable, or dict of str to these or a module, default="auto"
        Encoder of each modality, or of all. "auto" goes by the axes of one sample: "mlp" for
        vectors ``(n_features,)`` and, flattened, for sequences ``(n_steps, n_features)`` of up to
        10,000 values, "gru" for longer ones, "cnn" for images ``(channels, height, width)`` and,
        frame by frame, videos ``(channels, frames, height, width)``. Further names are
        "transformer" (sequences) and "resnet18" (images, videos); "cnn" and "resnet18" take
        spectrograms ``(height, width)`` too. A class or callable is called with ``input_shape``
        (the shape of one sample; or ``in_features``, the last axis, if that is what it takes) and
        the settings ``encoders__hidden=32`` (all encoders that take it) or
        ``encoders__text__hidden=32`` (one). A module instance in a dict is copied, its weights are
        the start. Encoders give one vector a sample. Padding is described in the
        Notes of `MultimodalClassifier`.
    fusion : str, class, callable or module, default="concat"
        "concat", "mlp", "sum", "attention", "gated" or "film", or a module that maps a dict of
        feature tensors to one vector a sample; a class or callable is called with ``widths``, a
        dict of numbers of features, and the settings. "concat" with the linear head is additive
        over the modalities, ``sum_m (W_m z_m + b / M)``: it cannot represent any interaction
        between them, whatever its width. "mlp" can: a hidden layer follows the concatenation
        (``fusion__hidden=64``, ``fusion__dropout=0.0``). "gated" and "film" need the modality
        that conditions the others, ``fusion__conditioning="audio"``; "sum", "attention" and
        "gated" take ``fusion__width``.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities; see Notes.
    modality_dropout : float or dict of str to float, default=0.0
        Probability with which a training step leaves a modality of a sample out, in [0, 1); by
        modality if a dict. Never all of a sample's.
    standardize : bool, default=True
        Whether the network standardizes what the built-in encoders get: the mean of the training
        part is subtracted, and the result divided by the standard deviation; see the
        Notes of `MultimodalClassifier`.
    optimizer : torch optimizer class, default=inforeg_sk.training.DecayAdamW
        The default is torch's AdamW with a weight decay of 1.0 (torch's own default is 0.01).
        Settings are ``optimizer__weight_decay`` and so on; per-modality learning rates by
        ``optimizer__param_groups=[("encoder_text.*", {"lr": 1e-4})]``.
    lr : float, default=0.001
        Learning rate.
    max_epochs : int, default=100
        Epochs of a fit.
    batch_size : int, default=32
        Samples in a batch; -1 takes all.
    train_split : callable or None, default=None
        Validation split, such as ``skorch.dataset.ValidSplit(5, stratified=True)``. None trains
        on everything. It gets ``groups`` if ``fit`` does.
    early_stopping : bool, default=False
        Whether to stop when ``valid_loss``, the joint loss of held-out samples, has not fallen by
        `tol` in `n_iter_no_change` epochs in a row, and to take the weights of the best epoch. The
        samples are the ``validation_data`` of ``fit``, else those of `train_split`, else a share
        `validation_fraction`.
    validation_fraction : float, default=0.1
        Share of the samples that `early_stopping` holds out: by classes, and whole groups if
        ``fit`` gets ``groups``.
    n_iter_no_change : int, default=10
        Epochs without improvement after which `early_stopping` stops.
    tol : float, default=1e-4
        What counts as an improvement.
    random_state : int, RandomState instance or None, default=None
        Initial weights, shuffling and dropout. With an int the same thread count gives the same
        result bit for bit; the global generators of torch and numpy stay as they were.
    dtype : {"float32", "float64"}, default="float32"
        Floating type of data and network.
    device : str or torch.device, default="auto"
        "auto" takes cuda, else mps, else the CPU.
    warm_start : bool, default=False
        A further ``fit`` goes on for `max_epochs` from where the last ended; see Notes.
    fisher : {"batch", "sample", None}, default="batch"
        How each encoder's Fisher trace is measured, which the window goes by. "batch": mean over
        batches of the squared norm of the batch's gradient (eq. 13 of the paper), at no cost.
        "sample": mean over samples of the squared norm of the sample's gradient (eq. 7), exact, on
        another scale; see the Notes of `MultimodalClassifier`. None: neither trace nor performance
        score, which saves their time in plain joint training.
    fisher_samples : int or None, default=256
        With ``fisher="sample"``: of how many samples, of each modality; None takes all.
    record_batches : bool, default=True
        Whether the history keeps the rows of batches, most of what a long fit's pickle holds. If
        not, they are there while their epoch lasts; to read them later raises.
    verbose : int, default=0
        1 prints a line an epoch.
    callbacks : list, "disable" or None, default=None
        skorch callbacks; `inforeg_sk.callbacks.ScoreByModality` records the score of each modality
        every epoch.
    criterion : class, default=torch.nn.MSELoss
        ``MSELoss``, ``L1Loss``, ``SmoothL1Loss``, ``HuberLoss``, or a subclass of one.
    iterator_train, iterator_valid : class, default=torch.utils.data.DataLoader
        ``iterator_train__num_workers``, ``iterator_train__drop_last``, ... reach them.
    compile : bool, default=False
        Compile the network with torch.
    use_caching : "auto" or bool, default="auto"
        Whether skorch's scoring callbacks reuse the predictions of a pass.
    torch_load_kwargs : dict, default=None
        See skorch.
    **kwargs
        Nested settings of method, encoders, fusion, optimizer, criterion, iterators and callbacks.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of float64 of shape (n_outputs,)
        Mean and standard deviation of the target in the first fit, with its sample weights.
    modalities_, encoders_, head_, curves_, history, method_, best_epoch_ :
        See `MultimodalClassifier`. Losses in the history are those of the standardised target.

    Raises
    ------
    TypeError, ValueError
        Before training, and before a model fitted earlier is touched: what was got, what is
        accepted.

    See Also
    --------
    MultimodalInfoRegRegressor : The same, trained with InfoReg.
    MultimodalClassifier : All parameters, and notes that hold here too.

    Notes
    -----
    The network learns the target standardised to mean 0 and standard deviation 1, so that learning
    rate, losses and scores mean the same in any unit; predictions are in the units of ``y``.

    The joint output is that of fusion and head, and unimodal outputs are defined as a classifier's
    unimodal logits: with concatenation they add up to the joint output.

    The paper is about classification. Regression is our extension: the performance score of a
    modality is minus its unimodal loss on the standardised target, as a classifier's score, the
    log-probability, is minus its unimodal cross-entropy. With the squared error that is minus the
    share of the target's variance that the modality leaves unexplained; at worst, it has no bound.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import MultimodalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(200, 4)), "audio": rng.normal(size=(200, 3))}
    >>> y = 10 + X["text"][:, 0] + X["audio"][:, 0]
    >>> reg = MultimodalRegressor(max_epochs=20, random_state=0).fit(X, y)
    >>> reg.predict(X).shape
    (200,)
    >>> bool(reg.score(X, y) > 0.8)
    True
    """

    target_class = TargetScaler

    def __init__(
        self,
        method="joint",
        *,
        active=None,
        modalities=None,
        encoders="auto",
        fusion="concat",
        missing="error",
        modality_dropout=0.0,
        standardize=True,
        optimizer=DecayAdamW,
        lr=1e-3,
        max_epochs=100,
        batch_size=32,
        train_split=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        random_state=None,
        dtype="float32",
        device="auto",
        warm_start=False,
        fisher="batch",
        fisher_samples=256,
        record_batches=True,
        verbose=0,
        callbacks=None,
        criterion=nn.MSELoss,
        iterator_train=DataLoader,
        iterator_valid=DataLoader,
        compile=False,
        use_caching="auto",
        torch_load_kwargs=None,
        **kwargs,
    ):
        super().__init__(
            method,
            active=active,
            modalities=modalities,
            encoders=encoders,
            fusion=fusion,
            missing=missing,
            modality_dropout=modality_dropout,
            standardize=standardize,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_split=train_split,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            random_state=random_state,
            dtype=dtype,
            device=device,
            warm_start=warm_start,
            fisher=fisher,
            fisher_samples=fisher_samples,
            record_batches=record_batches,
            verbose=verbose,
            callbacks=callbacks,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            **kwargs,
        )

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        # skorch has the parameter for any estimator, and scikit-learn 1.6 wants it then.
        if classes is not None:
            raise ValueError(f"{type(self).__name__} takes no classes; got {classes!r}.")
        return super().partial_fit(X, y, None, sample_weight, groups)

    @property
    def target_mean_(self):
        return self._fitted("target_").mean

    @property
    def target_scale_(self):
        return self._fitted("target_").scale

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
        outputs = self.forward(X).cpu()
        return self.target_.decode(outputs)

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
        outputs, _ = self._unimodal_outputs(X)
        return {name: self.target_.decode(u) for name, u in outputs.items()}

    def score(self, X, y, sample_weight=None):
        """R^2 of `predict`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        return super().score(X, as_numbers(y, type(self).__name__), sample_weight)

    @property
    def predict_proba(self):
        raise AttributeError(f"{type(self).__name__} predicts values; it has no probabilities.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MultimodalInfoRegRegressor(InfoRegEstimator, MultimodalRegressor):
    """Multimodal regressor trained with InfoReg (our extension, see Notes).

    Parameters
    ----------
    alpha : float or dict of str to float, default=3.0
        Strength of the regulation, at least 0; by modality if a dict (one left out is not
        regulated). ``alpha=0, unimodal_weight=0`` is plain joint training, ``alpha=0,
        unimodal_weight=1`` joint training with unimodal losses.
    beta : float, default=0.9
        How fast the strength grows with the performance gap (eq. 16 of the paper).
    window_threshold : float, default=0.04
        Growth of the trace, relative, above which the prime learning window is open.
    window_smoothing : int, default=10
        Epochs over which the trace is averaged before its growth is taken; 1 is the paper.
    unimodal_weight : float, default=0.0
        Weight of the sum of unimodal losses beside the joint loss; see Notes.
    pull : {"gradient", "decoupled"}, default="decoupled"
        The published pull, a term of the gradient; or a pull on the weights after the step, whose
        strength does not depend on optimizer, learning rate and batch size. See `InfoReg`.
    padding : {"none", "zeros"}, default="zeros"
        What stands before the first epoch in the average of traces.
    first_epoch : {"closed", "open"}, default="open"
        The window in epoch 0, where no trace is known yet.
    method : class, default=InfoReg
        `InfoReg` or a subclass. Its rarer settings are ``method__score``, ``method__trace`` and
        ``method__leader``.
    active : {"window", "outside"}, PrimeWindow, range or set of int, default=None
        Where the method may act: inside the prime learning window of a modality, outside it, or in
        given epochs, counted from 0, such as ``range(0, 51)``. A method that acts on each modality
        by itself goes by each window, others act while any is open; where a method may not act, the
        loss is the joint one. It takes the place of InfoReg's own window (and leaves InfoReg's
        unimodal losses as they are). None: wherever the method itself does. See `PrimeWindow`.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame: ``{"text": slice(0, 100), "audio": ["pitch",
        "energy"]}``; see `ColumnsToModalities`. Without it a 2-D array is one modality, "X".
    encoders : "auto", str, class, callable, or dict of str to these or a module, default="auto"
        Encoder of each modality, or of all. "auto" goes by the axes of one sample: "mlp" for
        vectors ``(n_features,)`` and, flattened, for sequences ``(n_steps, n_features)`` of up to
        10,000 values, "gru" for longer ones, "cnn" for images ``(channels, height, width)`` and,
        frame by frame, videos ``(channels, frames, height, width)``. Further names are
        "transformer" (sequences) and "resnet18" (images, videos); "cnn" and "resnet18" take
        spectrograms ``(height, width)`` too. A class or callable is called with ``input_shape``
        (the shape of one sample; or ``in_features``, the last axis, if that is what it takes) and
        the settings ``encoders__hidden=32`` (all encoders that take it) or
        ``encoders__text__hidden=32`` (one). A module instance in a dict is copied, its weights are
        the start. Encoders give one vector a sample. Padding is described in the
        Notes of `MultimodalClassifier`.
    fusion : str, class, callable or module, default="concat"
        "concat", "mlp", "sum", "attention", "gated" or "film", or a module that maps a dict of
        feature tensors to one vector a sample; a class or callable is called with ``widths``, a
        dict of numbers of features, and the settings. "concat" with the linear head is additive
        over the modalities, ``sum_m (W_m z_m + b / M)``: it cannot represent any interaction
        between them, whatever its width. "mlp" can: a hidden layer follows the concatenation
        (``fusion__hidden=64``, ``fusion__dropout=0.0``). "gated" and "film" need the modality
        that conditions the others, ``fusion__conditioning="audio"``; "sum", "attention" and
        "gated" take ``fusion__width``.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities; see Notes.
    modality_dropout : float or dict of str to float, default=0.0
        Probability with which a training step leaves a modality of a sample out, in [0, 1); by
        modality if a dict. Never all of a sample's.
    standardize : bool, default=True
        Whether the network standardizes what the built-in encoders get: the mean of the training
        part is subtracted, and the result divided by the standard deviation; see the
        Notes of `MultimodalClassifier`.
    optimizer : torch optimizer class, default=inforeg_sk.training.DecayAdamW
        The default is torch's AdamW with a weight decay of 1.0 (torch's own default is 0.01).
        Settings are ``optimizer__weight_decay`` and so on; per-modality learning rates by
        ``optimizer__param_groups=[("encoder_text.*", {"lr": 1e-4})]``.
    lr : float, default=0.001
        Learning rate.
    max_epochs : int, default=100
        Epochs of a fit.
    batch_size : int, default=32
        Samples in a batch; -1 takes all.
    train_split : callable or None, default=None
        Validation split, such as ``skorch.dataset.ValidSplit(5, stratified=True)``. None trains
        on everything. It gets ``groups`` if ``fit`` does.
    early_stopping : bool, default=False
        Whether to stop when ``valid_loss``, the joint loss of held-out samples, has not fallen by
        `tol` in `n_iter_no_change` epochs in a row, and to take the weights of the best epoch. The
        samples are the ``validation_data`` of ``fit``, else those of `train_split`, else a share
        `validation_fraction`.
    validation_fraction : float, default=0.1
        Share of the samples that `early_stopping` holds out: by classes, and whole groups if
        ``fit`` gets ``groups``.
    n_iter_no_change : int, default=10
        Epochs without improvement after which `early_stopping` stops.
    tol : float, default=1e-4
        What counts as an improvement.
    random_state : int, RandomState instance or None, default=None
        Initial weights, shuffling and dropout. With an int the same thread count gives the same
        result bit for bit; the global generators of torch and numpy stay as they were.
    dtype : {"float32", "float64"}, default="float32"
        Floating type of data and network.
    device : str or torch.device, default="auto"
        "auto" takes cuda, else mps, else the CPU.
    warm_start : bool, default=False
        A further ``fit`` goes on for `max_epochs` from where the last ended; see Notes.
    fisher : {"batch", "sample", None}, default="batch"
        How each encoder's Fisher trace is measured, which the window goes by. "batch": mean over
        batches of the squared norm of the batch's gradient (eq. 13 of the paper), at no cost.
        "sample": mean over samples of the squared norm of the sample's gradient (eq. 7), exact, on
        another scale; see the Notes of `MultimodalClassifier`. None: neither trace nor performance
        score, which saves their time in plain joint training.
    fisher_samples : int or None, default=256
        With ``fisher="sample"``: of how many samples, of each modality; None takes all.
    record_batches : bool, default=True
        Whether the history keeps the rows of batches, most of what a long fit's pickle holds. If
        not, they are there while their epoch lasts; to read them later raises.
    verbose : int, default=0
        1 prints a line an epoch.
    callbacks : list, "disable" or None, default=None
        skorch callbacks; `inforeg_sk.callbacks.ScoreByModality` records the score of each modality
        every epoch.
    criterion : class, default=torch.nn.MSELoss
        ``MSELoss``, ``L1Loss``, ``SmoothL1Loss``, ``HuberLoss``, or a subclass of one.
    iterator_train, iterator_valid : class, default=torch.utils.data.DataLoader
        ``iterator_train__num_workers``, ``iterator_train__drop_last``, ... reach them.
    compile : bool, default=False
        Compile the network with torch.
    use_caching : "auto" or bool, default="auto"
        Whether skorch's scoring callbacks reuse the predictions of a pass.
    torch_load_kwargs : dict, default=None
        See skorch.
    **kwargs
        Nested settings of method, encoders, fusion, optimizer, criterion, iterators and callbacks.

    Attributes
    ----------
    fisher_trace_, performance_score_, window_, window_ratio_, coefficient_ :
        See `MultimodalInfoRegClassifier`.
    target_mean_, target_scale_, modalities_, encoders_, head_, curves_ :
        See `MultimodalRegressor`.
    history, method_, best_epoch_ :
        See `MultimodalRegressor`.

    See Also
    --------
    InfoReg : All settings of the method.
    MultimodalRegressor : The performance score, and what else is particular to regression.

    Notes
    -----
    The defaults are those of the classifier, chosen there, but for the unimodal losses. The joint
    output of concatenation and a linear head is the sum of the unimodal outputs, and an
    unimodal loss asks each of them for the whole target, so that the sum overshoots; logits, which
    add up like evidence, bear that better. On four sets (scikit-learn's diabetes data, and three
    synthetic ones with contributions that add up, that are redundant, and shaped like CMU-MOSI; 5
    seeds, ``benchmarks/regression.py``) they cost 0.04 to 0.10 of R^2, with InfoReg or without.
    InfoReg alone made no difference but on the last, where it brought 0.02.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595, for classification.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from inforeg_sk import ModalityDict, MultimodalInfoRegRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(60, 4)), "audio": rng.normal(size=(60, 3))}
    >>> y = X["text"][:, 0] + X["audio"][:, 0]
    >>> reg = MultimodalInfoRegRegressor(max_epochs=3, random_state=0)
    >>> search = GridSearchCV(reg, {"alpha": [0, 1]}, cv=2).fit(ModalityDict(X), y)
    >>> sorted(search.best_estimator_.fisher_trace_) == sorted(X)
    True
    """

    _parameter_constraints = {
        **MultimodalRegressor._parameter_constraints,
        **INFOREG_CONSTRAINTS,
    }
    _general = "MultimodalRegressor"

    def __init__(
        self,
        alpha=3.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=10,
        unimodal_weight=0.0,
        pull="decoupled",
        *,
        padding="zeros",
        first_epoch="open",
        method=InfoReg,
        active=None,
        modalities=None,
        encoders="auto",
        fusion="concat",
        missing="error",
        modality_dropout=0.0,
        standardize=True,
        optimizer=DecayAdamW,
        lr=1e-3,
        max_epochs=100,
        batch_size=32,
        train_split=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        random_state=None,
        dtype="float32",
        device="auto",
        warm_start=False,
        fisher="batch",
        fisher_samples=256,
        record_batches=True,
        verbose=0,
        callbacks=None,
        criterion=nn.MSELoss,
        iterator_train=DataLoader,
        iterator_valid=DataLoader,
        compile=False,
        use_caching="auto",
        torch_load_kwargs=None,
        **kwargs,
    ):
        super().__init__(
            method,
            active=active,
            modalities=modalities,
            encoders=encoders,
            fusion=fusion,
            missing=missing,
            modality_dropout=modality_dropout,
            standardize=standardize,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_split=train_split,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            random_state=random_state,
            dtype=dtype,
            device=device,
            warm_start=warm_start,
            fisher=fisher,
            fisher_samples=fisher_samples,
            record_batches=record_batches,
            verbose=verbose,
            callbacks=callbacks,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            **kwargs,
        )
        self.alpha = alpha
        self.beta = beta
        self.window_threshold = window_threshold
        self.window_smoothing = window_smoothing
        self.unimodal_weight = unimodal_weight
        self.pull = pull
        self.padding = padding
        self.first_epoch = first_epoch
