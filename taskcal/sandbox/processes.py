"""Ends what the agent itself still runs in a sandbox, and spares what it has detached.

The engine starts each command of an agent as a process without a parent in the sandbox. What descends from one of these
is the agent's own: its shell, its harness, a command in the foreground. Spared is what it left behind to go on alone:

    its parent has ended          `server &` in a shell that has ended, a daemon
    it is in another session      `setsid server`
    it ignores HUP, INT and QUIT  `nohup server &` in a shell that still runs

and all that descends from these. Every process is stopped while this is found out: none can make another one, or move
away, in between. The text uses nothing but the shell's builtins: a program would need a free pid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = "TASKCAL_"
"""What `@` stands for below: a prefix that no param can have."""

END_AGENT = """{ kill -STOP -1; } 2>/dev/null
@tree=' '; @more=1
while [ $@more = 1 ]; do
  @more=0
  for @p in /proc/[0-9]*; do
    @p=${@p#/proc/}; @line=
    case "$@p:$@tree" in 1:*|$$:*|*" $@p:"*) continue ;; esac
    while read -r @part; do @line="$@line $@part"; done <"/proc/$@p/stat" || [ -n "$@line" ] || continue
    set -- ${@line##*) }
    case "$2:$@tree" in
      0:*) ;;
      *" $2:$4 "*) [ $((${31:-0} & 7)) = 7 ] && continue ;;
      *) continue ;;
    esac
    @tree="$@tree$@p:$4 "; @more=1
  done
done 2>/dev/null
for @p in $@tree; do kill -9 "${@p%:*}"; done 2>/dev/null
{ kill -STOP -1; } 2>/dev/null
""".replace("@", OWN)
"""Ends the agent's own processes and leaves all others stopped: until `RESUME`, nothing that it left can act.

`TASKCAL_tree` lists the agent's own as `pid:session`. The second stop is for those that the kernel has continued, as it
does with a stopped group whose last parent ends.
"""

PIDS = 'for TASKCAL_PID in /proc/[0-9]*; do echo "${TASKCAL_PID#/proc/}"; done; exit 0'
"""Prints the id of every process."""


def end_others(pids: Sequence[str]) -> str:
    """A script that ends all processes of the user that runs it but those with these ids, until there are none.

    It ends with the first round in which nothing could be killed: others' processes cannot.
    """
    known = "|".join(pid for pid in pids if pid.isdigit()) or "1"
    return f"""TASKCAL_ROUND=0; TASKCAL_AGAIN=1
while [ $TASKCAL_AGAIN = 1 ] && [ $TASKCAL_ROUND -lt 1000 ]; do
  TASKCAL_AGAIN=0; TASKCAL_ROUND=$((TASKCAL_ROUND + 1))
  for TASKCAL_PID in /proc/[0-9]*; do
    TASKCAL_PID=${{TASKCAL_PID#/proc/}}
    case $TASKCAL_PID in {known}|$$) continue ;; esac
    read -r TASKCAL_LINE <"/proc/$TASKCAL_PID/stat" || continue
    case ${{TASKCAL_LINE##*) }} in Z*) continue ;; esac
    kill -9 "$TASKCAL_PID" && TASKCAL_AGAIN=1
  done
done 2>/dev/null
exit 0"""


RESUME = "{ kill -CONT -1; } 2>/dev/null\n"
"""Lets all that is stopped go on."""
