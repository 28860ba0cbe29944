# SPDX-License-Identifier: MIT
"""Settings from flags, environment and configuration file, in that order of precedence.

Everything is checked before anything is used: `load` either returns settings that are wholly valid or
raises ConfigError and has changed nothing. It is called again on SIGHUP.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nvidia_device_plugin.errors import ConfigError
from nvidia_device_plugin.options import OPTIONS, Option

RESOURCE = "nvidia.com/gpu"

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
        for name, value in _from_file(Path(file)).items():
            given.setdefault(name, value)
    values = {option.attribute: _checked(option, *given[option.name]) if option.name in given else option.default
              for option in OPTIONS}
    return _settings(values)


def _settings(values: Mapping[str, Any]) -> Settings:
    socket = Path(values["kubelet_socket"]) if values["kubelet_socket"] else None
    if socket and not socket.is_absolute():
        raise ConfigError(f"--kubelet-socket: expected an absolute path, found '{socket}'")
    roots = {}
    for name in ("driver_root", "dev_root"):
        root = Path(values[name] or values["driver_root"] or "/")
        if not root.is_dir():
            raise ConfigError(f"--{name.replace('_', '-')}: expected an existing folder, found none at '{root}'")
        roots[name] = root
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


def _checked(option: Option, value: Any, source: str) -> str | bool:
    if option.is_bool:
        boolean = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
        if boolean is None:
            raise ConfigError(f"{source}: expected true or false, found '{value}'")
        if not option.is_built and boolean != option.default:
            raise ConfigError(f"{source}: '{option.name}' is not built yet; remove it")
        return boolean
    if not option.is_list:
        return _checked_text(option, value, source)
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{source}: expected one or more of {', '.join(option.choices)}, found {value!r}")
    return ",".join(_checked_text(option, item, source) for item in items)


def _checked_text(option: Option, value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source}: expected text, found {value!r}")
    if not option.is_built and value != option.default:
        raise ConfigError(f"{source}: '{option.name}' is not built yet; remove it")
    if option.choices:
        if value not in option.choices:
            raise ConfigError(f"{source}: expected one of {', '.join(option.choices)}, found '{value}'")
        if option.built is not None and value not in option.built:
            reason = f" ({option.why_not})" if option.why_not else ""
            raise ConfigError(f"{source}: '{value}' is not built yet{reason}; built is: {', '.join(option.built)}")
    return value


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path}: expected a readable YAML file: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration file {path}: expected YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"configuration file {path}: expected 'version: v1' and 'flags:', "
                          f"found {'nothing' if content is None else repr(content)}")
    _known(content, ("version", "flags", "resources", "sharing", "imex"), path, "")
    if content.get("version", "v1") != "v1":
        raise ConfigError(f"configuration file {path}: version: expected v1, found '{content['version']}'")
    for section in ("sharing", "imex"):
        if content.get(section):
            raise ConfigError(f"configuration file {path}: '{section}' is not built yet; remove it")
    _check_resources(content.get("resources") or {}, path)
    return _flags(content.get("flags") or {}, path)


def _flags(flags: Any, path: Path) -> dict[str, tuple[Any, str]]:
    by_key = {option.key: option for option in OPTIONS if option.key}
    if not isinstance(flags, dict):
        raise ConfigError(f"configuration file {path}: flags: expected names with values, found {flags!r}")
    plugin = flags.get("plugin") or {}
    if not isinstance(plugin, dict):
        raise ConfigError(f"configuration file {path}: flags.plugin: expected names with values, found {plugin!r}")
    flat = {key: value for key, value in flags.items() if key != "plugin"}
    flat.update({f"plugin.{key}": value for key, value in plugin.items()})
    _known(flat, tuple(by_key), path, "flags.")
    return {by_key[key].name: (value, f"configuration file {path}: flags.{key}")
            for key, value in flat.items() if value is not None}


def _check_resources(resources: Any, path: Path) -> None:
    """Only the resource that NVIDIA's plugin also has by default can be offered; another name is unknown."""
    gpus = resources.get("gpus") or [] if isinstance(resources, dict) else resources
    if not isinstance(gpus, list) or (isinstance(resources, dict) and set(resources) - {"gpus"}):
        raise ConfigError(f"configuration file {path}: resources: expected 'gpus:' with a list, found {resources!r}")
    for index, gpu in enumerate(gpus):
        if gpu not in ({"pattern": "*", "name": RESOURCE}, {"pattern": "*", "name": "gpu"}):
            raise ConfigError(f"configuration file {path}: resources.gpus[{index}]: expected pattern '*' "
                              f"and name '{RESOURCE}', the one resource there is, found {gpu!r}")


def _known(found: Mapping[Any, Any], known: tuple[str, ...], path: Path, prefix: str) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{prefix}{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"
            raise ConfigError(f"configuration file {path}: unknown key '{prefix}{key}'{hint}")
