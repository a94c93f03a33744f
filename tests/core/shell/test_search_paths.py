"""The variables that a grading keeps: no search path leads to the agent, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.shell.search_paths import NO_HOME, OWN_PATH, RELATIVE, sift_variables

INTO = "it leads into the artifact /app"


def why(path: str) -> str:
    """/app is the agent's."""
    return INTO if f"{path}/".startswith("/app/") else ""


LISTS = ["PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "NODE_PATH", "PERL5LIB", "RUBYLIB", "CLASSPATH", "GEM_PATH", "GOPATH"]
PLACES = ["HOME", "PYTHONHOME", "GEM_HOME", "BASH_ENV", "PYTHONSTARTUP", "PYTHONUSERBASE", "CARGO_HOME"]
FILES = ["LD_PRELOAD", "LD_AUDIT", "ENV", "OPENSSL_CONF", "GIT_CONFIG_GLOBAL", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"]


@pytest.mark.parametrize("name", [*LISTS, *PLACES, *FILES])
def test_no_search_path_leads_to_the_agent(name: str) -> None:
    """Under any name that programs search, the entry goes with its reason; a neighbour's name is another place."""
    found = sift_variables({name: "/app/lib"}, why)
    assert found.kept.get(name) in {None, OWN_PATH, NO_HOME}
    assert [(one.variable, one.entry, one.reason) for one in found.gone] == [(name, "/app/lib", INTO)]
    assert sift_variables({name: "/application"}, why).kept[name] == "/application"


@pytest.mark.parametrize("name", [*LISTS, *PLACES])
@pytest.mark.parametrize("entry", [".", "..", "lib", "./lib", "../app", "~/lib", "$ORIGIN/lib"])
def test_a_relative_entry_goes(name: str, entry: str) -> None:
    """It leads to wherever a check stands."""
    assert [one.reason for one in sift_variables({name: entry}, why).gone] == [RELATIVE]


ENTRIES = st.sampled_from(["/usr/bin", "/bin", "/opt/x", "/app", "/app/bin", "//app/bin", "/apple", "", ".", "bin"])


@given(entries=st.lists(ENTRIES, min_size=2, max_size=6))
def test_a_list_keeps_the_rest_in_its_order(entries: list[str]) -> None:
    """Whatever lies between: what is absolute and not the agent's stays, and nothing else."""
    found = sift_variables({"PATH": ":".join(entries)}, why)
    fine = [one for one in entries if one in {"/usr/bin", "/bin", "/opt/x", "/apple"}]
    assert found.kept["PATH"] == (":".join(fine) or OWN_PATH)
    assert len(found.gone) == len(entries) - len(fine)
    assert found.own_path.split(":") == list(dict.fromkeys([*OWN_PATH.split(":"), *fine]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_OPTIONS", "--require /app/x.js"),
        ("NODE_OPTIONS", "--require ./x.js"),
        ("NODE_OPTIONS", "--require=x"),
        ("PERL5OPT", "-I/app/lib -Mx"),
        ("PERL5OPT", "-Ilib"),
        ("RUBYOPT", "-r./x"),
        ("JAVA_TOOL_OPTIONS", "-javaagent:/app/x.jar"),
        ("LD_PRELOAD", "/usr/lib/a.so /app/x.so"),
        ("LD_PRELOAD", "lib/x.so"),
        ("LUA_INIT", "@/app/x.lua"),
        ("PYTEST_ADDOPTS", "-p plugin"),
        ("MAKEFLAGS", "-f /app/x"),
        ("LESSOPEN", "| /app/x %s"),
        ("PERL_USE_UNSAFE_INC", "1"),
        ("MODULE_URL", "file:///app/x"),
    ],
)
def test_what_is_no_list_goes_whole(name: str, value: str) -> None:
    """Half of a program's options would mean something else."""
    found = sift_variables({name: value}, why)
    assert name not in found.kept
    assert [one.entry for one in found.gone] == [value]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATA_DIR", "/app"),
        ("DATABASE_URL", "sqlite:////app/db"),
        ("NODE_ENV", "production"),
        ("NODE_OPTIONS", "--max-old-space-size=4096"),
        ("JAVA_TOOL_OPTIONS", "-Xmx512m"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHON_VERSION", "3.11.2"),
        ("LD_PRELOAD", "libjemalloc.so.2"),
        ("CFLAGS", "-O2 -Wall"),
        ("PIP_INDEX_URL", "https://pypi.example.org/simple"),
        ("LANG", "C.UTF-8"),
        ("PYTHONWARNINGS", "ignore::DeprecationWarning"),
        ("EDITOR", "vim"),
        ("PERL_USE_UNSAFE_INC", "0"),
        ("HTTPS_PROXY", ""),
    ],
)
def test_all_else_stays(name: str, value: str) -> None:
    """A variable that only its own program knows, options without a path, versions and words."""
    found = sift_variables({name: value}, why)
    assert (found.kept[name], found.gone) == (value, ())


def test_there_is_always_a_path_and_a_home() -> None:
    """Without HOME a program would look into root's, which may be an artifact itself."""
    assert sift_variables({}, None).kept == {"PATH": OWN_PATH, "HOME": "/root"}
    found = sift_variables({}, lambda path: INTO if path in ("/root", "/usr/local/bin") else "")
    assert found.kept["HOME"] == NO_HOME
    assert "/usr/local/bin" not in f"{found.kept['PATH']}:{found.own_path}".split(":")
    assert "HOME without /root" in str(found.gone[-1])


def test_without_a_rule_nothing_goes() -> None:
    """Where the agent is root, no rule would help."""
    assert sift_variables({"PATH": ".:/app"}, None).kept["PATH"] == ".:/app"
