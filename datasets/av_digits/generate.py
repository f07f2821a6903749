"""Make the data set av_digits: written digits, each with the digit's name in a synthetic voice.

Needs espeak-ng (``apt-get install espeak-ng``), librosa and soundfile. The same seed gives the
same arrays: all that is drawn is drawn first, in a fixed order, and the noise of each row has a
generator of its own. From the root of the repository::

    python datasets/av_digits/generate.py
"""

import argparse
import subprocess
from pathlib import Path

import librosa
import numpy as np
import sklearn
import soundfile
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = 0
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLITS = ("train", "validation", "test")
N_VOICES = {"train": 20, "validation": 10, "test": 30}
SAMPLES_PER_DIGIT = {"train": 2, "validation": 1, "test": 1}  # rows whose sound is shipped

# "en" is British: espeak-ng 1.51 silently drops the variant of "en-gb+f1", but not of "en+f1".
ACCENTS = (
    "en-us",
    "en",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
# Each variant is used once, so that no two voices share one. Left out: whispers, robots, and
# those that sound nearly as another.
VARIANTS = tuple(
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Jacky Lee Mario Michael Mike Nguyen adam "
    "anika announcer antonio aunty belinda boris david ed edward f1 f2 f3 f4 f5 grandma grandpa "
    "gustave iven john kaukovalta klatt3 linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max miguel norbert "
    "pablo paul pedro quincy rob sandro shelby steph travis victor zac".split()
)
VOICES = tuple(f"{ACCENTS[i % len(ACCENTS)]}+{v}" for i, v in enumerate(VARIANTS))

# Ranges of what is drawn for each row, uniformly.
RATE = (140, 200)  # words per minute, espeak-ng's -s
PITCH = (30, 70)  # espeak-ng's -p, 50 being the voice's own
MAX_START = 0.02  # seconds of noise before the word
SNR_DB = (-8.0, 8.0)
IMAGE_SD = (0.15, 0.3)  # of the pixel noise, where ink is 1 and paper 0
LIGHT_SD = 0.4  # of the brightness (normal), and of its slopes across and down the image

# Features. One frame every 25 ms; 12400 samples make exactly 32 frames.
SAMPLE_RATE = 16_000
N_SAMPLES = 12_400
N_FFT, HOP, N_MELS = 512, 400, 32
FLOOR_DB = 50.0  # below the loudest cell: clipped

# Values are stored as whole numbers of steps above a base (uint16).
AUDIO_BASE, AUDIO_STEPS = 0, 4000
IMAGE_BASE, IMAGE_STEPS = -6, 5000


def make_plan(seed=SEED):
    """Draw everything but the noise: who says which digit how, in which row.

    Parameters
    ----------
    seed : int, default=0

    Returns
    -------
    plan : dict of str to ndarray of shape (1797,)
        ``digits_index`` (the image in ``load_digits``), ``target``, ``voice`` and ``split``
        (str), ``rate`` and ``pitch`` (int), ``start`` (seconds), ``snr_db``, ``image_sd``, and
        ``light`` of shape (1797, 3), for `lighting`. Train comes before validation before test;
        within a part the order is random.
    """
    rng = np.random.default_rng(seed)
    target = load_digits().target
    n = len(target)

    part = np.repeat(np.arange(len(SPLITS)), [N_VOICES[split] for split in SPLITS])
    part_of_voice = np.empty(len(VOICES), dtype=int)
    part_of_voice[rng.permutation(len(VOICES))] = part
    voice = np.empty(n, dtype=int)
    for digit in range(len(WORDS)):  # the images of a digit go round all voices
        images = rng.permutation(np.flatnonzero(target == digit))
        voice[images] = np.resize(rng.permutation(len(VOICES)), len(images))

    drawn = {
        "rate": rng.integers(*RATE, size=n, endpoint=True),
        "pitch": rng.integers(*PITCH, size=n, endpoint=True),
        "start": rng.uniform(0, MAX_START, size=n),
        "snr_db": rng.uniform(*SNR_DB, size=n),
        "image_sd": rng.uniform(*IMAGE_SD, size=n),
        "light": LIGHT_SD * rng.standard_normal((n, 3)),
    }
    order = rng.permutation(n)
    order = order[np.argsort(part_of_voice[voice[order]], kind="stable")]
    plan = {
        "digits_index": np.arange(n),
        "target": target.astype(np.int64),
        "voice": np.array(VOICES)[voice],
        "split": np.array(SPLITS)[part_of_voice[voice]],
        **drawn,
    }
    return {name: values[order] for name, values in plan.items()}


def make_rows(plan, rows, seed=SEED):
    """Make the features of some rows; each row has a generator of its own for its noise.

    Parameters
    ----------
    plan : dict
        From `make_plan`.
    rows : iterable of int
    seed : int, default=0

    Yields
    ------
    audio : ndarray of shape (32, 32), uint16
        Codes of the log-mel features.
    image : ndarray of shape (64,), uint16
        Codes of the pixels.
    waveform : ndarray of shape (12400,), int16
        What the log-mel features were computed from.
    """
    digits = load_digits().data / 16
    for row in rows:
        rng = np.random.default_rng([seed, row])
        word = speak(
            WORDS[plan["target"][row]], plan["voice"][row], plan["rate"][row], plan["pitch"][row]
        )
        waveform = add_noise(word, plan["start"][row], plan["snr_db"][row], rng)
        image = digits[plan["digits_index"][row]] + lighting(plan["light"][row])
        image += plan["image_sd"][row] * rng.standard_normal(image.shape)
        audio = encode(log_mel(waveform), AUDIO_BASE, AUDIO_STEPS)
        yield audio, encode(image, IMAGE_BASE, IMAGE_STEPS), waveform


def speak(word, voice, rate, pitch):
    """Return a word spoken by espeak-ng, without silence at its ends, at 16 kHz."""
    command = ["espeak-ng", "-v", voice, "-s", str(rate), "-p", str(pitch), "--stdout", word]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    # A stream has no length in its header, so soundfile would refuse it; it is 44 bytes long.
    sound = np.frombuffer(wav, dtype="<i2", offset=44) / 32768
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max(initial=0))
    if len(loud) == 0:
        raise RuntimeError(f"espeak-ng gave no sound for {' '.join(command)}.")
    native = int.from_bytes(wav[24:28], "little")
    return librosa.resample(
        sound[loud[0] : loud[-1] + 1], orig_sr=native, target_sr=SAMPLE_RATE, res_type="soxr_hq"
    )


