"""What was asked of a run: enough to report it, to resume it, and to see whether two runs can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskcal.core.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.identity import ImageOrigin
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.verdict import Band


@dataclass(frozen=True, slots=True)
class GroupImages:
    """The images that one group ran on. Keys are containers: SANDBOX, or a service's name.

    `identity` is the SHA-256 of the group with its images, the same on every machine that measures the same. `origins`
    are what the images go back to. `ids` are the images themselves, in the order of their use: more than one if an
    image was removed and made again from the same content.
    """

    identity: str
    origins: Mapping[str, ImageOrigin]
    ids: Mapping[str, tuple[str, ...]]

    def with_ids(self, ids: Mapping[str, str]) -> GroupImages:
        """The same with images that were made again; one that is known is not named twice."""
        used = {name: (*self.ids.get(name, ()), ids[name]) for name in ids}
        return replace(self, ids={**self.ids, **{name: tuple(dict.fromkeys(found)) for name, found in used.items()}})


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One invocation.

    Digests are SHA-256 in hex, times are ISO 8601 in UTC. `agent_source` is what stood behind --agent, `agent_version`
    behind --agent-version. `images` maps groups to the images that their sandboxes began with, `groups` to all that is
    known of their images; a run of an older version has `images` alone. `prior_run` is the run whose calibration it
    started from, '' for none; `stopped` says why it ended before it was done.

    `notes` are sentences that every report must carry, such as that the agent is no model, or that the base image was
    built on this machine. `seconds` and `interrupted` are known when the run has ended.
    """

    id: str
    taskset: str
    taskset_files: tuple[str, ...]
    taskset_digest: str
    agent: str
    agent_digest: str
    settings: CalibrationSettings
    seed: int
    concurrency: int
    retries: int
    started_at: str
    version: str
    engine: str
    host: str
    agent_source: str = ""
    agent_version: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, GroupImages] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    prior_run: str = ""
    seconds: float | None = None
    interrupted: bool = False
    stopped: str = ""

    @property
    def provenance(self) -> Provenance:
        """Where its rollouts were made."""
        return Provenance.of_engine(self.engine)

    @property
    def group_size(self) -> int:
        """The G that signal is computed for; in a fixed design the rollouts of each group."""
        return self.settings.group_size

    @property
    def planned(self) -> int | None:
        """The rollouts that each group has when the run is complete; None where their number is not fixed."""
        is_planned = self.provenance.has_planned_groups and not self.settings.adaptive
        return self.group_size if is_planned else None

    @property
    def band(self) -> Band:
        """The rates worth training on."""
        return self.settings.band
