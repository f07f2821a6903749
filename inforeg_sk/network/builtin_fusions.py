"""The fusions that come with the library, from the features of all modalities to one vector.

All are called with ``widths``, and map a dict of features to a tensor of shape
``(n_samples, n_outputs)``; the linear head comes after. Modalities are counted in the order of
``widths`` in names of parameters, since names of modalities may hold characters that torch forbids.
"""

from collections.abc import Iterator
from numbers import Integral

import torch
from torch import nn
from torch.nn import functional as F

from ..utils.parameters import Interval, SequenceOf
from ..utils.suggestions import did_you_mean
from .checks import SETTINGS, check_settings
from .vectors import hidden_layers

__all__ = ["Attention", "Concat", "FiLM", "Gated", "MLPFusion", "Sum"]

_COUNT = Interval(Integral, 1)


class Concat(nn.Module):
    """Concatenation of the features, in sorted-name order.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality.

    Notes
    -----
    With the linear head ``W`` and ``b`` the joint logits are ``sum_m (W_m z_m + b / M)``, and the
    terms of this sum are the unimodal logits (paper, eq. 8), so that they need no further pass.

    The sum is additive over the modalities: what one says does not depend on the others. So it
    cannot represent an interaction between modalities, such as a class that shows only in whether
    two of them agree, whatever the width of the encoders and however long it is trained. Use
    `MLPFusion` where there may be one.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import Concat
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> Concat({"audio": 8, "text": 3})(features).shape
    torch.Size([4, 11])
    """

    #: With a linear head the unimodal logits add up to the joint logits.
    additive = True

    def __init__(self, widths):
        super().__init__()
        self.widths = dict(widths)

    def forward(self, features):
        return torch.cat([features[name] for name in self.widths], dim=1)

    def unimodal_logits(self, features, head):
        """Each modality's term of the joint logits.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)
        head : torch.nn.Linear

        Returns
        -------
        dict of str to Tensor of shape (n_samples, n_classes)
        """
        bias = head.bias / len(self.widths)
        blocks = head.weight.split(list(self.widths.values()), dim=1)
        return {
            name: F.linear(features[name], block, bias)
            for name, block in zip(self.widths, blocks, strict=True)
        }


class MLPFusion(nn.Module):
    """Concatenation of the features, in sorted-name order, and a hidden layer, or several.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality.
    hidden : int or sequence of int, default=64
        Widths of the hidden layers, each of linear, ReLU and dropout; the last is the number of
        features that come out.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, in [0, 1).

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Unlike `Concat` with a linear head, it can represent interactions between modalities: what one
    says of the class may depend on the others. The unimodal logits are the joint logits with the
    features of the other modalities set to zero at the input of the hidden layer (paper, Sec.
    4.5); they do not add up to the joint logits.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import MLPFusion
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> MLPFusion({"audio": 8, "text": 3}, hidden=16)(features).shape
    torch.Size([4, 16])
    """

    _settings = {**SETTINGS, "hidden": [_COUNT, SequenceOf(_COUNT)]}

    def __init__(self, widths, hidden=64, dropout=0.0):
        super().__init__()
        if isinstance(hidden, Iterator):
            hidden = tuple(hidden)
        check_settings(self, self._settings, hidden=hidden, dropout=dropout)
        self.widths = dict(widths)
        self.layers = nn.Sequential(*hidden_layers(sum(widths.values()), hidden, dropout))

    def forward(self, features):
        return self.layers(torch.cat([features[name] for name in self.widths], dim=1))


class _Projections(nn.Module):
    """One linear map a modality, all to one width."""

    def __init__(self, widths, width):
        super().__init__()
        check_settings(self, width=width)
        width = max(widths.values()) if width is None else width
        self.widths = dict(widths)
        self.projections = nn.ModuleList(nn.Linear(d, width) for d in widths.values())

    def project(self, features):
        """``P_m z_m + b_m`` of each modality (dict)."""
        pairs = zip(self.widths, self.projections, strict=True)
        return {name: projection(features[name]) for name, projection in pairs}


class Sum(_Projections):
    """Sum of linear projections of the features: ``sum_m (P_m z_m + b_m)``.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality.
    width : int or None, default=None
        Number of features that come out. None takes the largest of `widths`.

    Raises
    ------
    ValueError
        If the width is not a positive integer.

    Notes
    -----
    The paper compares it with concatenation, gated fusion and FiLM (Sec. 4.5).

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import Sum
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> Sum({"audio": 8, "text": 3})(features).shape
    torch.Size([4, 8])
    """

    def __init__(self, widths, width=None):
        super().__init__(widths, width)

    def forward(self, features):
        return sum(self.project(features).values())


