# SPDX-License-Identifier: MIT
"""The errors a user can cause, and the exit codes they become.

Rule: nothing else in the package calls sys.exit. Every error that is not a bug derives from
PluginError, its text says what was expected, what was found, where, and what to do, and `cli.main`
turns it into the exit code below.
"""


class PluginError(Exception):
    """Something outside the program is not as it must be (exit code 1)."""

    exit_code = 1


class ConfigError(PluginError):
    """A flag, an environment variable or the configuration file is wrong (exit code 2)."""

    exit_code = 2


class DiscoveryError(PluginError):
    """No GPU was found, or what was found could not be read."""


class SocketError(PluginError):
    """The plugin's socket cannot be served."""


class RequestError(Exception):
    """A request of the kubelet's names devices or sizes that cannot be; it becomes INVALID_ARGUMENT."""
