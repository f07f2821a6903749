"""Stacks of networks against one call for each."""

import numpy as np
import torch


def one_by_one(function, lead, *arguments):
    """Results of single networks, one call each, in the shape of a stack."""
    results = [function(*(a[i] for a in arguments)) for i in np.ndindex(*lead)]
    return torch.stack(results).reshape(*lead, *results[0].shape)
