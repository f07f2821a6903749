"""The page of ``benchmarks/reproduce.py``, from its results alone: tables, statements, why."""

import platform
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import sklearn
import torch
from reproduce_claims import (
    EFFECTS,
    OTHERS,
    REFERENCES,
    by_modality,
    capitalized,
    clear_ones,
    effect_sentence,
    effects,
    expectations,
    family,
    gap,
    joined,
    mean_of,
    nothing,
    others_sentence,
    overall,
    statement,
)
from reproduce_rows import (
    BESIDE,
    COMPARED_ON,
    ENCODED,
    FUSED,
    FUSIONS,
    METHODS,
    ON_ENCODED,
    SEEDLESS,
    SETS,
    WHAT,
    WINDOWS,
)
from rst_table import rst_table

import inforeg_sk

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
#: The rows of the guide's table.
SHOWN = ("best single", "stacked linear", "stacked trees", "late fusion", "joint", "joint*",
         "InfoReg", "InfoReg*", "pool")  # fmt: skip
#: Published accuracy on CREMA-D in %, one run each (arXiv 2503.18595, Tables 2 to 5).
PUBLISHED = {
    "joint": 66.61, "OGM-GE": 68.70, "Greedy, feature-level": 67.82, "PMR": 66.92, "AGM": 69.71,
    "InfoReg": 71.90, "joint*": 70.81, "G-Blending": 69.11, "MMPareto": 73.08, "InfoReg*": 75.71,
}  # fmt: skip
PUBLISHED_WINDOWS = {
    "OGM-GE": (68.70, 68.76, 67.13),
    "AGM": (69.71, 69.54, 67.41),
    "PMR": (66.92, 66.99, 66.57),
    "InfoReg": (69.03, 71.90, 67.22),
}
PUBLISHED_FUSIONS = {
    "concat": (66.61, 71.90),
    "sum": (64.38, 70.12),
    "gated": (65.32, 69.18),
    "film": (66.67, 70.23),
}


# Tables


def halves(first, sets, body):
    """A table in parts of five columns."""
    text = []
    for start in range(0, len(sets), 5):
        rows = [[row[0], *row[1 + start : 6 + start]] for row in body]
        text += rst_table([first, *sets[start : start + 5]], rows)
    return text


def spread(done, name, row, key="accuracy"):
    if (name, row) not in done:
        return "-"
    found = [s[key] for s in done[name, row]["seeds"]]
    return f"{np.mean(found):.1f}" + (f" ({np.std(found, ddof=1):.1f})" if len(found) > 1 else "")


def measured(done, sets):
    """The rows that were run on any of the sets, in order."""
    return [r for r in (*BESIDE, *METHODS) if any((s, r) in done for s in sets)]


def titled(title, *lead, line="-"):
    return [title, line * len(title), "", *(part for text in lead for part in (text, ""))]


def why(done, sets):
    found = effects(done, sets)
    body = [
        [
            effect,
            *(f"{gaps[s]}{' *' if gaps[s].word != 'no difference' else ''}" if s in gaps else "-"
              for s in sets),
        ]
        for effect, gaps in found.items()
    ]  # fmt: skip
    told = [effect_sentence(e, gaps) for e, gaps in found.items() if gaps]
    return [
        *halves("effect", sets, body),
        *[f"- {text}" for text in told],
        "",
        " ".join([nothing(found), *expectations(done, found["unimodal losses"])]),
        "",
    ]


def accuracies(done, sets):
    rows = measured(done, sets)
    body = [[r, *(spread(done, s, r) for s in sets)] for r in rows]
    published = [[r, f"{PUBLISHED[r]:.1f}"] for r in rows if r in PUBLISHED]
    return [
        *halves("row", sets, body),
        "Published on CREMA-D (ResNet-18, one run each), for the shape:",
        "",
        *rst_table(["row", "published"], published),
    ]


def against(done, sets):
    rows = [r for r in ("pool", *METHODS) if any((s, r) in done for s in sets)]
    families = {s: family(done, s, rows, REFERENCES) for s in sets}
    body = []
    for row in rows:
        cells = [row]
        for name in sets:
            alone, together = families[name]
            own = [key for key in alone if key[0] == row]
            if not own:
                cells.append("-")
                continue
            word = overall([alone[key] for key in own])
            star = word == overall([together[key] for key in own]) != "no difference"
            cells.append(f"{min(alone[key] for key in own)} {word}{' *' if star else ''}")
        body.append(cells)
    return halves("row", sets, body)


