"""What the results of ``benchmarks/reproduce.py`` allow to be said: comparisons, sentences, why."""

from typing import NamedTuple

import numpy as np
from reproduce_rows import METHODS
from scipy.stats import spearmanr, t

from inforeg_sk.functional import holm_adjust

REFERENCES = ("joint*", "late fusion")
OTHERS = ("best single", "linear on all", "stacked linear", "stacked trees")
HEADLINES = ("pool", "InfoReg", "InfoReg*")
LEVEL = 0.05

# Comparison


class Gap(NamedTuple):
    """A difference in points, half of its 95 % interval, and its p value."""

    mean: float
    half: float
    p: float

    def __str__(self):
        return f"{self.mean:+.1f} ± {self.half:.1f}"

    @property
    def word(self):
        if self.p >= LEVEL:
            return "no difference"
        return "better" if self.mean > 0 else "worse"


def bits(value, n_test):
    """Whether each test sample was right, by seed (n_seeds, n_test)."""
    raw = [np.frombuffer(bytes.fromhex(s["right"]), dtype=np.uint8) for s in value["seeds"]]
    return np.array([np.unpackbits(one)[:n_test] for one in raw], dtype=float)


def gap(done, name, mine, theirs):
    """Difference of two rows on a set: over test samples, or groups of them, and seeds.

    The variance of the mean over samples (or groups) and those of the means over the seeds are
    added; Satterthwaite's degrees of freedom, but no more than the groups give, since the variance
    over two or three groups may be small by chance.
    """
    about = done[name, "about"]
    a, b = (bits(done[name, row], about["n_test"]) for row in (mine, theirs))
    each = 100 * (a.mean(axis=0) - b.mean(axis=0))
    units = np.arange(len(each)) if about["groups"] is None else np.asarray(about["groups"])
    # Of groups of unequal size: the sum of deviations is what varies.
    sums = np.bincount(units, weights=each - each.mean())
    n = len(sums)
    parts = [(n / (n - 1) * (sums**2).sum() / len(each) ** 2, n - 1)]
    for seeds in (100 * a.mean(axis=1), 100 * b.mean(axis=1)):
        if len(seeds) > 1:
            parts.append((seeds.var(ddof=1) / len(seeds), len(seeds) - 1))
    variance = sum(v for v, _ in parts)
    if variance < 1e-20:  # the same answers everywhere
        return Gap(each.mean(), 0.0, 1.0)
    df = min(n - 1, variance**2 / sum(v**2 / d for v, d in parts))
    error = np.sqrt(variance)
    return Gap(
        each.mean(), t.ppf(1 - LEVEL / 2, df) * error, 2 * t.sf(abs(each.mean()) / error, df)
    )


def mean_of(done, name, row, key="accuracy"):
    return np.mean([seed[key] for seed in done[name, row]["seeds"]])


def adjusted(gaps):
    """The same gaps with Holm's p values for all of them together (dict)."""
    values = holm_adjust([g.p for g in gaps.values()]) if gaps else []
    return {key: g._replace(p=p) for (key, g), p in zip(gaps.items(), values, strict=True)}


def best_other(done, name):
    """The best, in hindsight, of the rivals that are neither joint nor late fusion."""
    found = [row for row in OTHERS if (name, row) in done]
    return max(found, key=lambda row: mean_of(done, name, row)) if found else None


def family(done, name, rows, references):
    """Comparisons of some rows with references, alone and with Holm's p values for all of them."""
    gaps = {
        (row, r): gap(done, name, row, r)
        for row in rows
        for r in references
        if row != r and {(name, row), (name, r)} <= done.keys()
    }
    return gaps, adjusted(gaps)


def headlines(done, name):
    """InfoReg and the pool beside joint*, late fusion and the best other rival."""
    return family(done, name, HEADLINES, (*REFERENCES, best_other(done, name)))


def methods(done, name):
    """The methods beside joint* and late fusion."""
    return family(done, name, [r for r in METHODS if r not in HEADLINES], REFERENCES)


# Words


def capitalized(text):
    return f"{text[0].upper()}{text[1:]}"


