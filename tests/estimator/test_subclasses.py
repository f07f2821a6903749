"""Subclasses keep their settings through clone, get_params, set_params and searches."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from inforeg_sk import (
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)

ESTIMATORS = [
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    MultimodalInfoRegRegressor,
]


class WithKwargs(MultimodalInfoRegClassifier):
    def __init__(self, l1=0.0, **kwargs):
        super().__init__(**kwargs)
        self.l1 = l1


class WithArgs(MultimodalInfoRegClassifier):
    def __init__(self, *args, lambda1=0.01, **kwargs):
        super().__init__(*args, **kwargs)
        self.lambda1 = lambda1


class Fixed(MultimodalInfoRegClassifier):
    """Fixes alpha, and has another default of max_epochs."""

    def __init__(self, extra="x", max_epochs=3, **kwargs):
        super().__init__(alpha=0, max_epochs=max_epochs, **kwargs)
        self.extra = extra


class FixedTwice(Fixed):
    def __init__(self, **kwargs):
        super().__init__(beta=0.5, **kwargs)


class Written(MultimodalRegressor):
    """Takes nothing but what it names."""

    def __init__(self, lr=0.1):
        super().__init__(lr=lr)


@pytest.mark.parametrize("cls, own", [(WithKwargs, "l1"), (WithArgs, "lambda1")])
def test_settings_handed_on_by_kwargs_survive_clone(cls, own):
    made = cls(**{own: 0.1}, max_epochs=7, lr=0.5, alpha=1.0, encoders__hidden=8, device="cpu")
    twin = clone(made)
    assert twin.get_params(deep=False) == made.get_params(deep=False)
    assert (getattr(twin, own), twin.max_epochs, twin.lr, twin.alpha) == (0.1, 7, 0.5, 1.0)
    assert twin.encoders__hidden == 8 and twin.get_params()["device"] == "cpu"
    names = set(made.get_params(deep=False))
    assert names == set(MultimodalInfoRegClassifier().get_params(deep=False)) | {
        own,
        "encoders__hidden",
    }
    twin.set_params(**{own: 2.0}, alpha=0.3)
    assert (getattr(twin, own), twin.alpha) == (2.0, 0.3)


def test_positional_settings_survive_clone():
    made = WithArgs(2.0, 0.4)
    assert (clone(made).alpha, clone(made).beta) == (2.0, 0.4)


@pytest.mark.parametrize("cls, fixed", [(Fixed, {"alpha"}), (FixedTwice, {"alpha", "beta"})])
def test_a_parameter_that_the_subclass_fixes_is_left_out(cls, fixed):
    made = cls(extra="y", lr=0.2)
    assert not fixed & set(made.get_params())
    twin = clone(made)
    assert (twin.alpha, twin.extra, twin.lr, twin.max_epochs) == (0, "y", 0.2, 3)
    with pytest.raises(ValueError, match="Invalid parameter 'alpha'"):
        made.set_params(alpha=1.0)


def test_a_subclass_that_names_all_it_takes():
    assert set(Written().get_params(deep=False)) == {"lr"}
    assert clone(Written(lr=0.3)).lr == 0.3


@pytest.mark.parametrize("cls", [WithKwargs, WithArgs, Fixed])
def test_subclasses_are_searched_and_trained(trimodal, cls):
    X, y = trimodal
    settings = {"max_epochs": 2, "random_state": 0, "encoders__hidden": 4}
    search = GridSearchCV(cls(**settings), {"lr": [0.01, 0.1]}, cv=2, error_score="raise")
    search.fit(ModalityDict(X), y)
    assert search.best_estimator_.max_epochs == 2
    assert search.best_estimator_.encoders__hidden == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_misspelt_setting_of_a_subclass_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match="no parameter 'max_epoch'; did you mean 'max_epochs'"):
        WithKwargs(max_epoch=3)


# Signatures and docstrings


def described(cls):
    """Parameters of a class's docstring with their descriptions."""
    text = inspect.getdoc(cls).split("Parameters\n----------\n")[1].split("\n\n")[0]
    found, names = {}, ()
    for line in text.splitlines():
        if not line.startswith(" "):
            head = line.partition(" : ")[0]
            names = [name.strip() for name in head.split(",")]
            found.update({name: [line.partition(" : ")[2]] for name in names})
        else:
            for name in names:
                found[name].append(line.strip())
    return {name: "\n".join(lines) for name, lines in found.items()}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_docstring_describes_every_parameter_of_the_signature_in_its_order(cls):
    signature = inspect.signature(cls.__init__).parameters
    names = [n for n, p in signature.items() if n != "self" and p.kind is not p.VAR_KEYWORD]
    assert len(names) >= 22
    documented = [name for name in described(cls) if name != "**kwargs"]
    assert sorted(documented) == sorted(names)
    # What skorch adds comes last.
    assert documented[-5:] == [
        "iterator_train",
        "iterator_valid",
        "compile",
        "use_caching",
        "torch_load_kwargs",
    ]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_docstring_gives_the_defaults_of_the_signature(cls):
    text = described(cls)
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        default = parameter.default
        given = text[name].splitlines()[0].partition("default=")[2]
        if isinstance(default, type):
            assert given.rpartition(".")[2] == default.__name__, name
        elif isinstance(default, float):
            assert float(given) == default, name
        else:
            assert given == (f'"{default}"' if isinstance(default, str) else str(default)), name


def test_descriptions_of_shared_parameters_are_the_same_everywhere():
    texts = [described(cls) for cls in ESTIMATORS]
    special = {"method", "criterion", "unimodal_weight"}
    for i, first in enumerate(texts):
        for second in texts[i + 1 :]:
            for name in set(first) & set(second) - special:
                assert first[name] == second[name], name
