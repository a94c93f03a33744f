"""Who made a container, and when it is certain that they are gone."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest

from taskcal.machine import host
from taskcal.sandbox.engine.labels import BLANK, ROLLOUT, RUN, RunOwner, start_time

WHO = (
    "import json; from taskcal.sandbox.engine.labels import RunOwner; "
    "print(json.dumps(RunOwner.here().labels('run-2')))"
)


def test_this_process_is_not_dead() -> None:
    """Who is asking lives."""
    owner = RunOwner.here()
    assert not owner.is_dead()
    assert "" not in (owner.boot, owner.namespace, owner.pid, owner.started)
    assert owner.pid == str(os.getpid())


def test_labels_name_their_owner() -> None:
    """What is written on a container is read back from it."""
    labels = RunOwner.here().labels("run-1")
    assert labels[RUN] == "run-1"
    assert RunOwner.of(labels) == RunOwner.here()


def test_a_process_that_ended_is_dead() -> None:
    """The labels of another process of this machine say so as soon as it is gone."""
    done = host.run_program([sys.executable, "-c", WHO], seconds=60)
    owner = RunOwner.of(json.loads(done.output))
    assert (owner.boot, owner.namespace) == (RunOwner.here().boot, RunOwner.here().namespace)
    assert start_time(owner.pid) != owner.started
    assert owner.is_dead()


def test_a_pid_that_was_given_again_is_dead() -> None:
    """The same pid with another start time is another process."""
    assert replace(RunOwner.here(), started="1").is_dead()


@pytest.mark.parametrize(
    "changed", [{"boot": "another"}, {"namespace": "pid:[1]"}, {"boot": ""}, {"namespace": ""}], ids=str
)
def test_a_stranger_is_never_dead(changed: dict[str, str]) -> None:
    """Another machine, another container's namespace, or labels that do not say: nothing is certain."""
    assert not replace(RunOwner.here(), started="1", **changed).is_dead()


def test_what_carries_no_labels_is_not_dead() -> None:
    """A container of somebody else, or a baked image with blank labels, is never taken for a dead run's."""
    assert not RunOwner.of({}).is_dead()
    assert not RunOwner.of(BLANK).is_dead()


def test_blank_labels_overwrite_all() -> None:
    """Whatever a container of a run carries is blank on the image that is committed from it."""
    assert set(BLANK) == {*RunOwner.here().labels("run-1"), ROLLOUT}
    assert set(BLANK.values()) == {""}


def test_start_time_of_nobody() -> None:
    """No such process, or no number at all."""
    assert (start_time("0"), start_time("x")) == ("", "")
    assert start_time(str(os.getpid())) == RunOwner.here().started
