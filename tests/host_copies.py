"""Counters of what crosses between the host and a device; tests and benchmarks share them."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["DeviceCopies", "HostCopies"]

# What waits for the device although it returns no tensor of the host.
SYNCS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class HostCopies(TorchDispatchMode):
    """Counts copies from the device to the host, and what else waits for the device."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        on_device = any(isinstance(a, torch.Tensor) and a.is_cuda for a in args)
        result = func(*args, **(kwargs or {}))
        on_host = isinstance(result, torch.Tensor) and result.device.type == "cpu"
        if on_device and (func in SYNCS or on_host):
            self.count[str(func)] += 1
        return result


class DeviceCopies(TorchDispatchMode):
    """Counts copies from the host to the device."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.copy_.default:
            target, source = args[:2]
        elif func is torch.ops.aten._to_copy.default:
            target, source = result, args[0]
        else:
            return result
        if target.device.type != "cpu" and source.device.type == "cpu":
            self.count[str(func)] += 1
        return result
