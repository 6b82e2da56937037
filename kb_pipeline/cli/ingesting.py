"""What `kb ingest` says of files that it does not simply take in, and of what it would do (--dry-run)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_pipeline import console
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.sources.mirror import ForgottenFile, MirrorPlan, MirrorReport

SHOWN = 20  # names of each kind


def show_plan(base: KnowledgeBase, folder: str, source: str, *, confirm_deletes: bool, as_json: bool) -> None:
    """What ingesting would do, by name; nothing is written."""
    plan = base.plan_ingest(folder, source, confirm_deletes=confirm_deletes)
    if as_json:
        console.print_json({"source_system": source, "dry_run": True, "mirror": plan})
        return
    for what, names in (
        ("to upload", plan.upload),
        ("to replace", plan.replace),
        ("to remove", plan.remove),
        ("left out by patterns", plan.left_out),
        ("could not be read", plan.failed),
    ):
        for name in names[:SHOWN]:
            console.say(f"{what}: {name}")
        if len(names) > SHOWN:
            console.say(f"{what}: {len(names) - SHOWN} more (--json names all)")
    console.say(
        f"{source}: {len(plan.upload)} to upload, {len(plan.replace)} to replace, {len(plan.remove)} to remove,"
        f" {plan.unchanged} unchanged, {plan.bytes_to_upload / 1e6:.1f} MB to upload; nothing was written"
    )
    say_left_out(source, plan)


def say_left_out(source: str, found: MirrorReport | MirrorPlan) -> None:
    """What stays outside though it lies in the folder, and why."""
    left_out, held = _count(found.left_out), _count(found.held)
    if left_out:
        console.say(f"{source}: {left_out} files left out by patterns (hidden ones by default: exclude in kb.yaml)")
    if held:
        console.say(
            f"{source}: {held} files are in although patterns exclude their names: they stay until --confirm-deletes",
            "yellow",
        )
    _say_forgotten(found.forgotten)
    if found.skipped:
        console.note(f"{found.skipped} files skipped: their names hold control characters or are not UTF-8")


def _say_forgotten(files: Sequence[ForgottenFile]) -> None:
    for file in files[:SHOWN]:
        console.say(
            f"forgotten, so not taken in: {file.name} (`kb remember {file.document_id}` takes it in again)", "yellow"
        )
    if len(files) > SHOWN:
        console.say(f"forgotten, so not taken in: {len(files) - SHOWN} more (--json names all)", "yellow")


def _count(found: int | Sequence[str]) -> int:
    return found if isinstance(found, int) else len(found)
