"""The report of a diagnosis: its numbers, and each form that they take."""

import base64
import json
import re
import sys
import traceback
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from inforeg_sk import MultimodalClassifier, diagnose
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.inspection import DiagnosisReport, _report_html


@pytest.fixture(scope="module")
def report():
    X, y = make_multimodal_classification(120, random_state=0)
    network = MultimodalClassifier(encoders__hidden=8, max_epochs=5, lr=0.01)
    rivals = ["majority", "best single", "late fusion"]
    return diagnose(network, X, y, cv=3, seeds=2, methods=["joint*"], rivals=rivals)


def test_gains_are_paired_differences_with_their_interval(report):
    gain = report.gain("late fusion")
    differences = (report.scores_["late fusion"] - report.scores_["joint"]).ravel()
    error = differences.std(ddof=1) * np.sqrt(1 / 6 + 40 / 80)
    half = stats.t.ppf(0.975, 5) * error
    assert gain.estimate == pytest.approx(differences.mean())
    assert gain.high - gain.estimate == pytest.approx(half)


def test_learned_share_is_a_ratio_of_means_with_the_interval_of_the_delta_method(report):
    report = DiagnosisReport.from_json(report.to_json())
    rng = np.random.default_rng(0)
    untrained = 0.5 + 0.01 * rng.standard_normal((2, 3))
    joint = untrained + 0.1 + 0.01 * rng.standard_normal((2, 3))
    alone = untrained + 0.2 + 0.01 * rng.standard_normal((2, 3))
    for what, values in [("untrained", untrained), ("joint", joint), ("alone", alone)]:
        report.measures_[f"probe_{what}"]["weak"] = values
    gained, possible = (joint - untrained).ravel(), (alone - untrained).ravel()
    share = gained.mean() / possible.mean()
    # Var(a / b) for small spread: (var a - 2 s cov + s^2 var b) / mean(b)^2.
    (va, cov), (_, vb) = np.cov(gained, possible)
    variance = (va - 2 * share * cov + share**2 * vb) / possible.mean() ** 2
    half = stats.t.ppf(0.975, 5) * np.sqrt(variance * (1 / 6 + 40 / 80))
    told = report.learned_share("weak")
    assert told.estimate == pytest.approx(share)
    assert told.high - told.estimate == pytest.approx(half)


def test_without_anything_to_learn_there_is_no_share(report):
    report = DiagnosisReport.from_json(report.to_json())
    report.measures_["probe_alone"]["weak"] = report.measures_["probe_untrained"]["weak"] + 0
    assert np.isnan(report.learned_share("weak").estimate)
    assert report.nothing_to_learn("weak") and "untrained is as good" in repr(report)


def test_json_from_before_there_was_an_interval_of_one_split_is_read(report):
    older = json.loads(report.to_json())
    for key in ("interval", "resampled_scores", "resampled_measures"):
        del older[key]
    assert repr(DiagnosisReport.from_json(json.dumps(older))) == repr(report)


def test_a_share_that_is_too_uncertain_cannot_be_told(report):
    report = DiagnosisReport.from_json(report.to_json())
    spread = 0.5 * np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    report.measures_["probe_untrained"]["weak"] = report.measures_["baseline"]["weak"] + 0.1
    report.measures_["probe_alone"]["weak"] = report.measures_["baseline"]["weak"] + 0.3
    report.measures_["probe_untrained"]["weak"] += spread
    assert not report.nothing_to_learn("weak")
    (line,) = [line for line in repr(report).splitlines() if line.startswith("weak  ")]
    assert np.isnan(report.learned_share("weak").estimate) and "not told" in line


def test_text_has_verdicts_first_then_the_tables_in_forty_lines(report):
    lines = repr(report).splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 120
    text = repr(report)
    order = ("- ", "Recommended", "Compared", "Modalities", "120 samples")
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    for row in report.scores_:
        assert any(line.startswith(f"{row} ") for line in lines)
    assert "120 samples, 3 classes; 3 folds x 2 seeds" in text


def test_heads_footer_and_recommendation_read_without_a_legend(report):
    lines = repr(report).splitlines()
    (upper,) = [i for i, line in enumerate(lines) if "probe:  probe:" in line]
    lower = lines[upper + 1]
    assert "untrained  joint   alone" in lower and "P0" not in lower
    text = " ".join(repr(report).split())
    assert "verdicts use wider ones, since there are several (Holm)" in text
    assert ", lr 0.01, 5 epochs. " in text and "unbalanced" not in text
    _, y = make_multimodal_classification(120, random_state=0)
    assert report.data["class_counts"] == [int((y == c).sum()) for c in sorted(set(y))]
    assert (
        "chosen anew in each fold by the other folds" in report.data["rows"]["best single"]["text"]
    )
    recommended = text[text.index("Recommended: ") : text.index(" Compared (")]
    assert "Not compared (rivals=): linear on all, stacked linear, evidence pool." in recommended
    assert "Shapley game" not in text
    cooperation = report.to_frame("fold").query("what == 'cooperation'")["value"]
    assert np.array_equal(cooperation, report.data["cooperation"].ravel())


