"""Corrupted files of every kind that is read, and what became of reading them.

``python tests/fuzzing.py 10000`` tries that many and prints a table; tests/test_fuzzing.py tries
some. All reading happens in a worker process with limits, as with ``isolate=True``.
"""

import os
import pickle
import random
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import csd
from clips import picture, write_video

from inforeg_sk.datasets import load_cmu_mosi, load_crema_d, load_kinetics_sounds, load_utd_mhad
from inforeg_sk.features import LogSTFT, VideoFrames
from inforeg_sk.utils.files import BadFile
from inforeg_sk.utils.isolation import IsolatedReaders

MAX_BYTES = 2**28  # of every reader
TIME_LIMIT = 20  # seconds that reading may take
STOPPED_AFTER = 120  # seconds; the first call imports and compiles, which is slow on a busy machine

# Intact files


def _write_csv(folder):
    rng = np.random.default_rng(0)
    labels = {"train": [1] * 6 + [0] * 6, "test": [1] * 3 + [0] * 5}
    for name in ("text", "audio", "video"):
        for part, y in labels.items():
            X = rng.normal(size=(len(y), 5))
            rows = [",".join(f'"{v}"' for v in [*x, label]) for x, label in zip(X, y, strict=True)]
            (folder / f"{name}_{part}0.csv").write_text("\r\n".join(rows) + "\r\n")
    rows = [
        f"{video}{i}_{i},SOME WORDS,{number},{label}"
        for video, number, y in (("aa", 1, labels["train"]), ("bb", 93, labels["test"]))
        for i, label in enumerate(y)
    ]
    (folder / "transcripts.csv").write_text("\n".join(rows) + "\n")


def _pickled(protocol):
    def write(folder):
        rng, content = np.random.default_rng(0), {}
        for part, n in {"train": 3, "valid": 2, "test": 2}.items():
            X = {"text": rng.normal(size=(n, 4, 3)).astype("f4"), "audio": rng.normal(size=(n, 2))}
            ragged = np.empty(n, dtype=object)
            ragged[:] = [rng.normal(size=(1 + i, 2)) for i in range(n)]
            content[part] = {
                **X,
                "vision": ragged,
                "id": [f"{part}_{i}" for i in range(n)],
                "raw_text": np.array([f"WORDS {i}" for i in range(n)]),
                "annotations": ["Neutral"] * n,
                "text_lengths": [4] * n,
                "regression_labels": np.linspace(-1, 1, n),
            }
        (folder / "aligned_50.pkl").write_bytes(pickle.dumps(content, protocol))

    return write


def _write_mat(**options):
    def write(folder):
        from scipy.io import savemat

        rng = np.random.default_rng(0)
        arrays = {
            "skeleton": ("d_skel", rng.normal(size=(20, 3, 4))),
            "inertial": ("d_iner", rng.normal(size=(6, 6))),
            "depth": ("d_depth", rng.integers(0, 4, size=(240, 320, 2)).astype(np.uint16)),
        }
        for modality, (variable, X) in arrays.items():
            savemat(folder / f"a1_s1_t1_{modality}.mat", {variable: X}, **options)

    return write


def _sound(suffix, **options):
    def write(folder):
        import soundfile

        tone = 0.5 * np.sin(np.arange(4000) / 5)
        sound = np.stack([tone, tone / 2], axis=1)
        soundfile.write(folder / f"x{suffix}", sound, 8000, **options)

    return write


def _video(suffix):
    return lambda folder: write_video(folder / f"x{suffix}", 1, n_frames=5)


def _image(suffix):
    def write(folder):
        from PIL import Image

        (folder / "clip").mkdir()
        for i in range(2):
            Image.fromarray(picture(1, i)).save(folder / "clip" / f"{i}{suffix}")

    return write


def _crema_list(folder):
    for name in ("1001_DFA_ANG_XX", "1002_IEO_HAP_LO"):
        for suffix in (".wav", ".mp4"):
            (folder / f"{name}{suffix}").touch()
    (folder / "train.csv").write_text("1001_DFA_ANG_XX,ANG\n")
    (folder / "test.csv").write_text("1002_IEO_HAP_LO,HAP\n")


def _kinetics_list(folder):
    for name in ("-7aeB7vFtB4_37", "aaaaaaaaaaa_1"):
        for suffix in (".wav", ".mp4"):
            (folder / f"{name}{suffix}").touch()
    (folder / "my_train.txt").write_text("-7aeB7vFtB4_37,10,16\n")
    (folder / "my_test.txt").write_text("aaaaaaaaaaa_1 7\n")


# Reading


