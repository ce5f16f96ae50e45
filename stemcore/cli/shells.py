"""The scripts by which bash, zsh and fish ask ``stem`` for completions, and the form in which it answers.

Click's own scripts do for verbs and options. They add a space behind ``model.`` and ``model.latent_dim=``, take the
``=`` in a word of bash for its end, and lose what follows a comma in fish. Here an answer is a line for each item: its
type, its text and its help, with tabs between. The type ``nospace`` is of a text that goes on, ``path`` of the name of
a file.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import ClassVar

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

_BASH = """\
%(complete_func)s() {
    local type value help
    COMPREPLY=()
    while IFS=$'\\t' read -r type value help; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            *)
                COMPREPLY+=("$value")
                [[ $type == nospace ]] && compopt -o nospace
                [[ $type == path ]] && compopt -o filenames
                ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a response parts described open_described
    local line text
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for line in ${response}; do
        parts=("${(@ps:\\t:)line}")
        text="${parts[2]//:/\\\\:}${parts[3]:+:${parts[3]}}"
        case ${parts[1]} in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            nospace) open_described+=("$text") ;;
            *) described+=("$text") ;;
        esac
    done
    (( ${#open_described} )) && _describe -V unsorted open_described -U -S ''
    (( ${#described} )) && _describe -V unsorted described -U
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \\
            %(prog_name)s 2>/dev/null)
        set -l parts (string split \\t -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case '*'
                printf '%%s\\t%%s\\n' $parts[2] $parts[3]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Asked(ShellComplete):
    """Answers in lines of three fields, and with nothing where something goes wrong: an error in the middle of a
    line that is being typed helps nobody."""

    def complete(self) -> str:
        """The items, one in a line."""
        items: list[CompletionItem[str]] = []
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), suppress(Exception, SystemExit):
            args, incomplete = self.get_completion_args()
            option, equals, _ = incomplete.partition("=")
            items = self.get_completions(args, incomplete)
            if equals and option.startswith("-"):
                items = [_with_text(item, f"{option}={item.value}") for item in items]
            items = [_with_text(item, self.rest(item.value, incomplete)) for item in items]
        return "\n".join(self.format_completion(item) for item in items)

    def rest(self, value: str, incomplete: str) -> str:
        """The part of a text that the shell expects, where it has not taken the whole word for one."""
        return value

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Type, text and help in a line."""
        about = " ".join((item.help or "").split())
        return f"{item.type}\t{item.value}\t{about}"


def _with_text(item: CompletionItem[str], text: str) -> CompletionItem[str]:
    return CompletionItem(text, type=item.type, help=item.help)


class Bash(_Asked, BashComplete):
    """Bash, whose words end at ``=`` and ``:``: the line is split here, and what stands before them left out."""

    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words of the line, and the one that is being written."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        if line[-1:].isspace() and not line.endswith("\\ "):
            words.append("")
        return words[1:-1], words[-1]

    def rest(self, value: str, incomplete: str) -> str:
        """What follows the last character before the cursor at which bash breaks words."""
        breaks = [mark for mark in "=:" if mark in os.environ.get("COMP_WORDBREAKS", "")]
        cut = max((incomplete.rfind(mark) + 1 for mark in breaks), default=0)
        return value[cut:] if value.startswith(incomplete[:cut]) else value


class Zsh(_Asked, ZshComplete):
    """Zsh."""

    source_template: ClassVar[str] = _ZSH


class Fish(_Asked, FishComplete):
    """Fish, which adds no space behind ``=``, ``.`` and ``/``."""

    source_template: ClassVar[str] = _FISH


def register() -> None:
    """Puts these in place of click's own."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
