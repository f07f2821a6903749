"""What an audio front end costs beside a bare loop over librosa: clips per second.

The bare loop reads each file with soundfile, resamples, cuts or pads, and computes the same log-mel
spectrogram, as one would write it in a script. Each way is run in turn, several rounds over, and
the ratio to the bare loop is that of the medians. Run it with a folder of wav files, or with
INFOREG_SK_DATA or ../shared/data (``fsdd`` in it)::

    python benchmarks/frontends.py

Measured on 2026-11-25 (two CPU cores, 2160 clips of 3 s, five rounds): bare loop 634 clips/s, the
front end in one process 696 (0.91 of the loop's time), in two 1082 (0.59). The files here are short
ones at 8 kHz, padded.
"""

import argparse
import os
import time
from pathlib import Path

import librosa
import numpy as np
import soundfile
from joblib import Parallel, delayed

from inforeg_sk.features import LogMel

RATE, DURATION = 16_000, 3.0
SETTINGS = {"n_fft": 1024, "hop_length": 256, "n_mels": 64}
ROUNDS = 5


def bare_loop(paths):
    """The features as a script would compute them."""
    result = []
    for path in paths:
        sound, rate = soundfile.read(path)
        if sound.ndim > 1:
            sound = sound.mean(axis=1)
        sound = librosa.resample(sound, orig_sr=rate, target_sr=RATE)
        sound = librosa.util.fix_length(sound, size=round(DURATION * RATE))
        mel = librosa.feature.melspectrogram(y=sound, sr=RATE, **SETTINGS)
        result.append(librosa.power_to_db(mel).T.astype(np.float32))
    return np.stack(result)


def front_end(n_jobs):
    return LogMel(RATE, DURATION, n_jobs=n_jobs, **SETTINGS).fit_transform


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="folder of wav files")
    parser.add_argument("--repeat", type=int, default=3, help="times each file is taken")
    args = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    home = Path(os.environ.get("INFOREG_SK_DATA", beside)) / "fsdd"
    paths = sorted(map(str, Path(args.folder or home).glob("*.wav"))) * args.repeat
    if not paths:
        parser.error("no wav files there")

    ways = {"bare loop": bare_loop, "1 process": front_end(1), "2 processes": front_end(2)}
    Parallel(n_jobs=2)(delayed(librosa.resample)(np.ones(9), orig_sr=1, target_sr=2) for _ in "ab")
    features = {name: way(paths[:20]) for name, way in ways.items()}  # warm
    for name, value in features.items():
        np.testing.assert_allclose(value, features["bare loop"], atol=1e-2, err_msg=name)
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way(paths)
            seconds[name].append(time.perf_counter() - start)
    median = {name: np.median(values) for name, values in seconds.items()}
    print(f"{len(paths)} clips of {DURATION:g} s at {RATE} Hz, {ROUNDS} rounds")
    print(f"{'':<14}{'clips/s':>10}{'time / bare loop':>18}")
    for name, value in median.items():
        print(f"{name:<14}{len(paths) / value:>10.0f}{value / median['bare loop']:>18.2f}")


if __name__ == "__main__":
    main()
