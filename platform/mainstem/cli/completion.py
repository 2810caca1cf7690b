"""`mainstem completion bash|zsh|fish`: a script for the shell, which asks `mainstem complete` at each key."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.cli.arguments import Parser
from mainstem.cli.script_texts import TOOLS

SHELLS = {
    "bash": "for ~/.bashrc: source <(mainstem completion bash)",
    "zsh": "for ~/.zshrc: source <(mainstem completion zsh)",
    "fish": "for config.fish: mainstem completion fish | source",
}
EXAMPLES = (
    "mainstem completion bash                          source <(mainstem completion bash) in ~/.bashrc",
    "mainstem completion zsh                           source <(mainstem completion zsh) in ~/.zshrc",
    "mainstem completion fish                          mainstem completion fish | source in config.fish",
)
PROGRAMS = " ".join(
    ["mainstem", *(f"kafka-{tool}.sh" for tool in TOOLS), "kafka-server-start.sh", "kafka-server-stop.sh"]
)

_BASH = """_mainstem() {
    local found
    local IFS=$'\\n'
    found=($(mainstem complete bash "$COMP_LINE" "$COMP_POINT" "$COMP_WORDBREAKS" 2>/dev/null))
    COMPREPLY=()
    if [ "${found[0]}" = ":files" ]; then
        compopt -o default 2>/dev/null
    else
        COMPREPLY=("${found[@]}")
    fi
}
complete -F _mainstem PROGRAMS
"""
_ZSH = """#compdef PROGRAMS
_mainstem() {
    local -a found
    found=("${(@f)$(mainstem complete zsh "${(j: :)words[1,CURRENT]}" "" "" 2>/dev/null)}")
    if [[ "$found[1]" == ":files" ]]; then
        _files
    elif [[ -n "$found[1]" ]]; then
        compadd -- $found
    fi
}
if ! whence compdef > /dev/null; then
    autoload -Uz compinit && compinit
fi
compdef _mainstem PROGRAMS
"""
_FISH = """function __mainstem_complete
    set -l found (mainstem complete fish (commandline -cp) "" "" 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
for program in PROGRAMS
    complete -c $program -f -a '(__mainstem_complete)'
end
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def main(arguments: Sequence[str]) -> int:
    parser = Parser("completion", "Print what a shell needs to complete these commands.", EXAMPLES)
    parser.action(SHELLS)
    options = parser.read(arguments)
    print(_SCRIPTS[options.action].replace("PROGRAMS", PROGRAMS), end="")
    return 0