def add_noise(word, start, snr_db, rng):
    """Place a word in white noise; return int16 samples with a peak of 0.9."""
    sound = rng.standard_normal(N_SAMPLES) * 10 ** (-snr_db / 20)
    start = round(start * SAMPLE_RATE)
    word = word[: N_SAMPLES - start]
    sound[start : start + len(word)] += word / np.sqrt(np.mean(word**2))
    return np.round(sound * (0.9 * 32767 / np.abs(sound).max())).astype(np.int16)


def log_mel(waveform):
    """Return the log-mel features of int16 samples.

    Parameters
    ----------
    waveform : ndarray of shape (12400,), int16

    Returns
    -------
    ndarray of shape (32, 32), float
        Frames by mel bands. 1 is the loudest cell, 0 is 50 dB below it or less.
    """
    power = librosa.feature.melspectrogram(
        y=waveform / 32768,
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
    )
    db = librosa.power_to_db(power, ref=np.max, top_db=None)
    return np.clip(1 + db.T / FLOOR_DB, 0, 1)


def lighting(light):
    """Return the plane that uneven light adds to the 64 pixels.

    Parameters
    ----------
    light : sequence of 3 float
        Brightness of the middle, and what it gains from the middle to the right and to
        the bottom.
    """
    slope = np.linspace(-1, 1, 8)
    return (light[0] + light[1] * slope + light[2] * slope[:, None]).ravel()


def encode(values, base, steps):
    """Return values as uint16 codes: how many steps of 1 / `steps` they are above `base`."""
    codes = np.round((values - base) * steps)
    return np.clip(codes, 0, 65_535).astype(np.uint16)


def sample_rows(plan):
    """Return the rows whose sound is shipped: the first ones of each part and digit."""
    chosen = [
        np.flatnonzero((plan["split"] == split) & (plan["target"] == digit))[:count]
        for split, count in SAMPLES_PER_DIGIT.items()
        for digit in range(len(WORDS))
    ]
    return np.sort(np.concatenate(chosen))


def sample_name(plan, row):
    """Return the file name of a row's sound."""
    return f"row{row:04d}_{WORDS[plan['target'][row]]}_{plan['voice'][row]}.flac"


def espeak_version():
    """Return the version of espeak-ng, such as "1.51", and check that it has all variants."""
    variants = _run("espeak-ng", "--voices=variant")
    # An unknown variant would silently give the accent's own voice.
    missing = [variant for variant in VARIANTS if f"!v/{variant} " not in variants]
    if missing:
        raise RuntimeError(f"This espeak-ng lacks the voice variants {', '.join(missing)}.")
    return _run("espeak-ng", "--version").split(":")[1].split()[0]


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "inforeg_sk" / "datasets" / "data",
        help="folder for av_digits.npz and av_digits_samples/ (default: %(default)s)",
    )
    folder = parser.parse_args().out
    versions = {
        "espeak-ng": espeak_version(),
        "librosa": librosa.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    plan = make_plan()
    n = len(plan["target"])
    audio, images, waveforms = zip(*make_rows(plan, range(n)), strict=True)

    samples = folder / "av_digits_samples"
    samples.mkdir(parents=True, exist_ok=True)
    for old in samples.glob("row*.flac"):
        old.unlink()
    rows = sample_rows(plan)
    for row in rows:
        soundfile.write(samples / sample_name(plan, row), waveforms[row], SAMPLE_RATE)
    np.savez_compressed(
        folder / "av_digits.npz",
        audio=np.stack(audio),
        image=np.stack(images),
        sample_rows=rows,
        sample_names=np.array([sample_name(plan, row) for row in rows]),
        versions=np.array(list(versions.items())),
        **plan,
    )
    print(f"{n} rows in {folder / 'av_digits.npz'}, {len(rows)} sounds in {samples}")


if __name__ == "__main__":
    main()
