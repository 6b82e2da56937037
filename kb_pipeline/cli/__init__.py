"""The `kb` command: thin over KnowledgeBase. Dagster is loaded only by the verbs that run a job.

Exit codes: 0 done (documents may be in quarantine) · 1 a check found something, or a run failed · 2 wrong usage ·
3 settings or a name are wrong · 4 a service is down or a disk is full · 5 another run holds the source ·
6 deletes wait for --confirm-deletes.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import click

from kb_pipeline import console
from kb_pipeline.cli import developing, erasing, looking, masking, operating, remembering, running
from kb_pipeline.cli.helping import explain
from kb_pipeline.core.collector import collect_seldom
from kb_pipeline.core.errors import DiskFull, KbError, defect
from kb_pipeline.knowledge_base import KnowledgeBase


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(file_okay=False), help="KB_HOME: where the embedded stack keeps its state.")
@click.option("--config", type=click.Path(dir_okay=False), help="KB_CONFIG: the settings file.")
@click.option("--debug", is_flag=True, help="Show a traceback with every error.")
@click.version_option(package_name="kb-pipeline")
@click.pass_context
def kb(context: click.Context, home: str | None, config: str | None, debug: bool) -> None:
    """Documents of your source systems as a searchable, masked vector knowledge base."""
    context.obj = KnowledgeBase(home=home, config=config)
    context.meta["debug"] = debug


for _verb in (
    operating.init,
    operating.up,
    operating.down,
    looking.status,
    looking.history,
    running.ingest,
    running.sync,
    operating.plan,
    looking.search,
    looking.quarantine,
    masking.mask,
    masking.audit,
    operating.doctor,
    operating.verify,
    erasing.gc,
    erasing.forget,
    remembering.remember,
    erasing.source,
    running.demo,
    developing.dev,
):
    kb.add_command(_verb)
explain(kb)


def main() -> None:
    """Entry point: errors as messages with a remedy, with --debug after a traceback."""
    collect_seldom()
    as_json, debug = "--json" in sys.argv, "--debug" in sys.argv
    try:
        # Of a verb that ends with click's Exit this is the exit code: click raises it only when it stands alone.
        code = kb(standalone_mode=False)
    except click.Abort:
        console.err.print("Interrupted: what was committed stays, the next sync goes on from there.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KbError as error:
        console.show_error(error, as_json=as_json, debug=debug)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            _end_with_defect(error, as_json=as_json, debug=debug)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print has nowhere to go
        full = DiskFull("No space is left where the output goes.", "Make room there, then ask again.")
        console.show_error(full, as_json=False, debug=debug)
        sys.exit(full.exit_code)
    except Exception as error:  # noqa: BLE001
        _end_with_defect(error, as_json=as_json, debug=debug)
    sys.exit(code if isinstance(code, int) else 0)


def _end_with_defect(error: Exception, *, as_json: bool, debug: bool) -> NoReturn:
    """The last resort: shown without a message that might quote a document."""
    console.show_error(defect(error), as_json=as_json, debug=debug)
    sys.exit(1)