def modalities_of(done, name):
    rows = [r for r in ("late fusion", *METHODS) if (name, r) in done]
    names = done[name, "about"]["modalities"]
    head = ["row", "all", *(f"{m}: in it" for m in names), *(f"{m}: probe" for m in names)]
    if name == "CMU-MOSI":
        head.insert(2, "macro F1")
    body = []
    for row in rows:
        alone, probes = (by_modality(done, name, row, key) for key in ("alone", "probe"))
        cells = [row, f"{mean_of(done, name, row):.1f}"]
        if name == "CMU-MOSI":
            cells.append(f"{mean_of(done, name, row, 'macro_f1'):.1f}")
        cells += [f"{each[m]:.1f}" for each in (alone, probes) for m in names]
        body.append(cells)
    return rst_table(head, body)


def windows(done):
    text, gaps = [], {}
    for name in [s for s in COMPARED_ON if any((s, r) in done for r in WINDOWS["OGM-GE"].values())]:
        body = []
        for method, rows in WINDOWS.items():
            cells = [method, *(spread(done, name, rows[w]) for w in ("whole", "window", "outside"))]
            for a, b in (("window", "whole"), ("window", "outside")):
                title = f"{method} on {name}, {a} less {b}"
                cells.append(difference(done, name, rows[a], rows[b], gaps, title))
            body.append([*cells, " / ".join(f"{v:.1f}" for v in PUBLISHED_WINDOWS[method])])
        head = [name, "whole", "window", "outside", "window - whole", "window - outside",
                "published"]  # fmt: skip
        text += rst_table(head, body)
    return text, gaps


def fusions(done):
    text, gaps = [], {}
    for name in [s for s in COMPARED_ON if any((s, f"joint, {f}") in done for f in FUSIONS)]:
        body = []
        for fusion in FUSIONS:
            rows = {m: m if fusion == "concat" else f"{m}, {fusion}" for m in FUSED}
            cells = [fusion, *(spread(done, name, rows[m]) for m in FUSED)]
            for a, b in (("InfoReg", "joint"), ("InfoReg*", "joint*")):
                title = f"{a} less {b} by {fusion} on {name}"
                cells.append(difference(done, name, rows[a], rows[b], gaps, title))
            values = PUBLISHED_FUSIONS.get(fusion)
            body.append([*cells, "-" if values is None else " / ".join(f"{v:.1f}" for v in values)])
        head = [name, *FUSED, "InfoReg - joint", "InfoReg* - joint*", "published"]
        text += rst_table(head, body)
    return text, gaps


def and_clear_ones(tables, gaps):
    """The tables of a section, and which of their differences are clear."""
    return [*tables, clear_ones(gaps), ""] if tables else ["Not run yet.", ""]


def difference(done, name, mine, theirs, gaps, title):
    """A cell, and the gap of it among `gaps` by its title."""
    if not {(name, mine), (name, theirs)} <= done.keys():
        return "-"
    gaps[title] = gap(done, name, mine, theirs)
    return str(gaps[title])


def encoded(done):
    sets = [s for s in ENCODED if any((s, r) in done for r in ON_ENCODED)]
    if not sets:
        return [], {}
    body = [[r, *(spread(done, s, r) for s in sets)] for r in ON_ENCODED]
    text = rst_table(["row", *sets], body)
    pairs = [("joint*", "joint"), ("InfoReg", "joint"), ("InfoReg*", "joint*"),
             ("late fusion", "joint*")]  # fmt: skip
    body, gaps = [], {}
    for a, b in pairs:
        cells = [difference(done, s, a, b, gaps, f"{a} less {b} on {s}") for s in sets]
        body.append([f"{a} - {b}", *cells])
    return [*text, *rst_table(["difference", *sets], body)], gaps


def encoders_sentence(done):
    """What regulation and unimodal losses bring to encoders of sequences and images."""
    parts = []
    for effect in ("unimodal losses", "regulation", "regulation on top of unimodal losses"):
        mine, theirs = EFFECTS[effect]
        gaps = [
            f"{gap(done, s, mine, theirs)} on {s}"
            for s in ENCODED
            if {(s, mine), (s, theirs)} <= done.keys()
        ]
        if gaps:
            parts.append(f"{capitalized(effect)}: {'; '.join(gaps)}")
    if not parts:
        return "Encoders of sequences and images have not been measured yet."
    return (
        "Encoders of sequences (gru) and images (cnn), three seeds, in points, with the interval "
        f"of a single comparison. {'. '.join(parts)}."
    )


def costs(done, sets):
    def seconds(name, row):
        if (name, row) not in done:
            return "-"
        value = done[name, row]
        return f"{value['seconds'] / len(value['seeds']):.1f}"

    return halves("row", sets, [[r, *(seconds(s, r) for s in sets)] for r in measured(done, sets)])


