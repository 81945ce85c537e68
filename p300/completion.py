"""Completion of ``p300`` in bash and zsh: commands, configuration groups and their choices."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

#: What `eval "$(p300 --completion)"` runs in a shell. In zsh, `bashcompinit` comes before it.
SCRIPT = """\
[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit
_p300() {
    COMPREPLY=($(p300 --complete "${COMP_LINE:0:$COMP_POINT}"))
    [ "${COMPREPLY[0]: -1}" = "=" ] && compopt -o nospace 2>/dev/null
}
complete -F _p300 p300"""


def complete(line: str, commands: Sequence[str]) -> list[str]:
    """Return the words that may follow on a command line, as bash completes them.

    Bash takes ``=`` for the end of a word, so that of ``data=simulation`` only the part behind it
    is returned.

    Examples
    --------
    >>> lines = "p300 tr", "p300 train data=si", "p300 evaluate sto"
    >>> [complete(line, ["train", "evaluate"]) for line in lines]
    [['train'], ['simulation'], ['stopping=']]
    """
    from p300.experiments.command_line import add_own_folders
    from p300.experiments.configuration import groups_of, known_files

    _, *words = line.split(" ")
    if len(words) < 2:
        return [command for command in commands if command.startswith("".join(words))]
    with contextlib.suppress(SystemExit):  # a folder that is not there has no choices
        add_own_folders(words[0], words[1:-1])
    groups = groups_of(words[0])
    key, equals, value = words[-1].partition("=")
    if equals:
        before, _, last = value.rpartition(",")  # of a sweep
        found = [choice for choice in known_files(key) if choice.startswith(last)]
        return [f"{before},{choice}" if before else choice for choice in found if key in groups]
    return [f"{group}=" for group in groups if re.match(re.escape(key), group)]