@pytest.mark.parametrize(
    ("counts", "scoring", "said"),
    [
        (
            [313, 91, 35, 112],
            "accuracy",
            "313, 91, 35, 112: unbalanced; consider balanced_accuracy.",
        ),
        ([313, 91, 35, 112], "roc_auc", "Classes 313, 91, 35, 112: unbalanced. "),
        ([100, 70, 80], "accuracy", None),
        ([1, *[9] * 9], "accuracy", "Classes of 1 to 9 samples: unbalanced"),
    ],
)
def test_rare_classes_are_told(report, counts, scoring, said):
    copy = DiagnosisReport.from_json(report.to_json())
    copy.data.update(class_counts=counts, scoring=scoring)
    text = " ".join(repr(copy).split())
    assert (said in text) if said else ("unbalanced" not in text)


def test_of_two_differences_no_interval_is_shown(report):
    copy = DiagnosisReport.from_json(report.to_json())
    copy.data.update(n_folds=2, seeds=[0])
    for values in (copy.scores_, *copy.measures_.values()):
        for name in values:
            values[name] = values[name][:1, :2]
    (line,) = [line for line in repr(copy).splitlines() if line.startswith("late fusion")]
    assert line.count("too few folds") == 2 and " to " not in line


def test_a_report_from_json_says_how_to_get_the_estimator(report):
    copy = DiagnosisReport.from_json(report.to_json())
    with pytest.raises(AttributeError) as caught:
        _ = copy.recommendation_
    shown = "".join(traceback.format_exception(caught.value)).rstrip()
    assert "Run diagnose again in this session, or build recommended_" in shown
    assert shown.endswith(".") and not shown.endswith("..") and "Did you mean" not in shown


def test_frames_have_the_means_and_each_number(report):
    rows = report.to_frame()
    assert list(rows.index) == list(report.scores_)
    assert rows.loc["joint", "score"] == pytest.approx(report.scores_["joint"].mean())
    assert rows.loc["joint", "gain"] == 0 and rows["recommended"].sum() == 1
    modalities = report.to_frame("modality")
    assert list(modalities.index) == ["strong", "weak"]
    expected = report.measures_["alone"]["weak"].mean()
    assert modalities.loc["weak", "alone"] == pytest.approx(expected)
    folds = report.to_frame("fold")
    one = folds.query("what == 'score' and of == 'joint*' and seed == 1 and fold == 2")
    assert one["value"].item() == report.scores_["joint*"][1, 2]
    with pytest.raises(ValueError, match="one of 'row', 'modality', 'fold'"):
        report.to_frame("seed")


@pytest.mark.parametrize("as_file", [False, True])
def test_json_gives_the_same_report_again(report, as_file, tmp_path):
    path = tmp_path / "report.json" if as_file else None
    text = report.to_json(path)
    again = DiagnosisReport.from_json(path if as_file else text)
    assert repr(again) == repr(report) and again._repr_html_() == report._repr_html_()
    assert again.verdicts_ == report.verdicts_
    assert again.recommended_ == report.recommended_
    for row, scores in report.scores_.items():
        assert np.array_equal(again.scores_[row], scores)
    with pytest.raises(AttributeError, match="has no estimators"):
        _ = again.recommendation_


