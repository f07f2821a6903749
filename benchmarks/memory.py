"""Peak memory of a training, in a process of its own, against what we promise.

The promise: X as it is (in memory, or on disk where it is memory-mapped; float64 makes one float32
copy), plus 64 MB for a block of samples, plus two copies of the parameters beside what training
needs by hand: the parameters, their gradients and the two moments of AdamW.

``python benchmarks/memory.py`` prints one table and writes ``benchmarks/MEMORY.rst``. Each line is
a new process of Linux: it makes the data and the estimator, fits a small one (so that libraries
have loaded what they load), and notes the peak of the resident memory that the fit adds: ``VmHWM``,
set back before it by ``/proc/self/clear_refs``. Of a memory-mapped X the system keeps pages that
can go at any time but count as resident; there it is the peak of ``RssAnon``, memory that no file
backs, as a thread reads it every few milliseconds.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import warnings

import numpy as np
import torch
from rst_table import rst_table
from torch import nn

import inforeg_sk
from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier

ROOT = Path(__file__).resolve().parent
MB = 2**20
BLOCK = 64 * MB
#: Copies of the parameters that a training by hand holds: themselves, gradients, two moments.
BY_HAND = 4
#: Figures of a line, in bytes.
KEYS = ("X", "copy", "parameters", "added", "limit")
#: Further copies that we allow ourselves.
ALLOWED = 2


class Wide(nn.Module):
    """An encoder of many parameters and few activations."""

    def __init__(self, input_shape, width=512, depth=100):
        super().__init__()
        self.first = nn.Linear(input_shape[-1], width)
        self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    def forward(self, x):
        return self.layers(self.first(x))


def data(n_samples, width, dtype, mapped, folder):
    """Two modalities and a target."""
    rng = np.random.default_rng(0)
    X = {}
    for name in ("a", "b"):
        if mapped:
            array = np.lib.format.open_memmap(
                Path(folder) / f"{name}.npy", "w+", dtype, (n_samples, width)
            )
        else:
            array = np.empty((n_samples, width), dtype)
        for start in range(0, n_samples, 1000):
            part = array[start : start + 1000]
            part[:] = rng.standard_normal(part.shape, dtype=dtype)
        if mapped:
            array.flush()
            del array
            array = np.load(Path(folder) / f"{name}.npy", mmap_mode="r")
        X[name] = array
    return X, rng.integers(4, size=n_samples)


BIG = dict(n_samples=64_000, width=2048)  # 1 GB in float32
FEW = dict(n_samples=512, width=64)
INFOREG = dict(kind="inforeg", window_threshold=-np.inf)
#: Name, data, settings of the estimator.
CASES = {
    "joint, float32 X": (dict(**BIG, dtype="float32"), dict(kind="joint")),
    "InfoReg, float32 X": (dict(**BIG, dtype="float32"), INFOREG),
    "InfoReg, float32 X, early stopping": (
        dict(**BIG, dtype="float32"),
        dict(**INFOREG, early_stopping=True),
    ),
    "InfoReg, memory-mapped float32 X": (dict(**BIG, dtype="float32", mapped=True), INFOREG),
    "InfoReg, float64 X": (dict(**BIG, dtype="float64"), INFOREG),
    "joint, 100 MB of parameters": (dict(**FEW, dtype="float32"), dict(kind="joint", wide=True)),
    "InfoReg, 100 MB of parameters": (dict(**FEW, dtype="float32"), dict(**INFOREG, wide=True)),
}


def status(name):
    """A figure of this process in bytes, by Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found[name].split()[0]) * 1024


class Peak(threading.Thread):
    """The peak of the memory in a block of code, beyond what it was."""

    def __init__(self, mapped):
        super().__init__(daemon=True)
        self._name = "RssAnon" if mapped else "VmRSS"
        self._peak, self._ended = 0, threading.Event()

    def run(self):
        while not self._ended.wait(0.003):
            self._peak = max(self._peak, status("RssAnon"))

    def __enter__(self):
        self._before = status(self._name)
        if self._name == "RssAnon":
            self.start()
        else:
            Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *error):
        if self._name == "RssAnon":
            self._ended.set()
            self.join()
        else:
            self._peak = status("VmHWM")
        self.added = self._peak - self._before


def train(name, scale=1.0):
    """Train a case in this process; what it takes, in bytes."""
    data_of, settings = CASES[name]
    data_of = {"mapped": False, **data_of}
    data_of["n_samples"] = max(64, int(data_of["n_samples"] * scale))
    settings = dict(settings)
    wide = settings.pop("wide", False)
    kind = {"joint": MultimodalClassifier, "inforeg": MultimodalInfoRegClassifier}
    kind = kind[settings.pop("kind")]
    if kind is MultimodalClassifier:
        settings["fisher"] = None
    settings.update(max_epochs=2, random_state=0, batch_size=64, device="cpu")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if wide:
        settings["encoders"] = {"a": Wide}
    with tempfile.TemporaryDirectory() as folder:
        small, y = data(200, data_of["width"], data_of["dtype"], False, folder)
        first = dict(settings, **({"encoders__a__depth": 1} if wide else {}))
        kind(**first).fit(ModalityDict(small), y)
        X, y = data(folder=folder, **data_of)
        size = sum(array.nbytes for array in X.values())
        X = ModalityDict(X)
        start = time.process_time()
        with Peak(data_of["mapped"]) as peak:
            clf = kind(**settings).fit(X, y)
        seconds = time.process_time() - start
    parameters = sum(p.numel() * p.element_size() for p in clf.module_.parameters())
    copy = size // 2 if data_of["dtype"] == "float64" else 0
    return {
        "name": name,
        "X": size,
        "copy": copy,
        "parameters": parameters,
        "added": peak.added,
        "limit": copy + BLOCK + (BY_HAND + ALLOWED) * parameters,
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="lines whose name contains this")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the samples")
    parser.add_argument("--write", action="store_true", help="write benchmarks/MEMORY.rst")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(train(arguments.child, arguments.scale)))
        return
    rows = []
    for name in CASES:
        if arguments.only not in name:
            continue
        command = [sys.executable, __file__, "--child", name, "--scale", str(arguments.scale)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout)
        rows.append(found)
        shown = "  ".join(f"{key} {found[key] / MB:5.0f}" for key in KEYS)
        print(f"{name:35}  {shown}  MB ({found['seconds']:.0f} s)", flush=True)
    if arguments.write:
        write(rows)


def write(rows):
    """Write the page of results."""
    head = ["MB", "X", "float32 copy", "parameters", "added", "limit"]
    body = [[row["name"], *(f"{row[key] / MB:,.0f}" for key in KEYS)] for row in rows]
    text = [
        "Peak memory of training",
        "=======================",
        "",
        f"Made by ``python benchmarks/memory.py --write`` on {date.today()}: inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        "one thread, each line in a process of its own. ``added`` is the peak of the memory that "
        "``fit`` adds to that of X itself. The limit is what we promise: the float32 copy that "
        "float64 needs, 64 MB for a block of samples, the four copies of the parameters that a "
        "training by hand holds (with gradients and two moments), and two more.",
        "",
        *rst_table(head, body),
    ]
    (ROOT / "MEMORY.rst").write_text("\n".join(text))


if __name__ == "__main__":
    main()
