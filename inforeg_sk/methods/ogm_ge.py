"""OGM-GE: slow the encoder that leads, and add noise to the gradients (CVPR 2022)."""

import warnings
from numbers import Real
from typing import ClassVar

import torch

from ..functional import modulation_coefficient, score_ratio
from ..network.parameters import scale_gradients
from ..utils.parameters import Constraint, Instance, Interval, Options
from .base import BalancingMethod
from .curves import Curve

__all__ = ["OGMGE"]

#: Whether a parameter of so many axes is modulated.
_LAYERS = {"matrices": lambda n_axes: n_axes >= 2, "convolutions": lambda n_axes: n_axes == 4}


class OGMGE(BalancingMethod):
    """On-the-fly gradient modulation with generalization enhancement.

    In each batch the gradients of encoders whose modality scores better than the others are
    scaled down; then noise is added to the gradients of all encoders.

    Parameters
    ----------
    alpha : float, default=0.8
        Strength of the modulation, >= 0: how fast the factor falls with the lead. 0.8 is what the
        authors advise for CREMA-D, 0.1 the default of their code.
    noise : bool, default=True
        Whether to add noise (the "GE" of the name). Without, it is OGM.
    layers : {"matrices", "convolutions"}, default="matrices"
        Which parameters of the encoders it acts on: all that have two or more axes (ours), or, as
        in the authors' code, those that have four, the weights of two-dimensional convolutions.

    Notes
    -----
    The score ``s_m`` of a modality is the mean probability of the true class by its unimodal
    logits, over the samples that have the modality. The ratio ``rho_m = s_m / mean_{j != m} s_j``
    is that of the paper for two modalities, and ours for more. The factor is
    ``k_m = 1 - tanh(alpha * rho_m)`` where the ratio is above 1, and else 1: it jumps, at
    alpha 0.8 from 1 to 0.34. The noise of a parameter is normal; its standard deviation is that of
    the elements of the gradient before it was scaled (the authors' code; the paper has the
    covariance of the gradient noise). It is drawn from the method's own generator, so that the
    order of the data does not depend on it.

    Biases, norms, and parameters that several modalities share are left alone, as are fusion and
    head.

    An optimizer that divides by the size of past gradients, such as Adam and the default
    `DecayAdamW`, divides most of a slowly changing factor out again. The method was published with
    SGD: ``optimizer=torch.optim.SGD``, and see ``presets.OGM_GE``.

    The published window of epochs is the parameter `active` of the estimators.

    References
    ----------
    Peng, Wei, Deng, Wang, Hu: "Balanced Multimodal Learning via On-the-fly Gradient Modulation",
    CVPR 2022, arXiv:2203.15332.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk import OGMGE, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(
    ...     OGMGE(alpha=0.5), optimizer=torch.optim.SGD, lr=0.05, max_epochs=3, random_state=0
    ... ).fit(X, y)
    >>> {name: bool((factor <= 1).all()) for name, factor in clf.curves_["modulation"].items()}
    {'strong': True, 'weak': True}
    """

    curves: ClassVar[dict[str, Curve]] = {"modulation": Curve("Factor on the encoder's gradient")}
    closed_form = True
    batchable = True
    per_modality = True
    tasks = ("classification",)
    score = "probability_sum"
    _warned = False  # in this call of fit
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "alpha": [Interval(Real, 0)],
        "noise": [Instance(bool, text="a bool")],
        "layers": [Options(*_LAYERS)],
    }

    def __init__(self, alpha=0.8, noise=True, *, layers="matrices"):
        self.alpha = alpha
        self.noise = noise
        self.layers = layers

    def on_train_end(self):
        self._warned = False

    def _check_layers(self, batch):
        """Refuse a network that has no parameter to act on; warn of encoders without any."""
        chosen = {m: self._chosen(batch, m) for m in batch.modalities}
        without = [m for m, parameters in chosen.items() if not parameters]
        if not without or self._warned:
            return
        self._warned = True
        message = (
            "layers='convolutions' acts on weights of two-dimensional convolutions only, and there "
            f"are none to train in the {'encoder' if len(without) == 1 else 'encoders'} of "
            f"{', '.join(map(repr, without))}"
        )
        if len(without) == len(chosen):
            raise ValueError(f"OGMGE: {message}: it would do nothing. Take layers='matrices'.")
        warnings.warn(f"OGMGE: {message}, which stay as they are.", stacklevel=2)

    def on_gradients(self, batch):
        if self.layers == "convolutions":
            self._check_layers(batch)
        active = batch.epoch.active
        ones = torch.ones_like(batch.scores)
        if not any(active.values()):
            batch.record("modulation", ones)
            return
        scores, scored = batch.scores, None
        if batch.present is not None:  # sums over different samples: their means compare
            scored = batch.scored
            total = torch.stack([batch.total_weight(m) for m in batch.modalities]).to(scores)
            scores = scores / torch.where(scored, total, torch.ones_like(total))
        factor = modulation_coefficient(score_ratio(scores, scored), self.alpha)
        acts = [active[m] for m in batch.modalities]
        if not all(acts):
            factor = torch.stack(
                [(factor if a else ones)[..., i] for i, a in enumerate(acts)], dim=-1
            )
        batch.record("modulation", factor)
        for m, k in zip(batch.modalities, factor.unbind(dim=-1), strict=True):
            if not active[m]:
                continue
            used = [p for p in self._chosen(batch, m) if p.grad is not None]
            if not self.noise:
                scale_gradients(used, k)
                continue
            noises = [_noise(p.grad, batch) for p in used]
            scale_gradients(used, k)
            for p, noise in zip(used, noises, strict=True):
                p.grad.add_(noise)

    def _chosen(self, batch, modality):
        """Parameters of an encoder that it acts on."""
        chosen, n = _LAYERS[self.layers], batch.n_leading
        return [p for p in batch.epoch.parameters[modality].regulated if chosen(p.ndim - n)]


def _noise(gradient, batch):
    """Noise as large as the elements of a gradient differ; 0 for one that has a single element."""
    axes = tuple(range(batch.n_leading, gradient.ndim))
    if gradient[(0,) * batch.n_leading].numel() == 1:
        return torch.zeros_like(gradient)
    sd = gradient.std(dim=axes, keepdim=True) + 1e-8 * batch.gradient_scale
    return batch.draw_normal(gradient).mul_(sd)
