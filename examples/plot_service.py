"""A service that loads a saved pipeline, and answers when a modality is absent
============================================================================

Train, save, load as another process would, answer requests: this example does all four with the
standard library's web server in a thread of its own, asks the service a few times, and stops it.

- **Saved without pickle.** ``weights.safetensors`` holds numbers and no code; the code of the
  pipeline is `build`, under version control. ``model.json`` says which fields a request has, which
  versions made the model, and the checksum of the weights. `load` refuses what does not fit. A
  pickle would run whatever its author wrote: load none that you did not make.
- **Requests are checked**: size, JSON, names and shapes of the fields, finite numbers. What is
  wrong is answered with status 400 and a sentence.
- **A modality may be absent**: the network was trained with ``missing="allow"`` and
  ``modality_dropout``. The answer says which modalities were used.

The last table says what it costs to have one network for all cases, ``served``: beside late fusion
of one network per modality, each of which was trained for its case, and beside joint training
without ``modality_dropout``, which never saw a sample that lacks a modality.

This is a starting point, not a hardened server: put it behind one that has TLS, limits and logs.
"""

import argparse
import hashlib
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import skorch
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import inforeg_sk
from inforeg_sk import LateFusionClassifier, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits

MAX_BYTES = 2**20  # of a request
MAX_SAMPLES = 100


# The model


def prepare(X):
    """What happens to samples in front of the network. It learns nothing that is to be saved."""
    return {name: np.clip(np.asarray(values, np.float32), -3, 3) for name, values in X.items()}


def build(max_epochs=40):
    """The pipeline, not fitted: the same code trains and serves. The network standardizes."""
    network = MultimodalInfoRegClassifier(
        missing="allow", modality_dropout=0.3, max_epochs=max_epochs, random_state=0
    )
    return make_pipeline(FunctionTransformer(prepare), network)


def versions():
    return {module.__name__: module.__version__ for module in (inforeg_sk, torch, skorch)}


