# SPDX-License-Identifier: MIT
"""Settings from flags, environment and configuration file, in that order of precedence.

Everything is checked before anything is used: `load` either returns settings that are wholly valid or
raises ConfigError and has changed nothing. It is called again on SIGHUP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvidia_device_plugin.config.options import OPTIONS, Option
from nvidia_device_plugin.errors import ConfigError
from nvidia_device_plugin.text import clip, shown

_BOOLEANS = {"true": True, "1": True, "t": True, "yes": True, "false": False, "0": False, "f": False, "no": False}


@dataclass(frozen=True)
class Settings:
    """What the plugin runs with. The fields are the options of the same names (options.py)."""

    kubelet_socket: Path | None
    socket_dir: Path
    device_discovery_strategy: str
    driver_root: Path
    dev_root: Path
    device_list_strategy: frozenset[str]
    device_id_strategy: str
    pass_device_specs: bool
    fail_on_init_error: bool


def load(flags: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Merge and check the options.

    flags: the flags given on the command line, by option name, as text.
    Raises ConfigError naming the source (flag, variable, or file and key) of the first wrong value.
    """
    given: dict[str, tuple[Any, str]] = {}
    for option in OPTIONS:
        for variable in option.env:
            if variable in environ:
                given[option.name] = (environ[variable], f"environment variable {variable}")
                break
        if option.name in flags:
            given[option.name] = (flags[option.name], f"flag --{option.name}")
    file = given.get("config-file", ("", ""))[0]
    if file:
        # Imported here: without a file, PyYAML is not needed.
        from nvidia_device_plugin.config.file import read

        for name, value in read(Path(file)).items():
            given.setdefault(name, value)
    values = {option.attribute: _checked(option, *given[option.name]) if option.name in given else option.default
              for option in OPTIONS}
    return _settings(values)


def _settings(values: Mapping[str, Any]) -> Settings:
    socket = Path(values["kubelet_socket"]) if values["kubelet_socket"] else None
    if socket and not socket.is_absolute():
        raise ConfigError(f"--kubelet-socket: expected an absolute path, found '{clip(str(socket))}'")
    roots = {}
    for name in ("driver_root", "dev_root"):
        root = Path(values[name] or values["driver_root"] or "/")
        if not _is_folder(root):
            raise ConfigError(f"--{name.replace('_', '-')}: expected an existing folder, "
                              f"found none at '{clip(str(root))}'")
        roots[name] = root
    if (values["device_discovery_strategy"], values["device_id_strategy"]) == ("both", "index"):
        raise ConfigError("device-discovery-strategy 'both': expected the device-id-strategy 'uuid', found 'index', by "
                          "which an SoC's GPU and the first card have the same name")
    default = next(option.default for option in OPTIONS if option.name == "kubelet-socket")
    return Settings(
        kubelet_socket=socket,
        socket_dir=(socket or Path(str(default))).parent,
        device_discovery_strategy=values["device_discovery_strategy"],
        device_list_strategy=frozenset(values["device_list_strategy"].split(",")),
        device_id_strategy=values["device_id_strategy"],
        pass_device_specs=values["pass_device_specs"],
        fail_on_init_error=values["fail_on_init_error"],
        **roots,
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # longer than the file system takes, or with a NUL
        return False


def _checked(option: Option, value: Any, source: str) -> str | bool:
    if option.is_bool:
        boolean = value if isinstance(value, bool) else _BOOLEANS.get(value.lower() if isinstance(value, str) else "")
        if value in (0, 1) and not isinstance(value, str):
            boolean = bool(value)
        if boolean is None:
            found = f"'{clip(value)}'" if isinstance(value, str) else shown(value)
            raise ConfigError(f"{source}: expected true or false, found {found}")
        if not option.is_built and boolean != option.default:
            raise ConfigError(f"{source}: '{option.name}' is not built yet; remove it")
        return boolean
    if not option.is_list:
        return _checked_text(option, value, source)
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{source}: expected one or more of {', '.join(option.choices)}, found {shown(value)}")
    return ",".join(_checked_text(option, item, source) for item in items)


def _checked_text(option: Option, value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source}: expected text, found {shown(value)}")
    if not option.is_built and value != option.default:
        raise ConfigError(f"{source}: '{option.name}' is not built yet; remove it")
    if option.choices:
        if value not in option.choices:
            raise ConfigError(f"{source}: expected one of {', '.join(option.choices)}, found '{clip(str(value))}'")
        if option.built is not None and value not in option.built:
            reason = f" ({option.why_not})" if option.why_not else ""
            raise ConfigError(f"{source}: '{clip(value)}' is not built yet{reason}; "
                              f"built is: {', '.join(option.built)}")
    return value
