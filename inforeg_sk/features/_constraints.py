"""Constraints of parameters that several front ends share."""

from numbers import Integral, Real

import numpy as np

from ..utils.parameters import Instance, Interval, IsNone

__all__ = ["BOOL", "COUNT", "N_JOBS", "POSITIVE", "READING", "VERBOSE"]

BOOL = Instance(bool, np.bool_, text="a bool")
COUNT = Interval(Integral, 1)
POSITIVE = Interval(Real, 0, closed="neither")
N_JOBS = [IsNone(), COUNT, Interval(Integral, high=-1, closed="right")]
VERBOSE = [BOOL, Interval(Integral, 0)]
#: Parameters of the front ends that read files.
READING = {"max_bytes": [COUNT], "isolate": [BOOL], "time_limit": [POSITIVE]}
