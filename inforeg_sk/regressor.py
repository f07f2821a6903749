"""The regressors: a dict of modalities in, numbers out."""

from torch import nn

from ._estimator import MultimodalEstimator
from ._inforeg import InfoRegParameters
from ._parameters import merged_init
from ._regression import Regression

__all__ = ["MultimodalInfoRegRegressor", "MultimodalRegressor"]


class MultimodalRegressor(Regression, MultimodalEstimator):
    """Neural regressor of several modalities, with a method that balances their training.

    Parameters
    ----------
    method : str, class or BalancingMethod, default="joint"
        As in `MultimodalClassifier`.
    criterion : class, default=torch.nn.MSELoss
        ``MSELoss``, ``L1Loss``, ``SmoothL1Loss``, ``HuberLoss``, or a subclass of one.
    **kwargs
        All other parameters of `MultimodalClassifier` but `class_weight`.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of float64 of shape (n_outputs,)
        Mean and standard deviation of the target in the first fit, with its sample weights.
    modalities_, encoders_, head_, curves_, history, method_ :
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

    def __init__(self, method="joint", *, criterion=nn.MSELoss, **kwargs):
        super().__init__(method, criterion=criterion, **kwargs)

    __init__ = merged_init(__init__, MultimodalEstimator)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MultimodalInfoRegRegressor(InfoRegParameters, MultimodalRegressor):
    """Multimodal regressor trained with InfoReg (our extension, see Notes).

    Parameters
    ----------
    alpha, beta, window_threshold, window_smoothing, strength, padding, first_epoch, method :
        See `MultimodalInfoRegClassifier`.
    unimodal_weight : float, default=0.0
        Weight of the unimodal losses; see Notes.
    **kwargs
        All parameters of `MultimodalRegressor`.

    Attributes
    ----------
    fisher_trace_, performance_score_, window_, window_ratio_, coefficient_ :
        See `MultimodalInfoRegClassifier`.
    target_mean_, target_scale_, modalities_, encoders_, head_, curves_, history, method_ :
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

    _general = "MultimodalRegressor"

    __init__ = merged_init(InfoRegParameters.__init__, MultimodalRegressor, unimodal_weight=0.0)
