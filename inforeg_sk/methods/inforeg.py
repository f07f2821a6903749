"""InfoReg: inside the prime learning window, pull the leading encoder back (CVPR 2025)."""

from collections.abc import Mapping
from math import isfinite, isnan
from numbers import Integral, Real

import torch

from .._validation import nearest
from .base import BalancingMethod, check_choice
from .regulation import add_pull, drift_back, performance_gap, regulation_coefficient
from .window import PADDINGS, window_ratio

__all__ = ["InfoReg"]

STRENGTHS = ("coefficient", "drift")
FIRST_EPOCH = ("closed", "open")


class InfoReg(BalancingMethod):
    """Adaptive unimodal regulation by Fisher traces.

    The defaults were chosen by measurement on several data sets (``benchmarks/DEFAULTS.rst``);
    the published settings are in `inforeg_sk.presets`.

    Parameters
    ----------
    alpha : float or dict of str to float, default=3.0
        Base strength of the regulation, >= 0; by modality if a dict, where a modality that is
        left out is not regulated. 0 is joint training (with unimodal losses unless
        `unimodal_weight` is 0 as well).
    beta : float, default=0.9
        How fast the strength grows with the performance gap (eq. 16); >= 0.
    window_threshold : float, default=0.04
        The window of a modality is open in an epoch if its trace grew by more than this share
        over the epoch before (K in the paper). ``-inf`` keeps it open where a growth is defined:
        from the second epoch on, or from the third with ``padding="none"``.
    window_smoothing : int, default=10
        Epochs over which the trace is averaged before its growth is taken; 1 is the paper.
    unimodal_weight : float, default=1.0
        Weight of the sum of unimodal losses beside the joint loss, >= 0 (InfoReg* has 1).
    strength : {"coefficient", "drift"}, default="drift"
        "coefficient": the published term ``c (w - w_ref)`` on the gradient. How much of the
        epoch's movement it takes back depends on learning rate, momentum and number of batches
        (with SGD about ``1 - (1 - exp(-L)) / L``, where ``L = N lr c / (1 - momentum)``), and
        Adam rescales it. "drift": after each step the weights move back by the share
        ``1 - exp(-c / N)``; then alpha is L, the same for any optimizer, learning rate, momentum
        and batch size, and it cannot overshoot (ours, not the paper's).
    score : {"auto", "log_probability", "probability_sum", "negative_loss"}, default="auto"
        Performance score: batch mean of the true class's log-probability (paper; "auto" of a
        classifier), or batch sum of its probability (authors' code; then the gap grows with the
        batch size), or minus the unimodal loss ("auto" of a regressor, our extension).
    trace : {"encoder", "layers"}, default="encoder"
        Fisher trace: mean over batches of the squared norm of the gradient over all encoder
        parameters, before the pull; or, as in the authors' code, per weight of a linear or
        convolution layer the mean over its elements of the sum over batches of the squared
        gradient after the pull, summed over layers.
    padding : {"none", "zeros"}, default="zeros"
        What stands before the first epoch in the moving average: nothing, or zeros.
    leader : str, default=None
        A modality whose window decides for all; None: each modality's own.
    first_epoch : {"closed", "open"}, default="open"
        The window in epoch 0, where no trace is known yet.

    Notes
    -----
    A performance gap is the mean lead over the modalities behind (eq. 9 and 10), taken from the
    unimodal logits of each batch, and regulates only where it is positive. The published eq. 8
    prints the score with a minus sign; the text around it treats large as good, and so do we.

    Encoder weights at the start of the epoch are the reference; buffers, fusion and head are
    never pulled. Frozen parameters, and those that several modalities share, are not pulled
    either; a shared parameter enters the trace of each modality that uses it.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595.

    Examples
    --------
    >>> from inforeg_sk import InfoReg, MultimodalClassifier
    >>> clf = MultimodalClassifier(method=InfoReg(alpha={"audio": 1.0}, strength="drift"))
    """

    def __init__(
        self,
        alpha=3.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=10,
        unimodal_weight=1.0,
        strength="drift",
        *,
        score="auto",
        trace="encoder",
        padding="zeros",
        leader=None,
        first_epoch="open",
    ):
        self.alpha = alpha
        self.beta = beta
        self.window_threshold = window_threshold
        self.window_smoothing = window_smoothing
        self.unimodal_weight = unimodal_weight
        self.strength = strength
        self.score = score
        self.trace = trace
        self.padding = padding
        self.leader = leader
        self.first_epoch = first_epoch

    def check(self, modalities, fisher):
        super().check(modalities, fisher)
        alpha = self.alpha if isinstance(self.alpha, Mapping) else {"": self.alpha}
        for name, value in alpha.items():
            _check_real(f"alpha[{name!r}]" if name else "alpha", value, minimum=0)
            if name and name not in modalities:
                raise ValueError(
                    f"alpha names the unknown modality {name!r}; the modalities are "
                    f"{', '.join(map(repr, modalities))}{nearest(name, modalities)}"
                )
        _check_real("beta", self.beta, minimum=0)
        _check_real("unimodal_weight", self.unimodal_weight, minimum=0)
        _check_real("window_threshold", self.window_threshold)
        length = self.window_smoothing
        if not isinstance(length, Integral) or isinstance(length, bool) or length < 1:
            raise ValueError(
                f"window_smoothing={self.window_smoothing!r}: an integer of at least 1 is needed."
            )
        check_choice("strength", self.strength, STRENGTHS)
        check_choice("padding", self.padding, PADDINGS)
        check_choice("first_epoch", self.first_epoch, FIRST_EPOCH)
        if self.leader is not None and self.leader not in modalities:
            raise ValueError(
                f"leader={self.leader!r} is no modality; accepted are None, "
                f"{', '.join(map(repr, modalities))}{nearest(self.leader, modalities)}"
            )
        if fisher is None and any(self._alphas(modalities).values()):
            raise ValueError(
                "fisher=None switches the Fisher traces off, but alpha > 0 needs them to find the "
                "window; use fisher='batch', or alpha=0."
            )

    def _alphas(self, modalities):
        if isinstance(self.alpha, Mapping):
            return {name: float(self.alpha.get(name, 0.0)) for name in modalities}
        return dict.fromkeys(modalities, float(self.alpha))

    def on_epoch_start(self, epoch):
        self._alpha, self._reference, self._owned = None, {}, {}
        self._n_batches = epoch.n_batches
        idle = {"coefficient": dict.fromkeys(epoch.parameters, 0.0)}
        if epoch.traces is None:
            return idle
        ratio = {name: self._ratio(len(traces), traces) for name, traces in epoch.traces.items()}
        grows = {name: r > self.window_threshold for name, r in ratio.items()}  # NaN: closed
        if len(next(iter(epoch.traces.values()))) == 0:
            grows = dict.fromkeys(grows, self.first_epoch == "open")
        if self.leader is not None:
            grows = dict.fromkeys(grows, grows[self.leader])
        alphas = {
            name: alpha if grows[name] and epoch.parameters[name].owned else 0.0
            for name, alpha in self._alphas(epoch.parameters).items()
        }
        if any(alphas.values()) and len(alphas) > 1:
            some = next(p for e in epoch.parameters.values() for p in e.owned)
            self._alpha = torch.tensor(list(alphas.values()), dtype=torch.float64).to(some)
            self._owned = {n: epoch.parameters[n].owned for n, a in alphas.items() if a}
            self._reference = {
                n: [p.detach().clone() for p in owned] for n, owned in self._owned.items()
            }
        return {"window_ratio": ratio, "window": grows, **idle}

    def _ratio(self, t, traces):
        if t == 0:  # nothing is known yet: the ratio only says what was decided
            return 1.0 if self.first_epoch == "open" else float("nan")
        return window_ratio(traces, self.window_smoothing, self.padding)

    def loss(self, step):
        if not self.unimodal_weight:
            return step.joint_loss
        return step.joint_loss + self.unimodal_weight * sum(step.unimodal_losses.values())

    def on_gradients(self, step):
        if self._alpha is None:
            return
        gap = performance_gap(step.paired_scores)
        coefficient = regulation_coefficient(gap, self._alpha, self.beta)
        step.record("coefficient", coefficient)
        if self.strength == "coefficient":
            for name, c in self._regulated(step):
                add_pull(self._owned[name], self._reference[name], c * step.gradient_scale)

    def on_step(self, step):
        if self._alpha is not None and self.strength == "drift":
            for name, c in self._regulated(step):
                drift_back(self._owned[name], self._reference[name], c, self._n_batches)

    def _regulated(self, step):
        values = zip(step.features, step.records["coefficient"], strict=True)
        return [(name, c) for name, c in values if name in self._owned]

    def on_epoch_end(self):
        self._alpha, self._reference, self._owned = None, {}, {}

    def __getstate__(self):
        # Reference weights live for an epoch and are never part of a saved model.
        hidden = ("_alpha", "_reference", "_owned", "_n_batches")
        return {k: v for k, v in super().__getstate__().items() if k not in hidden}


def _check_real(name, value, minimum=None):
    accepted = "a number" if minimum is None else f"a finite number of at least {minimum}"
    good = isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)
    if good and minimum is not None:
        good = isfinite(value) and value >= minimum
    if not good:
        raise ValueError(f"{name}={value!r}: {accepted} is needed.")
