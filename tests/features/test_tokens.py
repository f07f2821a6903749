"""Texts become token ids and masks, which a language model takes as its modality."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.features import Tokens
from inforeg_sk.network import PretrainedEncoder

TEXTS = ["bad dab", "", "a cab", "deeded badge"]
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "fine": 3, "bad": 4, "dull": 5, "film": 6, "a": 7}


def letters(texts, *, padding, truncation, max_length, return_tensors):
    """Letters by their place in the alphabet, spaces as 27."""
    assert padding == "max_length" and truncation is True and return_tensors == "np"
    assert type(texts) is list and all(type(text) is str for text in texts)
    assert type(max_length) is int
    ids = np.zeros((len(texts), max_length), dtype=np.int64)
    for row, text in zip(ids, texts):
        numbers = [27 if letter == " " else ord(letter) - 96 for letter in text[:max_length]]
        row[: len(numbers)] = numbers
    return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}


class Giving:
    """A tokenizer that gives what it was made with, whatever it gets."""

    def __init__(self, value, **attributes):
        self.value = value
        vars(self).update(attributes)

    def __call__(self, texts, **settings):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


# What comes out


def test_by_hand():
    arrays = Tokens(letters, max_length=5).fit_transform(TEXTS)
    assert type(arrays) is dict and list(arrays) == ["input_ids", "attention_mask"]
    ids = [[2, 1, 4, 27, 4], [0, 0, 0, 0, 0], [1, 27, 3, 1, 2], [4, 5, 5, 4, 5]]
    assert_array_equal(arrays["input_ids"], ids)
    assert_array_equal(arrays["attention_mask"], np.array(ids) != 0)
    assert {type(array) for array in arrays.values()} == {np.ndarray}
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    "form",
    [
        tuple,
        np.array,
        objects,
        lambda X: np.array(X)[:, None],
        pytest.param(
            lambda X: np.array(X, dtype=np.dtypes.StringDType()),
            marks=pytest.mark.skipif(
                not hasattr(np.dtypes, "StringDType"), reason="new in numpy 2"
            ),
        ),
        lambda X: [[text] for text in X],
        lambda X: pd.Series(X, index=[5, 3, 1, 0]),
        lambda X: pd.Series(X, dtype="string"),
        lambda X: pd.DataFrame({"text": X}),
        lambda X: np.ma.array(X, mask=False),
    ],
)
def test_forms_of_the_same(form):
    got, expected = (Tokens(letters, max_length=7).transform(X) for X in (form(TEXTS), TEXTS))
    assert_array_equal(got["input_ids"], expected["input_ids"])


def test_always_of_the_same_length():
    tokens = Tokens(letters).fit(TEXTS)
    for texts in (TEXTS, TEXTS[1:2], ["a" * 500]):
        shapes = {array.shape for array in tokens.transform(texts).values()}
        assert shapes == {(len(texts), 128)}
    searched = tokens.set_params(max_length=np.int64(3)).transform(TEXTS)
    assert searched["input_ids"].shape == (4, 3)


def test_types_and_names_are_the_tokenizers():
    given = {
        "ids": np.ones((2, 3), np.int32),
        "real": np.ones((2, 3), bool),
        "share": np.ones((2, 3), np.float32),
    }
    got = Tokens(Giving(given), max_length=3).fit_transform(["a", "b"])
    assert {name: array.dtype for name, array in got.items()} == {
        "ids": np.int32,
        "real": bool,
        "share": np.float32,
    }


# As a scikit-learn transformer


def test_nothing_is_learned():
    tokens = Tokens(letters, max_length=5)
    assert not get_tags(tokens).requires_fit
    before = tokens.transform(TEXTS)["input_ids"]
    assert tokens.fit(["other"]) is tokens
    assert_array_equal(tokens.transform(TEXTS)["input_ids"], before)
    assert vars(tokens) == {"tokenizer": letters, "max_length": 5}


def test_clone_pickle_and_set_output():
    tokens = Tokens(letters, max_length=5)
    other = pickle.loads(pickle.dumps(clone(tokens)))
    assert other.get_params() == tokens.get_params() == {"tokenizer": letters, "max_length": 5}
    arrays = tokens.set_output(transform="pandas").transform(TEXTS)
    assert type(arrays["input_ids"]) is np.ndarray
    assert_array_equal(other.transform(TEXTS)["input_ids"], arrays["input_ids"])


# What is refused


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    "sample, match",
    [
        (None, r"is None; it must be a str\. ModalityTransformer\(missing='allow'\)"),
        (np.nan, r"is nan; it must be a str\. .*missing='allow'"),
        (np.float32("nan"), r"is .*nan.*; it must be a str\. .*missing='allow'"),
        (pd.NA, r"is <NA>; it must be a str\. .*missing='allow'"),
        (3, r"is 3; it must be a str\.$"),
        (b"bad", r"is b'bad'; it must be a str\. Decode"),
        (["a", "cab"], r"is \['a', 'cab'\]; it must be a str\. Join its words"),
        (np.array(["a", "cab"]), r"is array\(.*; it must be a str\. Join its words"),
        (b"b" * 500, r"is b'b{75}\.\.\.; it must be a str"),
    ],
)
def test_what_is_no_text(method, sample, match):
    for X in (["a", "b", sample], objects(["a", "b", sample])):
        with pytest.raises(TypeError, match=f"Sample 2 {match}"):
            getattr(Tokens(letters), method)(X)


def test_a_masked_sample_is_no_text():
    masked = np.ma.array(["a", "N/A", "b"], mask=[False, True, False])
    with pytest.raises(TypeError, match="Sample 1 is None"):
        Tokens(letters).transform(masked)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    "X, error, match",
    [
        ("a text", TypeError, r"single value 'a text'\. Did you mean \['a text'\]\?"),
        (b"a text", TypeError, "single value b'a text'"),
        (None, TypeError, "takes texts .*; got None"),
        (sparse.eye_array(3, format="csr"), TypeError, "takes texts .*; got <Compressed"),
        ([np.ones((2, 3)), np.ones((2, 4))], TypeError, "takes texts .*; got"),
        ({"text": TEXTS}, TypeError, r"got a mapping of 'text'\. Give it one modality"),
        (ModalityDict({"text": TEXTS}), TypeError, "got a mapping of 'text'"),
        ([], ValueError, r"Found array with 0 sample\(s\): Tokens takes texts"),
        (np.array([["a", "b"]]), ValueError, r"takes texts .*; got an array of shape \(1, 2\)"),
        (np.ones(3), TypeError, "Sample 0 is 1.0; it must be a str"),
    ],
)
def test_what_are_no_texts(method, X, error, match):
    with pytest.raises(error, match=match):
        getattr(Tokens(letters), method)(X)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    "settings, error, match",
    [
        ({"max_length": 0}, ValueError, r"'max_length' .* must be an int in \[1, inf\). Got 0"),
        ({"max_length": 8.0}, ValueError, r"'max_length' .* must be an int in \[1, inf\). Got 8.0"),
        (
            {"max_length": None},
            ValueError,
            r"'max_length' .* must be an int in \[1, inf\). Got None",
        ),
        ({"tokenizer": None}, TypeError, r"'tokenizer' .* must be a callable .*\. Got None\.$"),
        (
            {"tokenizer": "bert"},
            TypeError,
            "'tokenizer' .* Got 'bert'.*AutoTokenizer.from_pretrained",
        ),
        ({"tokenizer": Giving}, TypeError, "'tokenizer' .* Got <class .*Give an instance"),
    ],
)
def test_wrong_settings(method, settings, error, match):
    tokens = Tokens(letters).set_params(**settings)
    with pytest.raises(error, match=match):
        getattr(tokens, method)(TEXTS)


@pytest.mark.parametrize(
    "given, error, match",
    [
        ([[1, 2, 3]], TypeError, r"returned \[\[1, 2, 3\]\]; it must return a mapping"),
        ({}, TypeError, r"returned \{\}; it must return a mapping"),
        ({"ids": [[1, 2, 3], [4]]}, ValueError, "'ids' with rows of unequal length"),
        (
            {"ids": [[1, 2], [4, 5]]},
            ValueError,
            r"'ids' of shape \(2, 2\); its shape must be \(2, 3\)",
        ),
        (
            {"ids": np.ones(3, int)},
            ValueError,
            r"'ids' of shape \(3,\); its shape must be \(2, 3\)",
        ),
        ({"words": [["a", "b", "c"]] * 2}, TypeError, "'words' as <U1; it must hold numbers"),
    ],
)
def test_what_a_tokenizer_may_not_return(given, error, match):
    with pytest.raises(error, match=match):
        Tokens(Giving(given), max_length=3).transform(["a", "b"])


def test_other_errors_of_a_tokenizer_are_left_as_they_are():
    for attributes in ({}, {"pad_token": "[PAD]"}):
        error = ValueError("out of words")
        with pytest.raises(ValueError) as caught:
            Tokens(Giving(error, **attributes)).transform(TEXTS)
        assert caught.value is error


# With Hugging Face transformers


def make_tokenizer(**settings):
    """A tokenizer of whole words, without a file."""
    transformers, tokenizers = map(pytest.importorskip, ("transformers", "tokenizers"))
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", **settings
    )


@pytest.fixture
def tokenizer():
    return make_tokenizer(pad_token="[PAD]")


def make_bert():
    """A tiny BERT with random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
    )
    return transformers.BertModel(config)


