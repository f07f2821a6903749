"""D&R: every so often, encoders that learned too much go back towards their start (ECCV 2024)."""

from math import nan
from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from ..functional import cluster_purity, min_max_scaled, relearning_share
from ..utils.callers import warn_caller
from ..utils.parameters import Constraint, Interval
from .base import BalancingMethod
from .curves import Curve

__all__ = ["DiagnosingRelearning"]

_PARTS = ("training", "held_out")


class DiagnosingRelearning(BalancingMethod):
    """Diagnosing and re-learning (D&R): soft resets of encoders by how far they overfit.

    Before some epochs the features of each modality are clustered by k-means, on the training part
    and on the held-out part. The more the purities of the clusters differ, the further all weights
    of the encoder go back to their initial values: ``w <- s w_initial + (1 - s) w`` with
    ``s = tanh(strength |purity_training - purity_held_out|)``.

    Parameters
    ----------
    every : int, default=20
        Epochs from one diagnosis to the next, >= 1. There is none after the last epoch, since no
        training would follow.
    times : int, default=3
        Number of diagnoses at most, >= 0, counted over all calls of ``fit`` and ``partial_fit``.
    strength : float, default=3.0
        >= 0; 0 is joint training.

    Attributes
    ----------
    initial_weights_ : dict of str to dict of str to Tensor
        Weights of each encoder before the first epoch, by name. They double the size of a saved
        model's encoders.
    n_diagnoses_ : int
        Diagnoses so far.

    Notes
    -----
    Needs a held-out part: `train_split` or `early_stopping`. The optimizer's state is kept.
    Frozen weights and buffers, such as the statistics of batch normalisation, stay as they are, as
    do (ours) weights that several modalities share.

    Ours: features are scaled to [0, 1] in each part by itself, over the samples that have the
    modality; k-means has as many clusters as there are classes, takes the best of 10 starts, which
    are seeded from the method's own generator, and counts samples by their weights. In a part with
    fewer such samples than classes, purity is not defined: a warning says so, and the encoder
    stays. The fewer held-out samples there are, the purer their clusters are by chance, so keep a
    few dozen a class.

    References
    ----------
    Wei, Li, Feng, Hu: "Diagnosing and Re-learning for Balanced Multimodal Learning", ECCV 2024,
    arXiv:2407.09705.

    Examples
    --------
    >>> from skorch.dataset import ValidSplit
    >>> from inforeg_sk import DiagnosingRelearning, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(
    ...     DiagnosingRelearning(every=2), train_split=ValidSplit(4), max_epochs=5, random_state=0
    ... ).fit(X, y)
    >>> (clf.curves_["relearning_share"]["strong"] > 0).tolist()
    [False, False, True, False, True]
    """

    tasks = ("classification",)
    requires = ("held_out",)
    curves: ClassVar[dict[str, Curve]] = {
        "purity_training": Curve("Purity of clusters of the features, on training data"),
        "purity_held_out": Curve("Purity of clusters of the features, on held-out data"),
        "relearning_share": Curve("Share of the way back to its initial weights"),
    }
    closed_form = True
    per_modality = True
    initial_weights_: dict[str, dict[str, Tensor]]
    n_diagnoses_: int
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "every": [Interval(Integral, 1)],
        "times": [Interval(Integral, 0)],
        "strength": [Interval(Real, 0)],
    }

    def __init__(self, every=20, times=3, strength=3.0):
        self.every = every
        self.times = times
        self.strength = strength

    def on_train_start(self, training):
        if hasattr(self, "initial_weights_"):  # of an earlier call
            return
        self.n_diagnoses_ = 0
        self.initial_weights_ = {
            name: {n: p.detach().clone() for n, p in encoder.named_parameters()}
            for name, encoder in training.network.encoders.items()
        }

    def on_epoch_start(self, epoch):
        unknown = dict.fromkeys(epoch.modalities, nan)
        purities, shares = dict.fromkeys(_PARTS, unknown), dict.fromkeys(epoch.modalities, 0.0)
        is_due = epoch.index > 0 and epoch.index % self.every == 0
        if is_due and self.n_diagnoses_ < self.times and any(epoch.active.values()):
            purities = {part: self._purities(epoch, part) for part in _PARTS}
            shares = self._shares(purities, epoch)
            for name, share in shares.items():
                self._go_back(epoch, name, share)
            self.n_diagnoses_ += 1
        for part in _PARTS:
            epoch.record(f"purity_{part}", purities[part])
        epoch.record("relearning_share", shares)

    def _purities(self, epoch, part):
        """Purity of each modality's features on a part (dict of str to float)."""
        training = epoch.training
        features: dict[str, list[Tensor]] = {name: [] for name in epoch.modalities}
        present, targets, weights = [], [], []
        for batch in training.batches(part):
            for name, z in batch.features.items():
                features[name].append(z)
            present.append(batch.presence.matrix(epoch.modalities).cpu())
            targets.append(batch.target)
            weights.append(torch.ones_like(batch.target) if batch.weight is None else batch.weight)
        target, weight = torch.cat(targets).cpu(), torch.cat(weights).cpu().double()
        counted = torch.cat(present) & (weight > 0)[:, None]
        purities = {}
        for i, (name, found) in enumerate(features.items()):
            rows = counted[:, i]
            z = torch.cat(found).cpu()[rows]
            z = z.to(torch.promote_types(z.dtype, torch.float32))
            if len(z) < training.n_outputs:
                warn_caller(
                    f"DiagnosingRelearning cannot diagnose modality {name!r}: {len(z)} samples of "
                    f"the part {part!r} have it, fewer than the {training.n_outputs} classes. Its "
                    "encoder stays as it is.",
                )
                purities[name] = nan
                continue
            cluster = self._clusters(z, weight[rows], training)
            k = training.n_outputs
            purities[name] = cluster_purity(cluster, target[rows], k, k, weight[rows]).item()
        return purities

    def _clusters(self, features, weight, training):
        """Cluster of each sample (Tensor of int64 of shape (n_samples,))."""
        seed = int(torch.randint(2**31 - 1, (), generator=training.generator))
        k_means = KMeans(n_clusters=training.n_outputs, n_init=10, random_state=seed)
        scaled = min_max_scaled(features).numpy()
        labels = k_means.fit(scaled, sample_weight=weight.numpy()).labels_
        return torch.from_numpy(labels).long()

    def _shares(self, purities, epoch):
        """Share of the way back of each modality (dict of str to float)."""
        rows = [list(purities[part].values()) for part in _PARTS]
        by_part = torch.tensor(rows, dtype=torch.float64)
        shares = relearning_share(by_part[0], by_part[1], self.strength).tolist()
        pairs = zip(epoch.modalities, shares, strict=True)
        return {name: share if epoch.active[name] else 0.0 for name, share in pairs}

    def _go_back(self, epoch, name, share):
        """Move the weights of an encoder towards their initial values, in place."""
        own = set(epoch.parameters[name].regulated)
        encoder, initial = epoch.network.encoders[name], self.initial_weights_[name]
        with torch.no_grad():
            for parameter_name, p in encoder.named_parameters():
                if p in own:
                    p.copy_(share * initial[parameter_name] + (1 - share) * p)
