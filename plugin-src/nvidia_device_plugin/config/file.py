# SPDX-License-Identifier: MIT
"""The configuration file: YAML as NVIDIA's plugin reads it, whatever it holds.

Each mistake is a ConfigError with the file and the line. Nothing a file can hold raises anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nvidia_device_plugin.config.options import OPTIONS
from nvidia_device_plugin.errors import ConfigError
from nvidia_device_plugin.text import clip, shown

# Far above what any configuration needs, far below what would keep the service from answering.
_LARGEST_BYTES = 256 * 1024
_DEEPEST = 32

Values = dict[str, tuple[Any, str]]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; its constructors raise whatever int() and datetime() do, which gets a place here."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"no value of the kind '{clip(kind)}': {error}",
                                                    node.start_mark) from error


class _File:
    """One file while it is read: what raises its errors, with the line of a key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, int] = {}

    def where(self, key: str) -> str:
        """The file and, where the key is in it, its line."""
        line = self._lines.get(key)
        return f"configuration file {self.path}" + (f", line {line}" if line else "")

    def error(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{self.where(key)}: {text}")

    def content(self) -> Any:
        """What the file holds, in Python's types; None where it is empty."""
        text, loader = self._text(), None
        try:
            self._bound_depth(text)
            loader = _Loader(text)
            node = loader.get_single_node()
            if node is None:
                return None
            self._note_lines(node, "", 3)
            return loader.construct_document(node)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            before = mark.line if mark else text.count("\n", 0, getattr(error, "position", 0))
            line = f", line {before + 1}"
            raise ConfigError(f"configuration file {self.path}{line}: expected YAML: "
                              f"{clip(' '.join(str(error).split()), 300)}") from error
        finally:
            if loader:
                loader.dispose()

    def mapping(self, value: Any, key: str) -> Mapping[Any, Any]:
        """The value, where it is a mapping or left empty."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(key, f"{key}: expected names with values, found {shown(value)}")
        return value

    def known(self, found: Mapping[Any, Any], known: tuple[str, ...], prefix: str) -> None:
        for key in found:
            if key not in known:
                import difflib

                near = difflib.get_close_matches(clip(str(key)), known, n=1)
                hint = f"; did you mean '{prefix}{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"
                raise self.error(f"{prefix}{key}", f"unknown key '{prefix}{clip(str(key))}'{hint}")

    def _text(self) -> str:
        try:
            with self.path.open("rb") as file:
                raw = file.read(_LARGEST_BYTES + 1)
            if len(raw) > _LARGEST_BYTES:
                raise self.error("", f"expected at most {_LARGEST_BYTES} bytes, found more")
            return raw.decode("utf-8")
        except (OSError, ValueError) as error:
            raise self.error("", f"expected a readable YAML file: {clip(str(error), 300)}") from error

    def _bound_depth(self, text: str) -> None:
        """PyYAML composes by recursion; its events come without."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise ConfigError(f"configuration file {self.path}, line {line}: "
                                  f"expected at most {_DEEPEST} levels, found more")

    def _note_lines(self, node: yaml.Node, prefix: str, levels: int) -> None:
        if levels and isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    self._lines[f"{prefix}{key.value}"] = key.start_mark.line + 1
                    self._note_lines(value, f"{prefix}{key.value}.", levels - 1)


def read(path: Path) -> Values:
    """The options that the file sets, by name, each with its place in words. Raises ConfigError."""
    file = _File(path)
    content = file.content()
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise file.error("", f"expected 'version: v1' and 'flags:', found {shown(content)}")
    file.known(content, ("version", "flags", "resources", "sharing", "imex"), "")
    if content.get("version", "v1") != "v1":
        raise file.error("version", f"version: expected v1, found {shown(content['version'])}")
    for section in ("sharing", "imex"):
        if content.get(section):
            raise file.error(section, f"'{section}' is not built yet; remove it")
    _check_resources(content.get("resources"), file)
    return _flags(file.mapping(content.get("flags"), "flags"), file)


def _flags(flags: Mapping[Any, Any], file: _File) -> Values:
    by_key = {option.key: option for option in OPTIONS if option.key}
    plugin = file.mapping(flags.get("plugin"), "flags.plugin")
    file.known(plugin, tuple(key.partition(".")[2] for key in by_key if key.startswith("plugin.")), "flags.plugin.")
    file.known(flags, ("plugin", *(key for key in by_key if "." not in key)), "flags.")
    flat = {**{key: value for key, value in flags.items() if key != "plugin"},
            **{f"plugin.{key}": value for key, value in plugin.items()}}
    return {by_key[key].name: (value, f"{file.where(f'flags.{key}')}: flags.{key}")
            for key, value in flat.items() if value is not None}


def _check_resources(resources: Any, file: _File) -> None:
    """Only the resource that NVIDIA's plugin also has by default can be offered; another name is unknown."""
    if resources is None:
        return
    gpus = (resources.get("gpus") or []) if isinstance(resources, dict) else None
    if not isinstance(gpus, list) or set(resources) - {"gpus"}:
        raise file.error("resources", f"resources: expected 'gpus:' with a list, found {shown(resources)}")
    for index, gpu in enumerate(gpus):
        if gpu not in ({"pattern": "*", "name": "nvidia.com/gpu"}, {"pattern": "*", "name": "gpu"}):
            raise file.error("resources.gpus", f"resources.gpus[{index}]: expected pattern '*' and name "
                             f"'nvidia.com/gpu', the one resource there is, found {shown(gpu)}")