def page(done):
    sets = [s for s in SETS if (s, "about") in done]
    total = sum(v["seconds"] for (_, row), v in done.items() if row != "about")
    described = [
        [s, WHAT[s], str(a["n_train"]), str(a["n_test"]), str(a["n_classes"]),
         ", ".join(a["modalities"]), "-" if a["groups"] is None else str(len(set(a["groups"])))]
        for s in sets for a in [done[s, "about"]]
    ]  # fmt: skip
    text = [
        *titled(
            "Results",
            f"Made by ``python benchmarks/reproduce.py run show --write`` on {date.today()}: "
            f"inforeg_sk {inforeg_sk.__version__}, torch {torch.__version__}, scikit-learn "
            f"{sklearn.__version__}, Python {platform.python_version()}, one thread, "
            f"{total / 3600:.1f} hours of CPU time in all. No cell is written by hand.",
            "The protocol is in the head of that file: three settings a trained row and up to 60 "
            "epochs, both chosen on held-out samples of the training part; the test part is "
            "scored once. Late fusion is tuned in the same way. Ten seeds; five for the "
            "pool, stacked trees, windows and fusions; three for sequences and images; one for "
            f"{joined(SEEDLESS)}, which do not depend on it. A dash: not run. joint* is joint "
            "training with unimodal losses, InfoReg* is InfoReg with them. Late fusion counts the "
            'prior of the classes once; "prior each" is the plain product of the probabilities. '
            "The optimizer is the default, DecayAdamW. It divides gradients by their usual size, "
            "so that methods which scale gradients, and were made for SGD, do less here.",
            "Intervals are 95 %, of the difference on the same test samples, or groups of them "
            "where there are any, with the variance of the means over the seeds added. Of few "
            "test groups little can be told, and of two next to nothing.",
            line="=",
        ),
        *rst_table(
            ["set", "what it is", "training", "test", "classes", "modalities", "test groups"],
            described,
        ),
        "Of CMU-MOSI most training samples are positive and most test samples negative: the "
        "majority class of the training part scores less than half.",
        "",
        *titled(
            "What may be said",
            "Against joint*, late fusion, and the rival that is best in hindsight among "
            f'{joined(OTHERS)}. "Better" and "worse" hold for all comparisons of the first three '
            "rows on a set together, and for those of the others together (Holm, 5 %); what holds "
            "by a single comparison only is called so. In brackets: points, with half of the 95 % "
            "interval of a single comparison.",
        ),
        *[f"- {statement(done, s)}" for s in sets],
        "",
        others_sentence(done, sets),
        "",
        *titled(
            "Why",
            "One row less another, in points, each with its own three settings: "
            f"{'; '.join(f'{e} is {a} less {b}' for e, (a, b) in EFFECTS.items())}. A star: it "
            "holds for all sets of its row together (Holm, 5 %).",
        ),
        *why(done, sets),
        *titled(
            "Methods (Tables 2 and 3 of the paper)",
            "Accuracy on the test part in %: mean and standard deviation over the seeds.",
        ),
        *accuracies(done, sets),
        *titled(
            "Against the better of joint* and late fusion",
            'The smaller one of the two differences. "Better" is better than both, "worse" '
            "worse than one, by single comparisons; a star: by all comparisons with the two "
            "on the set together (Holm).",
        ),
        *against(done, sets),
        *titled(
            "Inside or outside the prime learning window (Table 4)",
            "The method acts in the whole training, in the window, outside it. InfoReg has its "
            "own window otherwise. Published: the same three on CREMA-D.",
        ),
        *and_clear_ones(*windows(done)),
        *titled(
            "Fusions (Table 5)",
            "Accuracy in %. Gated and FiLM are conditioned on mrna, audio and skeleton. "
            "Published: joint and InfoReg on CREMA-D.",
        ),
        *and_clear_ones(*fusions(done)),
        *titled(
            "Three modalities (Table 6), and each modality inside the network",
            '"All" is the accuracy of the row; "in it" that of the unimodal logits of a '
            'modality inside it, for late fusion that of the network trained alone; "probe" that '
            "of a logistic regression (C = 0.1) on the frozen features of its encoder.",
        ),
    ]
    for name in [s for s in sets if (s, "joint") in done]:
        text += [f"**{name}**", ""]
        if name == "CMU-MOSI":
            text += [
                "The training features of text and video were made with the training labels. The "
                "settings were chosen by one half of the test recordings for the other; what "
                "chooses inside the training part (best single, stacked rows, the pool) suffers "
                "from it. Published, with a transformer: joint 61.1 and macro F1 60.7, InfoReg "
                "62.3 and 62.0.",
                "",
            ]
        text += modalities_of(done, name)
    text += [
        *titled("Sequences and images", "Accuracy in %, three seeds."),
        *and_clear_ones(*encoded(done)),
        *titled(
            "Cost",
            "CPU seconds a seed, with the choice of settings and the probes. Many networks are "
            "trained as one where the method allows it, which makes those rows cheaper.",
        ),
        *costs(done, sets),
    ]
    return "\n".join(text)


