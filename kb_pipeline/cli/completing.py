"""Shell completion of names of source systems and documents: while the ledger answers, else nothing, in silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from kb_pipeline.cli.options import Words
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.settings import Settings


class SourceName(Words):
    """The name of a source system."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin as typed, of kb.yaml and of the ledger."""
        from kb_pipeline.operations import completing

        return _offered(ctx, lambda settings: completing.source_names(settings, incomplete))


class DocumentName(Words):
    """A document: an id, its beginning, or a name."""

    name = "document"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names (NAME, or SOURCE/NAME once SOURCE/ is typed) and ids that begin as typed."""
        from kb_pipeline.operations import completing

        source = ctx.params.get("source")
        return _offered(ctx, lambda settings: completing.document_names(settings, incomplete, source))


SOURCE, DOCUMENT = SourceName(), DocumentName()


def _offered(ctx: click.Context, names: Callable[[Settings], Sequence[str]]) -> list[CompletionItem]:
    asked = ctx.find_root().params
    try:
        settings = KnowledgeBase(home=asked.get("home"), config=asked.get("config")).settings
        return [CompletionItem(name) for name in names(settings)]
    except Exception:  # noqa: BLE001 - a message would land in the middle of what is being typed
        return []


class _Bash(BashComplete):
    """Bash inserts what it is given: blanks must be escaped, twice, for the script's `read` takes one off."""

    def format_completion(self, item: CompletionItem) -> str:
        """`item` as the script reads it."""
        return super().format_completion(CompletionItem(_escaped(item.value), item.type))


def _escaped(name: str) -> str:
    return "".join(f"\\\\{letter}" if letter in " \t&|;<>()$`\\\"'*?[]#~!{}" else letter for letter in name)


add_completion_class(_Bash)
