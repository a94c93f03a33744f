"""Where the rollouts of a run were made, and what depends on it."""

from __future__ import annotations

from enum import StrEnum


class Provenance(StrEnum):
    """An imported run has no taskset, agent or seed; its groups have as many rollouts as its table has rows."""

    MEASURED = "measured"
    IMPORTED = "imported"

    @classmethod
    def of_engine(cls, engine: str) -> Provenance:
        """The provenance of a run by the engine on its record: an import has its own word there."""
        return cls.IMPORTED if engine == cls.IMPORTED else cls.MEASURED

    @property
    def is_repeatable(self) -> bool:
        """Whether there is a taskset, an agent and a seed to measure again with, or to go on with."""
        return self is Provenance.MEASURED

    @property
    def has_planned_groups(self) -> bool:
        """Whether the design decided how many rollouts each group has."""
        return self is Provenance.MEASURED

    @property
    def has_task_parts(self) -> bool:
        """Whether its groups have the parts of `core.identity`, unless an older version recorded them."""
        return self is Provenance.MEASURED
