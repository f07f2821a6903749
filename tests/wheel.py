"""What an installed wheel must do, in an environment with nothing else: run by `make package`.

It is run from another folder, so that the package is the installed one.
"""

import contextlib
import io
import pickle
import re
from pathlib import Path

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import inforeg_sk
from inforeg_sk import ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits

README = Path(__file__).resolve().parent.parent / "README.rst"


def run_readme():
    """Run the lines of the README; returns what they print."""
    text = README.read_text(encoding="utf-8")
    block = re.search(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text).group(1)
    code = "\n".join(line[4:] for line in block.splitlines())
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README.rst", "exec"), {})
    return printed.getvalue()


def main():
    place = Path(inforeg_sk.__file__).resolve()
    assert "site-packages" in place.parts, f"not installed, but imported from {place}"
    assert place.with_name("py.typed").is_file(), "py.typed is missing"

    digits = load_av_digits()  # the data of the package
    rows = digits.train_indices[:200]
    X, y = digits.data[rows], digits.target[rows]
    model = make_pipeline(
        ModalityTransformer(StandardScaler()),
        MultimodalInfoRegClassifier(max_epochs=10, random_state=0),
    )
    grid = {"multimodalinforegclassifier__unimodal_weight": [0, 1]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    assert (again.predict(X) == search.predict(X)).all()
    accuracy = search.score(X, y)
    assert accuracy > 0.8, accuracy
    printed = run_readme()
    assert "image: the encoder starves" in printed and "recommended: " in printed, printed
    print(printed)
    print(f"inforeg_sk {inforeg_sk.__version__} from {place.parent}: accuracy {accuracy:.2f}")


if __name__ == "__main__":
    main()