def joined(words):
    words = [word.replace(", feature-level", "") for word in words]  # a comma would end a name
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sentence(row, alone, together):
    """What a row is beside its references, from gaps by reference: alone, and by Holm."""
    found = {}
    for other, one in alone.items():
        kind = together[other].word
        if kind == "no difference" != one.word:
            kind = f"{one.word}, alone"
        found.setdefault(kind, []).append(f"{other} ({one})")
    verbs = {
        "better": "better than",
        "worse": "worse than",
        "better, alone": "by a single comparison better than",
        "worse, alone": "by a single comparison worse than",
        "no difference": "not clearly different from",
    }
    parts = [f"{verb} {joined(found[kind])}" for kind, verb in verbs.items() if kind in found]
    return f"{'The pool' if row == 'pool' else row} is {', and '.join(parts)}."


def overall(gaps):
    """How a row compares with the better of the references: better than all, worse than one."""
    words = [g.word for g in gaps]
    if "worse" in words:
        return "worse"
    return "better" if all(w == "better" for w in words) else "no difference"


def statement(done, name):
    """What may be said about a set, in sentences."""
    told = [f"**{name}**, {size(done[name, 'about'])}."]
    alone, together = headlines(done, name)
    for row in HEADLINES:
        own = [other for r, other in alone if r == row]
        if own:
            told.append(sentence(row, *({o: g[row, o] for o in own} for g in (alone, together))))
    alone, together = methods(done, name)
    key = ("joint*", "late fusion")
    if key in alone:
        told.append(sentence(key[0], *({key[1]: g[key]} for g in (alone, together))))
    beside = words_beside(together)
    parts = []
    for word, text in [
        ("better", "better than both joint* and late fusion"),
        ("worse", "worse than one of joint* and late fusion"),
        ("no difference", "not clearly different from the better of the two"),
    ]:
        found = [row for row, own in beside.items() if own == word]
        if found:
            parts.append(f"{joined(found)} {'are' if len(found) > 1 else 'is'} {text}")
        elif word == "better":
            parts.append(f"none is {text}")
    if beside:
        told.append(f"Of the other methods, {'; '.join(parts)}.")
    return " ".join(told)


def words_beside(together):
    """By method: better than joint* and late fusion, worse than one of them, or no difference."""
    return {
        row: overall([together[row, r] for r in REFERENCES])
        for row in METHODS
        if all((row, r) in together for r in REFERENCES)
    }


def others_sentence(done, sets):
    """What the methods of others are beside joint* and late fusion, over all sets."""
    where, found = {}, {"better": [], "worse": [], "one": []}
    for name in sets:
        together = methods(done, name)[1]
        for row, word in words_beside(together).items():
            if row == "joint":
                continue
            where.setdefault(row, []).append(name)
            if word != "no difference":
                found[word].append(f"{row} on {name}")
            else:
                found["one"] += [
                    f"{row} than {r} on {name}"
                    for r in REFERENCES
                    if together[row, r].word == "better"
                ]
    if not where:
        return "None of the methods of others has been measured yet."
    return (
        f"Methods of others beside joint* and late fusion ({_measured_on(where, sets)}). Better "
        f"than both: {'; '.join(found['better']) or 'none'}. Worse than one of the two: "
        f"{'; '.join(found['worse']) or 'none'}. Better than one of the two only: "
        f"{'; '.join(found['one']) or 'none'}. No other difference is clear (all comparisons on a "
        "set together, Holm, 5 %)."
    )


def _measured_on(where, sets):
    """Which methods were measured on which sets, those of the same sets together."""
    by_sets = {}
    for row, names in where.items():
        by_sets.setdefault(tuple(names), []).append(row)
    parts = []
    for names, rows in by_sets.items():
        every = f"all {len(sets)} sets" if len(names) == len(sets) else joined(names)
        parts.append(f"{joined(rows)} on {every}")
    return ". ".join(parts)


def size(about):
    groups = about["groups"]
    of = "" if groups is None else f" of {len(set(groups))} groups"
    return f"{about['n_test']} test samples{of}"


def clear_ones(gaps):
    """Which differences of a section are clear, all of them together (Holm), in a sentence."""
    found = [f"{name} ({gaps[name]})" for name, g in adjusted(gaps).items() if g.p < LEVEL]
    told = "; ".join(found) or "none"
    return f"Clear of these {len(gaps)} differences together (Holm, 5 %): {told}."


# Why

#: What is laid to each part: a row less another.
EFFECTS = {
    "unimodal losses": ("joint*", "joint"),
    "regulation": ("InfoReg", "joint"),
    "regulation on top of unimodal losses": ("InfoReg*", "joint*"),
    "late fusion instead of joint training": ("late fusion", "joint"),
    "late fusion instead of joint*": ("late fusion", "joint*"),
    "pool instead of late fusion": ("pool", "late fusion"),
    "pool instead of stacked linear models": ("pool", "stacked linear"),
}


