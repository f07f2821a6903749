"""Sequences of unequal length become one array, which the encoders read as the sequences."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalClassifier
from inforeg_sk.features import PadSequences


def sequences(lengths=(2, 5, 3, 1, 4), n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, n_features)) + 1 for n in lengths]


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def padded_by_hand(X, n_steps, value=np.nan, side="end", truncate="end"):
    """Step by step, in Python's lists."""
    rows = []
    for sequence in X:
        steps = sequence.tolist()
        while len(steps) > n_steps:
            steps.pop(-1 if truncate == "end" else 0)
        while len(steps) < n_steps:
            steps.insert(len(steps) if side == "end" else 0, [value] * sequence.shape[1])
        rows.append(steps)
    return np.array(rows)


# What comes out


@pytest.mark.parametrize("n_steps", [1, 3, 5, 8])
@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.parametrize("truncate", ["end", "start"])
def test_padded_by_hand(n_steps, side, truncate):
    for value in (-1.5, 0, np.nan):
        if side == "start" and value != value:
            continue
        settings = {"side": side, "truncate": truncate, "value": value}
        got = PadSequences(n_steps, dtype="float64", **settings).fit_transform(sequences())
        assert_array_equal(got, padded_by_hand(sequences(), n_steps, **settings))


def test_fit_learns_the_longest_and_transform_cuts_to_it():
    pad = PadSequences().fit(sequences())
    assert (pad.n_steps_, pad.n_features_) == (5, 3)
    new = sequences((9, 1), seed=1)
    got = pad.transform(new)
    assert got.dtype == np.float32
    assert_array_equal(got, padded_by_hand(new, 5).astype(np.float32))
    assert PadSequences(n_steps=2).fit(new).n_steps_ == 2


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        objects,
        pd.Series,
        lambda X: [x.tolist() for x in X],
        lambda X: [pd.DataFrame(x) for x in X],
        lambda X: objects([x.astype(object) for x in X]),
    ],
)
def test_forms_of_the_same(form):
    got = PadSequences(dtype="float64").fit_transform(form(sequences()))
    assert_array_equal(got, padded_by_hand(sequences(), 5))


def test_sequences_of_equal_length_may_be_one_array():
    X = np.random.default_rng(0).normal(size=(4, 3, 2))
    for form in (X, X.astype(object), list(X)):
        assert_array_equal(PadSequences(4, dtype="float64").fit_transform(form)[:, :3], X)
    flat = PadSequences(dtype="float64").fit_transform(X[:, :, 0])
    assert_array_equal(flat, X[:, :, :1])


def test_numbers_are_one_feature():
    got = PadSequences(value=-1).fit_transform([[3, 1], np.array([2], dtype=np.uint8), [[7], [8]]])
    assert_array_equal(got, [[[3], [1]], [[2], [-1]], [[7], [8]]])


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        np.nan,
        np.float64("nan"),
        np.float32("nan"),
        np.float16("nan"),
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
        np.full((2, 3), np.nan),
    ],
    ids=str,
)
def test_a_missing_sample_is_nan_throughout(nothing):
    X = sequences((2, 4))
    X.insert(1, nothing)
    pad = PadSequences(6)
    got = pad.fit_transform(X)
    assert np.isnan(got[1]).all()
    expected = padded_by_hand(X[::2], 6).astype(np.float32)
    assert_array_equal(got[::2], expected)
    assert np.isnan(pad.transform([nothing])).all()
    with pytest.raises(ValueError, match=r"all 1 samples are missing \(None\)"):
        PadSequences().fit([nothing])


def test_single_nans_are_left_for_the_classifier():
    X = sequences((3, 2))
    X[0][1, 1] = np.nan
    got = PadSequences(value=0).fit_transform(X)
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 1, 1]]
    got = PadSequences().fit_transform(X)
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 1, 1], [1, 2, 0], [1, 2, 1], [1, 2, 2]]


def test_the_samples_are_not_changed():
    X = sequences()
    before = copy.deepcopy(X)
    PadSequences().fit_transform(X)[:] = 7
    for x, expected in zip(X, before, strict=True):
        assert_array_equal(x, expected)


# What cannot be


