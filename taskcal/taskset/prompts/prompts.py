"""A task's variants with their prompts rendered; an undefined name is a mistake, never an empty place in a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.task import Variant, as_text
from taskcal.taskset.prompts.template import Prompt, TemplateMistake
from taskcal.taskset.variants.variants import TOO_MANY
from taskcal.yamlfile.fields import byte_length
from taskcal.yamlfile.nodes import KeyPlace, Map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Scalar
    from taskcal.taskset.models.taskset import TaskModel
    from taskcal.taskset.scope import Scope
    from taskcal.taskset.variants.params import VariantParams
    from taskcal.taskset.variants.variants import Draft


MOST_PARAMS = 96 * 1024
"""Bytes that the params of one variant may have together: they reach scripts as a process's environment."""


def read_prompts(raw: Map, model: TaskModel | None, known: VariantParams, scope: Scope) -> tuple[Variant, ...]:
    """Give the task's variants with their prompts.

    If the task is wrong elsewhere (`model` is None), only the mistakes in the prompt are reported.
    """
    prompt = _compile(raw, scope)
    if prompt is None:
        return ()
    undefined = [known.report_undefined(name, _place(raw, line), scope) for name, line in prompt.names.items()]
    if any(undefined) or model is None:
        return ()
    params = [_params(model, draft, scope) for draft in known.drafts]
    _report_large(params, known.drafts, scope)
    return tuple(map(Variant, known.names, params, _render_all(raw, prompt, params, scope)))


def _params(model: TaskModel, draft: Draft, scope: Scope) -> Mapping[str, Scalar]:
    if not scope.budget.take(len(model.params)):
        scope.problems.at(draft.file, draft.place, TOO_MANY)
        return draft.own
    return {**model.params, **draft.own}


def _report_large(params: list[Mapping[str, Scalar]], drafts: list[Draft], scope: Scope) -> None:
    """Report variants whose params are too large together; a text that many share is measured once."""
    known: dict[str, int] = {}
    for draft, values in zip(drafts, params, strict=True):
        size = 0
        for name, value in values.items():
            text = as_text(value)
            if text not in known:
                known[text] = byte_length(text)
            size += len(name) + known[text]
        if size > MOST_PARAMS:
            message = "the params of a variant are longer than 96 KiB together; put large ones in files (files: …)"
            scope.problems.at(draft.file, draft.place, message)


def _place(raw: Map, line: int) -> KeyPlace:
    return KeyPlace(raw.line_inside("prompt", line), raw.at("prompt").key)


def _compile(raw: Map, scope: Scope) -> Prompt | None:
    text = raw.get("prompt")
    try:
        return scope.prompts.compile(text) if isinstance(text, str) else None
    except TemplateMistake as mistake:
        scope.report(_place(raw, mistake.line), str(mistake))
        return None


def _render_all(raw: Map, prompt: Prompt, params: list[Mapping[str, Scalar]], scope: Scope) -> list[str]:
    """Render for each variant, up to the first that cannot be; the characters count, unless the text is one for all."""
    texts: list[str] = []
    for values in params:
        try:
            text = prompt.render(values)
        except ValueError as error:
            scope.report(_place(raw, 1), f"cannot be rendered: {error}")
            break
        if prompt.template is not None and not scope.budget.take(0, len(text)):
            scope.report(raw.at("prompt"), TOO_MANY)
            break
        texts.append(text)
    return texts
