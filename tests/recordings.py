"""Short recordings of noise, and audio front ends of small settings for them."""

import numpy as np
import pytest

from inforeg_sk.features import MFCC, LogMel, LogSTFT

pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")

RATE = 8000
FRONT_ENDS = [LogSTFT, LogMel, MFCC]
SMALL = {"sample_rate": RATE, "duration": 0.5, "n_fft": 256, "hop_length": 100}


def make(kind, **settings):
    """A front end of small settings, for half a second at 8 kHz."""
    bands = {} if kind is LogSTFT else {"n_mels": 20}
    cepstra = {"n_mfcc": 10} if kind is MFCC else {}
    return kind(**{**SMALL, **bands, **cepstra, **settings})


def noise(seconds, rate=RATE, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal(round(seconds * rate))).astype(np.float32)


def write(path, sound, rate=RATE):
    """Write floats without loss."""
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return str(path)


def six_recordings(folder):
    """Paths of six recordings of half a second."""
    return np.array([write(folder / f"{i}.wav", noise(0.5, seed=i)) for i in range(6)])


class Samples(LogSTFT):
    """Gives the samples themselves, so that what was done to them can be seen."""

    def _features(self, sound):
        return np.append(sound, np.nan)[None]  # one frame each, and the one after the end


def samples(X, **settings):
    """The samples that features would be computed from."""
    got = Samples(n_fft=1, hop_length=1, **settings).fit_transform(X)
    assert got.shape[2] == 1
    return got[:, :-1, 0]


def flatten(X):
    return X.reshape(len(X), -1)
