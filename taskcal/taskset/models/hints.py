"""Newcomers bring words from other harnesses: the hint that such a key of a taskset gets, by the word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP_SIZE = "the group size belongs to the run: taskcal run --group-size N"
AGENT = "a taskset never names an agent: taskcal run --agent FILE"
IN_ENVIRONMENT = "it goes into environment: {…}"
TIMEOUTS = "did you mean timeouts: {agent: 15m, setup: 10m, grader: 2m}?"
NETWORK = "did you mean network: none or network: bridge, in the environment?"
ENVIRONMENT_KEYS = (
    "image build dockerfile docker_image docker_compose sandbox setup start ready finish services env workdir cwd user "
    "network cpus memory files"
)
TASKSET_HINTS: Mapping[str, str] = {
    **did_you_mean("taskset", "name", "id", "dataset", "suite", "benchmark", "title"),
    **did_you_mean("tasks", "samples", "instances", "problems", "task", "items", "cases"),
    **did_you_mean("environments", "environment", "envs", "sandboxes", "images"),
    **did_you_mean("graders", "grader", "verifiers", "verifier", "scorers", "rubrics"),
    **did_you_mean("defaults", "default", "common", "base", "shared"),
    **dict.fromkeys(("agent", "agents", "model", "models", "solver"), AGENT),
    **dict.fromkeys(("epochs", "n_attempts", "num_generations", "num_repeats", "group_size"), GROUP_SIZE),
    **dict.fromkeys(("timeout_sec", "timeouts", "timeout", "passing", "tags"), "it goes into defaults: {…}, or a task"),
    "threshold": "did you mean passing, in defaults or a task?",
}
TASK_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("epochs", "n_attempts", "num_generations", "num_repeats", "group_size", "repeats"), GROUP_SIZE),
    **dict.fromkeys(("n", "n_samples", "k", "rollouts", "num_rollouts", "trials"), GROUP_SIZE),
    **dict.fromkeys(("agent", "model", "solver", "harness", "policy"), AGENT),
    **dict.fromkeys(ENVIRONMENT_KEYS.split(), IN_ENVIRONMENT),
    **dict.fromkeys(("timeout", "timeout_sec", "timeout_seconds", "max_agent_timeout_sec", "time_limit"), TIMEOUTS),
    **dict.fromkeys(("allow_internet", "internet", "network_mode"), NETWORK),
    **did_you_mean(
        "prompt", "instruction", "instructions", "question", "input", "problem", "problem_statement", "message"
    ),
    **did_you_mean("grader", "verifier", "tests", "test", "scorer", "scoring", "rubric", "reward", "score", "evaluate"),
    **did_you_mean("grader: {checks: […]}", "checks", "criteria", "assert", "asserts", "evaluate_tool", "assertions"),
    **did_you_mean("params", "args", "arguments", "scenario", "vars", "variables", "parameters", "metadata"),
    **did_you_mean("variants", "matrix", "parametrize", "samples", "rows", "scenarios", "dataset", "data", "cases"),
    **did_you_mean("passing", "threshold", "pass_threshold", "min_score", "passing_score", "success_threshold"),
    **did_you_mean("solutions", "solution", "oracle", "gold", "golden", "reference", "target", "solve", "golden_patch"),
    **did_you_mean("wrong", "wrong_answers", "negatives", "distractors", "bad_solutions", "hacks"),
    **did_you_mean("id", "name", "task_id", "instance_id", "slug", "task"),
    **did_you_mean("tags", "labels", "category", "categories", "difficulty", "tag", "keywords"),
    **did_you_mean("environment", "runtime", "container"),
    **did_you_mean("max_parallel", "max_concurrency", "concurrency", "max_samples"),
}
GRADER_HINTS: Mapping[str, str] = {
    **did_you_mean("checks", "criteria", "asserts", "assertions", "rubric", "items", "tests", "assert", "rubrics"),
    **did_you_mean("run", "command", "script", "cmd", "test", "entrypoint"),
    **did_you_mean("files", "hidden_files", "tests_dir", "fixtures"),
    **dict.fromkeys(
        ("timeout", "timeout_sec"), "did you mean timeouts: {grader: 2m} in the task, or timeout in a check?"
    ),
    **dict.fromkeys(("threshold", "passing", "pass_threshold"), "did you mean passing, in the task?"),
    "cases": "grader cases are not available in this version",
    **dict.fromkeys(("weight", "score", "reward"), "weights stand in the checks"),
}
CHECK_HINTS: Mapping[str, str] = {
    **did_you_mean("run", "command", "cmd", "script", "assert", "test", "bash", "shell", "exec", "code"),
    **did_you_mean("weight", "points", "threshold", "value", "max_score", "reward"),
    **did_you_mean("name", "id", "title", "description", "criterion"),
    **did_you_mean("equals", "expected", "equal", "eq", "is", "target"),
    **did_you_mean("matches", "regex", "pattern", "match", "regexp"),
    **did_you_mean("contains", "includes", "include", "substring", "icontains", "text"),
    **did_you_mean("file", "path", "filename", "file_path"),
    **did_you_mean("pointer", "json_path", "jsonpath", "json"),
    **did_you_mean("answer", "output", "response", "message"),
    **did_you_mean("timeout", "timeout_sec", "timeout_seconds"),
    **did_you_mean("in", "service", "container"),
    **did_you_mean("required", "must_pass", "mandatory", "gate", "guard", "critical"),
    **did_you_mean("absent", "missing", "not_exists", "not_exist"),
    **did_you_mean("alone", "isolated", "separate"),
    **dict.fromkeys(("number", "tolerance"), "it goes into answer: {number: …, tolerance: …}"),
}
ENVIRONMENT_HINTS: Mapping[str, str] = {
    **did_you_mean("build: FOLDER, where the Dockerfile lies", "dockerfile", "docker_file", "context", "docker_build"),
    **did_you_mean("image", "docker_image", "base_image", "from", "container"),
    **did_you_mean("memory", "memory_mb", "mem", "mem_limit", "ram", "memory_limit"),
    **did_you_mean("cpus", "cpu", "num_cpus", "cpu_count", "cpu_limit"),
    **did_you_mean("pids", "pids_limit", "max_processes"),
    **did_you_mean("workdir", "cwd", "working_dir", "work_dir", "working_directory"),
    **did_you_mean("network", "allow_internet", "internet", "network_mode", "networks"),
    **did_you_mean("files", "volumes", "copy", "mounts", "binds"),
    **did_you_mean("env", "environment", "environ", "variables"),
    **did_you_mean("ready", "healthcheck", "health", "wait_for"),
    **did_you_mean("setup", "install", "prepare", "init", "before", "setup_script", "run"),
    **did_you_mean("start", "entrypoint", "command", "on_start", "cmd"),
    **did_you_mean("finish", "cleanup", "teardown", "after"),
    **did_you_mean("services", "sidecars", "compose", "docker_compose"),
    **dict.fromkeys(("timeout", "timeout_sec"), "did you mean timeouts: {setup: 10m} in the task?"),
}
SERVICE_HINTS: Mapping[str, str] = {
    **{word: hint for word, hint in ENVIRONMENT_HINTS.items() if word not in ("command", "entrypoint", "cmd")},
    **did_you_mean("command", "entrypoint", "cmd", "start", "run"),
    **did_you_mean("port", "ports", "expose"),
    **dict.fromkeys(("network", "network_mode"), "a service is in the sandbox's own network"),
}
ATTEMPT_HINTS: Mapping[str, str] = {
    **did_you_mean("run", "command", "script", "cmd", "bash", "solve", "code"),
    **did_you_mean("reward_at_most", "max_reward", "at_most", "threshold", "max_score", "reward", "score", "weight"),
    **did_you_mean("answer", "output", "message", "response", "final"),
    **did_you_mean("name", "id", "title", "description"),
}
