"""The network: an encoder for each modality, a fusion, and a linear head."""

from typing import NamedTuple

import torch
from torch import nn

from ..data.presence import Presence
from .checks import not_vectors
from .dropout import seed_dropout
from .encoders import build_encoders, feature_width, is_built_in
from .fusion import build_fusion, zeroed_unimodal_logits
from .inputs import fill_padding
from .modes import evaluating, is_batch_norm
from .scaling import InputScaler

__all__ = ["MultimodalNetwork", "NetworkOutput", "build_network", "update_widths"]


class NetworkOutput(NamedTuple):
    """What a forward pass gives: joint logits, and the features of each modality."""

    logits: torch.Tensor
    features: dict
    presence: Presence  # which samples have which modality
    inputs: dict  # what the network got


class MultimodalNetwork(nn.Module):
    """Encoders, fusion and head as one module.

    Parameters
    ----------
    encoders : dict of str to torch.nn.Module
        In sorted-name order.
    fusion : torch.nn.Module
        Maps the dict of features to one vector a sample. If it has a method
        ``unimodal_logits(features, head)``, that defines the unimodal logits, before the log prior
        is added; else they are the joint logits with the other modalities' features set to zero.
    head : torch.nn.Module
        Maps that vector to logits.
    widths : dict of str to int, default=None
        Number of features of each modality; needed for samples that lack one.
    n_prior : int, default=0
        Number of classes whose log prior is added to all logits; 0 for none.
    scalers : dict of str to InputScaler, default=None
        What standardizes the inputs of some encoders.

    Attributes
    ----------
    log_prior : Tensor of shape (n_classes,) or None
        A buffer, so that no weight decay pulls at it; zeros until `set_log_prior`.

    Notes
    -----
    Parameter names begin with ``encoder_<modality>.``, ``fusion.`` and ``head.`` (and those of
    buffers also with ``scaler_<modality>.``), which is what
    patterns such as ``optimizer__param_groups=[("encoder_text.*", {"lr": 1e-4})]`` match.

    The features of a sample that lacks a modality are zero, as they are where a modality is taken
    away to get the unimodal logits of another (paper, Sec. 4.5); its encoder does not run.

    The padding of sequences, NaN in all features of the last steps, reaches an encoder as the value
    of its attribute `padding_value`, if it has one that is a number (NaN too), and else as zeros.

    Joint, unimodal and coalition logits each have the log prior once: what a modality says of a
    sample is its logits less the log prior.
    """

    log_prior: torch.Tensor | None

    def __init__(self, encoders, fusion, head, widths=None, n_prior=0, scalers=None):
        super().__init__()
        self.modalities = tuple(encoders)
        self.widths = dict(widths or {})
        self._attributes = {name: attribute_name(name) for name in encoders}
        for name, encoder in encoders.items():
            self.add_module(self._attributes[name], encoder)
        self._head_attributes = {}
        self._scaler_attributes = {m: attribute_name(m, "scaler") for m in scalers or {}}
        for name, scaler in (scalers or {}).items():
            self.add_module(self._scaler_attributes[name], scaler)
        self.fusion = fusion
        self.head = head
        dtype = next((p.dtype for p in head.parameters()), None)
        self.register_buffer("log_prior", torch.zeros(n_prior, dtype=dtype) if n_prior else None)

    def set_log_prior(self, log_prior):
        """Fix the log prior of the classes (Tensor of shape (n_classes,))."""
        self.log_prior.copy_(log_prior)

    def _with_prior(self, logits):
        return logits if self.log_prior is None else logits + self.log_prior

    @property
    def scalers(self):
        """What standardizes the inputs, of the modalities where that is done (dict)."""
        return {name: getattr(self, a) for name, a in self._scaler_attributes.items()}

    @property
    def encoders(self):
        """The encoder of each modality (dict)."""
        return {name: getattr(self, attribute) for name, attribute in self._attributes.items()}

    @property
    def is_additive(self):
        """Whether the unimodal logits, less the log prior, add up to the joint ones (bool).

        So it is with a linear head and a fusion that has ``additive = True``, as "concat" has.
        """
        return bool(getattr(self.fusion, "additive", False)) and isinstance(self.head, nn.Linear)

    def encode(self, X):
        """Features of each modality.

        Parameters
        ----------
        X : Batch, or dict of str to Tensor of shape (n_samples, ...)

        Returns
        -------
        dict of str to Tensor of shape (n_samples, n_features)
        """
        presence = getattr(X, "presence", None)  # a plain dict of tensors is complete
        return {
            name: self.encode_one(name, encoder, X, presence)
            for name, encoder in self.encoders.items()
        }

    def encode_one(self, name, encoder, X, presence):
        """Features of one modality; see `encode`."""
        if presence is not None and name in presence.masks:
            return self._encode_present(name, encoder, X.get(name), presence)
        return self._run(name, encoder, X[name])

    def inputs_of(self, name, encoder, x):
        """What an encoder gets of a modality's values: standardized, with padding it knows.

        Parameters
        ----------
        name : str
        encoder : torch.nn.Module
        x : Tensor of shape (n_samples, ...), or dict of str to Tensor

        Returns
        -------
        tuple
            The values; and the lengths of sequences, for an encoder that takes them.
        """
        scaler = self._scaler_attributes.get(name)
        if scaler is None:
            return (fill_padding(x, encoder),)
        x, lengths = getattr(self, scaler)(x)
        told = lengths is not None and getattr(encoder, "takes_lengths", False)
        return (x, lengths) if told else (x,)

    def _run(self, name, encoder, x):
        inputs = self.inputs_of(name, encoder, x)
        try:
            return encoder(*inputs)
        except IndexError as error:  # torch's message does not name the modality
            raise IndexError(
                f"The encoder of modality {name!r} failed: {error}. Are there ids beyond its table?"
            ) from error

    def _encode_present(self, name, encoder, x, presence):
        """Features of the samples that have the modality, zeros for the others."""
        rows = presence.rows(name)
        n_samples, n_present = presence.n_samples, len(rows)
        if n_present == 0:
            like = next(self.head.parameters())
            return like.new_zeros(n_samples, self.widths[name])
        # One sample has no variance that batch normalisation could take.
        alone = [m for m in encoder.modules() if is_batch_norm(m)] if n_present == 1 else []
        with evaluating(*alone):
            features = self._run(name, encoder, x)
        return features.new_zeros(n_samples, features.shape[1]).index_copy(0, rows, features)

    def zeroed(self, X, names):
        """A batch with the values of some modalities set to zero; standardized ones to their mean.

        Parameters
        ----------
        X : Batch
        names : set of str

        Returns
        -------
        Batch
        """
        X = X.zeroed(names)
        for name, scaler in self.scalers.items():
            if name in names and name in X:
                X[name] = X[name] + scaler.mean
        return X

    def forward(self, X):
        features = self.encode(X)
        presence = getattr(X, "presence", None) or Presence(len(next(iter(features.values()))))
        return NetworkOutput(self.joint_logits(features), features, presence, X)

    def joint_logits(self, features):
        """Joint logits of features, such as those that a method has changed or detached.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
        """
        return self._with_prior(self.head(self.fusion(features)))

    def unimodal_logits(self, features):
        """Logits of each modality alone.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)

        Returns
        -------
        dict of str to Tensor of shape (n_samples, n_outputs)
            In the order of `modalities`.
        """
        features = self._in_type_of_head(features)
        if not hasattr(self.fusion, "unimodal_logits"):
            logits = zeroed_unimodal_logits(self.fusion, self.head, features)
        else:
            logits = self.fusion.unimodal_logits(features, self.head)
        return {name: self._with_prior(logits[name]) for name in self.modalities}

    def add_unimodal_heads(self):
        """Add a linear head for each modality, for the losses of a method.

        Its parameters are named ``unimodal_head_<modality>.weight`` and ``.bias``, and drawn from
        torch's global generator. Predictions do not use it.
        """
        like, n_outputs = next(self.head.parameters()), self.head.out_features
        for name in self.modalities:
            head = nn.Linear(self.widths[name], n_outputs, dtype=like.dtype, device=like.device)
            self._head_attributes[name] = attribute_name(name, "unimodal_head")
            self.add_module(self._head_attributes[name], head)

    @property
    def unimodal_heads(self):
        """The heads that `add_unimodal_heads` has added (dict)."""
        return {name: getattr(self, a) for name, a in self._head_attributes.items()}

    def head_logits(self, features):
        """Logits of the unimodal heads, with the log prior.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)

        Returns
        -------
        dict of str to Tensor of shape (n_samples, n_outputs)
        """
        features = self._in_type_of_head(features)
        heads = self.unimodal_heads.items()
        return {name: self._with_prior(head(features[name])) for name, head in heads}

    def _in_type_of_head(self, features):
        # Under autocast the encoders' features may be of a shorter type than the head.
        dtype = next(self.head.parameters()).dtype
        return {name: z.to(dtype) for name, z in features.items()}

    def coalition_logits(self, features, coalition):
        """Joint logits with the features of all modalities outside a coalition set to zero.

        Parameters
        ----------
        features : dict of str to Tensor of shape (n_samples, n_features)
        coalition : set of str

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            Fusion and head run in evaluation mode.
        """
        features = self._in_type_of_head(features)
        features = {m: z if m in coalition else torch.zeros_like(z) for m, z in features.items()}
        with evaluating(self.fusion, self.head):
            return self._with_prior(self.head(self.fusion(features)))


