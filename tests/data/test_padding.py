"""Steps of NaN at the end of a sample are padding, from the door to the encoders; zero is not."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from torch import nn

from inforeg_sk import ModalityTransformer, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.data.arrays import check_arrays
from inforeg_sk.data.padding import real_lengths, real_steps
from inforeg_sk.features import PadSequences
from inforeg_sk.network.inputs import fill_padding, padding_of

NAN = float("nan")


def lengths_by_loop(x, value):
    """Samples, steps and features one by one."""
    lengths = []
    for sample in x.tolist():
        n = len(sample)
        while n and all(v != v if value != value else v == value for v in sample[n - 1]):
            n -= 1
        lengths.append(n)
    return lengths


def sequences(n=40, n_steps=6, n_features=3, value=NAN, seed=0):
    """Sequences of 1 to n_steps steps whose mean tells the class, beside noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, n_steps, n_features)) + y[:, None, None]
    x[np.arange(n_steps) >= rng.integers(1, n_steps + 1, n)[:, None]] = value
    return {"text": x, "other": rng.normal(size=(n, 2))}, y


def small(encoder="auto", cls=MultimodalClassifier, **params):
    params = {"max_epochs": 3, "dtype": "float64", "random_state": 0, **params}
    return cls(encoders={"text": encoder}, **params)


# The rule


@pytest.mark.parametrize("value", [NAN, 0.0, -1.5])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_lengths_by_loop(value, kind):
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, -1.5, NAN, 7.0], p=[0.3, 0.3, 0.3, 0.1], size=(3000, 4, 2))
    x[0], x[1], x[2] = 0.0, -1.5, NAN
    expected = lengths_by_loop(x, value)
    assert {0, 1, 2, 3, 4} <= set(expected)
    lengths = real_lengths(kind(x), value)
    assert lengths.tolist() == expected
    mask = [[step < n for step in range(4)] for n in expected]
    assert real_steps(lengths, 4).tolist() == mask


# The door


def checked(x, **settings):
    return check_arrays({"text": x}, len(x), np.dtype("float32"), **settings)


@pytest.mark.parametrize(
    "form", [np.asarray, np.float32, lambda x: x.astype(object), np.ndarray.tolist]
)
def test_trailing_steps_of_nan_are_taken(form):
    x = sequences()[0]["text"]
    given = np.asarray(form(x)) if form is np.ndarray.tolist else form(x)
    np.testing.assert_array_equal(checked(given).arrays["text"], x.astype(np.float32))


@pytest.mark.parametrize("place", [np.s_[5, 0], np.s_[5, 3, 1], np.s_[5, 5, 1], np.s_[5, :5]])
@pytest.mark.parametrize("missing", ["error", "allow"])
def test_nan_anywhere_else_is_refused(place, missing):
    x = np.ones((9, 6, 3))
    x[2, 4:] = x[7, 1:] = NAN
    x[place] = NAN
    with pytest.raises(ValueError, match=r"'text' contains NaN in row 5.*padding only at the end"):
        checked(x, missing=missing)


def test_a_sample_of_nothing_but_nan_is_missing():
    x = sequences()[0]["text"]
    x[4] = NAN
    with pytest.raises(ValueError, match=r"contains NaN in row 4.*take them as missing"):
        checked(x)
    with pytest.raises(ValueError, match="each needs at least one"):
        checked(x, missing="allow")
    other = np.ones((len(x), 2))
    both = check_arrays({"text": x, "o": other}, len(x), np.dtype(float), missing="allow")
    assert (~both.presence.mask("text")).nonzero().tolist() == [[4]]


@pytest.mark.parametrize("bad", [np.inf, 1e300])
def test_infinity_in_front_of_padding_is_refused(bad):
    x = sequences()[0]["text"]
    x[3, 0, 1] = bad
    with pytest.raises(ValueError, match="in row 3"):
        checked(x)
    x[3], x[3, 5] = 0, bad
    with pytest.raises(ValueError, match="in row 3"):
        checked(x)


@pytest.mark.parametrize("shape", [(8, 6), (8, 2, 6, 3), (8, 2, 2, 6, 3)])
def test_only_sequences_have_padding(shape):
    x = np.ones(shape)
    x[3, -1] = NAN
    with pytest.raises(ValueError, match="contains NaN in row 3"):
        checked(x)


def test_parts_of_a_modality_have_no_padding():
    x = sequences()[0]["text"]
    with pytest.raises(ValueError, match=r"'text\[a\]' contains NaN"):
        check_arrays({"text": {"a": x, "b": np.ones((40, 2))}}, 40, np.dtype(float))


