"""Writes the files by which bash, zsh and fish complete our commands; `make install` runs this once for each release.

What a shell needs is in these files. They run none of our commands: an installed one starts a unit, which takes a second and
root's rights, and only knows more than its options once it has credentials. Words come from the command lines themselves.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

SHELLS = ("bash", "zsh", "fish")
PROGRAMS: Mapping[str, str] = {
    "s3-index-worker": "worker.cli",
    "dlq": "recovery.cli.main",
    "dlq-redrive": "recovery.cli.main",
    "dlq-manager": "recovery.manager.cli",
}
"""The modules with the command lines of programs. Another program is the module of its name in recovery.cli."""
HELP = "help"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, in each of its spellings."""

    spellings: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...] = ()
    """All values, if these are known."""
    names_file: bool = False


EVERYWHERE = (Option(("--version",), "Print the version", takes_value=False),)
"""What every program understands, although its command line does not have it (worker/explain.py)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A command, or a group of commands: what can be typed after its words."""

    at: str
    """The words after the program's name, a space before each: ` token create`; empty for the program itself."""
    verbs: Mapping[str, str]
    """Subcommands, with their help."""
    options: tuple[Option, ...]
    takes_file: bool
    """Whether one of its arguments is the name of a file."""


def places_of(app: typer.Typer) -> list[Place]:
    """All places of a command line."""
    first, *others = _places("", typer.main.get_command(app))
    known = {spelling for option in first.options for spelling in option.spellings}
    own = (one for one in EVERYWHERE if one.spellings[0] not in known)
    verbs = {**first.verbs, HELP: "Show the help of a command"} if first.verbs else {}
    return [Place("", verbs, (*first.options, *own), first.takes_file), *others]


def _places(at: str, command: Any) -> Iterator[Place]:
    verbs = getattr(command, "commands", {})
    given = [one for one in command.get_params(command.context_class(command)) if not getattr(one, "hidden", False)]
    options = tuple(_option(one) for one in given if one.param_type_name == "option")
    takes_file = any(one.param_type_name != "option" and _names_file(one) for one in given)
    yield Place(at, {name: _line(one.help or "") for name, one in verbs.items()}, options, takes_file)
    for name, one in verbs.items():
        yield from _places(f"{at} {name}", one)


def _option(parameter: Any) -> Option:
    kind = parameter.type_descriptor.annotation
    is_choice = isinstance(kind, type) and issubclass(kind, Enum)
    return Option(
        (*parameter.opts, *parameter.secondary_opts), _line(parameter.help or ""), not parameter.is_flag,
        tuple(str(one.value) for one in kind) if is_choice else (), _names_file(parameter),
    )  # fmt: skip


def _names_file(parameter: Any) -> bool:
    return parameter.metavar == "FILE" or parameter.type_descriptor.annotation is Path


def _line(text: str) -> str:
    """The first sentence of a help text, on one line."""
    return " ".join(text.split()).split(". ")[0].removesuffix(".")


# -- the three shells --------------------------------------------------------------------------------------------------

_BASH = """\
# Completion of {name} for bash, made by `make install`. It runs nothing.
_complete_{function}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} at='' words='' i
  if [[ $word == = ]]; then
    word=''
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at ${{COMP_WORDS[i]}}" in {verbs}) at="$at ${{COMP_WORDS[i]}}" ;; esac
  done
  case "$at $before" in
{values}
  *)
    case "$at|${{word:0:1}}" in
{words}
    esac
    ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -F _complete_{function} {name}
"""
_ZSH = """\
#compdef {name}
# Completion of {name} for zsh, made by `make install`. It runs nothing.
local at='' word before=${{words[CURRENT-1]}}
local -a found
for word in ${{words[2,CURRENT-1]}}; do
  case "$at $word" in ({verbs}) at="$at $word" ;; esac
done
case "$at $before" in
{values}
esac
case "$at|${{PREFIX[1]}}" in
{words}
esac
_describe '{name}' found
"""
_FISH = """\
# Completion of {name} for fish, made by `make install`. It runs nothing.
function __complete_{function}
    set -l at ''
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case {verbs}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c {name} -f
{words}
"""


