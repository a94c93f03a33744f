"""A small taskset, and a command line on which nothing is typed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.request import RunOptions, resolve_request
from taskcal.cli.options.resume_options import fill_from_run
from taskcal.core.plan import Selection
from taskcal.core.rollout import Rollout, RolloutId, Timing, Usage
from taskcal.runs.identities import contents_of, records_of
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskcal.core.rollout import Outcome
    from taskcal.core.settings import CalibrationSettings
    from taskcal.runs.request import Request

TASKSET = """\
taskset: shop
version: 1
environments:
  box: {image: "debian:bookworm-slim", memory: 64m}
defaults:
  environment: box
  grader: {checks: [{name: a, file: /a, exists: true}, {name: b, file: /b, exists: true}]}
  solutions: [{name: s, run: touch /a /b}]
tasks:
  - {id: ship, prompt: "Ship {{ n }}.", tags: [sql], variants: {n: [1, 2]}}
  - {id: refund, prompt: Refund.}
"""
NOTHING = RunOptions(
    files=("shop.yaml",),
    agent="oracle",
    overrides=(),
    selection=Selection(),
    params=(),
    group_size=None,
    concurrency=None,
    retries=None,
    seed=None,
    band=None,
    fail_on=None,
    max_lost=None,
    allow_network="bridge",
    max_memory=None,
    max_cpus=None,
    keep_failed=False,
    as_json=False,
    quiet=False,
    out=None,
)


def request(configured: Configuration | None = None, **given: Any) -> Request:
    """What is asked with these options typed."""
    found = configured or Configuration()
    return resolve_request(fill_from_run(replace(NOTHING, **given), found), found)


def make_run(
    root: Path,
    name: str,
    asked: Request,
    outcomes: Mapping[str, Sequence[Outcome]],
    settings: CalibrationSettings | None = None,
) -> RunFolder:
    """A run of a request that is over, with these outcomes of its groups, of 10 seconds and 2 cents each."""
    most = max([asked.group_size, *map(len, outcomes.values())])
    record = replace(
        RECORD,
        id=name,
        taskset_files=asked.taskset.files,
        agent_source=asked.agent_source,
        seed=asked.seed,
        settings=settings or replace(asked.settings, group_size=most),
        prior_run=asked.earlier.run,
    )
    folder = RunFolder.create(root, record, records_of(asked.groups, contents_of(asked.taskset.tasks)))
    for group in asked.groups:
        for index, outcome in enumerate(outcomes.get(str(group.id), ())):
            row = Rollout(RolloutId(group.id, index, 0), outcome, usage=Usage(cost_usd=0.02), timing=Timing(total=10.0))
            folder.append(row)
    folder.close()
    return folder
