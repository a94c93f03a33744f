"""Services with a setup or files of their own run what they are told to, as those without do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import Noop
from taskcal.core.plan import OperatorBounds
from taskcal.core.rollout import Lost
from taskcal.core.task import FileCopy, ImageSource, Service
from taskcal.runs.images.prepare_group import prepare_group
from taskcal.sandbox.images.baking import Images
from tests.docker.rooms import IMAGE, PLAIN, act, opened, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

READY = "test -e /run/up"


@pytest.mark.parametrize("command", [("sh", "/srv/run.sh"), "sh /srv/run.sh"])
def test_a_baked_service_runs_its_command(scope: RunScope, tmp_path: Path, command: tuple[str, ...] | str) -> None:
    """Its image has no entrypoint: what it idled with while it was baked does not stay in the way."""
    (tmp_path / "run.sh").write_text("cat /srv/made >/run/up; while :; do sleep 1000 & wait; done\n")
    files = (FileCopy("/srv/run.sh", str(tmp_path / "run.sh")),)
    service = Service("up", ImageSource(image=IMAGE), command, files=files, setup="echo baked >/srv/made", ready=READY)
    with opened(scope, task(environment=replace(PLAIN, services=(service,)))) as sandbox:
        assert sandbox.service_ended("up") is None
        assert act(sandbox, "true").ok


def test_a_baked_image_keeps_the_commands_of_its_base(scope: RunScope, engine: DockerEngine) -> None:
    """Entrypoint and command are the base image's own, also where it has none."""
    base = engine.image(IMAGE)
    assert base is not None
    service = Service("idle", ImageSource(image=IMAGE), setup="touch /srv/kept")
    group = task(environment=replace(PLAIN, services=(service,), setup="touch /srv/kept"))
    images = prepare_group(group, Images(scope, network=False, log=lambda _: None), Noop(), OperatorBounds())
    assert not isinstance(images, Lost)
    for name in (images.sandbox, images.services["idle"]):
        baked = engine.image(name)
        assert baked is not None
        assert (baked.entrypoint, baked.command) == (base.entrypoint, base.command)
