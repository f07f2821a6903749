"""What a notebook shows of estimators and of `ModalityTransformer`."""

import re

import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version

from inforeg_sk import ModalityTransformer, MultimodalClassifier, MultimodalInfoRegClassifier

NEW = parse_version(sklearn.__version__) >= parse_version("1.7")


@pytest.mark.skipif(not NEW, reason="scikit-learn shows parameters from 1.7 on")
@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalInfoRegClassifier])
def test_only_what_the_user_set_is_marked_as_set(cls):
    html = cls(random_state=0, encoders__hidden=8)._repr_html_()
    rows = re.findall(r'<tr class="user-set">.*?</tr>', html, re.S)
    assert len(rows) == 2 and "callbacks__" not in html
    assert any("random_state" in row for row in rows)
    assert any("encoders__hidden" in row for row in rows)


def test_a_modality_transformer_is_drawn_with_its_parts_side_by_side():
    parts = {"text": StandardScaler(), "audio": MinMaxScaler()}
    html = make_pipeline(ModalityTransformer(parts), MultimodalClassifier())._repr_html_()
    assert "sk-parallel" in html
    for word in ("text", "audio", "StandardScaler", "MinMaxScaler"):
        assert word in html
    fitted = ModalityTransformer(StandardScaler()).fit({"a": [[1.0], [2.0]], "b": [[0.0], [1.0]]})
    assert fitted._repr_html_().count("StandardScaler") >= 2


def test_the_tags_of_a_modality_transformer_say_dict():
    tags = get_tags(ModalityTransformer()).input_tags
    assert tags.dict and not tags.two_d_array
