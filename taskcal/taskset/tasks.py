"""One task: its YAML merged with the defaults, validated, its variants named and their prompts rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from taskcal.core.rollout import GroupId
from taskcal.core.task import External, RunProbe, Task
from taskcal.taskset import convert
from taskcal.taskset.merge import merge
from taskcal.taskset.models.taskset import TaskModel
from taskcal.taskset.prompts.check_templates import GraderDraft, with_checks
from taskcal.taskset.prompts.prompts import read_prompts
from taskcal.taskset.variants.params import VariantParams, read_variant_params, scripts_of
from taskcal.yamlfile.mistakes import validate_model
from taskcal.yamlfile.nodes import KeyPlace, Map, locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.task import Environment, Grader, Variant
    from taskcal.taskset.scope import Scope
    from taskcal.taskset.shared_parts import Located, SharedParts


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reader:
    """What all tasks of one file are read with."""

    scope: Scope
    defaults: Map
    environments: SharedParts[Environment]
    graders: SharedParts[GraderDraft]

    def task(self, own: Map) -> Task | None:
        """Read one task; None after its mistakes, all of them, were reported."""
        before = self.scope.problems.count()
        raw = merge(self.defaults, own, self.scope) if self.defaults else own
        _check_id(raw, self.scope)
        model = validate_model(TaskModel, raw, self.scope.file, self.scope.folder, self.scope.problems)
        environment = _get(self.environments, raw, "environment")
        grader = _get(self.graders, raw, "grader")
        if environment and grader:
            _check_services(environment, grader, self.scope)
        params = read_variant_params(raw, self.scope)
        self._report_lacking(raw, params, environment, grader)
        params.report_unset(_scripts(model, environment, grader), self.scope)
        variants = read_prompts(raw, model, params, self.scope)
        if model is None or environment is None or grader is None or self.scope.problems.count() > before:
            return None
        variants = self._with_checks(model.id, variants, grader)
        if self.scope.problems.count() > before:
            return None
        shared = _grader_of(grader.value, variants)
        return _task(model, variants, environment.value, shared, TaskOrigin(self.scope.file, raw.line))

    def _report_lacking(
        self,
        raw: Map,
        params: VariantParams,
        environment: Located[Environment] | None,
        grader: Located[GraderDraft] | None,
    ) -> None:
        """Report params that services or values of the checks name and some variant lacks."""
        where = f" in the task {raw['id']}" if isinstance(raw.get("id"), str) else ""
        for name, place in _service_params(environment) if environment else ():
            params.report_undefined(name, place, self.scope, where)
        for slot in grader.value.slots if grader else ():
            for name in slot.template.names:
                params.report_undefined(name, slot.place, self.scope, where)

    def _with_checks(
        self, task: str, variants: tuple[Variant, ...], grader: Located[GraderDraft]
    ) -> tuple[Variant, ...]:
        """Fill the params of each variant into its checks, up to the first variant with a mistake."""
        if not grader.value.slots:
            return variants
        filled: list[Variant] = []
        for variant in variants:
            own = with_checks(str(GroupId(task, variant.id)), variant, grader, self.scope)
            if own is None:
                break
            filled.append(own)
        return tuple(filled)


def _scripts(
    model: TaskModel | None, environment: Located[Environment] | None, grader: Located[GraderDraft] | None
) -> Iterator[str]:
    return scripts_of(model, environment.value if environment else None, grader.value.grader if grader else None)


def _grader_of(draft: GraderDraft, variants: tuple[Variant, ...]) -> Grader:
    """The grader of a task: with the first variant's checks if each variant has its own."""
    checks = next((variant.checks for variant in variants), None)
    return draft.grader if checks is None else replace(draft.grader, checks=checks)


class TaskOrigin(NamedTuple):
    """Where a task was written."""

    file: str
    line: int


def _get(shared: SharedParts[T], raw: Map, key: str) -> Located[T] | None:
    """Read the task's environment or grader; that it is missing, the task's model says."""
    return None if raw.get(key) is None else shared.get(raw[key], raw.at(key))


def _check_id(raw: Map, scope: Scope) -> None:
    """Report an id that another task has, in this file or in an earlier one."""
    name = raw.get("id")
    if isinstance(name, str):
        here = f"{scope.file}:{raw.at('id').line}"
        first = scope.ids.setdefault(name, here)
        if first != here:
            scope.report(raw.at("id"), f'another task has the id "{name[:60]}": {first}')


def _task(
    model: TaskModel, variants: tuple[Variant, ...], environment: Environment, grader: Grader, origin: TaskOrigin
) -> Task:
    return Task(
        id=model.id,
        variants=variants,
        environment=environment,
        grader=grader,
        tags=tuple(model.tags),
        timeouts=convert.timeouts(model.timeouts),
        passing=model.passing,
        solutions=tuple(map(convert.solution, model.solutions)),
        wrong=tuple(map(convert.wrong_answer, model.wrong)),
        tools=tuple(map(convert.tool, model.tools)),
        mcp=tuple(map(convert.mcp_server, model.mcp)),
        max_parallel=model.max_parallel,
        external=None if model.external is None else External(model.external),
        file=origin.file,
        line=origin.line,
    )


def _check_services(environment: Located[Environment], grader: Located[GraderDraft], scope: Scope) -> None:
    """Report checks and artifacts that name a service which the environment does not have."""
    known = [service.name for service in environment.value.services]
    for steps, name in _service_names(grader.value.grader):
        if name and name not in known:
            message = f'the environment has no service "{name[:60]}"{scope.hint(name, known)}'
            scope.report(locate(grader.raw, steps), message)


def _service_params(environment: Located[Environment]) -> Iterator[tuple[str, KeyPlace]]:
    """The params that services ask for, each with its place in the file."""
    for service in environment.value.services:
        for index, name in enumerate(service.params):
            yield name, locate(environment.raw, ("services", service.name, "params", index))


def _service_names(grader: Grader) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, check in enumerate(grader.checks):
        if isinstance(check.probe, RunProbe):
            yield ("checks", index, "in"), check.probe.service
    for index, artifact in enumerate(grader.artifacts):
        yield ("artifacts", index, "service"), artifact.service
