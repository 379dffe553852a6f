"""Defaults from a TOML file, which flags override."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Names", "Parameter", "with_config"]


class Names(argparse.Action):
    """Collects what is given at repetitions, and between commas."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Add names to those before."""
        given = getattr(namespace, self.dest, None) or []
        setattr(namespace, self.dest, [*given, *(v for v in values.split(",") if v)])


class Parameter(argparse.Action):
    """Collects ``name=value``; the later one of a name counts."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Add one to those before."""
        name, equals, value = values.partition("=")
        if not (name and equals):
            parser.error(f"{option} {values}: expected name=value")
        given = getattr(namespace, self.dest, None) or {}
        setattr(namespace, self.dest, {**given, name: value})


def with_config(
    make_parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]
) -> argparse.Namespace:
    """Arguments of a sub-command, with defaults from the file behind ``--config``.

    Keys of the file are names of options, with hyphens or underscores; a table ``[param]``
    gives what ``-p`` gives, name by name. A key counts where its option is not given.

    Parameters
    ----------
    make_parser : callable
        Makes the parser of the sub-command.
    argv : sequence of str
        What follows the sub-command.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no TOML, or holds a key or a value that the sub-command does not know.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config")
    path = finder.parse_known_args(argv)[0].config
    parser = make_parser()
    if path is None:
        return parser.parse_args(argv)
    options = {
        action.option_strings[-1].removeprefix("--"): action
        for action in parser._actions
        if action.option_strings and action.dest not in ("help", "config")
    }
    given = _given(make_parser(), argv)
    words: list[str] = []
    for key, value in _read(path).items():
        action = options.get(key.replace("_", "-"))
        if action is None:
            raise ValueError(
                f"{path}: unknown key {key!r}; known are {', '.join(sorted(options))}"
            )
        if isinstance(action, Parameter) or action.dest not in given:
            words += _words(f"{path}: {key}", action, value)
    return parser.parse_args([*words, *argv])


def _given(parser: argparse.ArgumentParser, argv: Sequence[str]) -> set[str]:
    """What the user has given himself."""
    for action in parser._actions:
        action.default, action.required = argparse.SUPPRESS, False
    return set(vars(parser.parse_known_args(argv)[0]))


def _words(where: str, action: argparse.Action, value: Any) -> list[str]:
    """An entry of the file as the user would type it."""
    option = action.option_strings[-1]
    if isinstance(action, Parameter):
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a table of names and values, got {value!r}")
        return [f"{option}={name}={entry!r}" for name, entry in value.items()]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"{where} must be true or false, got {value!r}")
        return [option] if value else []
    entries = value if isinstance(value, list) and isinstance(action, Names) else [value]
    if any(isinstance(entry, (bool, dict, list)) for entry in entries):
        raise ValueError(f"{where}: {value!r} is not a value of {option}")
    return [f"{option}={entry}" for entry in entries]


def _read(path: str) -> Mapping[str, Any]:
    with Path(path).open("rb") as file:
        try:
            return tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not TOML: {error}") from None
