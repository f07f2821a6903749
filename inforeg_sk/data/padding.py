"""The rule of padding: which steps at the end of a sequence are not part of it."""

import math

import numpy as np
import torch

__all__ = ["real_lengths", "real_steps"]


def real_lengths(x, padding_value):
    """Number of steps of each sample up to the last that is not padding.

    A step is padding if all its features hold the padding value, and no step after it holds
    anything else. All that looks for padding asks here: the check of the data,
    `ModalityTransformer` and the network.

    Parameters
    ----------
    x : ndarray or Tensor of shape (n_samples, n_steps, n_features)
    padding_value : float
        What all features of a padding step hold; NaN is a value too.

    Returns
    -------
    ndarray or Tensor of int of shape (n_samples,)
        0 for a sample of nothing but padding.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk.data.padding import real_lengths
    >>> x = np.array([[[1.0], [0.0], [np.nan]], [[2.0], [np.nan], [3.0]]])
    >>> real_lengths(x, np.nan)
    array([2, 3])
    """
    held = x == x if math.isnan(padding_value) else x != padding_value
    if isinstance(x, torch.Tensor):
        numbers = torch.arange(1, x.shape[1] + 1, device=x.device)
        return (held.any(dim=2) * numbers).amax(dim=1)
    return (held.any(axis=2) * np.arange(1, x.shape[1] + 1)).max(axis=1)


def real_steps(lengths, n_steps):
    """Mask of the steps that are not padding.

    Parameters
    ----------
    lengths : ndarray or Tensor of int of shape (n_samples,)
        See `real_lengths`.
    n_steps : int

    Returns
    -------
    ndarray or Tensor of bool of shape (n_samples, n_steps)
    """
    if isinstance(lengths, torch.Tensor):
        return torch.arange(n_steps, device=lengths.device) < lengths[:, None]
    return np.arange(n_steps) < lengths[:, None]