def test_a_tokenizer_of_transformers(tokenizer):
    texts = np.array(["a good film", "a very dull dull film", ""])
    arrays = Tokens(tokenizer, max_length=4).fit_transform(texts)
    assert type(arrays) is dict
    assert_array_equal(arrays["input_ids"], [[7, 2, 6, 0], [7, 1, 5, 5], [0, 0, 0, 0]])
    assert_array_equal(arrays["attention_mask"], [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}


def test_the_tokenizer_chooses_the_arrays(tokenizer):
    names = ["input_ids", "attention_mask"]
    for chosen in (names, [*names, "token_type_ids"]):
        tokenizer.model_input_names = chosen
        arrays = clone(Tokens(tokenizer, max_length=4)).transform(["a film"])
        assert set(arrays) == set(chosen)
    assert_array_equal(arrays["token_type_ids"], np.zeros((1, 4)))


def test_without_a_padding_token():
    tokenizer = make_tokenizer()
    tokens = Tokens(tokenizer, max_length=4)
    with pytest.raises(ValueError, match=r"max_length=4.*pad_token = tokenizer\.eos") as e:
        tokens.transform(["a film"])
    assert str(e.value.__cause__) in str(e.value)
    tokenizer.pad_token = tokenizer.unk_token  # as it says
    assert_array_equal(tokens.transform(["a film"])["input_ids"], [[7, 6, 1, 1]])


def test_a_tokenizer_of_the_package_tokenizers():
    with pytest.raises(TypeError, match=r"Wrap it: transformers\.PreTrainedTokenizerFast"):
        Tokens(make_tokenizer().backend_tokenizer).fit(TEXTS)


# In a Pipeline


def labelled(n=60, seed=0):
    """Reviews, one word of which tells the class, beside a modality of noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    telling = np.array([["bad", "dull"], ["good", "fine"]])[y, rng.integers(0, 2, n)]
    texts = [f"a {word} film" if rng.integers(2) else word for word in telling]
    return ModalityDict({"text": texts, "audio": rng.normal(size=(n, 2))}), y


def make_model(tokenizer, missing=False, **settings):
    choice = {"missing": "allow"} if missing else {}
    group = ("encoder_text.*", {"lr": 1e-2, "weight_decay": 0.01})
    settings = {"max_epochs": 20, "optimizer__param_groups": [group], **settings}
    return make_pipeline(
        ModalityTransformer({"text": Tokens(tokenizer, max_length=4)}, **choice),
        MultimodalInfoRegClassifier(
            encoders={"text": PretrainedEncoder(make_bert())}, random_state=0, **settings, **choice
        ),
    )


def test_from_texts_to_predictions(tokenizer):
    X, y = labelled()
    model = make_model(tokenizer).fit(X, y)
    new, expected = labelled(seed=1)
    assert model.score(new, expected) > 0.9
    # One sample, of whatever length, is as long as those of the fit.
    proba = model.predict_proba(new)
    assert_allclose(model.predict_proba(new[[3]]), proba[[3]], atol=1e-5)
    empty = ModalityDict({"text": ["", "a"], "audio": new["audio"][:2]})
    assert np.isfinite(model.predict_proba(empty)).all()
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(new), proba)
    assert_array_equal(clone(model).fit(X, y).predict_proba(new), proba)


def test_an_empty_text_spoils_no_weight(tokenizer):
    X, y = labelled()
    X = ModalityDict({**X, "text": ["", *X["text"][1:]]})
    model = make_model(tokenizer, max_epochs=1).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model[-1].curves_["fisher_trace"]["text"]).all()


def test_search_over_the_length(tokenizer):
    X, y = labelled()
    grid = {"modalitytransformer__text__max_length": [1, 4]}
    search = GridSearchCV(make_model(tokenizer), grid, cv=2, error_score="raise").fit(X, y)
    short, long = search.cv_results_["mean_test_score"]
    # The first word of a sentence is "a"; the word alone tells.
    assert long > short + 0.1 and long > 0.9
    assert search.best_params_ == {"modalitytransformer__text__max_length": 4}
    assert search.predict(X).shape == (60,)


def test_samples_without_a_text(tokenizer):
    X, y = labelled()
    gone = np.arange(60) % 4 == 1
    some = ModalityDict({**X, "text": [None if g else t for g, t in zip(gone, X["text"])]})
    model = make_model(tokenizer, missing=True).fit(some, y)
    text = model[0].transform(some)["text"]
    assert isinstance(text, ModalityDict)
    whole = Tokens(tokenizer, max_length=4).transform(X["text"])
    assert set(text) == set(whole)
    for name, array in whole.items():
        assert_array_equal(np.ma.getmaskarray(text[name]), np.repeat(gone[:, None], 4, axis=1))
        assert_array_equal(text[name][~gone], array[~gone])
    assert model.score(some[~gone], y[~gone]) > 0.9
    # What stands in the samples without one makes no difference to the others.
    assert_allclose(
        model.predict_proba(some)[~gone], model.predict_proba(X)[~gone], rtol=0, atol=1e-5
    )
    audio_only = ModalityDict({"audio": X["audio"][gone]})
    assert_allclose(
        model.predict_proba(some)[gone], model.predict_proba(audio_only), rtol=0, atol=1e-5
    )


def test_a_missing_text_is_an_error_unless_allowed(tokenizer):
    X, y = labelled()
    X = ModalityDict({**X, "text": [*X["text"][:-1], None]})
    with pytest.raises(TypeError, match=r"'text', Tokens: Sample 59 is None; it must be.*'allow'"):
        make_model(tokenizer).fit(X, y)