# The pages of the documentation

#: The rows of a page of docs/methods.
PAGES = {
    "inforeg": ("InfoReg", "InfoReg*"),
    "ogm_ge": ("OGM-GE",),
    "agm": ("AGM",),
    "pmr": ("PMR",),
    "g_blending": ("G-Blending",),
    "mmpareto": ("MMPareto",),
    "greedy": ("Greedy, feature-level",),
    "dgl": ("DGL",),
    "tcmax": ("TCMax",),
    "opm": ("OPM",),
    "diagnosing_relearning": ("D&R",),
}
EXPECT = DOCS / "guide" / "expect.rst"
BEGIN, END = (f".. {word} of what benchmarks/reproduce.py writes." for word in ("Begin", "End"))
_HEAD = "When it helps"


def write_documentation(done):
    """What was measured, in docs: the last section of each method, a part of the guide."""
    for page, rows in PAGES.items():
        path = DOCS / "methods" / f"{page}.rst"
        path.write_text(with_section(path.read_text(), section(done, rows)))
    EXPECT.write_text(with_block(EXPECT.read_text(), expected(done)))


def with_section(text, section):
    before = text.partition(f"\n{_HEAD}\n")[0].rstrip("\n")
    return f"{before}\n\n{_HEAD}\n{'-' * len(_HEAD)}\n\n{section}\n"


def with_block(text, block):
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{EXPECT.name} lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{block.strip()}\n\n{end}{after}"


def expected(done):
    """Of the guide: accuracies by data set, what each part brings, the other methods."""
    sets = [s for s in SETS if (s, "about") in done]
    body = [
        [s, *(f"{mean_of(done, s, r):.1f}" if (s, r) in done else "-" for r in SHOWN)] for s in sets
    ]
    found = effects(done, sets)
    lines = rst_table(["set", *SHOWN], body)
    for effect, gaps in found.items():
        if gaps:
            lines += wrapped(effect_sentence(effect, gaps), "- ")
    paragraphs = [nothing(found), others_sentence(done, sets)]
    for title, (_, gaps) in [
        ("Methods inside their window beside the whole training and outside", windows(done)),
        ("InfoReg by other fusions beside joint training by the same", fusions(done)),
    ]:
        if gaps:
            paragraphs.append(f"{title}. {clear_ones(gaps)}")
    for text in [*paragraphs, encoders_sentence(done)]:
        lines += ["", *wrapped(text)]
    return "\n".join(lines)


def wrapped(text, bullet=""):
    indent = " " * len(bullet)
    return textwrap.wrap(
        text, 118, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False
    )


def section(done, rows):
    """What was measured of the rows of a method's page, a table each."""
    text = [
        "Accuracy on test data in %, and differences in points with half of the 95 % interval",
        "(``benchmarks/RESULTS.rst``: ten seeds, settings and epochs chosen on held-out data, the",
        "default optimizer; joint* is joint training with unimodal losses):",
    ]
    measured_ones = [row for row in rows if any((s, row) in done for s in SETS)]
    if not measured_ones:
        return "It has not been measured by this protocol yet."
    for row in measured_ones:
        title = [f"**{row}**", ""] if len(rows) > 1 else []
        text += ["", *title, *against_three(done, row)]
    return "\n".join(text)


def against_three(done, row):
    """A row beside joint training, the same with unimodal losses, and late fusion."""
    body, against = [], {"joint": [], "joint*": [], "late fusion": []}
    for name in [s for s in SETS if (s, row) in done]:
        cells = [f"{mean_of(done, name, row):.1f}"]
        for other, found in against.items():
            if (name, other) not in done:
                cells.append("-")
                continue
            difference = gap(done, name, row, other)
            cells.append(str(difference))
            found.append((difference.word, name))
        body.append([name, *cells])
    told = []
    for other, found in against.items():
        for word in ("better", "worse"):
            where = [name for w, name in found if w == word]
            if where:
                told.append(f"{word} than {other} on {joined(where)}")
    text = "Beyond the noise of single comparisons it is " + "; ".join(told) + "." if told else (
        "No difference is beyond the noise."
    )  # fmt: skip
    head = ["data set", "accuracy", "over joint", "over joint*", "over late fusion"]
    return [*rst_table(head, body), *wrapped(text)]
