"""Docstrings of front ends and of loaders: parameters that several share are described alike."""

import ast
import inspect
import re

import pytest

from inforeg_sk import datasets, features

# Parameters whose description says what is peculiar to one of the classes or functions.
FRONT_ENDS = [
    (["LogSTFT", "LogMel", "MFCC"], {"n_fft", "hop_length", "n_mels"}),
    (["LogMel", "MFCC"], {"n_mels"}),
]
LOADERS = [
    (["load_av_digits", "load_cmu_mosi", "load_crema_d", "load_kinetics_sounds", "load_utd_mhad"],
     {"split", "root", "modalities", "audio", "video", "missing", "lists", "max_bytes",
      "follow_links"}),
    (["load_crema_d", "load_kinetics_sounds"], {"root", "lists"}),
]  # fmt: skip


def section(thing, title):
    """The text of one section of a docstring."""
    doc = inspect.getdoc(thing)
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)", doc, re.M | re.S)
    return match[1]


def paragraphs(thing):
    """The description of each parameter, by name."""
    found = {}
    for head, body in re.findall(
        r"^(\S[^\n]*)\n((?:(?: [^\n]*)?\n)+)", section(thing, "Parameters"), re.M
    ):
        names, _, kind = head.partition(" : ")
        for name in names.split(", "):
            found[name] = f"{kind}\n{body.strip()}"
    return found


@pytest.mark.parametrize("thing", [*features.__all__, *datasets.__all__])
def test_all_parameters_are_described_in_order(thing):
    thing = getattr(features, thing, None) or getattr(datasets, thing)
    signature = inspect.signature(thing).parameters
    described = paragraphs(thing)
    assert list(described) == list(signature)
    for name, parameter in signature.items():
        default = re.match(r".*default=(.*)", described[name])
        if parameter.default is inspect.Parameter.empty:
            assert default is None
        elif re.match(r"`| *\S+ and ", default[1]) is None:  # another parameter, or two at once
            if default[1] == "NaN":
                assert parameter.default != parameter.default
                continue
            power = re.fullmatch(r"(\d+)\*\*(\d+)", default[1])
            value = int(power[1]) ** int(power[2]) if power else ast.literal_eval(default[1])
            assert value == parameter.default


@pytest.mark.parametrize("names, peculiar", [*FRONT_ENDS, *LOADERS])
def test_shared_parameters_are_described_alike(names, peculiar):
    described = [
        paragraphs(getattr(features, name, None) or getattr(datasets, name)) for name in names
    ]
    counts = [name for found in described for name in found]
    shared = {name for name in counts if counts.count(name) > 1} - peculiar
    assert shared
    for name in shared:
        texts = {found[name] for found in described if name in found}
        assert len(texts) == 1, f"{name} is described in {len(texts)} ways"


def test_errors_of_the_audio_front_ends_are_described_alike():
    names = ["LogSTFT", "LogMel", "MFCC"]
    assert len({section(getattr(features, name), "Raises") for name in names}) == 1
