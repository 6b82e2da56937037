"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """--json: results as one line of JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(function)