def _read_sound(folder):
    path = next(p for p in folder.iterdir() if p.is_file())
    return LogSTFT(sample_rate=8000, duration=0.4, max_bytes=MAX_BYTES).transform([path])


def _read_video(folder):
    path = next(folder.iterdir())
    reader = VideoFrames(n_frames=2, size=(8, 10), max_bytes=MAX_BYTES)
    return reader.fit([path]).transform([path])


def _read_mosi(features):
    return lambda folder: load_cmu_mosi(folder, features=features, max_bytes=MAX_BYTES)


def _read_utd(folder):
    modalities = ["skeleton", "inertial", "depth"]
    return load_utd_mhad(folder, modalities=modalities, max_bytes=MAX_BYTES)


class Kind(NamedTuple):
    write: object  # writes intact files into a folder
    read: object  # reads them
    needs: tuple = ()  # modules of extras


_AUDIO, _VIDEO = ("soundfile", "librosa"), ("av", "PIL")
KINDS = {
    "csv": Kind(_write_csv, _read_mosi("csv")),
    **{f"pickle {p}": Kind(_pickled(p), _read_mosi("aligned_50")) for p in range(6)},
    "csd": Kind(csd.write_all, _read_mosi("sdk"), ("h5py",)),
    "mat": Kind(_write_mat(do_compression=True), _read_utd),
    "mat, not compressed": Kind(_write_mat(), _read_utd),
    "wav": Kind(_sound(".wav"), _read_sound, _AUDIO),
    "wav, float, big endian": Kind(
        _sound(".wav", subtype="FLOAT", endian="BIG"), _read_sound, _AUDIO
    ),
    "rf64": Kind(_sound(".rf64", format="RF64"), _read_sound, _AUDIO),
    "w64": Kind(_sound(".w64", format="W64"), _read_sound, _AUDIO),
    "au": Kind(_sound(".au", format="AU"), _read_sound, _AUDIO),
    "aiff": Kind(_sound(".aiff"), _read_sound, _AUDIO),
    "flac": Kind(_sound(".flac"), _read_sound, _AUDIO),
    "mp3": Kind(_sound(".mp3"), _read_sound, _AUDIO),
    "ogg": Kind(_sound(".ogg"), _read_sound, _AUDIO),
    **{
        f"video {suffix}": Kind(_video(f".{suffix}"), _read_video, _VIDEO)
        for suffix in ("mp4", "flv", "avi", "mkv", "mov", "ts")
    },
    **{
        f"frames {suffix}": Kind(_image(f".{suffix}"), _read_video, ("PIL",))
        for suffix in ("png", "jpg", "bmp", "webp", "tiff", "ppm")
    },
    "list of CREMA-D": Kind(_crema_list, lambda folder: load_crema_d(folder, missing="drop")),
    "list of Kinetics-Sounds": Kind(
        _kinetics_list, lambda folder: load_kinetics_sounds(folder, missing="drop")
    ),
}

# Corruption

_SIZES = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_SIZES += [2**40, 2**62, 2**63 - 1, 2**64 - 1]


def _flip(data, rng):
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _truncate(data, rng):
    return data[: rng.randrange(len(data))]


def _splice(data, rng):
    """Copy, move, drop or repeat a part."""
    start, at = rng.randrange(len(data)), rng.randrange(len(data))
    part = data[start : start + rng.randrange(1, 200)]
    how = rng.randrange(4)
    if how == 0:
        data[at : at + len(part)] = part
    elif how == 1:
        data[at:at] = part
    elif how == 2:
        del data[start : start + len(part)]
    else:
        data[at:at] = part * rng.randrange(1, 50)
    return data


def _claim(data, rng):
    """Overwrite a size, or what may be one; more often near the beginning."""
    width, order = rng.choice([1, 2, 4, 4, 8]), rng.choice(["little", "big"])
    end = max(1, len(data) - width)
    at = rng.randrange(min(end, 200)) if rng.random() < 0.5 else rng.randrange(end)
    size = rng.choice([*_SIZES, len(data), len(data) + 8, rng.randrange(2**16)]) % 2 ** (8 * width)
    data[at : at + width] = size.to_bytes(width, order)
    return data


CORRUPTIONS = (_flip, _truncate, _splice, _claim)


def corrupt(data, rng):
    """Return damaged content, different from `data`."""
    damaged = data
    while damaged == data:
        damaged = bytes(rng.choice(CORRUPTIONS)(bytearray(data), rng))
    return damaged


# In the worker

_watched = {"on": False, "events": []}
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "os.startfile")
_TOUCHES = ("os.remove", "os.rename", "os.rmdir", "shutil.rmtree", "os.chmod", "os.mkdir")


