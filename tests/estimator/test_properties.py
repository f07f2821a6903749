"""What holds of every fit, whatever the shapes, types, containers, labels and settings.

60 situations are drawn, the same in each run; the environment variable ``PROPERTY_EXAMPLES=2000``
draws more. A failure prints its `Situation`; with ``PROPERTY_SHRINK=1`` the smallest that
hypothesis finds, which takes minutes.
"""

import os
import pickle
import random
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from inforeg_sk import (
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)
from inforeg_sk.training import DecayAdamW

# To shrink a failure takes minutes, so it is asked for.
PHASES = [Phase.explicit, Phase.generate, *[Phase.shrink] * ("PROPERTY_SHRINK" in os.environ)]
EVERY = settings(
    max_examples=int(os.environ.get("PROPERTY_EXAMPLES", 60)),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
    phases=PHASES,
)

ESTIMATORS = {
    ("joint", True): MultimodalClassifier,
    ("inforeg", True): MultimodalInfoRegClassifier,
    ("joint", False): MultimodalRegressor,
    ("inforeg", False): MultimodalInfoRegRegressor,
}
FLOATS = ("float64", "float32", "float16")
INTEGERS = ("int64", "int8", "uint8", "bool")
OPTIMIZERS = {"DecayAdamW": DecayAdamW, "SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
#: Names that are also words of torch, scikit-learn or Python, or look like nested settings.
NAMES = ["text", "a b", "a.b", "a", "a__b", "keys", "items", "training", "self", "hidden", "X", "ß"]
LABELS = {
    "int": lambda c: c,
    "gaps": lambda c: np.array([-3, 20, 100])[c],
    "text": lambda c: np.array(["no", "yes", "perhaps"])[c],
    "object": lambda c: np.array(["no", "yes", "perhaps"], dtype=object)[c],
    "float": lambda c: c.astype(float),
    "bool": lambda c: c > 0,
    "list": lambda c: np.array(["no", "yes", "perhaps"])[c].tolist(),
    "series": lambda c: pd.Series(np.array([5, 7, 9])[c]),
}


@dataclass(frozen=True)
class Modality:
    """Shape of a sample, type, what holds the values, and the part of samples that lack it."""

    shape: tuple
    dtype: str
    container: str
    encoder: str
    missing: float


@dataclass(frozen=True)
class Situation:
    """Everything that makes a fit, as small values that can be shrunk and read."""

    n_samples: int
    modalities: dict
    wrapped: bool  # whether X is a ModalityDict
    method: str
    labels: str | None  # None: regression
    n_outputs: int  # classes, or targets
    weights: bool
    params: tuple
    seed: int

    def data(self):
        """X, y and the keyword arguments of ``fit``."""
        rng = np.random.default_rng(self.seed)
        codes = rng.permutation(np.arange(self.n_samples) % self.n_outputs)
        if self.labels is None:
            shape = (self.n_samples, self.n_outputs)
            y = 5 + rng.normal(size=shape[: 1 + (self.n_outputs > 1)])
        else:
            y = LABELS[self.labels](codes)
        names = list(self.modalities)
        # A sample lacks all modalities but one at most; sample 0 has all.
        kept = rng.integers(len(names), size=self.n_samples)
        X = {}
        for i, (name, modality) in enumerate(self.modalities.items()):
            gone = (rng.random(self.n_samples) < modality.missing) & (kept != i)
            gone[0] = False
            X[name] = _values(modality, codes, gone, rng)
        weights = {"sample_weight": rng.uniform(0.5, 2, size=self.n_samples)}
        return ModalityDict(X) if self.wrapped else X, y, weights if self.weights else {}

    def estimator(self, **params):
        """The estimator, not fitted."""
        settings = {**dict(self.params), **params}
        settings["optimizer"] = OPTIMIZERS[settings.get("optimizer", "DecayAdamW")]
        return ESTIMATORS[self.method, self.labels is not None](
            encoders={name: modality.encoder for name, modality in self.modalities.items()},
            missing="allow" if any(m.missing for m in self.modalities.values()) else "error",
            callbacks="disable",
            device="cpu",
            **settings,
        )


def _values(modality, codes, gone, rng):
    """Values of one modality in its container, small enough for every type."""
    size = (len(codes), *modality.shape)
    values = rng.normal(size=size) + codes.reshape(-1, *[1] * len(modality.shape))
    if len(size) == 3:  # sequences of unequal length
        values[np.arange(size[1]) >= rng.integers(1, size[1] + 1, size=size[0])[:, None]] = 0
    if modality.container == "sparse":
        values[rng.random(size) < 0.5] = 0
    if modality.dtype in INTEGERS:
        values = np.abs(np.round(values))
    values = values.astype(modality.dtype)
    if modality.dtype in FLOATS:
        values[gone] = np.nan
    if modality.container == "list":
        return values.tolist()
    if modality.container == "frame":
        return pd.DataFrame(values, columns=[f"c{i}" for i in range(size[1])])
    if modality.container == "sparse":
        return sparse.csr_array(values)
    if modality.container == "tensor":
        return torch.from_numpy(values)
    if modality.container == "fortran":
        return np.asfortranarray(values)
    if modality.container == "masked":
        mask = np.zeros(size, dtype=bool)
        mask[gone] = True
        return np.ma.MaskedArray(values, mask)
    if modality.container == "read-only":
        values.flags.writeable = False
    return values


@st.composite
def modalities(draw, partial):
    kind = draw(st.sampled_from(["vector", "vector", "sequence", "image"]))
    small = st.integers(1, 4)
    containers = ["array", "fortran", "read-only", "list", "tensor"]
    if kind == "vector":
        shape, encoders = (draw(small),), ["auto", "mlp"]
        containers += ["frame", "sparse"]
    elif kind == "sequence":
        shape, encoders = (draw(small), draw(small)), ["auto", "mlp", "gru", "transformer"]
    else:
        shape, encoders = (draw(st.integers(1, 3)), 6, 6), ["cnn"]
    missing = draw(st.sampled_from([0.0, 0.3, 0.8])) if partial else 0.0
    if missing:
        containers.append("masked")
    container = draw(st.sampled_from(containers))
    # NaN says that a sample lacks the modality; a mask says so of any type.
    types = FLOATS if missing and container != "masked" else (*FLOATS, *INTEGERS)
    if container == "sparse":  # scipy has no float16
        types = [name for name in types if name not in ("float16", "bool")]
    dtype = draw(st.sampled_from(list(types)))
    return Modality(shape, dtype, container, draw(st.sampled_from(encoders)), missing)


@st.composite
def situations(draw, exact=False):
    """Strategy of `Situation`; `exact`: without dropout, batch norm and batches."""
    any_name = st.sampled_from(NAMES) | st.text(min_size=1, max_size=4).filter("joint".__ne__)
    names = draw(st.lists(any_name, min_size=1, max_size=3, unique=True))
    partial = len(names) > 1 and draw(st.booleans())
    parts = {name: draw(modalities(partial)) for name in names}
    if exact:
        plain = {"sequence": "gru", "vector": "mlp"}
        kinds = {name: "sequence" if len(m.shape) == 2 else "vector" for name, m in parts.items()}
        parts = {
            name: Modality(m.shape[:2], m.dtype, m.container, plain[kinds[name]], m.missing)
            for name, m in parts.items()
        }
    n_samples = draw(st.integers(4, 40))
    method = draw(st.sampled_from(["joint", "inforeg"]))
    labels = draw(st.none() | st.sampled_from(list(LABELS)))
    n_outputs = draw(st.integers(2 if labels else 1, 3))
    params = {
        "max_epochs": draw(st.integers(1, 2)),
        "batch_size": draw(st.sampled_from([1, 2, 7, 32, -1])),
        "lr": draw(st.sampled_from([1e-3, 1e-2])),
        "optimizer": draw(st.sampled_from(list(OPTIMIZERS))),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "fusion": draw(st.sampled_from(["concat", "mlp", "sum", "attention", "gated", "film"])),
    }
    if params["fusion"] in ("gated", "film"):
        if len(names) == 1 or partial:
            params["fusion"] = "concat"
        else:
            params["fusion__conditioning"] = draw(st.sampled_from(names))
    if any(m.encoder in ("gru", "mlp", "transformer") for m in parts.values()):
        params["encoders__hidden"] = 8
    if len(names) > 1 and not exact:
        params["modality_dropout"] = draw(st.sampled_from([0.0, 0.4]))
    if labels and draw(st.booleans()):
        params["class_weight"] = "balanced"
    if method == "joint":
        params["fisher"] = draw(st.sampled_from(["batch", "sample", None]))
        params["fisher_samples"] = None
    else:
        params |= {
            "fisher": draw(st.sampled_from(["batch", "sample"])),
            # Repeated rows draw others.
            "fisher_samples": None if exact else draw(st.sampled_from([5, None])),
            "alpha": draw(st.sampled_from([0.0, 0.5, 3.0])),
            "beta": draw(st.sampled_from([0.0, 0.9])),
            "window_threshold": draw(st.sampled_from([0.0, 0.04])),
            "unimodal_weight": draw(st.sampled_from([0.0, 1.0])),
            "pull": draw(st.sampled_from(["decoupled", "gradient"])),
            "padding": draw(st.sampled_from(["zeros", "none"])),
            "first_epoch": draw(st.sampled_from(["open", "closed"])),
        }
    return Situation(
        n_samples=n_samples,
        modalities=parts,
        wrapped=draw(st.booleans()),
        method=method,
        labels=labels,
        n_outputs=2 if labels == "bool" else n_outputs,
        weights=draw(st.booleans()),
        params=tuple(params.items()),
        seed=draw(st.integers(0, 2**16)),
    )


def outputs(fitted, X):
    """Probabilities, or predictions as a matrix."""
    if hasattr(fitted, "predict_proba"):
        return fitted.predict_proba(X)
    return np.reshape(fitted.predict(X), (len(ModalityDict(X)), -1))


def generators():
    """States of the global random generators."""
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().tolist()


def assert_probabilities_are_finite_and_sum_to_one(fitted, X, y):
    got = outputs(fitted, X)
    assert np.isfinite(got).all()
    if not hasattr(fitted, "predict_proba"):
        assert fitted.predict(X).shape == np.shape(y)
        return
    assert got.shape == (len(y), len(np.unique(y))) and (got >= 0).all()
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(fitted.classes_, np.unique(y))
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[got.argmax(axis=1)])
    assert set(fitted.predict(X)) <= set(np.unique(y))