def effects(done, sets):
    """Gaps by effect and set, with Holm's p values over the sets of an effect."""
    found = {}
    for effect, (mine, theirs) in EFFECTS.items():
        having = [s for s in sets if {(s, mine), (s, theirs)} <= done.keys()]
        found[effect] = adjusted({s: gap(done, s, mine, theirs) for s in having})
    return found


def effect_sentence(effect, gaps):
    means = [g.mean for g in gaps.values()]
    parts = [
        f"{text} on {joined(s for s, g in gaps.items() if g.word == word)}"
        for word, text in [("better", "a gain"), ("worse", "a loss")]
        if any(g.word == word for g in gaps.values())
    ]
    rest = [s for s, g in gaps.items() if g.word == "no difference"]
    if rest:
        parts.append(f"no clear difference on {joined(rest)}")
    n_sets = f"{len(means)} set{'s' * (len(means) > 1)}"
    return (
        f"{capitalized(effect)}: {np.mean(means):+.1f} points on average over "
        f"{n_sets}, from {min(means):+.1f} to {max(means):+.1f}; {'; '.join(parts)}."
    )


def shortfall(done, name):
    """How far the encoder that falls behind most is behind the one trained alone, by probes."""
    alone, joint = (by_modality(done, name, row, "probe") for row in ("late fusion", "joint"))
    return max(alone[m] - joint[m] for m in alone)


def by_modality(done, name, row, key):
    each = [seed[key] for seed in done[name, row]["seeds"]]
    return {m: np.mean([one[m] for one in each]) for m in each[0]}


def expectations(done, gaps):
    """When to expect nothing: what the sets with a gain of unimodal losses have in common."""
    sets = [s for s in gaps if (s, "late fusion") in done and (s, "joint") in done]
    if len(sets) < 4:
        return []
    behind = {s: shortfall(done, s) for s in sets}
    rest = {  # what the other modalities add to the best one
        s: mean_of(done, s, "late fusion")
        - max(by_modality(done, s, "late fusion", "alone").values())
        for s in sets
    }
    gained = [s for s in sets if gaps[s].word == "better"]
    others = [s for s in sets if s not in gained]
    told = []
    if gained and others:
        told.append(
            f"Where unimodal losses gained ({joined(gained)}), the encoder that falls behind most "
            f"in joint training is {np.mean([behind[s] for s in gained]):.1f} points behind the "
            f"one trained alone (linear probes), and late fusion is "
            f"{np.mean([rest[s] for s in gained]):.1f} points above the best network of one "
            f"modality; elsewhere ({joined(others)}) it is "
            f"{np.mean([behind[s] for s in others]):.1f} and "
            f"{np.mean([rest[s] for s in others]):.1f} points."
        )
    found = [
        spearmanr([values[s] for s in sets], [gaps[s].mean for s in sets])
        for values in (behind, rest)
    ]
    told.append(
        f"Over {len(sets)} sets the rank correlation of the gain by unimodal losses is "
        f"{found[0].statistic:+.2f} (p = {found[0].pvalue:.2f}) with how far the hindmost encoder "
        f"is behind in joint training (probes), and {found[1].statistic:+.2f} "
        f"(p = {found[1].pvalue:.2f}) with what late fusion adds to the best network of one "
        "modality; so few sets give a hint, not a rule."
    )
    return told


def nothing(found):
    """Sets without a clear difference in any effect of training networks together."""
    kinds = list(EFFECTS)[:3]
    sets = [s for s in found[kinds[0]] if all(s in found[k] for k in kinds)]
    quiet = [s for s in sets if all(found[k][s].word == "no difference" for k in kinds)]
    if not quiet:
        return "On every set at least one of unimodal losses and regulation makes a difference."
    limits = [f"{s} ({max(abs(found[k][s].mean) + found[k][s].half for k in kinds):.1f})"
              for s in quiet]  # fmt: skip
    return (
        "Neither unimodal losses nor regulation, with them or without, makes a clear difference on "
        f"{joined(limits)}. In brackets is the largest effect, in points, that an interval of the "
        "three still allows: where it is small, expect nothing from balancing; where it is large, "
        "these data cannot tell."
    )
