"""What a status of 126 or 127 means: a program that the image lacks, or the crash of an agent that has worked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.missing_program import commands, find_blamed_program, look, not_found, programs_in, resolve_programs
from taskcal.machine import host
from taskcal.sandbox import ScriptEnding, ScriptResult

WRITES_A_SCRIPT = """touch ok
cat >solve.sh <<'S'
sleep 2
pyhton3 test.py
S
sh solve.sh"""
NO_NODE = "env: 'node': No such file or directory"


@pytest.mark.parametrize(
    ("run", "named"),
    [
        ("solve it", "solve"),
        ("set -e; cd x; mytool --a 'b c; d'", "set cd mytool"),
        (WRITES_A_SCRIPT, "touch cat sh"),
        ('my-agent --file "$TASKCAL_PROMPT_FILE" > "$TASKCAL_ANSWER_FILE" 2>&1', "my-agent"),
        ("A=1 tool x | tee log && exec env B=2 timeout 5m other", "tool tee exec env timeout other"),
        ("bash -lc 'inner a; last'", "bash inner last"),
        ("if [ -e x ]; then foo; else bar; fi", "[ foo bar"),
        ("x=$(date); echo $x # comment foo; bar", "date echo"),
        ("for i in 1 2; do try $i; done", "try"),
        ("cmd \\\n  --long; next", "cmd next"),
        ("{ :\nfoo\n} </dev/null", ": foo"),
        ("a 2>/dev/null&b", "a b"),
        ("~/bin/x; $HOME/y", "~/bin/x $HOME/y"),
        ("cat <<-A <<B\n\tone\n\tA\ntwo\nB\nthree", "cat three"),
        ("echo 'unbalanced", ""),
        ("", ""),
    ],
)
def test_the_programs_of_a_command(run: str, named: str) -> None:
    """In their order; what a wrapper or a shell starts as well, and never what lies in a text."""
    assert programs_in(run) == tuple(named.split())


@given(run=st.text())
def test_any_command_is_read(run: str) -> None:
    """An agent file may hold anything; what cannot be read names nothing."""
    assert all(name for name in programs_in(run))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("sh: 1: x: not found", "x"),
        ("bash: line 3: x: command not found", "x"),
        ("sh: x: not found", "x"),
        ("sh: 1: exec: x: not found", "x"),
        ("sh: 1: ./a.sh: Permission denied", "./a.sh"),
        ("/usr/bin/env: 'node': No such file or directory", "node"),
        ("env: \u2018node\u2019: No such file or directory", "node"),
        ("timeout: failed to run command 'z': No such file or directory", "z"),
        ("./solve.sh: 3: pyhton3: not found", "pyhton3"),
        ("bash: ./x: cannot execute: required file not found", "./x"),
        ("sh: 1: /opt/run: Exec format error", "/opt/run"),
    ],
)  # fmt: skip
def test_what_a_message_names(line: str, name: str) -> None:
    """As dash, bash, busybox and coreutils write it."""
    assert not_found(f"before\n{line}\nafter\n") == {name}


def lost(run: str, output: str, seen: str, status: int = 127) -> str | None:
    """The missing program, given what the agent and the probe printed."""
    return find_blamed_program(run, ScriptResult(ScriptEnding.EXITED, status, output.encode(), b""), seen)


@pytest.mark.parametrize(
    ("run", "output", "seen", "name"),
    [
        ("tool", "sh: 1: tool: not found", "missing tool\n", "tool"),
        ("tool", "sh: 1: tool: not found", "", None),
        ("echo go; tool", "go\nsh: 1: tool: not found", "missing tool\n", None),
        ("echo go >log; tool", "sh: 1: tool: not found", "missing tool\n", "tool"),
        ("agent || tool", "sh: 1: tool: not found", "missing tool\n", None),
        ("agent || tool", "", "missing tool\n", None),
        ("agent || tool", "sh: 1: agent: not found\nsh: 1: tool: not found", "missing agent\nmissing tool\n", "agent"),
        ("tool", "sh: 1: tool: not found\nI have worked", "missing tool\n", None),
        ("tool", "working\ns.sh: 3: pyhton3: not found", "missing tool\n", None),
        ("tool", f"go\n{NO_NODE}", f"missing tool\n{NO_NODE}", None),
        ("tool", f"{NO_NODE}\nenv: use -S", f"missing tool\n{NO_NODE}\nenv: use -S", "tool"),
        ("make; ./tool", "sh: 1: ./tool: not found", "missing ./tool\n", None),
        ("set -e; ./tool", "sh: 1: ./tool: not found", "missing ./tool\n", "./tool"),
        ("pip install tool; tool", "sh: 1: tool: not found", "missing tool\n", None),
        ("tool >log 2>&1", "", "missing tool\n", "tool"),
        ("make tool; tool 2>/dev/null", "", "missing tool\n", None),
        (". ./env; tool 2>/dev/null", "", "missing tool\n", None),
        ("tool() { other; }; tool 2>/dev/null", "", "missing tool\n", None),
        ("cd a; ./tool 2>/dev/null", "", "missing ./tool\n", None),
    ],
)  # fmt: skip
def test_only_a_program_that_the_image_lacks_is_believed(run: str, output: str, seen: str, name: str | None) -> None:
    """And only if it is the one that was not found, or nothing was said and `run` cannot have made it."""
    assert lost(run, output, seen) == name


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(
    ("run", "is_lost"),
    [
        ('tool -p "$TASKCAL_PROMPT" | tee log', True),
        ("tool || exit 1", True),
        ("set -e; bash -c 'tool x' | jq . >log; true", True),
        ("x=$(tool); echo $x", True),
        ("if tool; then echo done; fi", True),
        ("tool || python3 other.py", False),
        ("bash solve.sh; tool || true", False),
        ("make tool; tool || true", False),
    ],
)
def test_a_hidden_status_is_no_reason_to_grade(run: str, is_lost: bool, status: int) -> None:
    """A pipe or `||` hides 127: lost if nothing else in the command could have worked."""
    output = "sh: 1: tool: not found"
    assert lost(run, output, "missing tool\n", status) == ("tool" if is_lost else None)
    assert lost(run, "", "missing tool\n", status) is None


def test_the_first_line_names_a_program_as_well() -> None:
    """A script in Python holds no command, one in bash is read as well."""
    assert commands("#!/usr/bin/env python3\nimport os") == ("/usr/bin/env python3",)
    assert commands("#!/bin/bash\ntool") == ("/bin/bash", "#!/bin/bash\ntool")
    output = "/usr/bin/env: 'python3': No such file or directory"
    assert lost("/usr/bin/env python3", output, "missing python3\n") == "python3"
    assert lost("/usr/bin/node", "sh: 7: /usr/bin/node: not found", "missing /usr/bin/node\n") == "/usr/bin/node"


def test_a_variable_names_a_program() -> None:
    """By its value in the command or in the agent's environment."""
    assert resolve_programs("BIN=tool; $BIN x; ${OTHER} y; $no", {"OTHER": "node"}) == ("tool", "node", "$no")


@pytest.mark.parametrize(
    "run",
    ["tool", "PATH=$PATH:/x 'a b'", 'export PATH="/opt/x y:$PATH"; tool', "PATH=$(pwd):x tool", 'a"\'"b; -x; ~/c'],
)
def test_the_probe_is_a_script_that_a_shell_reads(run: str) -> None:
    """Whatever the command holds, and without running it."""
    assert host.run_program(["sh", "-n"], seconds=30, stdin=look(run, programs_in(run))).output == ""


def test_the_probe_looks_where_the_command_does() -> None:
    """With the PATH that the command sets itself."""
    assert "\nPATH=/opt/x:$PATH\n" in look("export PATH=/opt/x:$PATH; tool", ("tool",))
    assert "TASKCAL_LOOK tool\n" in look("export PATH=/opt/x:$PATH; tool", ("tool",))