def attribute_name(modality, part="encoder"):
    """Name of a modality's encoder inside the module: prefixed, and without the dots torch bans."""
    return f"{part}_" + modality.replace("%", "%25").replace(".", "%2E")


def build_network(
    shapes,
    n_outputs,
    *,
    encoders="auto",
    fusion="concat",
    settings=None,
    dtype,
    dropout_seed=0,
    standardize=None,
    owner="MultimodalNetwork",
    prior_offset=False,
):
    """Make a network for data of given shapes, on the CPU.

    Parameters
    ----------
    shapes : dict of str to tuple of int, or to dict of str to ArraySpec
        Shape of one sample of each modality, in sorted-name order: weights are drawn in this
        order, from torch's global generator.
    n_outputs : int
        Classes, or values that a regressor predicts.
    encoders, fusion :
        See ``MultimodalClassifier``.
    settings : dict of str to dict, default=None
        Keys ``"encoders"`` and ``"fusion"``: their ``encoders__...`` and ``fusion__...`` settings.
    dtype : torch.dtype
        Floating type of the parameters.
    dropout_seed : int, default=0
        Where the built-in dropout layers' generators start.
    standardize : dict of str to bool, default=None
        The modalities whose inputs are standardized where the encoder is built in, and whether the
        mean is subtracted.
    owner : str, default="MultimodalNetwork"
        Whose parameters they are, for errors.
    prior_offset : bool, default=False
        Whether the logits have the log prior of the classes, to be set before training.

    Returns
    -------
    MultimodalNetwork
    """
    settings = settings or {}
    made = build_encoders(encoders, shapes, settings.get("encoders", {}), owner)
    made = {name: encoder.to(dtype) for name, encoder in made.items()}
    widths = {name: feature_width(name, made[name], shapes[name], dtype) for name in shapes}
    fuse = build_fusion(fusion, widths, settings.get("fusion", {}), owner).to(dtype)
    head = nn.Linear(_fused_width(fuse, widths, dtype), n_outputs, dtype=dtype)
    scalers = {
        name: InputScaler(shapes[name], made[name], center).to(dtype)
        for name, center in (standardize or {}).items()
        if is_built_in(encoders, name)
    }
    n_prior = n_outputs if prior_offset else 0
    network = MultimodalNetwork(made, fuse, head, widths, n_prior, scalers)
    seed_dropout(network, dropout_seed)
    return network


def update_widths(network, before, shapes, dtype):
    """Bring `widths` up to date where a method has put another encoder in place.

    Parameters
    ----------
    network : MultimodalNetwork
    before : dict of str to torch.nn.Module
        Its encoders when it was built.
    shapes, dtype :
        See `build_network`.
    """
    for name, encoder in network.encoders.items():
        if encoder is not before.get(name) or name not in network.widths:
            network.widths[name] = feature_width(name, encoder, shapes[name], dtype)


def _fused_width(fusion, widths, dtype):
    mode = fusion.training
    zeros = {name: torch.zeros(2, width, dtype=dtype) for name, width in widths.items()}
    try:
        with torch.no_grad():
            fused = fusion.eval()(zeros)
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            f"The fusion failed on features of widths {widths}: {type(error).__name__}: {error}"
        ) from error
    finally:
        fusion.train(mode)
    problem = not_vectors(fused)
    if problem:
        raise ValueError(f"The fusion gave {problem}.")
    return fused.shape[1]
