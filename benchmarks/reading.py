"""Reading of intact files on two revisions: the same arrays, and the ratio of times.

``python benchmarks/reading.py REV`` makes files of realistic sizes, checks REV out, and reads each
file ``--pairs`` times in turn by REV and by the working tree, in one process of one thread each.
Printed are the median CPU times and the median of the paired ratios, and whether all arrays are
equal bit for bit. The sizes are those of CMU-MOSI's published files where there are any: 2199
utterances of 50 steps in the pickle, 93 videos in the computational sequences (with fewer audio
features, 20 of 74), skeletons, inertial signals and depth videos of 12 recordings, sounds of 10 s,
videos of 10 s at 320 x 240, and folders of 30 images.
"""

import argparse
import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent

# Files


def _write_csv(folder):
    rng = np.random.default_rng(0)
    for name, width in {"text": 100, "audio": 73, "video": 100}.items():
        for part, n in {"train": 1447, "test": 752}.items():
            X = np.round(rng.normal(size=(n, width)), 8)
            y = np.arange(n) < n // 2
            np.savetxt(
                folder / f"{name}_{part}0.csv",
                np.column_stack([X, y]),
                delimiter=",",
                fmt=["%.8f"] * width + ["%d"],
            )


def _write_pickle(protocol, ragged=False):
    def write(folder):
        rng, content = np.random.default_rng(0), {}
        for part, n in {"train": 1284, "valid": 229, "test": 686}.items():
            content[part] = {
                "id": [f"video{i // 20}$_${i}" for i in range(n)],
                "raw_text": [f"SOME WORDS {i}" for i in range(n)],
                "regression_labels": np.linspace(-3, 3, n),
            }
            for name, width in {"text": 300, "audio": 5, "vision": 20}.items():
                X = [
                    rng.normal(size=(rng.integers(5, 50) if ragged else 50, width)).astype("f4")
                    for _ in range(n)
                ]
                content[part][name] = X if ragged else np.stack(X)
        (folder / "aligned_50.pkl").write_bytes(pickle.dumps(content, protocol))

    return write


def _write_csd(folder):
    import h5py

    from inforeg_sk.datasets._mosi_csd import _FILES, _FOLDS

    rng, videos = np.random.default_rng(0), [v for part in _FOLDS.values() for v in part]
    sizes = {"text": (200, 300), "audio": (6000, 20), "video": (1800, 47)}
    names = {name: _FILES[name][0] for name in sizes}
    for name, (n, width) in sizes.items():
        with h5py.File(folder / names[name], "w") as file:
            for video in videos:
                group = file.create_group(f"s/data/{video}")
                X = rng.normal(size=(n, width)).astype("f4")
                times = np.linspace(0, 60, n + 1)
                group.create_dataset("features", data=X, compression="gzip", compression_opts=1)
                group.create_dataset("intervals", data=np.stack([times[:-1], times[1:]], axis=1))
    with h5py.File(folder / "CMU_MOSI_Opinion_Labels.csd", "w") as file:
        for video in videos:
            group = file.create_group(f"s/data/{video}")
            times = np.linspace(0, 60, 24 + 1)
            group["features"] = rng.uniform(-3, 3, size=(24, 1))
            group["intervals"] = np.stack([times[:-1], times[1:]], axis=1)


def _write_mat(folder):
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    for action in range(1, 13):
        n = 40 + 5 * action
        depth = np.zeros((240, 320, n), dtype=np.uint16)
        depth[60:180, 100:220] = rng.integers(800, 1200, size=(120, 120, n))
        for modality, variable, X in (
            ("skeleton", "d_skel", rng.normal(size=(20, 3, n))),
            ("inertial", "d_iner", rng.normal(size=(3 * n, 6))),
            ("depth", "d_depth", depth),
        ):
            path = folder / f"a{action}_s1_t1_{modality}.mat"
            savemat(path, {variable: X}, do_compression=True)


def _write_sounds(suffix):
    def write(folder):
        import soundfile

        rng = np.random.default_rng(0)
        for i in range(5):
            sound = 0.1 * rng.normal(size=(441000, 2)).clip(-5, 5)
            soundfile.write(folder / f"{i}{suffix}", sound, 44100)

    return write


