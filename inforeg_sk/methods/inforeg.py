"""InfoReg: inside the prime learning window, pull the leading encoder back (CVPR 2025)."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import ClassVar

import torch

from ..functional import (
    PADDINGS,
    coefficient_numbers,
    pull_share,
    regulation_coefficient,
    share_numbers,
)
from ..network.parameters import add_gradient_pull, apply_decoupled_pull
from ..utils.parameters import (
    ByName,
    Constraint,
    Instance,
    Interval,
    IsNone,
    Options,
)
from ..utils.suggestions import did_you_mean
from .active import PrimeWindow
from .base import BalancingMethod
from .curves import Curve

__all__ = ["InfoReg"]

_NOT_NEGATIVE = Interval(Real, 0)


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
    pull : {"gradient", "decoupled"}, default="decoupled"
        "gradient": the published term ``c (w - w_ref)`` on the gradient. How much of the epoch's
        movement it takes back depends on learning rate, momentum and number of batches (with SGD
        about ``1 - (1 - exp(-L)) / L``, where ``L = N lr c / (1 - momentum)``), and Adam rescales
        it. "decoupled" (as in decoupled weight decay): after each step the weights move back by
        the share ``1 - exp(-c / N)``; then alpha is L, the same for any optimizer, learning rate,
        momentum and batch size, and it cannot overshoot (ours, not the paper's).
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
    unimodal logits of each batch, and regulates only where it is positive. A modality that is
    behind by rounding only, 8 units of it relative to the larger score, is not behind (ours):
    else the order of a sum could switch the coefficient from 0 to alpha. The published eq. 8
    prints the score with a minus sign; the text around it treats large as good, and so do we.

    Encoder weights at the start of the epoch are the reference; buffers, fusion and head are
    never pulled. The estimators' parameter `active` takes the place of the window; "window" and
    "window_ratio" still tell what it is. Frozen parameters, and those that several modalities
    share, are not pulled either; a shared parameter enters the trace of each modality that uses it.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595.

    Examples
    --------
    >>> from inforeg_sk import InfoReg, MultimodalClassifier
    >>> clf = MultimodalClassifier(method=InfoReg(alpha={"audio": 1.0}, pull="decoupled"))
    """

    curves: ClassVar[dict[str, Curve]] = {
        "window_ratio": Curve("Relative growth of the smoothed Fisher trace"),
        "window": Curve("Whether the prime learning window is open", flag=True),
        "coefficient": Curve("Regulation coefficient"),
    }
    closed_form = True
    batchable = True
    per_modality = True
    # What an epoch needs: base strengths, weights at its start, parameters, coefficients.
    _alpha: torch.Tensor | None
    _alphas_now: list[float]
    _modalities: tuple[str, ...]
    _reference: dict[str, list[torch.Tensor]]
    _copies: dict[str, list[torch.Tensor]]  # memory of reference weights, for a call of fit
    _regulated: dict[str, list[torch.Tensor]]
    _coefficient: torch.Tensor | list[float] | None
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "alpha": [_NOT_NEGATIVE, ByName(_NOT_NEGATIVE)],
        "beta": [_NOT_NEGATIVE],
        "window_threshold": [Interval(Real, infinite=True)],
        "window_smoothing": [Interval(Integral, 1)],
        "unimodal_weight": [_NOT_NEGATIVE],
        "pull": [Options("gradient", "decoupled")],
        "padding": [Options(*PADDINGS)],
        "leader": [IsNone(), Instance(str, text="the name of a modality")],
        "first_epoch": [Options("closed", "open")],
    }

    def __init__(
        self,
        alpha=3.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=10,
        unimodal_weight=1.0,
        pull="decoupled",
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
        self.pull = pull
        self.score = score
        self.trace = trace
        self.padding = padding
        self.leader = leader
        self.first_epoch = first_epoch

    @property
    def requires(self):
        strengths = self.alpha.values() if isinstance(self.alpha, Mapping) else [self.alpha]
        return ("fisher_trace",) if any(strengths) else ()

    def check(self, modalities):
        super().check(modalities)
        names = self.alpha if isinstance(self.alpha, Mapping) else ()
        for parameter, name in [*(("alpha", n) for n in names), ("leader", self.leader)]:
            if name is not None and name not in modalities:
                raise ValueError(
                    f"The {parameter!r} parameter of InfoReg names the unknown modality {name!r}; "
                    f"the modalities are {', '.join(map(repr, modalities))}"
                    f"{did_you_mean(name, modalities)}"
                )

    def _alphas(self, modalities):
        if isinstance(self.alpha, Mapping):
            return {name: float(self.alpha.get(name, 0.0)) for name in modalities}
        return dict.fromkeys(modalities, float(self.alpha))

    def on_epoch_start(self, epoch):
        self._release()
        self._n_batches = epoch.n_batches
        epoch.record("coefficient", dict.fromkeys(epoch.modalities, 0.0))
        if "fisher_trace" not in epoch.training.monitored:
            return
        past = epoch.past("fisher_trace", self.window_smoothing + 1) if epoch.index else None
        ratio, grows = self.window(past, epoch.modalities)
        epoch.record("window_ratio", ratio)
        epoch.record("window", grows)
        parameters = epoch.parameters
        regulated = [name for name in epoch.modalities if parameters[name].regulated]
        acts = list(epoch.active.values()) if epoch.is_limited else grows.tolist()
        alphas = self.strengths(acts, epoch.modalities, regulated)
        if any(alphas.values()) and len(alphas) > 1:
            some = next(p for e in parameters.values() for p in e.regulated)
            self._alpha = torch.tensor(list(alphas.values()), dtype=torch.float64).to(some)
            self._alphas_now, self._modalities = list(alphas.values()), epoch.modalities
            self._regulated = {n: parameters[n].regulated for n, a in alphas.items() if a}
            self._reference = {n: self._copy(n, r) for n, r in self._regulated.items()}

    def _copy(self, name, parameters):
        """Copy the weights of an encoder, into the memory of the epoch before if there is any."""
        known = self.__dict__.setdefault("_copies", {})
        copies = known.get(name, ())
        if [c.shape for c in copies] == [p.shape for p in parameters]:
            torch._foreach_copy_(copies, [p.detach() for p in parameters])
        else:
            known[name] = [p.detach().clone() for p in parameters]
        return known[name]

    def window(self, traces, modalities):
        """Window ratio of each modality in an epoch, and whether its window is open.

        Parameters
        ----------
        traces : Tensor of float64 of shape (..., n_epochs, n_modalities), or None in epoch 0
            Of the last ``window_smoothing + 1`` epochs before it, or of all.
        modalities : tuple of str

        Returns
        -------
        ratio : Tensor of float64 of shape (..., n_modalities)
        is_open : Tensor of bool of shape (..., n_modalities)
        """
        window = PrimeWindow(
            self.window_threshold,
            self.window_smoothing,
            self.padding,
            leader=self.leader,
            first_epoch=self.first_epoch,
        )
        return window.decide(traces, modalities)

    def strengths(self, is_open, modalities, regulated):
        """Base strength of each modality in an epoch (dict of str to float); 0 if it is closed.

        Parameters
        ----------
        is_open : list of bool
            From `window`.
        modalities : tuple of str
        regulated : collection of str
            Those whose encoders have parameters of their own.
        """
        pairs = zip(self._alphas(modalities).items(), is_open, strict=True)
        return {m: alpha if grown and m in regulated else 0.0 for (m, alpha), grown in pairs}

    def loss_weights(self, batch):
        unimodal = self.unimodal_weight
        return {"joint": 1.0, **(dict.fromkeys(batch.modalities, unimodal) if unimodal else {})}

    def on_gradients(self, batch):
        if self._alpha is None:
            return
        gaps = batch.gap_numbers
        if gaps is None:
            gap = batch.performance_gap
            self._coefficient = regulation_coefficient(gap, self._alpha, self.beta)
        else:
            self._coefficient = coefficient_numbers(gaps, self._alphas_now, self.beta)
        batch.record("coefficient", self._coefficient)
        if self.pull == "gradient":
            for parameters, reference, c in self._pulled(self._coefficient):
                add_gradient_pull(parameters, reference, c * batch.gradient_scale)

    def on_step(self, batch):
        if self._coefficient is None or self.pull == "gradient":
            return
        if isinstance(self._coefficient, list):
            pulled = self._pulled(share_numbers(self._coefficient, self._n_batches))
        else:
            pulled = self._pulled(pull_share(self._coefficient, self._n_batches))
        for parameters, reference, share in pulled:
            apply_decoupled_pull(parameters, reference, share)

    def _pulled(self, strengths):
        """Parameters, their reference and the strength, of the encoders that are regulated.

        Of numbers those that are 0 are left out.
        """
        values = strengths if isinstance(strengths, list) else strengths.unbind()
        for name, value in zip(self._modalities, values, strict=True):
            if name in self._regulated and not (isinstance(value, float) and value == 0):
                yield self._regulated[name], self._reference[name], value

    def on_epoch_end(self, epoch):
        self._release()

    def on_train_end(self):
        self._release()
        self._copies = {}

    def _release(self):
        """Forget the reference weights; they stand for an epoch."""
        self._alpha, self._reference, self._regulated, self._coefficient = None, {}, {}, None
        self._modalities, self._alphas_now = (), []
