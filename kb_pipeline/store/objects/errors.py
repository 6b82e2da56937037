"""What an object store's errors mean, in our own words: pure functions over exceptions of obstore and the system."""

from __future__ import annotations

import re
from typing import NamedTuple

from kb_pipeline.core.errors import DiskFull, KbError, ObjectStoreUnavailable, ObjectUnavailable, UnusableKey


class Explained(NamedTuple):
    """An error of ours, and whether it may concern the object alone: who raises it finds out with another object."""

    error: KbError
    perhaps_the_object: bool = False


def missing_place(url: str) -> ObjectStoreUnavailable:
    """The bucket, or the folder, is not there."""
    return ObjectStoreUnavailable(
        f"The bucket or folder of {url} does not exist.",
        "Create it, or correct object_store.url (KB_OBJECT_STORE_URL).",
    )


def unusable_key() -> UnusableKey:
    """A key that obstore refuses to ask for."""
    return UnusableKey(
        "Its key has an empty segment (//), one that is . or .., or a control character.",
        "Copy the object to another key.",
    )


def explain(url: str, verb: str, error: Exception) -> Explained:
    """What `error`, met in a request to `verb`, means. Never quotes a key."""
    text, kind = str(error), type(error).__name__
    if "No space left" in text or "StorageFull" in text:
        return Explained(
            DiskFull(
                f"No space left on the disk that holds {url}.",
                "Free some space or point KB_HOME (or object_store.url) at a larger disk, then sync again.",
            )
        )
    if "NoSuchBucket" in text:
        return Explained(missing_place(url))
    if "/latest/api/token" in text or "/latest/meta-data" in text:
        return Explained(
            ObjectStoreUnavailable(
                f"There are no credentials for {url}: none in the environment, and no cloud gives any.",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        )
    if kind == "InvalidPathError":
        return Explained(
            ObjectStoreUnavailable(
                f"A file name below {url} holds a line break or another control character.",
                "Rename that file, then sync again.",
            )
        )
    if _is_refusal(kind, text):
        return Explained(
            ObjectStoreUnavailable(
                f"The object store {url} refuses to {verb} ({kind}).",
                "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights on object_store.url.",
            ),
            perhaps_the_object=verb != "list",
        )
    return Explained(
        ObjectStoreUnavailable(
            f"The object store {url} does not answer a request to {verb} ({kind}).",
            "Check object_store.url and object_store.endpoint (AWS_ENDPOINT_URL) and that the server runs.",
        ),
        perhaps_the_object=verb != "list",
    )


def of_one_object(verb: str, error: Exception) -> ObjectUnavailable:
    """The same error, now that another object has shown that the store is well."""
    kind = type(error).__name__
    if _is_refusal(kind, str(error)):
        return ObjectUnavailable(
            f"The object store refuses to {verb} this object, and not others ({kind}).",
            "Give the pipeline the right to read it, or bring it back from an archive; later syncs try again.",
        )
    return ObjectUnavailable(
        f"The object store answers, but not a request to {verb} this object ({kind}).",
        "Later syncs try again; if it stays so, see what the store logs, or upload the object again.",
    )


def _is_refusal(kind: str, text: str) -> bool:
    """A refused listing comes as a GenericError."""
    refused = kind in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError")
    return refused or re.search(r"AccessDenied|status code: 40[13]", text) is not None
