"""Layers whose gradients of single samples are known from inputs and gradients of outputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..functional import (
    conv_positions,
    diagonal_sample_norms,
    outer_sample_norms,
    shift_sample_norms,
)

__all__ = ["LAYERS", "parts_of", "run_in_parts", "squared_norms"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECURRENT = (nn.GRU, nn.LSTM, nn.RNN)
#: Types of layers that can be tapped.
LAYERS = {
    nn.Linear,
    *_CONVOLUTIONS,
    *_BATCH_NORMS,
    nn.LayerNorm,
    nn.GroupNorm,
    *_RECURRENT,
    nn.MultiheadAttention,
}
# Values of the windows of a convolution that are laid out at a time.
_PIECE = 2**23


def parts_of(layer):
    """A layer, and the modules whose parameters it uses without running them (list)."""
    return [layer, layer.out_proj] if isinstance(layer, nn.MultiheadAttention) else [layer]


def run_in_parts(layer, args, kwargs, output, n_samples, tap):
    """The output of a layer once more, made of tapped steps.

    Parameters
    ----------
    layer : torch.nn.Module
    args, kwargs, output :
        What it got and gave.
    n_samples : int
    tap : callable
        ``(layer, parameters, x, output) -> output``: `layer` None stands for a linear one.

    Returns
    -------
    The same as `output`, or None if the samples are not the first axis or the layer does more than
    is known here.
    """
    if isinstance(layer, nn.MultiheadAttention):
        return _run_attention(layer, n_samples, tap, *args, **kwargs)
    if kwargs or len(args) != 1 or not torch.is_tensor(args[0]):
        return None
    x = args[0]
    if isinstance(layer, _RECURRENT):
        return _run_recurrent(layer, x, n_samples, tap)
    n_axes = 2 + len(layer.kernel_size) if isinstance(layer, _CONVOLUTIONS) else 2
    if x.ndim != n_axes and (n_axes > 2 or x.ndim < 2):
        return None
    # A sample may have several rows, one after the other, as the frames of a video do.
    if len(x) == 0 or len(x) % n_samples:
        return None
    return tap(layer, dict(layer.named_parameters(recurse=False)), x, output)


# Recurrent layers


def _run_recurrent(layer, x, n_samples, tap):
    """Output and last state of a recurrent layer, from sequences whose states begin with zeros."""
    if x.ndim != 3 or not layer.batch_first or len(x) != n_samples or layer.proj_size:
        return None
    last = []
    for i in range(layer.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + layer.bidirectional]:
            states, end = _run_direction(layer, f"_l{i}{suffix}", x, tap)
            outputs.append(states)
            last.append(end)
        x = torch.cat(outputs, dim=2)
    ends = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
    return x, ends if len(ends) > 1 else ends[0]


def _run_direction(layer, suffix, x, tap):
    """States of one layer in one direction (n_samples, n_steps, n_units), and the last ones."""

    def parameters(kind):
        return {name: getattr(layer, f"{name}_{kind}{suffix}", None) for name in ("weight", "bias")}

    steps = range(x.shape[1])
    given, own = parameters("ih"), parameters("hh")
    gates = tap(None, given, x, F.linear(x, given["weight"], given["bias"]))
    state = x.new_zeros(len(x), layer.hidden_size)
    cell, states, before = state, {}, {}
    # What is added to all steps' products of the states has the gradients of these products.
    shift = tap(None, own, lambda: torch.stack([before[t] for t in steps], 1), 0 * gates.detach())
    for t in reversed(steps) if suffix.endswith("reverse") else steps:
        before[t] = state.detach()
        product = F.linear(state, own["weight"], own["bias"]) + shift[:, t]
        state, cell = _step(layer, gates[:, t], product, state, cell)
        states[t] = state
    end = (state, cell) if isinstance(layer, nn.LSTM) else (state,)
    return torch.stack([states[t] for t in steps], dim=1), end


def _step(layer, gates, product, state, cell):
    """One step of a recurrent layer, from the products of input and of state: state and cell."""
    if isinstance(layer, nn.GRU):
        (r, z, n), (hr, hz, hn) = gates.chunk(3, dim=1), product.chunk(3, dim=1)
        z = torch.sigmoid(z + hz)
        return (1 - z) * torch.tanh(n + torch.sigmoid(r + hr) * hn) + z * state, cell
    total = gates + product
    if isinstance(layer, nn.LSTM):
        i, f, g, o = total.chunk(4, dim=1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell
    return (torch.relu if layer.nonlinearity == "relu" else torch.tanh)(total), cell


# Attention


def _run_attention(
    layer,
    n_samples,
    tap,
    query,
    key,
    value,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Output and weights of attention, whose projections are steps of their own."""
    plain = layer.in_proj_weight is not None and layer.bias_k is None and not layer.add_zero_attn
    if not plain or not layer.batch_first or query.ndim != 3 or len(query) != n_samples:
        return None
    weights = layer.in_proj_weight.chunk(3)
    biases = [None] * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
    inner = [
        tap(None, {"weight": w, "bias": b}, x, F.linear(x, w, b)).transpose(0, 1)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    ]
    one = torch.eye(layer.embed_dim, dtype=query.dtype, device=query.device)
    attended, shares = F.multi_head_attention_forward(
        *inner,
        layer.embed_dim,
        layer.num_heads,
        in_proj_weight=one.repeat(3, 1),
        in_proj_bias=None,
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=one,
        out_proj_bias=None,
        training=False,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        attn_mask=attn_mask,
        average_attn_weights=average_attn_weights,
        is_causal=is_causal,
    )
    attended, out = attended.transpose(0, 1), layer.out_proj
    output = F.linear(attended, out.weight, out.bias)
    return tap(None, {"weight": out.weight, "bias": out.bias}, attended, output), shares