def for_bash(name: str, places: list[Place]) -> str:
    """The file for bash."""
    values, words = [], []
    for place in places:
        for option in place.options:
            if option.takes_value:
                for spelling in option.spellings:
                    then = "compopt -o default" if option.names_file else f"words={_quoted(' '.join(option.choices))}"
                    values.append(f"  {_quoted(f'{place.at} {spelling}')}) {then} ;;")
        spellings = " ".join(spelling for option in place.options for spelling in option.spellings)
        words.append(f"    {_quoted(f'{place.at}|-')}) words={_quoted(spellings)} ;;")
        then = f"words={_quoted(' '.join(place.verbs) or spellings)}"
        words.append(f"    {_quoted(f'{place.at}|')}*) {'compopt -o default' if place.takes_file else then} ;;")
    return _BASH.format(
        name=name, function=_function(name), verbs=_verbs(places, "|"), values="\n".join(values), words="\n".join(words)
    )


def for_zsh(name: str, places: list[Place]) -> str:
    """The file for zsh."""
    values, words = [], []
    for place in places:
        for option in place.options:
            if option.takes_value:
                for spelling in option.spellings:
                    choices = " ".join(map(_quoted, option.choices))
                    then = "_files" if option.names_file else f"found=({choices})\n    compadd -a found"
                    values.append(f"  ({_quoted(f'{place.at} {spelling}')}) {then}; return ;;")
        options = _described((spelling, option.help) for option in place.options for spelling in option.spellings)
        words.append(f"  ({_quoted(f'{place.at}|-')}) found=({options}) ;;")
        then = f"found=({_described(place.verbs.items()) or options})"
        words.append(f"  ({_quoted(f'{place.at}|')}*) {'_files; return' if place.takes_file else then} ;;")
    return _ZSH.format(name=name, verbs=_verbs(places, "|"), values="\n".join(values), words="\n".join(words))


def for_fish(name: str, places: list[Place]) -> str:
    """The file for fish."""
    words = []
    for place in places:
        here = f"complete -c {name} -n {_fish(f'__complete_{_function(name)} {_fish(place.at)}')}"
        words += [f"{here} -a {_fish(verb)} -d {_fish(text)}" for verb, text in place.verbs.items()]
        words += [f"{here} -F"] if place.takes_file else []
        for option in place.options:
            spelled = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.spellings)
            value = " -r -F" if option.names_file else f" -x -a {_fish(' '.join(option.choices))}"
            value = value if option.takes_value else ""
            words.append(f"{here} {spelled}{value} -d {_fish(option.help)}")
    return _FISH.format(name=name, function=_function(name), verbs=_verbs(places, " ") or "''", words="\n".join(words))


def _verbs(places: list[Place], between: str) -> str:
    return between.join(_quoted(place.at) for place in places if place.at) or "''"


def _described(words: Any) -> str:
    """Words with their help, as zsh's _describe wants them."""
    return " ".join(_quoted(f"{word}:{text}".replace("\\", "\\\\") if text else word) for word, text in words)


def _function(name: str) -> str:
    return name.replace("-", "_")


def _quoted(text: str) -> str:
    """A word for bash and zsh, always in quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# -- files -------------------------------------------------------------------------------------------------------------

FILES: Mapping[str, tuple[str, Callable[[str, list[Place]], str]]] = {
    "bash": ("{}", for_bash), "zsh": ("_{}", for_zsh), "fish": ("{}.fish", for_fish)
}  # fmt: skip
"""By shell: the name of the file, and what makes its text."""


def write_all(folder: Path, names: list[str]) -> None:
    """Write a file for each shell and command below this folder. Raises OSError, and ImportError for what is no command of ours."""
    for name in names:
        module = PROGRAMS.get(name, f"recovery.cli.{name.replace('-', '_')}")
        places = places_of(importlib.import_module(module).app)
        for shell, (pattern, make) in FILES.items():
            path = folder / shell / pattern.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(name, places))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]), sys.argv[2:])
