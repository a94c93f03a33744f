"""What strangers, editors and disks do to text: seeded mutations of YAML, JSON lines and bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

NUMBERS = ("1e999", "-1e-999", "0x" + "f" * 400, "9" * 5000, "-0", ".nan", "-.inf", "1_000", "007", "0o777", "1e5")
WORDS = (
    *("", "~", "null", "{}", "[]", "true", "no", "''", "' '", "'\\u0000'", '"\\0"', '"\\ud800"', '"\\e[2J"', '"\\a"'),
    *("\u202egnp.exe", "a\u200d\u200db", "Ṱ̺̺o͞ ̷i̲̬n", "ﷺ" * 50, "İ", "ß", "\ufeff", "\u2028", "😀" * 300, "x" * 200_000),
    *("../../etc/passwd", "/etc/shadow", "/dev/zero", "/proc/self/environ", "~root", "$HOME", "`id`", "$(id)", "C:\\x"),
    *("(a+)+$", "(?=", "[", "\\", "(" * 500, "a{1000000}", "%s%n", "!!python/object/apply:os.system [id]", "!x y"),
    *("{from: rows.jsonl}", "{from: /dev/stdin}", "{from: ../x.csv}", "{a: {a: {a: {}}}}", "[[[[]]]]", "- - - -"),
    *("15m", "1000000h", "-1s", "2g", "1e30g", "0", "-1", "bridge", "host", "none", "root", "0:0", "python", "chat"),
)
TEMPLATES = (
    "{{ 'a' * 10**9 }}", "{{ 9**9**9 }}", "{{ range(10**9)|list }}", "{{ ''.__class__.__mro__ }}", "{{ x", "{% if",
    "{% for i in range(10**9) %}x{% endfor %}", "{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "{{ '%9999d'|format(1) }}",
    "{% include '/etc/passwd' %}", "{{ self }}", "{{ '" + "a" * 5000 + "'|wordwrap(1)|indent(99999) }}", "{# x",
    "{% set a = b %}", "{{ order|default(order)|upper|trim|replace('a','b'*9999)|replace('b','c'*9999) }}", "{%raw%}",
    "{{ a|a }}", "{{ order.x.y }}", "{{ order[0] }}", "{{ 1 if order else 2 }}", "{{ order|length }}", "{{ {} }}",
)  # fmt: skip
BOMB = "\n".join(
    ["bomb0: &b0 [x, x, x, x, x, x, x, x, x]"]
    + [f"bomb{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 12)]
)
LINES = (
    *(
        "---",
        "...",
        "%YAML 9.9",
        "\t- tab",
        "? [a, b]",
        "<<: *a",
        "&a a: *a",
        "a: &a [*a]",
        "!!binary aGk=",
        "# \u0085",
    ),
    *("[" * 500, "{a: " * 500, "- " * 300 + "x", "|", ">-", "'", '"', "}", "]", ": ", "- ", "a:b", "*a", BOMB),
)


def yaml_text(text: str, dice: random.Random) -> bytes:
    """A YAML file after one mistake, or a few."""
    lines = text.split("\n")
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        dice.choice(YAML_MUTATIONS)(lines, dice)
    whole = "\n".join(lines).encode(errors="surrogatepass")
    return damaged(whole, dice) if dice.random() < 0.1 else whole


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes after what a disk or a crash may do to them."""
    place = dice.randrange(len(data) + 1)
    other = dice.randrange(len(data) + 1)
    first, last = sorted((place, other))
    last = min(last, first + 4096)
    return dice.choice(
        (
            data[:place],
            data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :],
            data[:place] + dice.randbytes(dice.randint(1, 9)) + data[place:],
            data[:first] + data[last:],
            data[:last] + data[first:last] + data[last:],
            data[:first] + bytes(last - first) + data[last:],
        )
    )


