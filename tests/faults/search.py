"""Random small shell programs at the paths that grading touches: attacks that no list holds.

A program is a few steps drawn from a grammar of links, pipes, mounts, rights, processes, variables, names and sizes. It
meets the same task as the attempts of the list (`tests.faults.attempts`). What pays where grading shares the agent's
sandbox is known by the step, so that a program without such a step must earn nothing there either.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY, ROOT = "nobody", "0"
MOST_STEPS = 6

EXPECTED = "/grader/expected"
WORK = ("/work", "/work/result", "/work/box", "/work/.hidden", "/work/tests", "/tmp", "/tmp/x", "/dev/shm/x")
OURS = ("/run/taskcal", "/run/taskcal/answer", "/run/taskcal/usage.json", "/run/taskcal/bin", "/run/taskcal/prompt")
ROOTS = ("/grader", EXPECTED, "/hidden", "/run", "/etc/passwd", "/etc/profile", "/usr/local/bin", "/root", "/var/tmp")
TARGETS = (
    "nowhere", ".", "..", "/", "/work", "/tmp", "/run/taskcal", "/run/taskcal/answer", "/proc/self/fd/0",
    "/proc/1/root", "/proc/self/cwd", "/dev/zero", "/dev/full", "/dev/stdin", "/proc/kmsg", "/sys/fs/cgroup", "result",
    "/etc/passwd",
)  # fmt: skip
SECRETS = (EXPECTED, "/hidden/answer", "/proc/1/root/grader/expected", "/grader", "/hidden")
"""What a link may lead to so that a check that runs as root reads the word."""
TOOLS = (
    "sh",
    "dash",
    "grep",
    "cmp",
    "cat",
    "test",
    "stat",
    "rm",
    "mkdir",
    "mv",
    "head",
    "tail",
    "wc",
    "setsid",
    "sleep",
)
PROGRAMS = (
    "#!/usr/bin/bash\nexit 0",
    "#!/usr/bin/bash\necho 1",
    f"#!/usr/bin/bash\ncat {EXPECTED}",
    f"#!/usr/bin/bash\ncp {EXPECTED} /work/result",
    "#!/usr/bin/bash\nkill -9 -1",
    "#!/usr/bin/bash\nexec sleep 1000",
    "#!/usr/bin/bash\nhead -c 50m /dev/zero",
)
NAMES = (
    "$(printf 'a\\nresult')", "$(printf '..\\n')", "'-rf'", "'$(cp /grader/expected result)'", "'; cp x result'",
    "$(printf '\\033[2J')", "$(printf '\\377\\376')", "$(printf 'x%.0s' $(seq 255))", "' '", "'*'", "'%s%n'",
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A program, the agent's user, and whether one of its steps is known to pay in a shared sandbox."""

    seed: int
    user: str
    source: str
    pays_shared: bool


@dataclass(frozen=True)
class Step:
    """One line of a program."""

    line: str
    pays_shared: bool = False


class Dice(random.Random):
    """What one program is drawn from."""

    def __init__(self, seed: int, user: str) -> None:
        """The same seed and user give the same program."""
        super().__init__(f"{seed} {user}")
        self.is_root = user == ROOT

    @property
    def place(self) -> str:
        """A path that grading may touch, and that the user may have a way to."""
        places = (*WORK, *OURS, *ROOTS) if self.is_root or self.random() < 0.2 else (*WORK, *OURS)
        return self.choice(places)

    @property
    def target(self) -> str:
        """Where a link may lead that gives no word away."""
        return self.choice(TARGETS)


def link(dice: Dice) -> Step:
    """A link in the place of something."""
    place, kind = dice.place, dice.choice(("-s", "-sf", "-sfn", "-f"))
    if dice.random() < 0.25:
        return Step(f"rm -rf {place}; ln {kind} {dice.choice(SECRETS)} {place}", pays_shared=True)
    return Step(f"rm -rf {place}; ln {kind} {dice.target} {place}")


