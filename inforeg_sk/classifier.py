"""The classifiers: a dict of modalities in, class labels out."""

import numpy as np
from sklearn.base import ClassifierMixin
from torch import nn
from torch.utils.data import DataLoader

from .data.checks import check_rows_beside
from .data.target import as_labels
from .estimator import MultimodalEstimator
from .estimator.inforeg import INFOREG_CONSTRAINTS, InfoRegEstimator
from .estimator.targets import ClassLabels
from .methods import InfoReg
from .training import DecayAdamW
from .utils.parameters import Instance, IsNone, Options

__all__ = ["MultimodalClassifier", "MultimodalInfoRegClassifier"]


class MultimodalClassifier(ClassifierMixin, MultimodalEstimator):
    """Neural classifier of several modalities, with a method that balances their training.

    Parameters
    ----------
    method : str, class or BalancingMethod, default="joint"
        "joint" (plain joint training), "inforeg" (`InfoReg`), "ogm-ge" (`OGMGE`), "agm" (`AGM`),
        "pmr" (`PMR`), "g-blending" (`GBlending`), "mmpareto" (`MMPareto`), "greedy" (`Greedy`, an
        adaptation), "dgl" (`DGL`), "tcmax" (`TCMax`), "opm" (`OPM`), "dr" (`DiagnosingRelearning`),
        a `BalancingMethod` class, or an instance. Its settings are nested parameters:
        ``method__alpha=0.3``.
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, scikit-learn's meaning.
    prior_offset : bool, default=False
        Whether the log prior of the classes is a fixed part of joint and unimodal logits, so that
        the sum of what the modalities say counts it once. It comes from the training part of the
        first fit: counts of all classes, with their weights, plus 0.5; flat with
        ``class_weight="balanced"``. False leaves it to the network to learn, as the paper does.
        Worth a try where some classes are rare.
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
        Nested settings of method, encoders, fusion, optimizer, criterion, iterators and callbacks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    modalities_ : tuple of str
        Names of the modalities, in the order of the data given to ``fit``, as in all that is by
        modality. Network and results do not depend on it.
    encoders_ : dict of str to torch.nn.Module
        Trained encoders.
    head_ : torch.nn.Module
        Trained head.
    curves_ : dict of str to dict of str to ndarray of shape (n_epochs,)
        What the fit recorded, by quantity and modality (or other label; a scalar has no labels):
        ``"fisher_trace"`` (how much information the encoder gains in an epoch) and
        ``"performance_score"`` (mean over the batches of the score of the modality alone, on the
        samples that have it), unless ``fisher=None``, and what the method reports: see its
        attribute ``curves``. NaN in an epoch that did not record a quantity.
    history : skorch.history.History
        The curves as ``<quantity>_<label>``, and ``train_loss`` and ``valid_loss`` (both the
        joint cross-entropy, a mean over the data with their weights), ``train_objective`` (what
        was minimised), ``valid_acc``.
    method_ : BalancingMethod
        The method that ran.
    best_epoch_ : int
        With `early_stopping`: the epoch, counted from 0, whose weights were taken.
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
    `early_stopping`, which then holds out whole groups, or to `train_split`, for example
    ``ValidSplit(GroupKFold(5))``. A published validation part goes in by ``fit(X, y,
    validation_data=(X_valid, y_valid))``. `early_stopping` is skorch's callback of this name, which
    goes by the loss: the accuracy of a few samples often stands still while the loss falls. The
    result equals a fit of as many epochs on the same training part. With metadata routing, ask for
    groups: ``set_fit_request(groups=True)``; by default they are the outer splitter's alone.

    **Callbacks** score in your labels and units, as scikit-learn's scorers do: what they get as
    ``X`` and ``y``, of a dataset or of a batch, is what ``fit`` got; on another device than the
    CPU, the values of a batch are there already. Held-out data of your own go in by
    ``train_split=skorch.helper.predefined_split(skorch.dataset.Dataset(X_valid, y_valid))``;
    they have no sample weights. As ever in skorch, ``EpochScoring(..., on_train=True)`` with its
    cache scores the predictions of the training steps. A ``train_step`` of your own may add up
    gradients over batches (skorch's recipe): traces are of the gradient that a step takes, and a
    pull acts at the steps.

    **Going on.** ``partial_fit`` trains one epoch on what it gets; ``fit`` with `warm_start` for
    `max_epochs`. Both keep weights, optimizer state, random generators, and the history, so that
    traces and windows continue. Method settings and `lr` are read anew; the network is not
    rebuilt, so other modalities, shapes or labels are an error. Three epochs and three more are
    six, bit for bit, by `warm_start`, by ``partial_fit`` after pickle, or by skorch's
    ``Checkpoint`` and ``LoadInitState``: the file of the optimizer holds the random generators and
    the state of the method. Modules of your own that draw on torch's global generator take part on
    the CPU; on other devices they, and a method's own draws there, begin anew in each call.

    **Fisher traces of single samples** (``fisher="sample"``). Eq. 7 of the paper is the mean over
    samples of the squared norm of the gradient of the loss that a batch of this one sample has,
    joint and unimodal, over all parameters of the encoder that are trained. Sample weights are
    those of the mean. It is measured once an epoch, after its last step: the window of the next
    epoch goes by the weights that this begins with. The network is in evaluation mode: no dropout,
    no modality dropout, batch normalisation by its running statistics. `fisher_samples` samples are
    drawn from the training part, for each modality of those that have it and a weight, and stay the
    same in all epochs: with new ones in each, the draw moves the trace more than an epoch does.
    Training itself is the same, bit for bit, up to what the windows change. The gradients come from
    one backward pass where parameters belong to linear, convolution, recurrent, normalisation or
    attention layers that run once; else from ``torch.func``, or sample by sample, which takes long.
    Methods whose loss is no sum of joint and unimodal losses, and ``trace="layers"``, need
    ``fisher="batch"``.

    **When training goes wrong** ``fit`` says so at its end, once in a search, and ``partial_fit``
    does not: where the loss is not finite, also after the last step; where a Fisher trace is
    infinite, or 0 though the encoder trains; where the model, or a modality alone, is no better
    than guessing on its own training data (the most frequent class, the mean) after a hundred
    steps. An interrupt (Ctrl-C) ends ``fit`` with a warning that names the epoch. After it, or an
    error of a callback, the weights keep the steps that were made, and the history has whole
    epochs only, so that ``partial_fit`` goes on.

    **Saving.** Pickle keeps everything, and warns when it is loaded with other versions of this
    library, torch or skorch. ``save_params`` and ``load_params`` (also ``use_safetensors=True``)
    work with an estimator that is not fitted, if it has the same parameters: shapes, labels and
    columns are in the file.

    **Several arrays.** A modality may be a mapping of arrays, such as token ids and their mask;
    its encoder gets a dict of tensors, in which integers stay integers. None is chosen by "auto":
    see `PretrainedEncoder`.

    **Images.** Channels come first, as in torch: ``(channels, height, width)``. Arrays that look as
    if they came last, as Pillow and OpenCV give them, or second in a video, warn.

    **Standardization.** With `standardize` means and standard deviations are taken from the
    training part of the first call of ``fit`` or ``partial_fit``, by the weights of the samples,
    and kept: of each feature of vectors; of each feature of sequences over all real steps; of each
    channel of images and videos. Padding, and samples that lack the modality, have no part in it.
    Columns that are constant there are only centered, sparse matrices are only scaled. It reaches
    the encoders that are given by name, or as a class of `inforeg_sk.network`, never other modules
    or instances, which may have been trained on data of another scale. Unlike a scaler in front, it
    is saved with the network: buffers ``scaler_<modality>.mean`` and ``.scale``. `encoders_` get
    its result.

    **Padding.** In a modality of sequences, ``(n_samples, n_steps, n_features)``, steps of NaN at
    the end of a sample are padding, as `PadSequences` makes it; NaN anywhere else is an error.
    "gru" and "transformer" leave padding out. Other encoders get zeros there, unless they have an
    attribute ``padding_value``, a number or NaN: then they get that. Zero is a value like any
    other; to data that are padded with zeros say ``encoders__text__padding_value=0``.

    **Missing modalities.** With ``missing="allow"`` a sample lacks a modality where all its values
    there are NaN (or masked, in a numpy masked array, which integers need; or None, in a list of
    arrays), and all samples lack one that the mapping given to ``predict`` leaves out. At least one
    modality is needed. The encoder runs on what is there, and the features of a missing modality
    are zero, as the paper takes modalities away (Sec. 4.5). A unimodal loss and a score are taken
    over the samples that have the modality, a performance gap over those that have both
    modalities (ours, not the paper's). `modality_dropout` makes a network meet such samples in
    training; then, too, an encoder runs on what was left in only. A batch without a modality counts
    as zero in its Fisher trace.

    **Sparse matrices**, such as a text vectorizer gives, are taken as they are; each batch of them
    is made dense.

    **Threads.** Fits may run in several threads at once: building a network takes a lock, and
    shuffling and the built-in dropout have generators of their own, so results equal serial
    ones. Your own modules that draw on torch's global generator are seeded too, but only serial
    fits reproduce them. Results depend on ``torch.get_num_threads()`` in the last bits; processes
    started by joblib have one thread.

    **Parameters without an owner.** Frozen parameters are neither measured nor pulled; unused
    ones count as zero. One shared by several modalities enters the trace of each and is not
    pulled. Fusion and head never are.

    **A last batch of one sample** joins the batch before it if the network has batch
    normalisation; without it, it is a batch of its own.

    **Mixed precision.** With bfloat16 gradients are not scaled and nothing is to do:
    ``with torch.autocast("cuda", dtype=torch.bfloat16): clf.fit(X, y)``. With a loss
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

    target_class = ClassLabels
    _parameter_constraints = {
        **MultimodalEstimator._parameter_constraints,
        "class_weight": [IsNone(), Options("balanced"), Instance(dict, text="a dict by class")],
        "prior_offset": [Instance(bool, np.bool_, text="a bool")],
    }

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
        class_weight=None,
        prior_offset=False,
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
        criterion=nn.CrossEntropyLoss,
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
        self.class_weight = class_weight
        self.prior_offset = prior_offset

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all of y and is not defined for "
                "partial_fit; give the weights as a dict."
            )
        return super().partial_fit(X, y, classes, sample_weight, groups)

    @property
    def classes_(self):
        return self._fitted("target_").labels

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
        return ClassLabels.proba(self.forward(X))

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
        return self.target_.labels[best]

    def score(self, X, y, sample_weight=None):
        """Accuracy of `predict`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        return super().score(X, as_labels(y, type(self).__name__), sample_weight)

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality's unimodal logits.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
            Rows of NaN where a sample lacks the modality.
        """
        return {name: ClassLabels.proba(u) for name, u in self._unimodal_outputs(X)[0].items()}


class MultimodalInfoRegClassifier(InfoRegEstimator, MultimodalClassifier):
    """Multimodal classifier trained with InfoReg: no modality starves in the first epochs.

    The main settings of `InfoReg` are parameters of the estimator, so that a search reads
    ``{"alpha": [0, 0.3, 1, 3], "unimodal_weight": [0, 1]}``.

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
    unimodal_weight : float, default=1.0
        Weight of the sum of unimodal losses beside the joint loss (InfoReg* has 1).
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, scikit-learn's meaning.
    prior_offset : bool, default=False
        Whether the log prior of the classes is a fixed part of joint and unimodal logits, so that
        the sum of what the modalities say counts it once. It comes from the training part of the
        first fit: counts of all classes, with their weights, plus 0.5; flat with
        ``class_weight="balanced"``. False leaves it to the network to learn, as the paper does.
        Worth a try where some classes are rare.
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
        Nested settings of method, encoders, fusion, optimizer, criterion, iterators and callbacks.

    Attributes
    ----------
    fisher_trace_ : dict of str to ndarray of shape (n_epochs,)
        Fisher trace of each encoder: how much information it gains in an epoch.
    window_ : dict of str to ndarray of bool of shape (n_epochs,)
        Whether the prime learning window was open.
    window_ratio_ : dict of str to ndarray of shape (n_epochs,)
        Relative growth of the trace that decided it; NaN where undefined.
    coefficient_ : dict of str to ndarray of shape (n_epochs,)
        Mean over the batches of the regulation coefficient.
    performance_score_ : dict of str to ndarray of shape (n_epochs,)
        Mean over the batches of the score of each modality alone, on the samples that have it.
    classes_, modalities_, encoders_, head_, curves_, history, method_, best_epoch_ :
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

    _parameter_constraints = {
        **MultimodalClassifier._parameter_constraints,
        **INFOREG_CONSTRAINTS,
    }
    _general = "MultimodalClassifier"

    def __init__(
        self,
        alpha=3.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=10,
        unimodal_weight=1.0,
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
        class_weight=None,
        prior_offset=False,
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
        criterion=nn.CrossEntropyLoss,
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
            class_weight=class_weight,
            prior_offset=prior_offset,
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