def save(model, X, folder):
    """Write the weights and what `load` and the checks of requests need to know."""
    weights = folder / "weights.safetensors"
    model[-1].save_params(f_params=str(weights), use_safetensors=True)
    about = {
        "fields": {name: list(values.shape[1:]) for name, values in X.items()},
        "versions": versions(),
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (folder / "model.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def load(folder):
    """The fitted pipeline and what is known about it, or an error that says what does not fit."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    weights = folder / "weights.safetensors"
    if hashlib.sha256(weights.read_bytes()).hexdigest() != about["sha256"]:
        raise ValueError(f"{weights} is not the file that model.json was written for.")
    # torch and skorch keep their formats over versions; this library does not promise it yet.
    made, here = about["versions"]["inforeg_sk"], inforeg_sk.__version__
    if made != here:
        raise ValueError(f"The model is of inforeg_sk {made}, this is {here}: train it again.")
    model = build()
    model[-1].initialize().load_params(f_params=str(weights), use_safetensors=True)
    return model, about


# The service


class BadRequest(ValueError):
    """What is wrong with a request, for whoever sent it."""


def read_samples(body, fields):
    """A request's modalities as arrays, each checked.

    ``{"image": [[...], ...], "audio": [[[...]]]}``: a list of samples for each modality that is
    there.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The request is not JSON: {error}.") from None
    if not isinstance(given, dict) or not given:
        raise BadRequest(f"Send an object with at least one of the fields {', '.join(fields)}.")
    X = {}
    for name, values in given.items():
        if name not in fields:
            raise BadRequest(f"There is no field {name!r}; known are {', '.join(fields)}.")
        try:
            array = np.asarray(values)
        except ValueError:  # ragged
            array = np.array(None)
        if array.dtype.kind not in "iuf":
            raise BadRequest(f"Field {name!r} must be nested lists of numbers, all of one length.")
        if array.shape[1:] != tuple(fields[name]):
            raise BadRequest(f"Samples of {name!r} must have the shape {tuple(fields[name])}.")
        with np.errstate(over="ignore"):
            X[name] = array.astype(np.float32)
        if not np.isfinite(X[name]).all():
            raise BadRequest(f"Field {name!r} must be finite: leave out a modality that is absent.")
    lengths = {len(array) for array in X.values()}
    if len(lengths) > 1 or max(lengths) > MAX_SAMPLES:
        raise BadRequest(f"All fields must have the same number of samples, at most {MAX_SAMPLES}.")
    return X


class Handler(BaseHTTPRequestHandler):
    """``GET /`` describes the model, ``POST /predict`` answers with probabilities."""

    timeout = 10  # seconds that a client may be silent

    def do_GET(self):
        if self.path != "/":
            return self.answer(404, {"error": "GET / or POST /predict"})
        self.answer(200, self.server.about)

    def do_POST(self):
        if self.path != "/predict":
            return self.answer(404, {"error": "GET / or POST /predict"})
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BYTES:
            self.close_connection = True  # the body is not read
            return self.answer(413, {"error": f"Send a Content-Length of at most {MAX_BYTES}."})
        try:
            X = read_samples(self.rfile.read(int(length)), self.server.about["fields"])
        except BadRequest as error:
            return self.answer(400, {"error": str(error)})
        with self.server.one_at_a_time:
            probabilities = self.server.model.predict_proba(X)
        classes = self.server.model.classes_.tolist()
        content = {
            "classes": classes,
            "probabilities": probabilities.round(6).tolist(),
            "used": sorted(X),
            "version": self.server.about["versions"]["inforeg_sk"],
        }
        self.answer(200, content)

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing; a real service would log."""


def serve(model, about):
    """A server on a free port of this machine, and the thread that it runs in."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.model, server.about, server.one_at_a_time = model, about, threading.Lock()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    return server, thread


def ask(server, content):
    """The status and the answer to a request with this content."""
    address = f"http://127.0.0.1:{server.server_port}/predict"
    request = urllib.request.Request(address, json.dumps(content).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# The example


def show(title, status, answer):
    print(f"{title}: {status}")
    if status == 200:
        most = np.argmax(answer["probabilities"][0])
        digit, probability = answer["classes"][most], answer["probabilities"][0][most]
        print(f"  by {' and '.join(answer['used'])}: {digit} with probability {probability:.2f}")
    else:
        print(f"  {answer['error']}")


def compare(model, X, y, X_test, y_test, max_epochs):
    """Accuracy of the served network, of networks of what is there, and of late fusion."""
    network = clone(build(max_epochs)[-1])
    fusion = LateFusionClassifier(network, missing="allow").fit(prepare(X), y)
    joint = clone(network).set_params(alpha=0, unimodal_weight=0, modality_dropout=0)
    joint.fit(prepare(X), y)
    rows = {"served": model[-1], "late fusion of networks": fusion, "joint, no dropout": joint}
    cases = {" + ".join(X): list(X), **{name: [name] for name in X}}
    print(f"{'accuracy in % on':<26}" + "".join(f"{case:>16}" for case in cases))
    for row, one in rows.items():
        cells = []
        for present in cases.values():
            cells.append(one.score(prepare({name: X_test[name] for name in present}), y_test))
        print(f"{row:<26}" + "".join(f"{100 * cell:16.1f}" for cell in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40, help="(default: %(default)s)")
    args = parser.parse_args()
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    X, y = digits.data[train], digits.target[train]
    X_test, y_test = digits.data[test], digits.target[test]
    with tempfile.TemporaryDirectory() as folder:
        save(build(args.epochs).fit(X, y), X, Path(folder))
        files = sorted(path.name for path in Path(folder).iterdir())
        print(f"Saved {', '.join(files)}.")
        model, about = load(Path(folder))
    server, thread = serve(model, about)
    try:
        one = {name: X_test[name][:1].tolist() for name in X_test}
        print(f"Serving inforeg_sk {about['versions']['inforeg_sk']}, fields {about['fields']}")
        print(f"The first test sample is a {y_test[0]}.")
        show("both", *ask(server, one))
        show("the image only", *ask(server, {"image": one["image"]}))
        show("a wrong field", *ask(server, {"picture": one["image"]}))
        show("a wrong shape", *ask(server, {"image": [[1.0, 2.0]]}))
        start = time.perf_counter()
        for _ in range(20):
            ask(server, one)
        print(f"{(time.perf_counter() - start) / 20 * 1000:.0f} ms a request\n")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    compare(model, X, y, X_test, y_test, args.epochs)


if __name__ == "__main__":
    main()