def test_json_is_plain_and_keeps_verdicts_and_what_is_not_a_number(report):
    copy = DiagnosisReport.from_json(report.to_json())
    copy.measures_["alone"]["weak"][0, 0] = np.nan
    plain = json.loads(copy.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert plain["measures"]["alone"]["weak"][0][0] is None
    assert {"kind", "modality", "size", "sentence", "remedy"} < set(plain["verdicts"][0])
    again = DiagnosisReport.from_json(copy.to_json())
    assert np.isnan(again.measures_["alone"]["weak"][0, 0])


def test_other_json_is_refused():
    with pytest.raises(ValueError, match="to_json gave"):
        DiagnosisReport.from_json('{"format": 99}')


class Reader(HTMLParser):
    """Tags that are open, cells, and attributes that load something."""

    def __init__(self):
        super().__init__()
        self.open, self.cells, self.loads = [], 0, []

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.open.append(tag)
        self.cells += tag in ("td", "th")
        self.loads += [name for name, _ in attrs if name in ("src", "href", "onclick")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_and_loads_nothing(report):
    reader = Reader()
    reader.feed(report._repr_html_())
    assert not reader.open and not reader.loads
    assert reader.cells == 5 * (len(report.scores_) + 1) + 11 * 3
    assert "<script" not in report._repr_html_() and "url(" not in report._repr_html_()


def test_the_html_page_is_one_file_with_the_report_and_its_figure(report, plt, tmp_path):
    path = tmp_path / "report.html"
    assert report.to_html(path, title="<Voices>") is None
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and '<meta charset="utf-8">' in text
    assert "<title>&lt;Voices&gt;</title>" in text and report._repr_html_() in text
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', text)
    assert base64.b64decode(data).startswith(b"\x89PNG") and text.count("src=") == 1
    assert plt.get_fignums() == []
    assert report.to_html().count("<title>Diagnosis</title>") == 1


@pytest.mark.parametrize("way", ["broken", "error"])
def test_a_figure_that_cannot_be_drawn_does_not_lose_the_page(report, monkeypatch, way):
    pytest.importorskip("matplotlib")
    if way == "broken":
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    else:
        monkeypatch.setattr(_report_html, "draw", lambda *args: 1 / 0)
    with pytest.warns(UserWarning, match="figure of the report is left out"):
        text = report.to_html()
    assert "<img" not in text and report._repr_html_() in text


def test_the_figure_of_the_page_is_drawn_black_on_white_and_takes_any_name(report, plt):
    copy = DiagnosisReport.from_json(report.to_json().replace('"weak"', '"a$_$b"'))
    before = report.to_html()
    with plt.style.context("dark_background"):
        assert report.to_html() == before
    assert "<img" in copy.to_html()
    assert copy.plot().get_xticklabels()[1].get_text() == r"a\$_\$b"


def test_the_html_page_has_no_figure_without_matplotlib(report, monkeypatch):
    monkeypatch.setattr(_report_html, "find_spec", lambda name: None)
    text = report.to_html()
    assert "<img" not in text and report._repr_html_() in text


def test_in_html_the_recommended_row_is_marked_beside_its_name(report):
    html = report._repr_html_()
    (head,) = re.findall(rf">{report.recommended_} \((.*?)\)</th>", html)
    assert head.endswith("recommended") and "probe:<br>untrained" in html


def test_in_html_wide_tables_scroll_under_titles_that_do_not(report):
    html = report._repr_html_()
    assert html.count('tabindex="0" role="region"') == html.count("overflow-x:auto") == 2
    assert "<caption" not in html and "&nbsp;% intervals" in html and "font-size:inherit" in html


def test_names_are_escaped_in_html(report):
    copy = DiagnosisReport.from_json(report.to_json().replace('"weak"', '"<b>weak"'))
    assert "<b>weak" not in copy._repr_html_() and "&lt;b&gt;weak" in copy._repr_html_()


def test_the_figure_shows_each_modality_and_says_how_much_it_rests_on(report, plt):
    ax = report.plot()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["strong", "weak"]
    assert ax.get_title() == "n = 120, 3 folds x 2 seeds, 95 % intervals"
    labels = ax.get_legend_handles_labels()[1]
    assert {"in joint", "probe, as given", "alone", "guessing", "all: joint"} <= set(labels)
    other = plt.figure().add_subplot()
    assert report.plot(other) is other


def test_in_the_figure_bars_end_at_all_and_a_starving_modality_has_its_gap_drawn(report, plt):
    copy = DiagnosisReport.from_json(report.to_json())
    copy.data["seeds"] = [0]
    ax = copy.plot()
    assert "3 folds x 1 seed, 95 %" in ax.get_title()
    assert "gap of a verdict" not in ax.get_legend_handles_labels()[1]
    starving = {"probe_alone": 0.9, "probe_joint": 0.6, "probe_untrained": 0.4, "alone": 0.9}
    noise = 0.001 * np.array([[-1.0, 1.0, 0.0], [1.0, 0.5, -1.0]])
    for what, mean in {**starving, "in_joint": 0.5}.items():
        copy.measures_[what]["weak"] = mean + noise * (1 + len(what) % 3)
    copy.measures_["alone"]["weak"] = 0.9 + 200 * noise
    copy.scores_["joint"] = 0.9 + noise  # no guess
    del copy.__dict__["verdicts_"]
    ax = copy.plot(plt.figure().add_subplot())
    (gap,) = [line for line in ax.lines if line.get_label() == "gap of a verdict"]
    ends = [100 * copy.measures_[what]["weak"].mean() for what in ("in_joint", "alone")]
    assert gap.get_ydata() == pytest.approx(ends)
    tops = [path.vertices[:, 1].max() for c in ax.collections for path in c.get_paths()]
    assert max(tops) == pytest.approx(100)