def damaged_lines(data: bytes, dice: random.Random) -> bytes:
    """Lines that were lost, written twice, exchanged, joined or torn."""
    lines = data.splitlines(keepends=True) or [b""]
    one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
    kind = dice.randrange(6)
    if kind == 0:
        del lines[one]
    elif kind == 1:
        lines.insert(two, lines[one])
    elif kind == 2:
        lines[one], lines[two] = lines[two], lines[one]
    elif kind == 3:
        lines[one] = lines[one].rstrip(b"\n")
    elif kind == 4:
        lines[one] = dice.choice((b"\n", b"null\n", b"[]\n", b"[" * 5000 + b"\n", b"{}\n", b"\xff\xfe\n", b"1e999\n"))
    else:
        lines.insert(two, lines[one][: dice.randrange(len(lines[one]) + 1)])
    return b"".join(lines)


def json_value(data: bytes, dice: random.Random) -> bytes:
    """JSON in which one value is another one; its checksums stay."""
    found = list(re.finditer(rb'(?<=: )(?:"(?:[^"\\]|\\.)*"|[\w.+-]+|\{\}|\[\])', data))
    if not found:
        return data
    match = dice.choice(found)
    return data[: match.start()] + dice.choice(JSON_VALUES) + data[match.end() :]


JSON_VALUES = (
    *(b"null", b"true", b"0", b"1", b"-1", b"1e308", b"1e999", b"NaN", b"Infinity", b"0.5", b"9" * 400, b"9" * 5000),
    *(b'""', b'"\\u001b[2J"', b'"\\ud800"', b'"\\u202e"', b'"' + b"x" * 100_000 + b'"', b'"graded"', b'"lost"', b"5.0"),
    *(b"[]", b"{}", b"[[]]", b'{"a": 1}', b"[" * 2000 + b"]" * 2000, b'"<script>"', b'"|a|\\n# b"', b'"../.."', b"3"),
)  # fmt: skip


def _repeat(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    block = lines[place : place + dice.choice((1, 1, 2, 5, 30))]
    where = dice.randrange(len(lines))
    lines[where:where] = block


def _drop(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    del lines[place : place + dice.choice((1, 1, 1, 4))]
    lines.append("")


def _indent(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    lines[place] = dice.choice((" " + lines[place], "  " + lines[place], lines[place].lstrip(), lines[place][1:]))


def _value(lines: list[str], dice: random.Random) -> None:
    places = [place for place, line in enumerate(lines) if re.match(r"\s*(- )?[\w.-]+:", line)]
    if places:
        place = dice.choice(places)
        key = (re.match(r"\s*(- )?[\w.-]+:", lines[place]) or re.match("", ""))[0]  # type: ignore[index]  # one of them fits
        lines[place] = f"{key} {dice.choice((*NUMBERS, *WORDS, *TEMPLATES))}"


def _key(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    keys = ("id", "run", "extends", "params", "variants", "checks", "files", "x" * 3000, "é", "setup", "1", "''")
    lines[place] = re.sub(r"[\w.-]+(?=:)", dice.choice(keys), lines[place], count=1)


def _inline(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    word = dice.choice((*NUMBERS, *WORDS, *TEMPLATES))
    pieces = re.split(r"([\s,:{}\[\]\"']+)", lines[place])
    pieces[dice.randrange(len(pieces))] = word
    lines[place] = "".join(pieces)


def _line(lines: list[str], dice: random.Random) -> None:
    place = dice.randrange(len(lines))
    depth = len(lines[place]) - len(lines[place].lstrip())
    lines.insert(place, " " * dice.choice((0, depth)) + dice.choice(LINES))


def _anchor(lines: list[str], dice: random.Random) -> None:
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(lines))
        lines[place] = re.sub(r": ", dice.choice((": &a ", ": *a ", ": !!str ", ": &a *a ")), lines[place], count=1)


YAML_MUTATIONS: Sequence[Callable[[list[str], random.Random], None]] = (
    *(_value, _value, _value, _inline, _inline, _key, _repeat, _drop, _indent, _line, _anchor),
)