class Gated(_Projections):
    """One modality gates the others: ``sigmoid(P_c z_c + b_c) * sum_{m != c} (P_m z_m + b_m)``.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality; at least two modalities.
    conditioning : str
        The modality c whose features make the gate; there is no default:
        ``fusion__conditioning="audio"``.
    width : int or None, default=None
        Number of features that come out. None takes the largest of `widths`.

    Raises
    ------
    ValueError
        If the conditioning modality is not given or unknown, there is one modality only, or the
        width is not a positive integer.

    Notes
    -----
    For two modalities this is the gated fusion that the paper compares (Sec. 4.5); for more the
    gate is on the sum of the others.

    References
    ----------
    Kiela, Grave, Joulin, Mikolov: "Efficient Large-Scale Multi-Modal Classification", AAAI 2018,
    arXiv:1802.02892.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import Gated
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> Gated({"audio": 8, "text": 3}, conditioning="audio", width=5)(features).shape
    torch.Size([4, 5])
    """

    def __init__(self, widths, conditioning=None, width=None):
        _check_conditioning(widths, conditioning)
        super().__init__(widths, width)
        self.conditioning = conditioning

    def forward(self, features):
        values = self.project(features)
        gate = torch.sigmoid(values.pop(self.conditioning))
        return gate * sum(values.values())


class FiLM(nn.Module):
    """One modality scales and shifts the features of each other: ``gamma_m * z_m + beta_m``.

    ``gamma_m`` and ``beta_m`` are the halves of a linear map of ``z_c``, the features of the
    conditioning modality; the results of all ``m != c`` are concatenated.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality; at least two modalities.
    conditioning : str
        The modality c; there is no default: ``fusion__conditioning="audio"``.

    Raises
    ------
    ValueError
        If the conditioning modality is not given or unknown, or there is one modality only.

    Notes
    -----
    For two modalities this is the FiLM fusion that the paper compares (Sec. 4.5).

    References
    ----------
    Perez, Strub, de Vries, Dumoulin, Courville: "FiLM: Visual Reasoning with a General
    Conditioning Layer", AAAI 2018, arXiv:1709.07871.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import FiLM
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> FiLM({"audio": 8, "text": 3}, conditioning="audio")(features).shape
    torch.Size([4, 3])
    """

    def __init__(self, widths, conditioning=None):
        _check_conditioning(widths, conditioning)
        super().__init__()
        self.conditioning = conditioning
        self.modulated = tuple(name for name in widths if name != conditioning)
        self.maps = nn.ModuleList(
            nn.Linear(widths[conditioning], 2 * widths[name]) for name in self.modulated
        )

    def forward(self, features):
        condition, parts = features[self.conditioning], []
        for name, linear in zip(self.modulated, self.maps, strict=True):
            gamma, beta = linear(condition).chunk(2, dim=1)
            parts.append(gamma * features[name] + beta)
        return torch.cat(parts, dim=1)


class Attention(_Projections):
    """Weighted sum of projections, with weights that a sample's features decide.

    With values ``v_m = P_m z_m + b_m`` and scores ``e_m = a . tanh(v_m)``, where the vector ``a``
    is learnt, it is ``sum_m w_m v_m`` with ``w = softmax(e)`` over the modalities.

    Parameters
    ----------
    widths : dict of str to int
        Number of features of each modality.
    width : int or None, default=None
        Number of features that come out. None takes the largest of `widths`.

    Raises
    ------
    ValueError
        If the width is not a positive integer.

    References
    ----------
    Additive attention: Bahdanau, Cho, Bengio: "Neural Machine Translation by Jointly Learning to
    Align and Translate", ICLR 2015, arXiv:1409.0473; with a learnt vector in place of the query:
    Yang et al.: "Hierarchical Attention Networks for Document Classification", NAACL 2016.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import Attention
    >>> features = {"audio": torch.zeros(4, 8), "text": torch.zeros(4, 3)}
    >>> Attention({"audio": 8, "text": 3})(features).shape
    torch.Size([4, 8])
    """

    def __init__(self, widths, width=None):
        super().__init__(widths, width)
        self.score = nn.Linear(self.projections[0].out_features, 1, bias=False)

    def forward(self, features):
        values = torch.stack(list(self.project(features).values()), dim=1)
        weights = self.score(torch.tanh(values)).softmax(dim=1)
        return (weights * values).sum(dim=1)


def _check_conditioning(widths, conditioning):
    names = ", ".join(map(repr, widths))
    if len(widths) < 2:
        raise ValueError(f"it needs at least two modalities; got {names} only.")
    if conditioning is None:
        raise ValueError(
            "which modality conditions the others is not given: set fusion__conditioning=... to "
            f"one of {names}."
        )
    if not isinstance(conditioning, str) or conditioning not in widths:
        raise ValueError(
            f"fusion__conditioning={conditioning!r} must be one of the modalities {names}"
            f"{did_you_mean(conditioning, widths)}"
        )
