"""Tools and MCP servers of a task: as written, and refused where their names or parameters cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.core.tool import McpServer, Tool
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = """\
prompt: p
tools:
  - name: ship-order
    description: Ship an order.
    run: sqlite3 /app/shop.db "update orders set tracking='$code' where id=$order"
    parameters:
      type: object
      properties: {order: {type: integer, minimum: 1}, code: {$ref: "#/$defs/code"}}
      required: [order, code]
      $defs: {code: {type: string, pattern: "^[A-Z]+-[0-9]+$", maxLength: 20}}
mcp:
  - {name: catalogue, run: exec python3 /srv/catalogue.py}
"""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def test_tools_are_as_written(yaml: Yaml) -> None:
    """Every key arrives, the schema as plain data."""
    task = yaml.task(TOOLS)
    assert task.mcp == (McpServer("catalogue", "exec python3 /srv/catalogue.py"),)
    (tool,) = task.tools
    assert (tool.name, tool.description) == ("ship-order", "Ship an order.")
    assert tool.parameters["required"] == ["order", "code"]
    assert tool.parameters["$defs"] == {"code": {"type": "string", "pattern": "^[A-Z]+-[0-9]+$", "maxLength": 20}}
    assert type(tool.parameters["$defs"]) is dict
    assert isinstance(tool, Tool)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("{type: array}", "parameters: must describe an object (type: object)"),
        ("{properties: {a: {type: strng}}}", "properties.a.type must be one of string, number"),
        ("{properties: {a: {typ: string}}}", "properties.a.typ is no keyword that is checked here, did you mean type?"),
        ("{properties: {a: 5}}", "properties.a must be a map"),
        ("{properties: []}", "properties must be a map"),
        ("{properties: {a-b: {type: string}}}", 'the argument "a-b" must be a name that a shell accepts'),
        ("{properties: {PATH: {type: string}}}", "the argument PATH means something to the shell"),
        ("{properties: {LD_PRELOAD: {}}}", "the argument LD_PRELOAD means something to the shell"),
        ("{properties: {a: {pattern: '('}}}", "properties.a.pattern: not a regular expression"),
        ("{properties: {a: {minimum: x}}}", "properties.a.minimum must be a number"),
        ("{properties: {a: {multipleOf: 0}}}", "properties.a.multipleOf must be a number above 0"),
        ("{properties: {a: {minLength: -1}}}", "properties.a.minLength must be a whole number from 0"),
        ("{properties: {a: {uniqueItems: 1}}}", "properties.a.uniqueItems must be true or false"),
        ("{properties: {a: {enum: []}}}", "properties.a.enum must be a list that is not empty"),
        ("{properties: {a: {anyOf: [{type: x}]}}}", "properties.a.anyOf[0].type must be one of"),
        ("{properties: {a: {items: [1]}}}", "properties.a.items must be a map"),
        ("{properties: {a: {allOf: {}}}}", "properties.a.allOf must be a list that is not empty"),
        ("{properties: {a: {$ref: '#/$defs/b'}}}", "properties.a.$ref must name a part of this schema"),
        ("{properties: {a: {$ref: 'https://example.org/s'}}}", "properties.a.$ref must name a part of this schema"),
        ("{required: a}", "required must be a list of names"),
        ("{required: [1]}", "required must be a list of names"),
        ("{properties: {a: {const: .nan}}}", "Out of range float"),
        ("{description: '" + "x" * 66_000 + "'}", "longer than 64 KiB as JSON"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(yaml: Yaml, parameters: str, message: str) -> None:
    """A schema that would silently check nothing, or reach out of its file, is a mistake with its place."""
    found = yaml.task_problems(f"prompt: p\ntools: [{{name: t, run: x, parameters: {parameters}}}]")
    assert any("tools[0].parameters: " in one and message in one for one in found), found


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("tools: [{name: sh, run: x}]", "tools[0].name: sh is what agents call their shell"),
        ("tools: [{name: -a, run: x}]", 'tools[0].name: must be letters, digits, "_" and "-"'),
        ("tools: [{name: a}]", "tools[0].run: missing"),
        ("tools: [{name: a, run: x}, {name: a, run: y}]", "two tools have the same name"),
        ("mcp: [{name: a/b, run: x}]", "mcp[0].name: must be letters"),
        ("mcp: [{name: a, command: x}]", "mcp[0].command: unknown key"),
        ("mcp: [{name: a, run: x}, {name: a, run: y}]", "two MCP servers have the same name"),
    ],
)
def test_names_that_cannot_be_called_are_refused(yaml: Yaml, task: str, message: str) -> None:
    """A name becomes a program, a function and a file."""
    found = yaml.task_problems(f"prompt: p\n{task}")
    assert any(message in one for one in found), found
