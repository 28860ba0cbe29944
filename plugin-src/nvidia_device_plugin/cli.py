# SPDX-License-Identifier: MIT
"""The command: flags in, exit code out."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from nvidia_device_plugin import __version__, log
from nvidia_device_plugin.config.options import OPTIONS
from nvidia_device_plugin.driver import worker
from nvidia_device_plugin.errors import ConfigError, PluginError

_EPILOG = """\
Each option can also be set by its environment variable, and most in the configuration file; a flag wins
over the environment, the environment over the file. SIGHUP reads everything again; what has not changed
is served on.

exit codes: 0 stopped by a signal; 1 the plugin cannot run (no GPU, socket in use);
2 a flag, an environment variable or the configuration file is wrong
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see nvidia-device-plugin --help")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar, made from options.OPTIONS."""
    result = _Parser(prog="nvidia-device-plugin", allow_abbrev=False, epilog=_EPILOG,
                     formatter_class=argparse.RawDescriptionHelpFormatter,
                     description="Offer this machine's NVIDIA GPUs to Kubernetes as nvidia.com/gpu.")
    result.add_argument("--version", action="version", version=f"nvidia-device-plugin {__version__}")
    refused = result.add_argument_group("known to NVIDIA's plugin, refused here")
    for option in OPTIONS:
        group = result if option.is_built else refused
        text = option.help.replace("%", "%%")
        if option.is_built and option.choices:
            text += f" [{' | '.join(option.built or option.choices)}]"
        if option.is_built and option.default is not None:
            text += f" (default: {str(option.default).lower() if option.is_bool else option.default or 'none'})"
        # Values are checked in config.py, whatever their source, so that every source has the same errors.
        group.add_argument(f"--{option.name}", *(f"--{alias}" for alias in option.aliases),
                           dest=option.attribute, default=None, help=f"{text} [${option.env[0]}]",
                           action="append" if option.is_list else "store",
                           metavar=option.metavar or ("BOOL" if option.is_bool else "VALUE"),
                           nargs="?" if option.is_bool else None, const="true" if option.is_bool else None)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (errors.py says which)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == [worker.COMMAND]:
        # This program again, as the process that asks NVML; nobody else calls it.
        return worker.main(arguments[1], int(arguments[2]))
    log.set_up()
    try:
        parsed = vars(parser().parse_args(arguments))
        given = {option: parsed[option.attribute] for option in OPTIONS if parsed[option.attribute] is not None}
        flags = {option.name: ",".join(value) if option.is_list else value for option, value in given.items()}
        return _run(flags)
    except PluginError as error:
        logging.error("%s", error)
        return error.exit_code
    except Exception:
        logging.critical("the plugin ends by an error that it does not know", exc_info=True)
        return 1


def _run(flags: dict[str, str]) -> int:
    # Imported here so that --help and a wrong flag do not wait for gRPC. Nothing that an import makes is ever
    # garbage: looking for some meanwhile costs a tenth of the start.
    gc.disable()
    import asyncio

    from nvidia_device_plugin.daemon.process import Daemon

    gc.freeze()
    gc.enable()
    return asyncio.run(Daemon(flags, os.environ).run())
