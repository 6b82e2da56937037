"""Listings of S3 by boto3, for buckets with keys for whose sake obstore fails a whole listing: those with a control
character, or with a segment that is empty, `.` or `..`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from kb_pipeline.store.objects.types import ObjectInfo, ObjectStoreConfig


def objects_after(config: ObjectStoreConfig, prefix: str, last: str) -> Iterator[ObjectInfo]:
    """What lies below `prefix` and comes after the key `last` ("": all), in the order of the listing.

    Raises OSError with what S3 said. Folders that a console made, empty objects "NAME/", are named NAME, as obstore has
    it.
    """
    root = _root(config, prefix)
    for page in _pages(config, Prefix=root, StartAfter=root + last):
        for item in page.get("Contents", ()):
            key = item["Key"].removeprefix(root)
            if item["Size"] == 0:
                key = key.removesuffix("/")
            if key and key != last:
                yield ObjectInfo(key, item["Size"], item["ETag"], item["LastModified"])


def folders(config: ObjectStoreConfig, prefix: str) -> list[str]:
    """Names of the folders right below `prefix`. Raises OSError with what S3 said."""
    root = _root(config, prefix)
    found = [p["Prefix"] for page in _pages(config, Prefix=root, Delimiter="/") for p in page.get("CommonPrefixes", ())]
    return [name for path in found if (name := path.removeprefix(root).removesuffix("/"))]


def _root(config: ObjectStoreConfig, prefix: str) -> str:
    return "/".join(part for part in (urlsplit(config.url).path.strip("/"), prefix) if part) + "/"


def _pages(config: ObjectStoreConfig, **asked: str) -> Iterator[Any]:
    import boto3
    from botocore.config import Config

    with _as_os_errors():
        client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=config.endpoint,
            region_name=config.region,
            config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30),
        )
        yield from client.get_paginator("list_objects_v2").paginate(Bucket=urlsplit(config.url).netloc, **asked)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OSError(str(error)) from None
