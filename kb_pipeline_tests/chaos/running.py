"""One whole run in a folder of its own: services, documents, kills, the end, and what was found."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kb_pipeline.settings import load_settings
from kb_pipeline_tests.chaos import ending
from kb_pipeline_tests.chaos.campaign import Campaign, plan
from kb_pipeline_tests.chaos.changing import Changing
from kb_pipeline_tests.chaos.expected import Expected
from kb_pipeline_tests.chaos.materials import materials
from kb_pipeline_tests.chaos.model import Model
from kb_pipeline_tests.chaos.reader import Reader
from kb_pipeline_tests.chaos.victims import Services

# A short lease, small runs, hardly a brake: what is under test is what a kill leaves behind, and how soon all goes on.
CONFIG = """\
lease: {wait_seconds: 60, ttl_seconds: 5}
runs: {documents: 40}
deletes: {share: 0.95, least: 1000}
limits: {workers: 2}
embedding: {batch_texts: 16, max_retries: 2, timeout_seconds: 20}
"""


@dataclass(frozen=True)
class Size:
    """How much to do: kills, seconds after which no sync is begun, Markdown pages, documents in other formats."""

    kills: int
    seconds: float
    pages: int
    files: int


@dataclass
class Result:
    """`kills` by target; `snapshots` are the reader's, `reader_lost` its connections that broke."""

    seed: int
    seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    syncs: int = 0
    exit_codes: dict[int, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    snapshots: int = 0
    reader_lost: int = 0
    versions: int = 0
    documents: int = 0
    rows: int = 0
    violations: list[str] = field(default_factory=list)


def run(corpus: Path, seed: int, size: Size, log: Callable[[str], None]) -> Result:
    """Bounded by `size` and reproducible as far as its decisions go; instants depend on the machine."""
    root = Path(tempfile.mkdtemp(prefix="kb-chaos-"))
    root.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    (root / "logs").mkdir()
    config = root / "kb.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    services = Services(root / "home", config)
    try:
        services.up()
        result = _run(root, services, corpus, seed, size, log)
    finally:
        services.down()
    if result.violations:
        log(f"logs are kept in {root / 'logs'}")
    else:
        shutil.rmtree(root)
    return result


def _run(root: Path, services: Services, corpus: Path, seed: int, size: Size, log: Callable[[str], None]) -> Result:
    began, chosen = time.monotonic(), random.Random(seed)
    given, model = materials(corpus, size.pages, size.files), Model()
    settings = load_settings({}, config=services.config, home=services.home)
    folders = {"wiki": services.home / "objects" / "raw" / "wiki", "handbook": root / "drop" / "handbook"}
    pools = {"wiki": given.snapshots[0], "handbook": given.files}
    sources = [
        Changing(name, folder, model, Expected(settings, name), pools[name], f"{seed} {name}")
        for name, folder in folders.items()
    ]
    for source in sources:
        source.become(source.pool)
    log(f"seed {seed}: {sum(len(source.files) for source in sources)} documents, {size.kills} kills")
    campaign = Campaign(services, sources, given.snapshots, model, plan(size.kills, chosen), chosen, log)
    with Reader(services.dsn, model) as reader:
        campaign.run(began + size.seconds)
        services.up()
        ending.settle(services, sources, model)
    documents, rows = ending.compare(services, sources, model, root / "fresh")
    ending.verify(services, model)
    changes: dict[str, int] = {}
    for source in sources:
        for kind, count in source.changes.items():
            changes[kind] = changes.get(kind, 0) + count
    return Result(
        seed,
        round(time.monotonic() - began, 1),
        dict(sorted(campaign.killed.items())),
        campaign.syncs,
        dict(sorted(campaign.ended.items())),
        dict(sorted(changes.items())),
        model.snapshots,
        reader.lost,
        sum(len(story.versions) - 1 for story in model.stories.values()),
        documents,
        rows,
        model.violations,
    )
