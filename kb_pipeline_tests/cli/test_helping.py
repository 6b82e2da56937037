"""`--help`: no summary is cut off or broken, and each verb has an example that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import click.testing
import pytest

from kb_pipeline.cli import kb


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands(kb))


@pytest.mark.parametrize("group", [(), *(path for path, command in ALL if isinstance(command, click.Group))], ids=str)
def test_every_summary_is_one_whole_line(group: tuple[str, ...]) -> None:
    done = click.testing.CliRunner().invoke(kb, [*group, "--help"], terminal_width=80)
    listed = done.output.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    named = [path[-1] for path, _ in ALL if path[:-1] == group]
    assert [line.split()[0] for line in listed] == sorted(named), "a line each"
    assert "..." not in done.output.partition("Commands:")[2]
    assert max(map(len, listed)) <= 80


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in ALL])
def test_every_verb_has_an_example_that_can_be_typed(path: tuple[str, ...], command: click.Command) -> None:
    assert command.epilog, "give it a line in kb_pipeline/cli/helping.py"
    label, example = command.epilog.split(": ", 1)
    assert label == "Example"
    assert example in " ".join(click.testing.CliRunner().invoke(kb, [*path, "-h"]).output.split())
    words = shlex.split(example.rpartition("| ")[2])
    assert words.pop(0) == "kb"
    root = click.Context(kb, **kb.context_settings)
    _, rest, _ = kb.make_parser(root).parse_args(words)
    found: click.Command = kb
    while isinstance(found, click.Group) and rest:
        found = found.commands[rest.pop(0)]
    assert found is command or command in getattr(found, "commands", {}).values() or isinstance(command, click.Group)
    context = click.Context(found, parent=root)
    _, left, _ = found.make_parser(context).parse_args(list(rest))
    assert left == [] or not isinstance(found, click.Group)
