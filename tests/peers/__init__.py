"""Slow, plain statements of the ten peer methods, to check the package's own against.

Written from the methods' specification alone, one module each, sharing no code with the package
and none but `base` with each other: float64, loops over samples, classes, coalitions and
parameters, and SGD by hand. "Step" in comments is the specification's number.

Every module has ``train(network, X, y, batches, *, lr, momentum, weight_decay, ..., wrong=None)``,
see `base.run`, and ``WRONG``: names of planted wrong rules, and what each needs to show
("" where it always does). A comparison that still passes with one of them proves nothing.
"""