@pytest.mark.parametrize(
    "bad, error, match",
    [
        (np.ones((2, 4)), ValueError, "Sample 2 has 4 features per step, but there were 3 in"),
        (np.ones(2), ValueError, "Sample 2 has 1 features per step"),
        (np.ones((2, 3, 1)), ValueError, r"Sample 2 has shape \(2, 3, 1\); it must be a sequence"),
        (1.5, ValueError, r"Sample 2 has shape \(\)"),
        (np.ones((2, 0)), ValueError, r"Sample 2 has 0 features per step, shape \(2, 0\)"),
        ([], ValueError, r"Sample 2 has no steps\. Give None if"),
        (np.ones((0, 3)), ValueError, "Sample 2 has no steps"),
        ([[1, 2, 3], [1, 2]], ValueError, "Sample 2 has steps with different numbers of features"),
        (
            "good film",
            TypeError,
            "Sample 2 is the text 'good film'; it must hold numbers.*word vectors",
        ),
        (["a", "b"], TypeError, "Sample 2 is an array of <U1; it must hold numbers"),
        (objects(["1", 2, 3]), TypeError, "Sample 2 is not numeric .it holds the text '1'"),
        (objects([{}, 2, 3]), TypeError, "Sample 2 is not numeric"),
        (
            np.ones((2, 3), dtype=complex),
            TypeError,
            "Sample 2 is an array of complex128; it must hold numbers",
        ),
        (np.full((1, 3), 1e300), ValueError, "Sample 2 has a number that is too large for float32"),
    ],
)
def test_a_bad_sample_is_named(bad, error, match):
    X = objects([*sequences((2, 3)), bad])
    pad = PadSequences().fit(sequences())
    with pytest.raises(error, match=match):
        pad.transform(X)
    with pytest.raises(error, match=match):
        PadSequences().fit_transform(X)


@pytest.mark.parametrize(
    "X, error, match",
    [
        ([], ValueError, r"Found array with 0 sample\(s\)"),
        ("text", TypeError, "list or array of sequences.*; got str"),
        (3.5, TypeError, "got 3.5"),
        (np.array(3.5), TypeError, "got array"),
        (sparse.eye_array(3, format="csr"), TypeError, "got csr_array"),
        ({"text": [[1]]}, TypeError, r"got a mapping of 'text'\. Give it one modality"),
        (ModalityDict({"text": [[1]]}), TypeError, "got a mapping of 'text'"),
    ],
)
def test_what_is_no_list_of_sequences(X, error, match):
    with pytest.raises(error, match=match):
        PadSequences().fit(X)


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"n_steps": 0}, r"'n_steps' .* must be None or an int in \[1, inf\). Got 0"),
        ({"n_steps": 2.0}, r"'n_steps' .* must be None or an int in \[1, inf\). Got 2.0"),
        ({"value": "0"}, "'value' .* must be NaN or a finite number. Got '0'"),
        ({"side": "start"}, "'value' .* must be a number with side='start'.* Got nan"),
        ({"value": None}, "'value' .* must be NaN or a finite number. Got None"),
        (
            {"value": 1e300},
            r"'value' .* must be a number that dtype, float32, can hold. Got 1e\+300",
        ),
        ({"side": "left"}, "'side' .* must be one of 'end', 'start'. Got 'left'"),
        ({"truncate": "strat"}, "'truncate' .* must be .* Got 'strat'; did you mean 'start'"),
        ({"dtype": "int64"}, "'dtype' .* must be a floating dtype.* Got 'int64'"),
        ({"dtype": None}, "'dtype' .* must be a floating dtype.* Got None"),
        ({"dtype": "flaot"}, "'dtype' .* must be a floating dtype.* Got 'flaot'"),
    ],
)
def test_wrong_settings(settings, match):
    with pytest.raises(ValueError, match=match):
        PadSequences(**settings).fit(sequences())
    pad = PadSequences().fit(sequences()).set_params(**settings)
    with pytest.raises(ValueError, match=match):
        pad.transform(sequences())


# As a scikit-learn transformer


def test_clone_pickle_and_set_output():
    pad = PadSequences(4, value=1, side="start", truncate="start", dtype="float64")
    other = pickle.loads(pickle.dumps(clone(pad).fit(sequences())))
    assert other.get_params() == pad.get_params()
    assert_array_equal(other.transform(sequences()), pad.fit_transform(sequences()))
    assert isinstance(pad.set_output(transform="pandas").transform(sequences()), np.ndarray)