def long_link(dice: Dice) -> Step:
    """A link to a name that is too long, or to one that is nearly so."""
    length, slash = dice.choice((200, 255, 256, 300, 1000, 4000, 4095)), dice.choice(("", "/", "a/"))
    name = f"$(printf '{slash}x%.0s' $(seq {length // (1 + len(slash))}))"
    return Step(f'p={dice.place}; rm -rf $p; ln -sfn "{name}" $p')


def chain(dice: Dice) -> Step:
    """Links that lead to each other, or round in a circle."""
    place, count = dice.place, dice.choice((2, 39, 41, 100))
    last = place if dice.random() < 0.5 else dice.target
    body = "ln -sfn /tmp/l$((i+1)) /tmp/l$i; i=$((i+1))"
    return Step(
        f"i=0; while [ $i -lt {count} ]; do {body}; done; ln -sfn {last} /tmp/l{count}; ln -sfn /tmp/l0 {place}"
    )


def replace(dice: Dice) -> Step:
    """Another kind of thing in a place."""
    made = dice.choice(
        ("mkdir", "mkdir -p -m 0", "mkfifo", "mkfifo -m 0", "touch", "mknod {} c 1 5; :", "mknod {} b 8 0; :")
    )
    place = dice.place
    away = dice.choice((f"rm -rf {place}", f"mv {place} {place}.old", ":"))
    return Step(f"{away}; {made.format(place)} {place}")


def socket(dice: Dice) -> Step:
    """A socket in a place."""
    place = dice.place
    return Step(
        f"rm -rf {place}; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1)' {place}"
    )


def rights(dice: Dice) -> Step:
    """Rights and owners that are in the way, or that let others in."""
    ways = (
        "chmod 0",
        "chmod -R 0",
        "chmod 7777",
        "chmod u+s",
        "chown nobody",
        "chattr +i",
        "chattr -R +a",
        "umask 777; touch",
    )
    return Step(f"{dice.choice(ways)} {dice.place}")


def write(dice: Dice) -> Step:
    """A text where a judge may look for one."""
    texts = ("1", "sesame", "taskcal-check 1 0 0 0 0 0\\n\\n", "0\\n0\\n0", '{"a": 1}', "\\0\\377", "exit 0")
    return Step(f"printf '{dice.choice(texts)}' >{dice.place}")


def sizes(dice: Dice) -> Step:
    """Much of something."""
    place = dice.place
    ways = (
        f"truncate -s {dice.choice(('1M', '1G', '8G', '7E'))} {place}",
        f"head -c 60m /dev/zero >{place}",
        f"mkdir -p {place}/m; cd {place}/m && seq 3000 | xargs touch; cd /work",
        f"p={place}; i=0; while [ $i -lt 60 ]; do p=$p/{'d' * 100}; mkdir -p $p; i=$((i+1)); done",
        f"i=0; while [ $i -lt 200 ]; do ln {place} {place}.$i; i=$((i+1)); done",
    )
    return Step(dice.choice(ways))


def names(dice: Dice) -> Step:
    """Names that shells, terminals and formats take for something else."""
    return Step(f'cd {dice.place} && : >"{dice.choice(NAMES)}"; mkdir -p "{dice.choice(NAMES)}"; cd /work')


def processes(dice: Dice) -> Step:
    """Processes that stay, and do things meanwhile."""
    acts = (
        f"cp {EXPECTED} /work/result",
        # A loop of root's keeps the engine itself from its container, and the rollout takes minutes (docs/safety.md).
        "kill -CONT -1" if dice.is_root else "kill -STOP -1",
        "kill -9 -1",
        f"rm -rf {dice.place}",
        f"ln -sfn {dice.target} {dice.place}",
        f"touch {dice.place}",
        "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline >/work/result",
        f"mv {dice.place} {dice.place}",
    )
    way = dice.choice(
        (
            "({}) >/dev/null 2>&1 &",
            "setsid sh -c '{}' >/dev/null 2>&1 &",
            "trap '' TERM HUP INT; ({}) >/dev/null 2>&1 &",
        )
    )
    return Step(way.format(f"while :; do {dice.choice(acts)}; {dice.choice(('sleep 0.1', ':'))}; done"))


