"""Arguments of all loaders and the generator: each is checked before any file is looked for."""

import inspect

import numpy as np
import pytest

from inforeg_sk import datasets
from inforeg_sk.utils.parameters import InvalidParameterError

ARGUMENTS = [
    (name, argument)
    for name in datasets.__all__
    for argument in inspect.signature(getattr(datasets, name)).parameters
]
MISSPELT = [
    ("load_av_digits", "split", "tests", "test"),
    ("load_cmu_mosi", "features", "aligned50", "aligned_50"),
    ("load_cmu_mosi", "padding", "kepe", "keep"),
    ("load_cmu_mosi", "target", "sevn", "seven"),
    ("load_crema_d", "split", "actor", "actors"),
    ("load_crema_d", "defects", "drops", "drop"),
    ("load_kinetics_sounds", "missing", "alow", "allow"),
    ("load_utd_mhad", "split", "trian", "train"),
]


@pytest.mark.parametrize("name, argument", ARGUMENTS)
@pytest.mark.parametrize("value", [object(), 2 + 1j, b"bytes"])
def test_an_unacceptable_argument_is_refused(name, argument, value):
    with pytest.raises(InvalidParameterError) as caught:
        getattr(datasets, name)(**{argument: value})
    message = str(caught.value)
    assert message.startswith(f"The '{argument}' parameter of {name} must be ")
    assert f" Got {value!r}" in message


@pytest.mark.parametrize("name, argument, given, meant", MISSPELT)
def test_the_nearest_option_is_suggested(name, argument, given, meant):
    with pytest.raises(InvalidParameterError, match=f"Got '{given}'; did you mean '{meant}'?"):
        getattr(datasets, name)(**{argument: given})


@pytest.mark.parametrize("modalities", [iter(["skeleton"]), 3, [["skeleton"]], {"depth": 1, 2: 3}])
def test_modalities_are_a_sequence_of_names(modalities):
    with pytest.raises(InvalidParameterError, match="'modalities' parameter of load_utd_mhad must"):
        datasets.load_utd_mhad(modalities=modalities)


def test_numbers_of_numpy_are_numbers():
    given = {"n_features": np.int16(5), "strength": np.float32(2), "n_steps": np.uint8(3)}
    X, y = datasets.make_multimodal_classification(
        np.int64(30), modalities={"a": given}, flip_y=np.float32(0), shuffle=np.bool_(True)
    )
    assert X["a"].shape == (30, 3, 5) and X["a"].dtype == np.float64 and len(y) == 30
