"""Options and arguments that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Words(click.ParamType[str]):
    """Text as a person typed it. Bytes that are no text in this terminal's encoding are wrong usage."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` itself; raises click.BadParameter when it holds bytes that are no text."""
        text = str(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.fail("it holds bytes that are not UTF-8", param, ctx)
        return text


WORDS = Words()


def json_option(function: F) -> F:
    """--json: results as one line of JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(function)


def wide_option(function: F) -> F:
    """--wide: tables have all their columns."""
    return click.option("--wide", is_flag=True, help="Show all columns, wider than 80 characters.")(function)


def yes_option(function: F) -> F:
    """--yes: no question is asked."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def confirmed(yes: bool, question: str) -> None:
    """Go on only with --yes, or a yes on the terminal. Raises click.UsageError where there is none to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this cannot be undone, and there is no terminal to ask: add --yes")
    click.confirm(question, abort=True, err=True)