def crowds(dice: Dice) -> Step:
    """All of the processes, memory or descriptors that a sandbox has."""
    ways = (
        "i=0; while [ $i -lt 700 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done",
        "f() { sleep 0.1; f & f & }; f >/dev/null 2>&1 &",
        "perl -e '$x = q(a) x 90_000_000; sleep 1000' >/dev/null 2>&1 &",
        "perl -e '@x = (1); push @x, @x while 1' >/dev/null 2>&1 &",
        "perl -e 'open(my $f, q(<), q(/dev/null)) and push @f, $f for 1 .. 100000; sleep 1000' >/dev/null 2>&1 &",
    )
    return Step(dice.choice(ways))


def tools(dice: Dice) -> Step:
    """A program in the place of a tool: known to pay in a shared sandbox, for root."""
    folder = dice.choice(("/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/work", "/run/taskcal/bin", "/tmp"))
    path = f"{folder}/{dice.choice(TOOLS)}"
    made = f"cat >/tmp/program <<'END'\n{dice.choice(PROGRAMS)}\nEND\nchmod 755 /tmp/program; mkdir -p {folder}; "
    return Step(f"{made}cp /tmp/program {path}.new && mv -f {path}.new {path}", pays_shared=True)


def variables(dice: Dice) -> Step:
    """Files and variables that shells and interpreters read when they start."""
    text = dice.choice(("exit 0", f"cp {EXPECTED} /work/result", "PATH=/work:$PATH", "test() { :; }", "set -e; false"))
    files = (
        "/etc/profile",
        "/root/.profile",
        "/work/.profile",
        "/etc/bash.bashrc",
        "/root/.bashrc",
        "/work/rc",
        "/etc/environment",
    )
    modules = "mkdir -p /work/IO; echo 'BEGIN { exit 0 }' | tee /work/strict.pm >/work/IO/Socket.pm"
    exported = "export ENV=/work/rc BASH_ENV=/work/rc PERL5LIB=/work PYTHONPATH=/work LD_PRELOAD=/work/x"
    return Step(dice.choice((f"echo '{text}' >{dice.choice(files)}", modules, exported)))


def mounts(dice: Dice) -> Step:
    """What a container without privileges should not be able to do."""
    ways = (
        "mount -o bind {} {}",
        "mount -t tmpfs none {}",
        "umount {}",
        "unshare -rm sh -c 'mount --bind /work {}'",
        "chroot {} true",
    )
    return Step(dice.choice(ways).replace("{}", dice.place))


def first_process(dice: Dice) -> Step:
    """Signals for the first process and for all others."""
    return Step(f"kill -{dice.choice(('9', 'TERM', 'STOP', 'SEGV', 'HUP', 'INT', 'CONT'))} {dice.choice(('1', '-1'))}")


STEPS: tuple[Callable[[Dice], Step], ...] = (
    link, link, long_link, chain, replace, replace, socket, rights, write, sizes, names, processes, processes, crowds,
    tools, variables, mounts, first_process,
)  # fmt: skip


def program(seed: int, user: str) -> Program:
    """The program of a seed. Each step is a shell of its own, so that one that fails or exits ends no other."""
    dice = Dice(seed, user)
    steps = [dice.choice(STEPS)(dice) for _ in range(dice.randint(1, MOST_STEPS))]
    source = "\n".join(f"( cd /work\n{step.line}\n) >/dev/null 2>&1 </dev/null" for step in steps)
    return Program(seed, user, source, any(step.pays_shared for step in steps))
