"""Tasks, groups and rollouts in one line each, for the tests of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.group_record import GroupRecord
from taskcal.core.identity import ImageOrigin
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop
from taskcal.core.run import GroupImages
from taskcal.core.settings import fixed_settings
from taskcal.core.task import Check, Environment, FileProbe, Grader, ImageSource, Task, Variant
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import Outcome
    from taskcal.core.task import Scalar

GROUP = GroupId("task", "")
BOX = Environment("box", ImageSource(image="debian:bookworm-slim"))
IMAGES = GroupImages(
    "cc" * 32,
    {
        "": ImageOrigin({"base": "sha256:0", "tool": "sha256:9"}, "dd" * 32, "sha256:8"),
        "db": ImageOrigin({"db:1": "sha256:2"}),
    },
    {"": ("sha256:1", "sha256:3"), "db": ("sha256:2",)},
)
GRADER = Grader((Check("a", FileProbe("/a", exists=True)),))


def task(name: str, *variants: str, tags: Sequence[str] = (), environment: Environment = BOX) -> Task:
    """A task; each variant is written `id`, or `id:name=value` to give it a param."""
    return Task(name, tuple(map(variant, variants or ("",))), environment, GRADER, tags=tuple(tags))


def variant(text: str, value: Scalar = None) -> Variant:
    name, _, param = text.partition(":")
    key, _, written = param.partition("=")
    return Variant(name, {key: written if value is None else value} if key else {}, "Do it.")


def record(*checks: tuple[str, float]) -> GroupRecord:
    return GroupRecord(GROUP, {}, "Do it.", (), 1.0, checks or (("a", 1.0),), "t.yaml", 1)


def graded(reward: float, *checks: CheckResult, stop: Stop = Stop.FINISHED) -> Graded:
    return Graded(stop, reward, reward >= 1.0, checks)


def lost(boundary: Boundary = Boundary.SANDBOX, reason: str = "it died") -> Lost:
    return Lost(boundary, reason)


def rollouts(outcomes: Iterable[Outcome]) -> list[Rollout]:
    """First attempts, in the order of their indices."""
    return [Rollout(RolloutId(GROUP, index, 0), outcome) for index, outcome in enumerate(outcomes)]


def calibrated(outcomes: Iterable[Outcome], group_size: int = 8) -> Calibration:
    return calibrate([record()], rollouts(outcomes), fixed_settings(group_size))[0]


def counts(passed: int, failed: int, *losses: Lost) -> Calibration:
    """The calibration of so many passes, failures, and what was lost."""
    return calibrated([*[graded(1.0)] * passed, *[graded(0.0)] * failed, *losses])