def test_one_step_has_no_padding():
    x = np.ones((4, 1, 3))
    x[1] = NAN
    with pytest.raises(ValueError, match="contains NaN in row 1"):
        checked(x)


# What encoders get


class Seen(nn.Module):
    """Keeps what it gets."""

    def __init__(self, input_shape):
        super().__init__()
        self.linear = nn.Linear(input_shape[0] * input_shape[1], 4)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return self.linear(x.nan_to_num(7).flatten(1))


class Told(Seen):
    padding_value = NAN


class Other(Seen):
    padding_value = -2.0


class NotANumber(Seen):
    padding_value = "right"


class Off(Seen):
    padding_value = None


@pytest.mark.parametrize(
    "kind, value", [(Seen, 0.0), (Told, NAN), (Other, -2.0), (NotANumber, 0.0), (Off, 0.0)]
)
@pytest.mark.parametrize("instance", [False, True])
def test_a_users_module_gets_zeros_unless_it_says_otherwise(kind, value, instance):
    X, y = sequences()
    encoder = kind((6, 3)) if instance else kind
    model = small(encoder, max_epochs=1, batch_size=-1).fit(X, y)
    seen = model.encoders_["text"].seen
    seen.clear()
    model.predict(X)
    expected = np.where(np.isnan(X["text"]), value, X["text"])
    np.testing.assert_array_equal(seen[0], expected)


def test_what_is_no_sequence_is_handed_on():
    x = torch.full((2, 3), NAN)
    assert fill_padding(x, nn.Identity()) is x
    parts = {"ids": torch.ones(2, 3, dtype=torch.int64)}
    assert fill_padding(parts, nn.Identity()) is parts
    assert padding_of(nn.Identity()) is None and padding_of(Off((1, 1))) is None
    assert padding_of(Other((1, 1))) == -2


@pytest.mark.parametrize("encoder", ["auto", "mlp", "cnn"])
def test_encoders_that_do_not_know_padding_get_zeros(encoder):
    X, y = sequences()
    zeros = {**X, "text": np.nan_to_num(X["text"])}
    raw = {"standardize": False}  # else the zeros would count
    a, b = (small(encoder, **raw).fit(data, y).predict_proba(data) for data in (X, zeros))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_zeros_by_name_are_the_same_as_nan(encoder):
    """The standard encoders find the same lengths, and see nothing of what pads."""
    (X, y), (Z, _) = sequences(), sequences(value=0.0)
    a = small(encoder).fit(X, y).predict_proba(X)
    by_name = small(encoder, encoders__text__padding_value=0).fit(Z, y)
    np.testing.assert_allclose(by_name.predict_proba(Z), a, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_name.predict_proba(X), a, rtol=0, atol=1e-9)
    assert np.abs(small(encoder).fit(Z, y).predict_proba(Z) - a).max() > 1e-3


@pytest.mark.parametrize("encoder", ["mlp", "gru", "transformer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fits_on_padded_data_are_finite(encoder, dtype):
    X, y = sequences()
    for model, target in (
        (small(encoder, dtype=dtype), y),
        (small(encoder, MultimodalRegressor, dtype=dtype), y * 1.5),
    ):
        model.fit(X, target)
        assert all(p.isfinite().all() for p in model.module_.parameters())
        assert np.isfinite(model.forward(X).numpy()).all()


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_real_zeros_at_the_end_are_values(encoder):
    """A series whose last value alone tells the class, by a 0: it was taken for padding."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    series = rng.choice([1.0, 2.0], size=(200, 5, 1))
    series[:, -1, 0] = np.where(y, rng.choice([1.0, 2.0], 200), 0)
    model = small(encoder, max_epochs=40).fit({"text": series[:120]}, y[:120])
    assert model.score({"text": series[120:]}, y[120:]) > 0.95


def test_from_lists_to_predictions():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    text = [rng.normal(size=(rng.integers(1, 6), 3)) + c for c in y]
    text[4] = None
    X = {"text": text, "other": rng.normal(size=(30, 2))}
    model = make_pipeline(
        ModalityTransformer({"text": PadSequences()}, missing="allow"),
        small("gru", missing="allow"),
    )
    assert np.isfinite(model.fit(X, y).predict_proba(X)).all()
    shortest = min((x for x in text if x is not None), key=len)
    assert np.isfinite(model.predict_proba({"text": [shortest]})).all()