def _write_video(folder):
    import av

    rng = np.random.default_rng(0)
    with av.open(str(folder / "0.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(250):
            pixels = rng.integers(0, 255, size=(24, 32, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels.repeat(10, 0).repeat(10, 1)), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_images(folder):
    from PIL import Image

    rng = np.random.default_rng(0)
    for clip in range(5):
        (folder / str(clip)).mkdir()
        for i in range(30):
            pixels = rng.integers(0, 255, size=(240, 320, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(clip) / f"{i}.jpg")


# Reading


def _read_mosi(features, **arguments):
    def read(folder):
        from inforeg_sk.datasets import load_cmu_mosi

        bunch = load_cmu_mosi(folder, features=features, **arguments)
        return [*bunch.data.values(), bunch.target]

    return read


def _read_mat(folder):
    from inforeg_sk.datasets import load_utd_mhad

    data = load_utd_mhad(folder, modalities=["skeleton", "inertial", "depth"]).data
    return list(data.values())


def _read_sounds(folder):
    from inforeg_sk.features import LogSTFT

    return [LogSTFT(sample_rate=16000, duration=10).fit_transform(sorted(folder.iterdir()))]


def _read_videos(**arguments):
    def read(folder):
        from inforeg_sk.features import VideoFrames

        return [VideoFrames(**arguments).fit_transform(sorted(folder.iterdir()))]

    return read


KINDS = {
    "csv": (_write_csv, _read_mosi("csv")),
    "pickle, protocol 2": (_write_pickle(2), _read_mosi("aligned_50")),
    "pickle, protocol 4": (_write_pickle(4), _read_mosi("aligned_50")),
    "pickle, ragged": (_write_pickle(4, ragged=True), _read_mosi("aligned_50")),
    "csd": (_write_csd, _read_mosi("sdk", n_steps=50)),
    "mat": (_write_mat, _read_mat),
    "wav": (_write_sounds(".wav"), _read_sounds),
    "flac": (_write_sounds(".flac"), _read_sounds),
    "mp3": (_write_sounds(".mp3"), _read_sounds),
    "video mp4": (_write_video, _read_videos()),
    "frames jpg": (_write_images, _read_videos(size=64)),
}

# Sides


def side(place):
    """Read the kinds that standard input names; print CPU seconds and a digest of the arrays."""
    for line in sys.stdin:
        name = line.strip()
        start = time.process_time()
        arrays = KINDS[name][1](Path(place) / name)
        seconds = time.process_time() - start
        digest = hashlib.sha256()
        for X in arrays:
            digest.update(f"{X.dtype} {X.shape}".encode() + np.ascontiguousarray(X).tobytes())
        print(f"{seconds} {digest.hexdigest()}", flush=True)


def start_side(tree, place):
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "--side", place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
        env=environment,
    )


def ask(process, name):
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    seconds, digest = process.stdout.readline().split()
    return float(seconds), digest


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revision", nargs="?")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side(arguments.side)
        return
    from frozen import checked_out

    names = [name for name in KINDS if arguments.only in name]
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            folder = Path(place) / name
            folder.mkdir()
            KINDS[name][0](folder)
        with checked_out(arguments.revision, Path(place) / "old") as old_tree:
            old, new = (start_side(tree, place) for tree in (old_tree, ROOT))
            print(f"{'kind':20}{'old, s':>10}{'new, s':>10}{'ratio':>8}  arrays")
            for name in names:
                ask(old, name), ask(new, name)  # libraries are imported
                pairs = []
                for i in range(arguments.pairs):  # in turn, also who begins
                    order = (old, new) if i % 2 == 0 else (new, old)
                    given = {process: ask(process, name) for process in order}
                    pairs.append((given[old], given[new]))
                times = np.array([[seconds for seconds, _ in pair] for pair in pairs])
                digests = {digest for pair in pairs for _, digest in pair}
                before, after = np.median(times, axis=0)
                ratio = np.median(times[:, 1] / times[:, 0])
                equal = "equal" if len(digests) == 1 else "DIFFER"
                print(f"{name:20}{before:10.3f}{after:10.3f}{ratio:8.2f}  {equal}", flush=True)
            for process in (old, new):
                process.stdin.close()
                process.wait()


if __name__ == "__main__":
    main()