# With the encoders


def labelled(n=40, seed=0):
    """Sequences of 1 to 6 steps whose mean tells the class, beside a modality of noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    text = [rng.normal(size=(rng.integers(1, 7), 3)) + 2 * label for label in y]
    return {"text": text, "audio": rng.normal(size=(n, 2))}, y


def model(n_steps=None, encoder="gru", max_epochs=2, **settings):
    return make_pipeline(
        ModalityTransformer({"text": PadSequences(n_steps)}),
        MultimodalClassifier(
            encoders={"text": encoder}, max_epochs=max_epochs, random_state=0, **settings
        ),
    )


def test_in_a_pipeline():
    X, y = labelled()
    clf = model(max_epochs=60).fit(ModalityDict(X), y)
    assert clf[-1].encoders_["text"].layers[0].input_size == 3
    new, expected = labelled(seed=1)
    assert clf.score(ModalityDict(new), expected) > 0.8
    rows = [3, 1, 8]
    proba = clf.predict_proba(ModalityDict(new))
    np.testing.assert_allclose(clf.predict_proba(ModalityDict(new)[rows]), proba[rows], atol=1e-6)


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_more_padding_changes_no_prediction(encoder):
    X, y = labelled()
    longest = max(map(len, X["text"]))
    once = model(longest, encoder).fit(X, y)
    twice = model(2 * longest, encoder).fit(X, y)
    assert once[0].transform(X)["text"].shape == (40, longest, 3)
    assert twice[0].transform(X)["text"].shape == (40, 2 * longest, 3)
    np.testing.assert_allclose(once.predict_proba(X), twice.predict_proba(X), rtol=0, atol=1e-5)


def test_scaling_afterwards_leaves_padding_and_missing_samples_alone():
    X, y = labelled()
    X["text"][2] = None
    both = make_pipeline(
        ModalityTransformer({"text": PadSequences(8, dtype="float64")}),
        ModalityTransformer({"text": StandardScaler()}),
    )
    got = both.fit_transform(X, y)["text"]
    present = [x for x in X["text"] if x is not None]
    steps = np.concatenate(present)
    assert np.isnan(got[2]).all()
    for row, x in zip(np.delete(got, 2, axis=0), present, strict=True):
        expected = (x - steps.mean(axis=0)) / steps.std(axis=0)
        np.testing.assert_allclose(row[: len(x)], expected, rtol=0, atol=1e-10)
        assert np.isnan(row[len(x) :]).all()


# Texts as they are


def test_texts_beside_numbers():
    """A vectorizer of scikit-learn gets the 1-D array of strings of its modality."""
    rng = np.random.default_rng(0)
    y = np.array(["bad", "good"])[rng.integers(0, 2, 60)]
    words = {"bad": ["dull", "poor", "slow"], "good": ["bright", "rich", "quick"]}
    texts = np.array([" ".join(["film", *rng.choice(words[label], 4)]) for label in y])
    X = ModalityDict({"text": texts, "audio": rng.normal(size=(60, 2))})
    vectors = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))
    clf = make_pipeline(
        ModalityTransformer({"text": vectors, "audio": StandardScaler()}),
        MultimodalClassifier(max_epochs=100, random_state=0),
    )
    clf.fit(X[:40], y[:40])
    assert clf[0].transform(X)["text"].shape == (60, 3)
    assert clf.score(X[40:], y[40:]) == 1
    new = {"text": ["a bright and quick film", "dull and slow, a poor film"], "audio": [[0, 0]] * 2}
    assert clf.predict(new).tolist() == ["good", "bad"]


def test_sequences_of_equal_length_reach_a_transformer_of_sequences_whole():
    """A list of arrays of one length becomes a 3-D array, of which no table may be made."""
    text = [np.ones((n, 4)) for n in (2, 5, 3)]
    pad = ModalityTransformer({"text": PadSequences()}).fit({"text": text})
    alone = pad.transform({"text": text[:1]})["text"]
    assert alone.shape == (1, 5, 4)
    assert_array_equal(alone[0], pad.transform({"text": text})["text"][0])
    equal = ModalityTransformer({"text": PadSequences(7)}).fit_transform({"text": text[:1] * 3})
    assert equal["text"].shape == (3, 7, 4)
