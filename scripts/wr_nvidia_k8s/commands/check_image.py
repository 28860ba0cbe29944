# SPDX-License-Identifier: MIT
"""Check that an image can be built.

Exit codes: 0 it can be built, 1 it cannot, 2 a wrong command line, 69 something that the check needs is missing.
"""

from __future__ import annotations

import argparse
import json
import sys

from wr_nvidia_k8s.build.check_image import check
from wr_nvidia_k8s.build.kas import LAYERS, KasError, fragments, images
from wr_nvidia_k8s.common.main import run_main


def main(arguments: list[str] | None = None) -> int:
    """The command line of scripts/check-image."""
    parser = argparse.ArgumentParser(
        prog="check-image",
        description="Check that an image can be built: BitBake parses all recipes with no errors and no "
        "warnings about this layer, and a dry run resolves every task of the image. Builds nothing.",
        epilog=f"The layer trees are in {LAYERS}; kas clones missing ones there. For root, BitBake runs as "
        "the user wr-nvidia-k8s-build, which is created if it does not exist.",
    )
    parser.add_argument("image", metavar="NAME", choices=images(), help=f"one of: {', '.join(images())}")
    parser.add_argument(
        "--include", metavar="FRAGMENT", action="append", default=[], choices=fragments(),
        help=f"add a file of kas/include/ (can be repeated); one of: {', '.join(fragments())}",
    )  # fmt: skip
    less = parser.add_mutually_exclusive_group()
    less.add_argument("--parse-only", dest="depth", action="store_const", const="parse", help="only parse all recipes")
    less.add_argument(
        "--graph", dest="depth", action="store_const", const="graph",
        help="resolve all tasks, but dry-run only those of this layer: a tenth of the time",
    )  # fmt: skip
    parser.set_defaults(depth="dry_run")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    options = parser.parse_args(arguments)
    try:
        result = check(options.image, options.depth, options.include)
    except KasError as error:
        raise KasError(f"kas refuses kas/{options.image}.yml:\n{error}") from error
    for problem in result.problems:
        print(f"error: {options.image}: {problem}", file=sys.stderr)
    if options.json:
        print(json.dumps(result.as_dict(), indent=2))
    elif not result.problems:
        seconds = ", ".join(f"{name} {value:.0f} s" for name, value in result.seconds.items())
        tasks = "" if options.depth == "parse" else f", {result.log.attempted} tasks"
        print(f"{options.image}: {result.log.recipes} recipes{tasks} ({seconds})")
    return 1 if result.problems else 0


if __name__ == "__main__":
    run_main(main)