def assert_rows_are_predicted_by_themselves(fitted, X, seed):
    rows, whole = ModalityDict(X), outputs(fitted, X)
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_allclose(outputs(fitted, rows[order]), whole[order], atol=1e-6, rtol=1e-6)
    for row in order[:3]:
        np.testing.assert_allclose(outputs(fitted, rows[[row]]), whole[[row]], atol=1e-6, rtol=1e-6)


def assert_same_bits(fitted, other, X):
    np.testing.assert_array_equal(outputs(other, X), outputs(fitted, X))
    theirs, ours = other.module_.state_dict(), fitted.module_.state_dict()
    assert list(theirs) == list(ours)
    for key, value in ours.items():
        assert torch.equal(theirs[key], value), key


@pytest.mark.slow
@EVERY
@given(situations())
def test_what_holds_of_every_fit(situation):
    X, y, kwargs = situation.data()
    before, state = pickle.dumps((X, y, kwargs)), generators()
    estimator = situation.estimator()
    fitted = clone(estimator).fit(X, y, **kwargs)

    assert_probabilities_are_finite_and_sum_to_one(fitted, X, y)
    assert_rows_are_predicted_by_themselves(fitted, X, situation.seed)
    # The order of the modalities is a matter of what is shown.
    turned = {name: X[name] for name in reversed(list(X))}
    assert_same_bits(fitted, clone(estimator).fit(turned, y, **kwargs), turned)
    # A refit, and a fit of what was fitted before on other data, start anew.
    assert_same_bits(fitted, fitted.fit(X, y, **kwargs), X)
    again = pickle.loads(pickle.dumps(fitted))
    assert_same_bits(fitted, again, X)
    assert again.modalities_ == tuple(X)
    # Data and global generators are as they were.
    assert generators() == state
    old_X, old_y, old_kwargs = pickle.loads(before)
    same = ModalityDict(X) == ModalityDict(old_X)
    assert same  # pytest cannot show what differs
    np.testing.assert_array_equal(y, old_y)
    assert {k: v.tolist() for k, v in kwargs.items()} == {
        k: v.tolist() for k, v in old_kwargs.items()
    }


@pytest.mark.slow
@EVERY
@given(situations(exact=True), st.lists(st.integers(1, 3), min_size=40, max_size=40))
def test_integer_weights_are_repeated_rows(situation, counts):
    """In one batch, in double precision, without dropout and batch norm."""
    X, y, _ = situation.data()
    X, y = ModalityDict(X), np.asarray(y)
    counts = np.array(counts[: len(X)])
    rows = np.repeat(np.arange(len(X)), counts)
    estimator = situation.estimator(batch_size=-1, dtype="float64")
    weighted = clone(estimator).fit(X, y, sample_weight=counts)
    repeated = clone(estimator).fit(X[rows], y[rows])
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), atol=1e-7, rtol=1e-7)
    for quantity, curves in repeated.curves_.items():
        for name, values in curves.items():
            np.testing.assert_allclose(
                weighted.curves_[quantity][name], values, atol=1e-6, rtol=1e-6
            )
