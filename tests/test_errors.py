"""Bad input: a clear error before training, and a model fitted earlier stays as it was."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from inforeg_sk import InfoReg, ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.training.loop import TrainingLoop


def make(**kwargs):
    return MultimodalInfoRegClassifier(**{"max_epochs": 1, "random_state": 0, **kwargs})


def with_value(array, where, value):
    array = np.array(array, dtype=float)
    array[where] = value
    return array


def changed(X, **values):
    return {**X, **values}


class Flat(nn.Module):
    """An encoder that forgets to reduce the steps."""

    def __init__(self, input_shape):
        super().__init__()

    def forward(self, x):
        return x[..., None]


# What X is: name -> (function of the good X, error, pattern).
BAD_X = {
    "none": (lambda X: None, ValueError, "X is a mapping .* got NoneType"),
    "text": (lambda X: "abc", ValueError, "X is a mapping .* got str"),
    "1-D": (lambda X: X["text"][:, 0], ValueError, r"X is a mapping.*shape \(90,\).*Reshape"),
    "3-D": (lambda X: X["audio"], ValueError, r"X is a mapping.*shape \(90, 5, 4\)"),
    "empty mapping": (lambda X: {}, ValueError, "empty mapping: at least one modality"),
    "no samples": (lambda X: {m: v[:0] for m, v in X.items()}, ValueError, r"0 sample\(s\)"),
    "lengths": (
        lambda X: changed(X, audio=X["audio"][:80]),
        ValueError,
        "'text' has 90, 'audio' has 80",
    ),
    "nan": (
        lambda X: changed(X, text=with_value(X["text"], (7, 2), np.nan)),
        ValueError,
        "'text' contains NaN in row 7",
    ),
    "infinity in a sequence": (
        lambda X: changed(X, audio=with_value(X["audio"], (5, 1, 1), -np.inf)),
        ValueError,
        "'audio' contains infinity in row 5",
    ),
    "too large": (
        lambda X: changed(X, text=with_value(X["text"], (3, 0), 1e39)),
        ValueError,
        "'text' contains a value too large for float32 .*row 3.*float64",
    ),
    "strings": (
        lambda X: changed(X, text=np.full((90, 2), "a")),
        (TypeError, ValueError),
        "'text' is not numeric",
    ),
    "objects": (
        lambda X: changed(X, text=np.full((90, 2), {}, dtype=object)),
        (TypeError, ValueError),
        "'text' is not numeric",
    ),
    "dates": (
        lambda X: changed(X, text=np.zeros((90, 2), "M8[s]")),
        (TypeError, ValueError),
        "'text' is not numeric",
    ),
    "raw text": (lambda X: changed(X, text=["a"] * 90), ValueError, "'text' has shape .* encode"),
    "complex": (lambda X: changed(X, text=X["text"] * 1j), ValueError, "Complex.*'text'"),
    "no features": (lambda X: changed(X, text=X["text"][:, :0]), ValueError, "'text' is empty"),
    "sparse modality": (
        lambda X: changed(X, text=sparse.csr_array(X["text"])),
        TypeError,
        "'text' is a sparse matrix.*toarray",
    ),
    "sparse table": (lambda X: sparse.csr_array(X["text"]), TypeError, "[Ss]parse"),
    "sparse mapping": (lambda X: sparse.dok_array(X["text"]), TypeError, "[Ss]parse"),
    "name": (lambda X: {1: X["text"]}, TypeError, "names are strings; got 1"),
}

BAD_Y = {
    "none": (lambda y: None, "the target y is None"),
    "length": (lambda y: y[:80], "y has 80 labels, but X has 90 samples"),
    "one class": (lambda y: np.full(90, "joy"), "at least 2 classes; y has one class, 'joy'"),
    "numbers": (lambda y: np.linspace(0, 1, 90), "Unknown label type"),
    "two axes": (lambda y: np.c_[y, y], "1d array"),
    "nan": (lambda y: with_value(np.arange(90) % 2, 3, np.nan), "y contains NaN"),
}

BAD_PARAMETERS = [
    ({"alpha": -1}, "alpha=-1: a finite number of at least 0"),
    ({"alpha": float("nan")}, "alpha=nan"),
    ({"alpha": "strong"}, "alpha='strong'"),
    ({"alpha": {"txet": 1}}, "unknown modality 'txet'.*'audio', 'text', 'video'.*mean 'text'"),
    ({"alpha": {"text": -2}}, r"alpha\['text'\]=-2"),
    ({"beta": -0.1}, "beta=-0.1"),
    ({"unimodal_weight": -1}, "unimodal_weight=-1"),
    ({"window_threshold": "x"}, "window_threshold='x'"),
    ({"window_smoothing": 0}, "window_smoothing=0: an integer of at least 1"),
    ({"strength": "weak"}, "strength='weak': accepted are 'coefficient', 'drift'"),
    ({"method__score": "x"}, "score='x': accepted are 'log_probability', 'probability_sum'"),
    ({"method__trace": "x"}, "trace='x': accepted are 'encoder', 'layers'"),
    ({"method__padding": "x"}, "padding='x': accepted are 'none', 'zeros'"),
    ({"method__first_epoch": "x"}, "first_epoch='x': accepted are 'closed', 'open'"),
    ({"method__leader": "vdeo"}, "leader='vdeo' is no modality.*did you mean 'video'"),
    ({"method__scroe": "x"}, "method__scroe.*did you mean 'score'"),
    ({"method__alpha": 1}, "method__alpha is given as alpha"),
    ({"method": InfoReg()}, "takes the class InfoReg.*MultimodalClassifier"),
    ({"fusion": "concta"}, "fusion='concta' is unknown; accepted are 'concat'"),
    ({"fusion": 3}, "fusion=3; accepted are"),
    ({"encoders": "mpl"}, "'mpl' is unknown; accepted are 'mlp', 'gru'.*did you mean 'mlp'"),
    ({"encoders": {"txt": "mlp"}}, "encoders names 'txt', but the modalities are"),
    ({"encoders": {"text": 3}}, r"encoders\['text'\] is 3"),
    ({"encoders": {"text": Flat}}, r"encoder of modality 'text' gave \(2, 6, 1\)"),
    ({"encoders": {"text": nn.Linear(9, 2)}}, r"encoder of modality 'text' failed.*\(6,\)"),
    ({"encoders": nn.Linear(6, 2)}, "one module instance, which all modalities would share"),
    ({"encoders": {"text": lambda input_shape: 3}}, r"encoders\['text'\] made int"),
    ({"encoders__hiden": 8}, "encoders__hiden.*did you mean 'hidden'"),
    ({"encoders__text__hiden": 8}, "the encoder of 'text' takes.*did you mean 'hidden'"),
    ({"encoders__hidden": 0}, "hidden=0"),
    ({"encoders__dropout": 1.5}, "dropout=1.5"),
    ({"optimizer__momentun": 0.9}, "momentun"),
    ({"dtype": "float16"}, "dtype='float16': accepted are 'float32' and 'float64'"),
    ({"device": "gpu"}, "device='gpu': accepted are 'auto', 'cpu'"),
    ({"max_epochs": 0}, "max_epochs=0"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"lr": -1.0}, "lr=-1.0"),
    ({"fisher": "sampel"}, "fisher='sampel': accepted are 'batch' and None"),
    ({"fisher": None}, "fisher=None switches.*alpha=0"),
    ({"criterion": nn.MSELoss}, "CrossEntropyLoss or a subclass"),
    ({"criterion__weight": torch.ones(3)}, "criterion__weight is not accepted.*class_weight"),
    ({"class_weight": {"jyo": 2}}, "class_weight names the unknown class 'jyo'"),
    ({"modalities": {"a": slice(0, 2)}}, "X is a mapping and names its modalities itself"),
]

BAD_WEIGHTS = [
    (lambda n: np.full(n, -1.0), "negative value -1"),
    (lambda n: np.zeros(n), "All weights are 0|at least one non-zero"),
    (lambda n: np.ones(n - 1), r"sample_weight"),
    (lambda n: np.full(n, np.nan), "NaN"),
]


@pytest.fixture
def no_training(monkeypatch):
    """Fail if training starts."""

    def started(*args, **kwargs):
        raise AssertionError("training started")

    monkeypatch.setattr(TrainingLoop, "fit_loop", started)


@pytest.fixture
def check(trimodal, monkeypatch):
    """Check an error on a new estimator and on a fitted one, which must not change."""
    X, y = trimodal

    def run(settings, error, pattern, X_bad=None, y_bad=None, **kwargs):
        fitted = make().fit(X, y)
        before, history = fitted.predict_proba(X), list(fitted.history)
        state = {k: v for k, v in vars(fitted).items() if k.endswith("_")}

        def started(*args, **kwargs):
            raise AssertionError("training started")

        with monkeypatch.context() as patch:
            patch.setattr(TrainingLoop, "fit_loop", started)
            new = make(**settings)
            names = set(vars(new))
            data = (X if X_bad is None else X_bad(X), y if y_bad is None else y_bad(y))
            with pytest.raises(error, match=f"(?s){pattern}"):
                new.fit(*data, **kwargs)
            assert set(vars(new)) == names and not new.initialized_
            with pytest.raises(error, match=f"(?s){pattern}"):
                fitted.set_params(**settings).fit(*data, **kwargs)
        assert {k: v for k, v in vars(fitted).items() if k.endswith("_")} == state
        assert list(fitted.history) == history
        defaults = make().get_params(deep=False)
        fitted.set_params(**{k: defaults[k] for k in settings if k in defaults})
        assert np.array_equal(fitted.predict_proba(X), before)

    return run


@pytest.mark.parametrize("case", BAD_X)
def test_bad_data(case, check):
    X_bad, error, pattern = BAD_X[case]
    check({}, error, pattern, X_bad=X_bad)


@pytest.mark.parametrize("case", BAD_Y)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_bad_target(case, check):
    y_bad, pattern = BAD_Y[case]
    check({}, ValueError, pattern, y_bad=y_bad)


@pytest.mark.parametrize("settings, pattern", BAD_PARAMETERS, ids=lambda v: str(v)[:40])
def test_bad_parameters(settings, pattern, check):
    check(settings, (TypeError, ValueError), pattern)


@pytest.mark.parametrize("weights, pattern", BAD_WEIGHTS)
def test_bad_weights(weights, pattern, check):
    check({}, ValueError, pattern, sample_weight=weights(90))


def test_nan_beyond_the_first_chunk_is_found(no_training):
    X = np.zeros((9000, 3))
    X[8765, 1] = np.nan
    with pytest.raises(ValueError, match="'a' contains NaN in row 8765"):
        make().fit({"a": X}, np.arange(9000) % 2)


def test_method_of_a_wrong_type(trimodal, no_training):
    X, y = trimodal
    with pytest.raises(TypeError, match="accepted are 'inforeg', 'joint', a BalancingMethod"):
        MultimodalClassifier(3).fit(X, y)
    with pytest.raises(ValueError, match=r"method='inforge' is unknown.*did you mean 'inforeg'"):
        MultimodalClassifier("inforge").fit(X, y)


class TestPredict:
    @pytest.fixture
    def clf(self, trimodal):
        return make().fit(*trimodal)

    def test_missing_and_unknown_modalities(self, clf, trimodal):
        X, _ = trimodal
        with pytest.raises(ValueError, match=r"X misses 'video': .*'audio', 'text', 'video'"):
            clf.predict({m: X[m] for m in ("text", "audio")})
        with pytest.raises(ValueError, match="X has unknown 'smell'"):
            clf.predict({**X, "smell": X["text"]})

    def test_another_shape(self, clf, trimodal):
        X, _ = trimodal
        with pytest.raises(ValueError, match=r"'text' has samples of shape \(5,\).*\(6,\)"):
            clf.predict(changed(X, text=X["text"][:, :5]))

    def test_nan_and_wrong_form(self, clf, trimodal):
        X, _ = trimodal
        with pytest.raises(ValueError, match="'video' contains NaN in row 2"):
            clf.predict_proba(changed(X, video=with_value(X["video"], (2, 0), np.nan)))
        with pytest.raises(ValueError, match="was fitted with a mapping of the modalities"):
            clf.predict(X["text"])

    def test_table_after_table(self, trimodal):
        X, y = trimodal
        clf = make().fit(X["text"], y)
        with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6"):
            clf.predict(X["text"][:, :5])
        with pytest.raises(ValueError, match="misses 'X'"):
            clf.predict(X)

    def test_columns_out_of_range(self, trimodal, no_training):
        X, y = trimodal
        with pytest.raises(ValueError, match=r"columns of 'a', \[7\], are not in .* 6 columns"):
            make(modalities={"a": [7]}).fit(X["text"], y)
        with pytest.raises(ValueError, match="'b' has no columns"):
            make(modalities={"b": slice(8, 9)}).fit(X["text"], y)

    def test_unfitted(self, trimodal):
        from sklearn.exceptions import NotFittedError

        for method in ("predict", "predict_proba", "predict_proba_by_modality"):
            with pytest.raises((NotFittedError, AttributeError), match=r"not fitted|not init"):
                getattr(make(), method)(trimodal[0])

    def test_going_on_with_other_data(self, clf, trimodal):
        X, y = trimodal
        before = clf.predict_proba(X)
        warm = clf.set_params(warm_start=True)
        with pytest.raises(ValueError, match=r"shape \(5,\)"):
            warm.fit(changed(X, text=X["text"][:, :5]), y)
        with pytest.raises(ValueError, match="label 'rage', which is not among the classes"):
            warm.partial_fit(X, np.where(y == "joy", "rage", y))
        with pytest.raises(ValueError, match=r"class_weight='balanced'.*partial_fit"):
            make(class_weight="balanced").partial_fit(X, y)
        assert np.array_equal(clf.predict_proba(X), before)

    def test_container_as_one_array(self, trimodal):
        with pytest.raises(TypeError, match="modalities="):
            np.asarray(ModalityDict(trimodal[0]))
