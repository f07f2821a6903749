"""Callbacks for the estimators, beside skorch's own."""

import numpy as np
from sklearn.metrics import check_scoring
from skorch.callbacks import Callback

from .utils.compat import safe_indexing
from .utils.parameters import Instance, IsNone, Options, check_parameter

__all__ = ["ScoreByModality"]

_BOOL = Instance(bool, text="a bool")
_ALL = "all"
_USUAL = {"classification": "acc", "regression": "r2"}


class ScoreByModality(Callback):
    """Record the score of each modality alone, every epoch.

    What ``score_by_modality`` says after a fit, over the epochs: on the held-out samples where
    there are any (``train_split``, ``early_stopping``, ``validation_data``), else on the training
    samples. ``verbose=1`` prints a column for each modality, and ``curves_`` holds the curves.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        The name of a scikit-learn scorer or a scorer; None is accuracy, or R^2 of a regressor.
    samples : {"common", "each"}, default="common"
        Where samples lack modalities: score on those that have all, or each modality on the samples
        that have it.
    on_train : bool or None, default=None
        True scores on the training samples, False on held-out ones; None on held-out ones where
        there are any.
    name : str or None, default=None
        Name of the curve. None is "acc" or "r2", the name in `scoring`, or "score" for a callable;
        with ``train_`` or ``valid_`` before it, which tells the samples.
    joint : bool, default=False
        Whether to record the score of all modalities together, too, on the same samples, under the
        label "all".

    Attributes
    ----------
    n_samples_ : int
        How many samples were scored in the last epoch, of all that any modality has.

    Notes
    -----
    It takes one more pass over the samples every epoch, and leaves the training as it is. The
    history's keys are such as ``valid_acc_audio``. `inforeg_sk.inspection.ScoreByModalityDisplay`
    draws the curves.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.callbacks import ScoreByModality
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> scores = [("by_modality", ScoreByModality())]
    >>> clf = MultimodalClassifier(max_epochs=4, callbacks=scores, random_state=0).fit(X, y)
    >>> {name: values.shape for name, values in clf.curves_["train_acc"].items()}
    {'strong': (4,), 'weak': (4,)}
    >>> clf.curves_["train_acc"]["weak"][-1] == clf.score_by_modality(X, y)["weak"]
    np.True_
    """

    def __init__(self, scoring=None, *, samples="common", on_train=None, name=None, joint=False):
        self.scoring = scoring
        self.samples = samples
        self.on_train = on_train
        self.name = name
        self.joint = joint

    def on_train_begin(self, net, **kwargs):
        owner = type(self).__name__
        check_parameter("samples", self.samples, [Options("common", "each")], owner)
        check_parameter("on_train", self.on_train, [_BOOL, IsNone()], owner)
        check_parameter("joint", self.joint, [_BOOL], owner)
        if self.joint and _ALL in net.modalities_:
            raise ValueError(
                f"The 'joint' parameter of {owner} must be False where a modality is called "
                f"{_ALL!r}, the label of all together: or rename it. Got True."
            )

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        held_out = dataset_valid is not None if self.on_train is None else not self.on_train
        if held_out and dataset_valid is None:
            raise ValueError(
                "The 'on_train' parameter of ScoreByModality must be None or True where no samples "
                "are held out: or give train_split=skorch.dataset.ValidSplit(5), or "
                "validation_data in fit. Got False."
            )
        dataset = dataset_valid if held_out else dataset_train
        scores = net.score_by_modality(dataset, None, samples=self.samples, scoring=self.scoring)
        rows = np.ones(len(dataset), bool)
        if self.samples == "common":
            rows = net.common_samples(dataset)
        self.n_samples_ = int(rows.sum())
        if self.joint:
            X, y = dataset.X, dataset.y
            if not rows.all():
                X, y = safe_indexing(X, rows), safe_indexing(y, rows)
            scores[_ALL] = float(check_scoring(net, scoring=self.scoring)(net, X, y))
        net.record_by_modality(self.curve_of(net, held_out), scores)

    def curve_of(self, net, held_out):
        """Name of the curve (str).

        Parameters
        ----------
        net : MultimodalEstimator
        held_out : bool
            Whether the scores are of held-out samples.
        """
        return f"{'valid' if held_out else 'train'}_{self._name(net)}"

    def _name(self, net):
        if self.name is not None:
            return self.name
        if self.scoring is None:
            return _USUAL[net.target_.task]
        return self.scoring if isinstance(self.scoring, str) else "score"
