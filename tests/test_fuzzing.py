"""Readers on corrupted files: each is read or refused by name, whatever is in it."""

import importlib.util

import fuzzing
import pytest

# Kinds whose libraries are installed.
KINDS = [
    name
    for name, kind in fuzzing.KINDS.items()
    if all(importlib.util.find_spec(module) for module in kind.needs)
]


@pytest.mark.slow
def test_corrupted_files_are_read_or_refused_by_name():
    done = list(fuzzing.trials(KINDS, 300, seed=0))
    assert len(done) == 300 and {trial.kind for trial in done} == set(KINDS)
    assert [t for t in done if t.outcome not in ("read", "refused")] == []
    # Corruption is felt: many are refused, though not all (noise in a sound stays a sound).
    refused = sum(trial.outcome == "refused" for trial in done)
    assert 100 < refused < 290
    assert max(trial.peak for trial in done) < 1024  # MB, of which about 400 are libraries
    assert max(trial.seconds for trial in done) < fuzzing.TIME_LIMIT


@pytest.mark.parametrize("name", KINDS)
def test_intact_files_of_each_kind_are_read(name, tmp_path):
    fuzzing.KINDS[name].write(tmp_path)
    assert fuzzing.attempt(name, tmp_path)[:2] == ("read", "")


def test_foreign_errors_and_code_that_runs_are_noticed(tmp_path, monkeypatch):
    def foreign(folder):
        raise KeyError("x")

    def nameless(folder):
        raise ValueError("wrong")

    (tmp_path / "x").touch()
    for read in (foreign, nameless):
        monkeypatch.setitem(fuzzing.KINDS, "planted", fuzzing.Kind(None, read))
        assert fuzzing.attempt("planted", tmp_path)[0] == "foreign"
    monkeypatch.setattr(fuzzing, "_watched", {"on": True, "events": []})
    for event, args in (
        ("os.system", ("true",)),
        ("open", ("x", "w", 0)),
        ("open", ("x", "rb", 0)),
        ("import", ("x", None, None, None, None)),
    ):
        fuzzing._audit(event, args)
    assert fuzzing._watched["events"] == ["os.system('true',)", "open('x', 'w')"]
