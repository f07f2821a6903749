"""Names of modalities that collide with parameters, and the settings of transformers by name."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalClassifier

OWN = ["transformers", "remainder", "padding_value", "missing"]


def data(*names):
    rng = np.random.default_rng(0)
    return {name: rng.normal(3, 2, size=(12, 3)) for name in names}


@pytest.mark.parametrize("name", OWN)
def test_a_modality_named_like_a_parameter_is_refused(name):
    both = ModalityTransformer({name: StandardScaler(), "b": PCA(1)})
    message = f"names the modality '{name}', which is also a parameter of ModalityTransformer"
    for call in (both.fit, both.fit_transform):
        with pytest.raises(ValueError, match=message):
            call(data(name, "b"))
    before = both.get_params(deep=False)
    for params in ({name: "drop"}, {"b": "drop"}, {f"{name}__with_mean": False}):
        if name == "transformers" and name in params:
            continue
        with pytest.raises(ValueError, match=message):
            both.set_params(**params)
        assert both.get_params(deep=False) == before
        assert list(both.transformers) == [name, "b"]


@pytest.mark.parametrize("name", OWN)
def test_get_params_gives_the_parameter(name):
    both = ModalityTransformer({name: StandardScaler()})
    assert both.get_params()[name] is both.get_params(deep=False)[name]
    assert clone(both).get_params(deep=False)["remainder"] == "passthrough"


@pytest.mark.parametrize("name", OWN)
def test_such_a_modality_passes_or_has_the_transformer_of_all(name):
    X = data(name, "b")
    passed = ModalityTransformer({"b": StandardScaler()}).set_params(remainder="passthrough")
    assert passed.fit_transform(X)[name] is X[name]
    out = ModalityTransformer(StandardScaler()).fit_transform(X)[name]
    np.testing.assert_allclose(out, StandardScaler().fit_transform(X[name]))


def test_new_transformers_mend_the_collision():
    both = ModalityTransformer({"remainder": StandardScaler()})
    both.set_params(
        transformers={"rest": StandardScaler()}, remainder="drop", rest__with_mean=False
    )
    assert both.remainder == "drop" and both.transformers["rest"].with_mean is False


def test_a_modality_named_like_a_setting_of_another_is_refused():
    both = ModalityTransformer({"a": StandardScaler(), "a__with_mean": PCA(1)})
    message = "'a__with_mean', which is also the parameter 'with_mean' of the transformer of 'a'"
    with pytest.raises(ValueError, match=message):
        both.fit(data("a", "a__with_mean"))
    with pytest.raises(ValueError, match=message):
        both.set_params(a__with_mean=False)


def test_names_with_two_underscores_have_their_settings():
    """The longest name wins, as in ``encoders__...`` of the classifier."""
    X, y = data("a", "a__b", "c__d"), np.arange(12) % 2
    both = ModalityTransformer({"a": StandardScaler(), "a__b": PCA(2), "c__d": PCA(2)})
    both.set_params(a__b__n_components=1, a__with_mean=False, c__d="drop", remainder="drop")
    out = both.fit_transform(X)
    assert out["a__b"].shape == (12, 1) and list(out) == ["a", "a__b"]
    assert both.transformers["a"].with_mean is False
    for key in both.get_params():
        if key not in OWN:
            assert both.set_params(**{key: both.get_params()[key]}) is both
    clf = MultimodalClassifier(max_epochs=1, random_state=0)
    grid = {"modalitytransformer__a__b__n_components": [1, 2]}
    search = GridSearchCV(make_pipeline(both, clf), grid, cv=2, error_score="raise")
    best = search.fit(ModalityDict(X), y).best_estimator_[0]
    assert [best.transformers_["a__b"].n_components] == list(search.best_params_.values())


def test_settings_of_what_has_none_are_refused():
    both = ModalityTransformer({"a": "drop"})
    with pytest.raises(ValueError, match=r"Invalid parameter 'a__with_mean'.*'a' is 'drop'"):
        both.set_params(a__with_mean=False)


def test_settings_of_the_encoders_do_not_collide_with_names():
    """A modality called like a setting: the bare setting is for all, the long one for it."""
    X = data("hidden", "hidden__depth")
    clf = MultimodalClassifier(max_epochs=1, encoders__hidden=4, random_state=0)
    clf.set_params(encoders__hidden__hidden=6).fit(X, np.arange(12) % 2)
    sizes = {n: next(e.parameters()).shape[0] for n, e in clf.encoders_.items()}
    assert sizes == {"hidden": 6, "hidden__depth": 4}
