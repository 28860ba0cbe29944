# SPDX-License-Identifier: MIT
"""What BitBake's output says: recipes parsed, tasks resolved, and its warnings and errors.

The lines are those of BitBake's ``knotty`` interface (bitbake/lib/bb/ui/knotty.py) when it has no terminal,
which Yocto's own autobuilder reads as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_PARSED = re.compile(
    r"Parsing of (?P<recipes>\d+) \.bb files complete .*?(?P<variants>\d+) targets, "
    r"(?P<skipped>\d+) skipped, (?P<masked>\d+) masked, (?P<errors>\d+) errors"
)
_TASK = re.compile(r"NOTE: Running (?:noexec )?task (?P<number>\d+) of (?P<total>\d+) \((?P<task>[^)]+)\)")
_NODE = re.compile(r'^"[^"]+" \[label="(?P<recipe>\S+) \S+\\n[^"]*\\n(?P<file>[^"]+)"\]', re.MULTILINE)
_DONE = re.compile(r"Tasks Summary: Attempted (?P<tasks>\d+) tasks of which .* all succeeded")
_LEVEL = re.compile(r"(?P<level>NOTE|WARNING|ERROR|CRITICAL|FATAL): ")


@dataclass
class Message:
    """One warning or error with all its lines."""

    level: str
    text: str


@dataclass
class BitbakeLog:
    """Feed it the output line by line with `line`; the rest is what has been seen so far."""

    recipes: int | None = None
    """Recipe files; None before the parse is complete."""
    variants: int | None = None
    """What they make in all (BitBake: targets): native, nativesdk and multilib variants count on their own."""
    parse_errors: int = 0
    total: int = 0
    """Tasks that the run queue resolved."""
    attempted: int | None = None
    """Tasks in BitBake's closing summary; None unless all of them succeeded."""
    built: set[str] = field(default_factory=set)
    """Recipe files, by name, that at least one task runs for."""
    messages: list[Message] = field(default_factory=list)
    _open: bool = False

    def line(self, line: str) -> None:
        """Take in the next line."""
        level = _LEVEL.match(line)
        if level and level["level"] != "NOTE":
            self.messages.append(Message(level["level"], line[level.end() :].rstrip()))
            self._open = True
            return
        if level or not line.strip():
            self._open = False
        if parsed := _PARSED.search(line):
            self.recipes, self.variants = int(parsed["recipes"]), int(parsed["variants"])
            self.parse_errors, self._open = int(parsed["errors"]), False
        elif task := _TASK.match(line):
            self.total = int(task["total"])
            self.built.add(Path(task["task"].rsplit(":", 1)[0].rsplit(":", 1)[-1]).name)
        elif done := _DONE.search(line):
            self.attempted = int(done["tasks"])
        elif self._open:
            self.messages[-1].text += "\n" + line.rstrip()

    def graph(self, text: str, own: str) -> set[str]:
        """Take in a task-depends.dot, as ``bitbake -g`` writes it; returns the recipes with ``own`` in their path."""
        found = set()
        for node in _NODE.finditer(text):
            self.total += 1
            self.built.add(Path(node["file"]).name)
            if own in node["file"]:
                found.add(node["recipe"])
        return found

    @property
    def errors(self) -> list[Message]:
        """The messages more severe than a warning."""
        return [message for message in self.messages if message.level != "WARNING"]

    def warnings_naming(self, names: Iterable[str], besides: Path) -> list[Message]:
        """The warnings that name one of ``names`` as a word of its own, other than in paths below ``besides``."""
        either = "|".join(re.escape(name) for name in names)
        word = re.compile(rf"(?<![A-Za-z0-9-])(?:{either})(?![A-Za-z0-9-])")
        warnings = [message for message in self.messages if message.level == "WARNING"]
        return [message for message in warnings if word.search(message.text.replace(str(besides), ""))]
