"""A study that several workers share: every trial is handed out once, and none is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from stem_sweeps.command import PRUNERS, SAMPLERS
from stem_sweeps.parameter import Parameter
from stem_sweeps.space import Space
from stem_sweeps.storage import Store
from stem_sweeps.study import PRUNERS as PRUNERS_OF_STUDY
from stem_sweeps.study import SAMPLERS as SAMPLERS_OF_STUDY
from stem_sweeps.study import SharedStudy

from stemcore import UserError

SPACE = Space((Parameter("x", "", low=0.0, high=1.0), Parameter("y", "", values=("a", "b", "c"))))
STORAGES = ("study.journal", "sqlite:///study.db")


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(storage: str = STORAGES[0], trials: int = 8, space: Space = SPACE, about: object = 1, **other) -> SharedStudy:
    given = {"sampler": "tpe", "pruner": "none", "seed": 3, "max_epochs": 2, **other}
    return SharedStudy(Store(storage), "s", space, "min", {"recipe": about}, trials=trials, **given)


def finish(shared: SharedStudy) -> list[tuple[int, dict]]:
    """Claims and ends trials until there are no more."""
    done = []
    while (trial := shared.claim()) is not None:
        done.append((trial.number, trial.params))
        shared.optuna.tell(trial, trial.params["x"])
    return done


def test_the_choices_of_the_command_are_those_of_the_study():
    assert (SAMPLERS, PRUNERS) == (SAMPLERS_OF_STUDY, PRUNERS_OF_STUDY)


@pytest.mark.parametrize("storage", STORAGES)
def test_two_workers_lose_and_repeat_no_trial(storage):
    shared = [study(storage), study(storage)]
    done: list[list] = [[], []]
    together = threading.Barrier(2)

    def claim(which: int) -> None:
        together.wait()
        done[which] = finish(shared[which])

    workers = [threading.Thread(target=claim, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(number for part in done for number, _ in part) == list(range(8))
    ended = study(storage).finished()
    assert [t.number for t in ended] == list(range(8))
    assert all(t.state == TrialState.COMPLETE for t in ended)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_trial_put_back_is_handed_out_again_as_it_was(storage):
    first = study(storage, trials=2)
    trial = first.claim()
    assert trial is not None
    trial.report(0.5, 1)
    assert first.put_back_mine() == [0]
    second = study(storage, trials=2)
    again = second.claim()
    assert again is not None
    assert (again.number, again.params) == (trial.number, trial.params)
    assert second.optuna.trials[0].intermediate_values == {1: 0.5}
    assert not first.is_mine(trial)
    assert first.put_back_mine() == []  # it is the other's now, and stays so
    assert second.is_mine(again)


def test_draws_depend_on_the_seed_and_the_trials_before_alone():
    straight = finish(study("a.journal", trials=14))
    for trials in (3, 12):
        finish(study("b.journal", trials=trials))
    interrupted = study("b.journal", trials=14)
    trial = interrupted.claim()
    assert trial is not None
    interrupted.put_back_mine()
    finish(study("b.journal", trials=14))
    assert [(t.number, t.params) for t in interrupted.finished()] == straight
    assert finish(study("c.journal", trials=14, seed=4)) != straight


def test_the_trial_of_a_silent_worker_is_taken_over_and_that_of_a_working_one_is_not():
    lost, other = study(trials=1, lost_after=1.2), study(trials=1, lost_after=1.2)
    trial = lost.claim()
    assert trial is not None
    with lost.at_work(trial):
        begun = time.monotonic()
        while time.monotonic() - begun < 2.0:
            assert other.claim() is None
            time.sleep(0.1)
    taken = None
    while taken is None and time.monotonic() - begun < 30:
        taken = other.claim()
        time.sleep(0.05)
    assert taken is not None
    assert (taken.number, taken.params) == (trial.number, trial.params)
    assert not lost.is_mine(trial)


def test_more_trials_of_a_study_are_those_that_are_missing():
    assert len(finish(study(trials=3))) == 3
    assert len(finish(study(trials=3))) == 0
    assert [number for number, _ in finish(study(trials=5))] == [3, 4]


def test_a_grid_is_complete_and_in_order_whoever_works_on_it():
    space = Space((Parameter("x", "", low=1, high=3), Parameter("y", "", values=("a", "b"))))
    shared = [study(trials=6, space=space, sampler="grid"), study(trials=6, space=space, sampler="grid")]
    seen = []
    put_back = False
    for turn in range(7):
        trial = shared[turn % 2].claim()
        assert trial is not None
        if turn == 2 and not put_back:
            shared[0].put_back_mine()
            continue
        seen.append(tuple(trial.params.values()))
        shared[turn % 2].optuna.tell(trial, 0.0)
    assert shared[0].claim() is None
    assert seen == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]


def test_a_study_that_was_begun_with_something_else_is_refused():
    study()
    with pytest.raises(UserError, match=r"^study.journal: study 's' was begun with another recipe; choose another"):
        study(about=2)
    optuna.create_study(storage=Store("o.journal").optuna, study_name="s").ask()
    with pytest.raises(UserError, match="study 's' was not made by stem sweep; choose another --study"):
        study("o.journal")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:///nowhere/a.db", "nowhere: there is no such folder"),
        ("sqlite:///:memory:", r"memory.*: the database would be gone with its process; write sqlite:///PATH"),
        ("sqlite://", "sqlite://: the database would be gone with its process; write sqlite:///PATH"),
        (
            "oracle2://u:secret@h/n",
            "--storage: it is no URL of a database; write sqlite:///PATH, postgresql://USER@HOST/",
        ),
        ("nonsense://", "--storage: it is no URL of a database"),
        (
            "postgresql://u:secret@127.0.0.1:1/n",
            r"^postgresql://u:\*\*\*@127.0.0.1:1/n: the database('s driver is| cannot be)",
        ),
        ("recipe.yaml", "recipe.yaml: the file is no journal of a study; give the path of a journal"),
        ("sqlite:///recipe.yaml", "the database cannot be used: .*not a database"),
        ("recipe.yaml/study.journal", "the journal cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_used(storage, message):
    Path("recipe.yaml").write_text("stem: 1\nname: something else that is much longer than one block\n" * 20)
    with pytest.raises(UserError, match=message) as caught:
        study(storage)
    assert "secret" not in str(caught.value)
    assert Path("recipe.yaml").read_text().startswith("stem: 1")
