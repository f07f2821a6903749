"""Samples that lack modalities, in all forms that say so, and small estimators that allow it."""

import numpy as np
import pandas as pd
import torch

from inforeg_sk import MultimodalInfoRegClassifier

NAMES = ("audio", "text", "video")
N = 80


def draw_present(n=N, share=0.4, seed=1):
    rng = np.random.default_rng(seed)
    present = {name: rng.random(n) >= share for name in NAMES}
    nobody = ~np.logical_or.reduce(list(present.values()))
    present["text"] |= nobody
    return present


def make_complete(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, N)
    shapes = {"audio": (5, 3), "text": (6,), "video": (4,)}
    X = {
        name: rng.normal(size=(N, *shape)) + y.reshape(-1, *[1] * len(shape))
        for name, shape in shapes.items()
    }
    return X, np.array(["anger", "fear", "joy"])[y]


def blank(X, present):
    out = {name: values.copy() for name, values in X.items()}
    for name, mask in present.items():
        out[name][~mask] = np.nan
    return out


def make(cls=MultimodalInfoRegClassifier, **kwargs):
    settings = {"max_epochs": 3, "random_state": 0, "missing": "allow", "lr": 0.01}
    return cls(**settings | kwargs)


def bits(estimator):
    return [p.detach().numpy().tobytes() for p in estimator.module_.parameters()]


def rows_of(X, rows):
    return {name: values[rows] for name, values in X.items()}


def nan_rows(values, mask):
    out = values.copy()
    out[~mask] = np.nan
    return out


def masked_rows(values, mask):
    out = np.ma.array(values.copy())
    out[~mask] = 1e300  # garbage beneath the mask
    out[~mask] = np.ma.masked
    out.data[~mask] = 1e300
    return out


def list_of_arrays(values, mask):
    return [row if there else None for row, there in zip(values, mask)]


def object_rows(values, mask):
    out = values.astype(object)
    out[~mask] = None
    return out


def frame(values, mask):
    return pd.DataFrame(nan_rows(values, mask)) if values.ndim == 2 else nan_rows(values, mask)


def nullable_frame(values, mask):
    if values.ndim != 2:
        return nan_rows(values, mask)
    return pd.DataFrame(nan_rows(values, mask)).astype("Float64")


def column_by_column(values, mask):
    return np.asfortranarray(nan_rows(values, mask))


def torch_rows(values, mask):
    return torch.as_tensor(nan_rows(values, mask))


FORMS = [
    nan_rows,
    masked_rows,
    list_of_arrays,
    object_rows,
    frame,
    nullable_frame,
    column_by_column,
    torch_rows,
]