def _audit(event, args):
    """Note what no reader has a reason to do: run, delete, connect, or write."""
    if not _watched["on"]:
        return
    if event in _RUNS or event in _TOUCHES or event.startswith(("socket.connect", "ctypes.dlopen")):
        _watched["events"].append(f"{event}{args!r}")
    elif event == "open":
        path, mode, flags = args
        if mode and set(str(mode)) & set("wax+"):
            _watched["events"].append(f"open({path!r}, {mode!r})")


def prepare():
    """Import what reading needs, so that it is not watched."""
    sys.addaudithook(_audit)
    with tempfile.TemporaryDirectory() as place:
        for name in ("wav", "frames png", "video mp4", "csd", "mat"):
            folder = Path(place) / name
            folder.mkdir()
            KINDS[name].write(folder)
            KINDS[name].read(folder)


def attempt(name, folder):
    """Return what became of reading: a word, a message, seconds, and the peak of memory in MB."""
    names = [str(folder), *(path.name for path in Path(folder).rglob("*"))]
    start = time.perf_counter()
    _watched["events"].clear()
    _watched["on"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            KINDS[name].read(Path(folder))
            outcome, message = "read", ""
        except (ValueError, FileNotFoundError) as error:
            message = f"{type(error).__name__}: {error}"
            ours = type(error) in (ValueError, FileNotFoundError) or type(
                error
            ).__module__.startswith("inforeg_sk")
            is_named = any(file in message for file in names)
            outcome = "refused" if ours and is_named else "foreign"
        except Exception as error:
            outcome, message = "foreign", f"{type(error).__name__}: {error}"
        finally:
            _watched["on"] = False
    if _watched["events"]:
        outcome, message = "code run", "; ".join(_watched["events"])
    return outcome, message, time.perf_counter() - start, _peak()


def _peak():
    """Peak of the memory of this process, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    # ru_maxrss would begin with that of the process that started this one.
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


class Trial(NamedTuple):
    kind: str
    number: int
    outcome: str  # "read", "refused", "stopped" (by a limit or a crash), "foreign", "code run"
    message: str
    seconds: float
    peak: int  # MB of the worker so far


def trials(kinds, n, seed, keep=None):
    """Yield a `Trial` for each of `n` corrupted files, in turn of the kinds."""
    with tempfile.TemporaryDirectory() as place:
        intact = {}
        for name in kinds:
            intact[name] = Path(place) / "intact" / name
            intact[name].mkdir(parents=True)
            KINDS[name].write(intact[name])
        pool = IsolatedReaders(
            time_limit=STOPPED_AFTER, max_bytes=2 * MAX_BYTES, modules=("fuzzing",)
        )
        with pool as call:
            ready = False
            for number in range(n):
                if not ready:
                    call(prepare)
                    ready = True
                name = list(kinds)[number % len(kinds)]
                rng = random.Random(f"{seed} {number}")
                folder = Path(place) / "damaged"
                shutil.copytree(intact[name], folder)
                files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
                path = rng.choice(files)
                path.write_bytes(corrupt(path.read_bytes(), rng))
                start = time.perf_counter()
                try:
                    trial = Trial(name, number, *call(attempt, name, str(folder)))
                except BadFile as error:
                    ready = False
                    trial = Trial(
                        name, number, "stopped", str(error), time.perf_counter() - start, 0
                    )
                if keep and trial.outcome not in ("read", "refused"):
                    shutil.copytree(folder, Path(keep) / f"{number}", dirs_exist_ok=True)
                shutil.rmtree(folder)
                yield trial


def main(n, seed=0, keep=None):
    counts, worst, bad = {name: Counter() for name in KINDS}, Counter(), []
    for trial in trials(KINDS, n, seed, keep):
        counts[trial.kind][trial.outcome] += 1
        worst["seconds"] = max(worst["seconds"], trial.seconds)
        worst["MB"] = max(worst["MB"], trial.peak)
        if trial.outcome not in ("read", "refused"):
            bad.append(trial)
            print(*trial, sep=" | ", flush=True)
    outcomes = ("read", "refused", "stopped", "foreign", "code run")
    print(f"{'kind':28}" + "".join(f"{name:>10}" for name in outcomes))
    for name, counted in counts.items():
        print(f"{name:28}" + "".join(f"{counted[outcome]:10}" for outcome in outcomes))
    print(f"{n} files, seed {seed}: slowest {worst['seconds']:.1f} s, peak {worst['MB']} MB")
    return bad


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, *sys.argv[3:4])
