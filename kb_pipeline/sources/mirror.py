"""Make a source system's raw prefix mirror a folder: new and changed files up, missing ones out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kb_pipeline.core.errors import ObjectUnavailable
from kb_pipeline.core.faults import fault_point
from kb_pipeline.sources.folder import Rules, Step, compare
from kb_pipeline.store.objects.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class ForgottenFile:
    """A file whose document was forgotten: it is not uploaded. Its name, and the id to `kb remember` it by."""

    name: str
    document_id: str = ""


@dataclass(slots=True)
class MirrorReport:
    """What mirroring did, in files; `replaced` are those of `uploaded` that had an object. `failed` names those that
    could not be read, or not stored alone.

    `skipped` ones cannot be object keys: their names hold control characters or bytes that are no text. `left_out` ones
    have names that patterns exclude; so have `held` ones, which the knowledge base holds already: they are counted with
    the others too. `forgotten` ones were not uploaded.
    """

    uploaded: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    bytes_uploaded: int = 0
    failed: list[str] = field(default_factory=list)
    replaced: int = 0
    left_out: int = 0
    held: int = 0
    forgotten: list[ForgottenFile] = field(default_factory=list)


@dataclass(slots=True)
class MirrorPlan:
    """What mirroring a folder would do, as names of files: those to `upload` (new), to `replace` and to `remove` from
    the source. The rest as in MirrorReport."""

    upload: list[str] = field(default_factory=list)
    replace: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    forgotten: list[ForgottenFile] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: int = 0
    bytes_to_upload: int = 0


def mirror(store: ObjectStore, folder: Path, prefix: str, rules: Rules) -> MirrorReport:
    """Mirror `folder` below `prefix`, as folder.compare decides. Raises NotFound when there is no such folder."""
    report = MirrorReport()
    for step in compare(store, folder, prefix, rules):
        report.held += step.held
        match step.action:
            case "upload" | "replace":
                _put(store, step, prefix, report)
            case "remove":
                _delete(store, step, prefix, report)
            case "unchanged":
                report.unchanged += 1
            case "left out":
                report.left_out += 1
            case "skip":
                report.skipped += 1
            case "forgotten":
                report.forgotten.append(ForgottenFile(step.key))
            case "unreadable":
                report.failed.append(step.key)
    return report


def plan_mirror(store: ObjectStore, folder: Path, prefix: str, rules: Rules) -> MirrorPlan:
    """What `mirror` would do. Writes nothing. Raises NotFound when there is no such folder."""
    plan = MirrorPlan()
    named = {
        "upload": plan.upload,
        "replace": plan.replace,
        "remove": plan.remove,
        "left out": plan.left_out,
        "unreadable": plan.failed,
    }
    for step in compare(store, folder, prefix, rules):
        plan.bytes_to_upload += step.size
        if step.held:
            plan.held.append(step.key)
        if step.action in named:
            named[step.action].append(step.key)
        elif step.action == "forgotten":
            plan.forgotten.append(ForgottenFile(step.key))
        else:
            plan.unchanged += step.action == "unchanged"
            plan.skipped += step.action == "skip"
    return plan


def _put(store: ObjectStore, step: Step, prefix: str, report: MirrorReport) -> None:
    assert step.path
    try:
        store.put(f"{prefix}/{step.key}", step.path)
    except ObjectUnavailable:
        report.failed.append(step.key)
        return
    fault_point("mirror.stored")
    report.uploaded += 1
    report.replaced += step.action == "replace"
    report.bytes_uploaded += step.size


def _delete(store: ObjectStore, step: Step, prefix: str, report: MirrorReport) -> None:
    try:
        store.delete(f"{prefix}/{step.key}")
    except ObjectUnavailable:
        report.failed.append(step.key)
        return
    fault_point("mirror.deleted")
    report.deleted += 1
