"""What `--help` says beside each verb's own words: a summary that is not cut off, and an example."""

from __future__ import annotations

from collections.abc import Mapping

import click

# Verb -> its line in the list of verbs (62 characters fit), and a command that can be copied.
HELP: Mapping[str, tuple[str, str]] = {
    "init": ("Write a commented kb.yaml for your own folder or bucket", "kb init ~/handbook --source hr"),
    "up": ("Start the embedded PostgreSQL and embedding server", "kb --home /srv/kb up"),
    "down": ("Stop the embedded stack; data stays", "kb down"),
    "status": ("How services, sources and embedding spaces stand", "kb status --wide"),
    "ingest": ("Make a source system mirror a folder, then sync it", "kb ingest ~/handbook --source hr"),
    "plan": ("What a sync would do and cost; nothing is written", "kb plan hr contracts"),
    "sync": ("Bring source systems in step", "kb sync hr contracts"),
    "search": ("Find passages by meaning and by word", 'kb search "annual leave after five years" --source hr'),
    "mask": ("Try a masking policy on texts", 'echo \'{"text": "call 13800138000"}\' | kb mask --source hr'),
    "audit": ("Look everywhere for what masking should have caught", "kb audit --no-canaries"),
    "history": ("What became of a document: its versions and its stages", "kb history hr/annual-leave-policy.docx"),
    "quarantine": ("Documents that a stage could not take: list, show, retry", "kb quarantine list --source hr"),
    "quarantine list": ("What is in quarantine, the newest first", "kb quarantine list --source hr --wide"),
    "quarantine show": ("Everything about one document in quarantine", "kb quarantine show 5ea8578c222e"),
    "quarantine retry": ("Let the next sync try documents again", "kb quarantine retry 5ea8578c222e"),
    "verify": ("Check what must always hold, and mend it", "kb verify hr --deep --repair"),
    "forget": ("Erase a document at once and for good", "kb forget hr/minutes.docx --yes"),
    "remember": ("Let the next sync take a forgotten document in again", "kb remember hr/minutes.docx"),
    "source": ("Source systems: list, add, remove", "kb source list"),
    "source list": ("Source systems of kb.yaml and of the ledger", "kb source list --json"),
    "source add": ("Look after a source system from now on", "kb source add hr"),
    "source remove": ("Erase a source system; its raw documents stay", "kb source remove hr --yes"),
    "gc": ("Collect artifacts that nothing needs any more", "kb gc --apply"),
    "doctor": ("Check the installation", "kb doctor --json"),
    "demo": ("The main job on documents of our own, and three searches", "kb demo"),
    "dev": ("Start the Dagster UI on loopback", "kb dev --port 3001"),
}


def explain(group: click.Group, path: str = "") -> None:
    """Give every verb of `group`, and of groups in it, its summary and its example."""
    for name, command in group.commands.items():
        verb = f"{path}{name}"
        if verb in HELP:
            command.short_help, example = HELP[verb]
            command.epilog = f"Example: {example}"
        if isinstance(command, click.Group):
            explain(command, f"{verb} ")