# Norms


def squared_norms(layer, trained, x, gradient, n_samples):
    """Squared norm of each sample's gradient of the trainable parameters of a layer.

    Parameters
    ----------
    layer : torch.nn.Module or None
        None: a linear one.
    trained : set of {"weight", "bias"}
    x, gradient : Tensor
        What the layer got, and the gradient of the losses with respect to its output.
    n_samples : int

    Returns
    -------
    Tensor of shape (n_samples,)
    """
    dtype = torch.promote_types(gradient.dtype, torch.float32)
    x, gradient = x.to(dtype), gradient.to(dtype)
    g = _positions(layer, gradient, n_samples)
    total = gradient.new_zeros(n_samples)
    if "bias" in trained:
        total = total + shift_sample_norms(g)
    if "weight" not in trained:
        return total
    if layer is None or isinstance(layer, nn.Linear):
        return total + outer_sample_norms(_positions(layer, x, n_samples), g)
    if isinstance(layer, _CONVOLUTIONS):
        return total + _conv_norms(layer, x, g, n_samples)
    return total + diagonal_sample_norms(_positions(layer, _normalized(layer, x), n_samples), g)


def _conv_norms(layer, x, g, n_samples):
    """Squared norm of each sample's gradient of the kernel of a convolution."""
    groups, per_sample = layer.groups, len(x) // n_samples
    size = max(1, _PIECE // max(1, g.shape[1] * layer.weight[0].numel() * groups))
    norms = []
    for rows, some in zip(x.split(size * per_sample), g.split(size), strict=True):
        windows = conv_positions(
            rows,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.padding_mode,
        ).reshape(*some.shape[:2], -1)
        by_group = outer_sample_norms(_by_group(windows, groups), _by_group(some, groups))
        norms.append(by_group.unflatten(0, (len(some), groups)).sum(dim=1))
    return torch.cat(norms)


def _by_group(x: Tensor, groups: int) -> Tensor:
    """Make the groups of channels samples of their own."""
    return x.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)


def _positions(layer, x, n_samples):
    """Values of a layer as a Tensor of shape (n_samples, n_positions, n_channels)."""
    if isinstance(layer, nn.LayerNorm):
        n_channels = layer.weight.numel()
    else:
        if layer is not None and not isinstance(layer, nn.Linear):
            x = x.movedim(1, -1)
        n_channels = x.shape[-1]
    return x.reshape(n_samples, -1, n_channels)


def _normalized(layer, x):
    """What a normalisation layer multiplies by its weight."""
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return F.group_norm(x, layer.num_groups, eps=layer.eps)
    return F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)
