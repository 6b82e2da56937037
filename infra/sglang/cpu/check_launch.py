"""Check production launch lines against the parser of the installed SGLang: python check_launch.py FILE...

Each file holds what `launch.sh SIZE --print` printed, one argument a line. Ends with an error naming what is wrong.
"""

import argparse
import json
import sys
from pathlib import Path

import cpu_launch  # noqa: F401 - declares what torchvision needs, so that SGLang can be imported


def check(parser: argparse.ArgumentParser, line: list[str]) -> None:
    """Exit when a flag or value is unknown, or one is missing without which there is no embedding server."""
    program, verb, *arguments = line
    options = parser.parse_args(arguments)
    if (program, verb) != ("sglang", "serve") or not options.is_embedding:
        sys.exit("the launch line must begin with `sglang serve` and hold --is-embedding")
    if not json.loads(options.json_model_override_args).get("matryoshka_dimensions"):
        sys.exit("the launch line must declare matryoshka_dimensions")


def main() -> None:
    """Check each file named on the command line."""
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser(allow_abbrev=False)
    ServerArgs.add_cli_args(parser)
    for name in sys.argv[1:]:
        check(parser, Path(name).read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
