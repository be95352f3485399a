"""What can be said of a command without running it: that there are such a command and options."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import typer
import yaml

from tests.docs.blocks import REPOSITORY

SYSTEM = {
    *("apt", "cd", "cp", "curl", "export", "git", "ls", "mkdir", "mlflow", "openssl", "pip", "set"),
    *("source", "ssh", "systemctl", "tar", "tensorboard", "unzip", "watch", "zip"),
}
"""Programs that are not ours; that they would work is for their own pages to say."""

_ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)


def check_commands(text: str) -> None:
    """Look at every command of a shell block.

    Raises:
        ValueError: there is no such command, subcommand, option, target or service.
    """
    for words in _commands(text):
        _check(words)


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command: of every line, and of both sides of `|`, `&&` and `;`."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if word.strip("|&;"):
                words.append(word)
                continue
            yield words
            words = []
        yield words


def _check(words: list[str]) -> None:
    while words and (words[0] in ("sudo", "nohup", "exec") or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    words = [word for word in words if not re.fullmatch(r"[<>]+", word)]
    if not words:
        return
    name, *arguments = words
    name = name.removeprefix(".venv/bin/")
    if name in ("paka", "paka-server"):
        check_arguments(name, arguments)
    elif name == "make":
        _check_make(arguments)
    elif name in ("python", "python3") and arguments[:1] == ["-m"]:
        _check_module(arguments[1], arguments[2:])
    elif name == "docker":
        _check_docker(arguments)
    elif name in ("bash", "sh") or name.startswith("./"):
        script = name if name.startswith("./") else arguments[0]
        if not (REPOSITORY / script).is_file():
            raise ValueError(f"there is no script {script}")
    elif name not in SYSTEM:
        raise ValueError(f"{name!r} is none of our commands, nor of the programs in SYSTEM")


def subcommands(program: str) -> set[str]:
    """The subcommands of `paka` or `paka-server`, or the targets of `make`."""
    if program == "make":
        makefile = (REPOSITORY / "Makefile").read_text()
        return set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    command = _click(program)
    return set(command.list_commands(click.Context(command)))


@cache
def _click(program: str) -> click.Command:
    if program == "paka":
        from paka.cli import app
    else:
        from service.cli import app
    return typer.main.get_command(app)


def check_arguments(program: str, arguments: list[str]) -> None:
    """Parse a command line of `paka` or `paka-server` without running the command.

    Raises:
        ValueError: it has no such subcommand or option, or one that cannot be.
    """
    command, name = _click(program), program
    try:
        while True:
            with command.make_context(name, list(arguments)) as context:
                if not hasattr(command, "resolve_command"):
                    return
                rest = [*context._protected_args, *context.args]
                name, command, arguments = command.resolve_command(context, rest)
    except Exception as error:
        if type(error).__name__ in ("Exit", "NoArgsIsHelpError"):
            return
        if not isinstance(error, click.ClickException) and not hasattr(error, "format_message"):
            raise
        raise ValueError(f"{program} {name}: {error.format_message()}") from None


def _check_make(arguments: list[str]) -> None:
    makefile, targets = (REPOSITORY / "Makefile").read_text(), subcommands("make")
    for argument in arguments:
        found = _ASSIGNMENT.fullmatch(argument)
        if found and not re.search(rf"^{found[1]} \?=", makefile, re.MULTILINE):
            raise ValueError(f"the Makefile has no variable {found[1]}")
        if not found and argument not in targets:
            raise ValueError(f"the Makefile has no target {argument!r}")


def _check_module(module: str, arguments: list[str]) -> None:
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ValueError(f"there is no module {module}")
    if not module.startswith(("paka", "service", "worker", "benchmarks", "tests", "docs")):
        return
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    source = Path(spec.origin).read_text()
    for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
        if f'"{option}"' not in source and f"{option[2:].replace('-', '_')}:" not in source:
            raise ValueError(f"python -m {module} has no option {option}")


@cache
def _compose() -> dict:
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]


def _check_docker(arguments: list[str]) -> None:
    """Check services, profiles, and commands of ours that run in a container."""
    if arguments[:1] != ["compose"]:
        return
    services = _compose()
    profiles = {name for service in services.values() for name in service.get("profiles", ())}
    words = iter(arguments[1:])
    action = None
    for word in words:
        if word == "--profile" and (profile := next(words)) not in profiles:
            raise ValueError(f"docker-compose.yml has no profile {profile!r}")
        if word in ("--file", "-f", "-v", "--volume", "--profile", "--env", "-e"):
            if word != "--profile":
                next(words)
        elif word.startswith("-"):
            continue
        elif action is None:
            action = word
        elif word not in services:
            raise ValueError(f"docker-compose.yml has no service {word!r}")
        elif action in ("exec", "run"):
            _check(list(words))
