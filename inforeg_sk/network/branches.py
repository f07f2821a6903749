"""One branch a modality, each with a head of its own, that see one another through gates only."""

import torch
from torch import nn

__all__ = ["BranchHeads", "GatedBranches"]


class GatedBranches(nn.Module):
    """Gates on the features of each modality that depend on the features of all.

    A unit as in MMTM, on vectors: ``e = relu(A [z_1, .., z_M] + a)``, gates
    ``w_m = sigmoid(B_m e + b_m)``, gated features ``h_m = w_m * z_m``.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality. The layer ``e`` has half their sum.

    Attributes
    ----------
    rebalanced : str or None
        A modality whose gates are, in training mode, their running mean instead: a constant, so
        that its branch sees its own features only.
    n_passes : Tensor of int64 of shape ()
        Passes in training mode so far, which the running means are over; they are buffers, too.

    Notes
    -----
    What comes out are the gated features side by side; `BranchHeads` goes behind it. The unimodal
    logits of a modality are those of its branch with its gates at their running mean (a half
    before the first pass): what it says by itself.
    """

    def __init__(self, widths):
        super().__init__()
        self.widths = dict(widths)
        total = sum(widths.values())
        hidden = max(1, total // 2)
        self.squeeze = nn.Linear(total, hidden)
        self.gates = nn.ModuleList(nn.Linear(hidden, width) for width in widths.values())
        self.rebalanced = None
        self.register_buffer("n_passes", torch.zeros((), dtype=torch.int64))
        for i, width in enumerate(widths.values()):
            self.register_buffer(f"gate_mean_{i}", torch.full((width,), 0.5))

    @property
    def gate_means(self):
        """Running means of the gates (dict of Tensors of shape (n_features,))."""
        return {name: getattr(self, f"gate_mean_{i}") for i, name in enumerate(self.widths)}

    def forward(self, features):
        features = self._in_own_type(features)
        gates = self._gates(features)
        if self.training:
            self._follow(gates)
        return torch.cat(list(self._gated(features, gates).values()), dim=1)

    def branch_logits(self, features, head):
        """Logits of each branch; running means stay as they are.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)
        head : BranchHeads

        Returns
        -------
        dict of str to Tensor of shape (n_samples, n_outputs)
            Their mean are the joint logits.
        """
        features = self._in_own_type(features)
        gated = self._gated(features, self._gates(features))
        return self._by_branch(gated, head)

    def unimodal_logits(self, features, head):
        """Logits of each branch with its gates at their running mean; see `branch_logits`."""
        means = self.gate_means
        return self._by_branch({name: means[name] * features[name] for name in self.widths}, head)

    def _by_branch(self, gated, head):
        pairs = zip(gated.items(), head.branches, strict=True)
        return {name: branch(h) for (name, h), branch in pairs}

    def _in_own_type(self, features):
        # Under autocast those of encoders may be of a shorter one.
        return {name: features[name].to(self.squeeze.weight.dtype) for name in self.widths}

    def _gates(self, features):
        squeezed = torch.relu(self.squeeze(torch.cat(list(features.values()), dim=1)))
        pairs = zip(self.widths, self.gates, strict=True)
        return {name: torch.sigmoid(layer(squeezed)) for name, layer in pairs}

    def _gated(self, features, gates):
        if self.training and self.rebalanced is not None:
            gates = {**gates, self.rebalanced: self.gate_means[self.rebalanced]}
        return {name: gates[name] * z for name, z in features.items()}

    @torch.no_grad()
    def _follow(self, gates):
        self.n_passes += 1
        for name, mean in self.gate_means.items():
            mean += (gates[name].mean(dim=0) - mean) / self.n_passes


class BranchHeads(nn.Module):
    """A linear head for each modality's part of a vector; their mean are the joint logits.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality.
    n_outputs : int
    """

    def __init__(self, widths, n_outputs):
        super().__init__()
        self.widths = list(widths.values())
        self.in_features, self.out_features = sum(self.widths), n_outputs
        self.branches = nn.ModuleList(nn.Linear(width, n_outputs) for width in self.widths)

    def forward(self, x):
        parts = zip(self.branches, x.split(self.widths, dim=1), strict=True)
        return sum(branch(part) for branch, part in parts) / len(self.branches)
