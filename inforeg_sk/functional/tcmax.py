"""TCMax: cross entropy normalized over all labels and all re-pairings of a batch."""

from math import log

from torch import Tensor

from .scores import class_index

__all__ = ["re_paired_log_normalizer", "total_correlation_loss"]


def re_paired_log_normalizer(unimodal: Tensor, log_prior: Tensor | None = None) -> Tensor:
    """Logarithm of the sum of ``exp(f)_c`` over all classes c and all re-pairings of a batch.

    A re-pairing takes the values of each modality from any sample of the batch. With logits
    ``f = log_prior + sum_m f_m`` the sum over the ``n_samples ** n_modalities`` of them factorizes.

    Parameters
    ----------
    unimodal : Tensor of shape (..., n_modalities, n_samples, n_classes)
        Unimodal logits, each with the log prior, as the network gives them: ``f_m + log_prior``.
    log_prior : Tensor of shape (..., n_classes), default=None
        None: there is none.

    Returns
    -------
    Tensor of shape (...)
        ``logsumexp_c [log_prior_c + sum_m logsumexp_j f_m(x_j)_c]``.

    Examples
    --------
    >>> import torch
    >>> re_paired_log_normalizer(torch.zeros(2, 3, 5)).exp()  # 3 ** 2 pairs and 5 classes
    tensor(45.0000)
    """
    by_modality = unimodal.logsumexp(dim=-2)
    total = by_modality.sum(dim=-2)
    if log_prior is not None:  # once, not once a modality
        total = total - (by_modality.shape[-2] - 1) * log_prior
    return total.logsumexp(dim=-1)


def total_correlation_loss(
    logits: Tensor, unimodal: Tensor, target: Tensor, log_prior: Tensor | None = None
) -> Tensor:
    """The loss of TCMax for logits that are a sum over the modalities.

    Parameters
    ----------
    logits : Tensor of shape (..., n_samples, n_classes)
        Joint logits ``f``, with the log prior.
    unimodal : Tensor of shape (..., n_modalities, n_samples, n_classes)
        Unimodal logits; less the log prior they add up to the joint ones.
    target : Tensor of int64 of shape (..., n_samples)
        Index of the true class.
    log_prior : Tensor of shape (..., n_classes), default=None

    Returns
    -------
    Tensor of shape (...)
        Log normalizer less the batch mean of the true class's logit, less
        ``log(n_samples ** n_modalities * n_classes)``: 0 where all logits are equal.

    Examples
    --------
    >>> import torch
    >>> alone = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    >>> total_correlation_loss(alone.sum(dim=0), alone, torch.tensor([0, 1]))
    tensor(-0.3799)
    """
    *_, n_modalities, n_samples, n_classes = unimodal.shape
    index = class_index(target, logits.shape, -1)
    of_true_class = logits.gather(-1, index).squeeze(-1).mean(dim=-1)
    uniform = n_modalities * log(n_samples) + log(n_classes)
    return re_paired_log_normalizer(unimodal, log_prior) - of_true_class - uniform
