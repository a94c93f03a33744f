"""The first line of a script: what runs it, what must be there for that, and which lines no system could run."""

from __future__ import annotations

import pytest

from taskcal.core.shell.script import Shebang, interpreters, script_text, shebang_of
from taskcal.core.task import Check, Environment, Grader, ImageSource, RunProbe, Service, Solution, Task, Variant
from taskcal.core.tool import McpServer, Tool


@pytest.mark.parametrize(
    "source", ["", "true", "# a\n#!/bin/bash", "#!/bin/sh\ntrue", "#! /bin/sh", "#!/usr/bin/env sh", "\n\n#!/bin/sh\n"]
)
def test_sh_runs_what_names_nothing_else(source: str) -> None:
    """No first line, or one that asks for `sh` without an argument."""
    assert shebang_of(source) is None


@pytest.mark.parametrize(
    ("source", "command", "programs", "is_shell"),
    [
        ("#!/bin/bash\nx", ("/bin/bash",), ("/bin/bash",), True),
        ("#!/bin/sh -e\nx", ("/bin/sh", "-e"), ("/bin/sh",), True),
        ("#! /usr/bin/perl  -w \nx", ("/usr/bin/perl", "-w"), ("/usr/bin/perl",), False),
        ("#!/usr/bin/env python3", ("/usr/bin/env", "python3"), ("/usr/bin/env", "python3"), False),
        ("\n \n#!/usr/bin/env bash\nx", ("/usr/bin/env", "bash"), ("/usr/bin/env", "bash"), True),
        ("#!/usr/bin/env -S python3 -u\n", ("/usr/bin/env", "-S python3 -u"), ("/usr/bin/env", "python3"), False),
        ("#!/usr/bin/env -S A=1 bash -x\n", ("/usr/bin/env", "-S A=1 bash -x"), ("/usr/bin/env", "bash"), True),
        ("#!/opt/a/b c d\n", ("/opt/a/b", "c d"), ("/opt/a/b",), False),
    ],
)
def test_another_interpreter_is_found(
    source: str, command: tuple[str, ...], programs: tuple[str, ...], is_shell: bool
) -> None:
    """All behind the path is one argument, as the kernel has it; blank lines before it hide nothing."""
    found = shebang_of(source)
    assert found is not None
    assert (found.command, found.programs, found.is_shell) == (command, programs, is_shell)
    assert script_text(source).startswith("#!")


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("#!/bin/sh\r\ntrue\r\n", "LF line ends"),
        ("#!/usr/bin/env python3\r\n", "LF line ends"),
        ("#!", "#!/usr/bin/env NAME"),
        ("#!bash\n", "#!/usr/bin/env NAME"),
        ("\n#! python3", "#!/usr/bin/env NAME"),
        ("#!/usr/bin/env\n", "#!/usr/bin/env NAME"),
        ("#!/usr/bin/env -S\n", "#!/usr/bin/env NAME"),
        ("#!/usr/bin/env -S 'a\n", "#!/usr/bin/env NAME"),
        ("#!/usr/bin/env python3 -u\n", "#!/usr/bin/env -S python3 -u"),
    ],
)
def test_what_no_system_runs_is_refused(source: str, remedy: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match=remedy):
        shebang_of(source)


def test_a_tasks_interpreters_are_listed_by_place() -> None:
    """Every script that the task itself needs, each in its container; solutions may bring their own."""
    perl, env = "#!/usr/bin/perl\n1", "#!/usr/bin/env python3\n1"
    db = Service("db", ImageSource(image="x"), ready=perl, command=env)
    box = Environment("box", ImageSource(image="x"), start=perl, ready=env, finish="true", services=(db,))
    checks = (Check("a", RunProbe(perl)), Check("b", RunProbe(env, service="db")), Check("c", RunProbe("true")))
    task = Task(
        "t",
        (Variant("", {}, "p"),),
        box,
        Grader(checks, run=env),
        solutions=(Solution("s", run=perl),),
        tools=(Tool("find", perl, "", {}),),
        mcp=(McpServer("m", env),),
    )
    python = ("/usr/bin/env", "python3")
    assert [(one.place, one.service, one.programs) for one in interpreters(task)] == [
        ("start", "", ("/usr/bin/perl",)),
        ("ready", "", python),
        ("ready of the service db", "db", ("/usr/bin/perl",)),
        ("command of the service db", "db", python),
        ("grader.run", "", python),
        ('the check "a"', "", ("/usr/bin/perl",)),
        ('the check "b"', "db", python),
        ("the tool find", "", ("/usr/bin/perl",)),
        ("the MCP server m", "", python),
    ]
    assert Shebang("/bin/x").command == ("/bin/x",)
