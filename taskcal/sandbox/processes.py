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

RESUME = "{ kill -CONT -1; } 2>/dev/null\n"
"""Lets all that is stopped go on."""
