# SPDX-License-Identifier: MIT
"""What the documentation tells a reader to run, use and look at is there."""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("meta-wr-nvidia-k8s/*.md")])
README = TOP / "README.md"
EXAMPLES = sorted(TOP.glob("examples/*.yaml"))


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_ci_runs_the_command_that_the_readme_shows() -> None:
    assert "scripts/test\n" in blocks(README, "sh")
    assert "/scripts/test" in (TOP / ".ci/run").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_name_files_that_exist_and_options_that_are_taken(document: Path) -> None:
    for line in "".join(blocks(document, "sh")).splitlines():
        program, *arguments = shlex.split(line, comments=True) or [""]
        for word in (program, *arguments):
            for part in word.split(":"):
                if re.match(r"(docs|examples|scripts|kas|tests|meta-wr-nvidia-k8s)/", part):
                    assert (TOP / part).exists(), f"{document.name}: {line}"
        if program.startswith("scripts/"):
            assert os.access(TOP / program, os.X_OK), f"{document.name}: {line}"
            usage = subprocess.run([TOP / program, "--help"], capture_output=True, text=True, timeout=300)
            assert usage.returncode == 0, f"{document.name}: {program} --help: {usage.stderr}"
            for option in (word for word in arguments if word.startswith("--")):
                assert option.split("=")[0] in usage.stdout, f"{document.name}: {line}"


def test_the_readmes_manifests_are_the_examples() -> None:
    """A reader who copies one, and a reader who applies the file, get the same."""
    examples = {path.read_text(encoding="utf-8") for path in EXAMPLES}
    inline = blocks(README, "yaml")
    assert inline
    assert set(inline) <= examples


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_ask_for_what_the_plugin_offers(example: Path) -> None:
    assert f"examples/{example.name}" in README.read_text(encoding="utf-8")
    pods = list(yaml.safe_load_all(example.read_text(encoding="utf-8")))
    assert len({pod["metadata"]["name"] for pod in pods}) == len(pods)
    for pod in pods:
        assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
        assert [container["resources"]["limits"]["nvidia.com/gpu"] for container in pod["spec"]["containers"]] == [1]


def _messages() -> set[str]:
    """The texts of the plugin and the commands, with ... for each value that is filled in."""
    texts = set()
    for file in [*TOP.glob("plugin-src/nvidia_device_plugin/**/*.py"), *TOP.glob("scripts/wr_nvidia_k8s/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.add("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return texts


def test_the_messages_that_the_troubleshooting_quotes_are_said() -> None:
    """A quoted message of this repository has … where something is left out; those of other programs have none."""
    troubleshooting = (TOP / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = {quote for quote in re.findall(r"`([^`\n]+)`", troubleshooting) if "…" in quote}
    assert quoted
    messages = _messages()
    for quote in quoted:
        pattern = ".*".join(re.escape(part) for part in quote.split("…"))
        assert any(re.search(pattern, message, re.DOTALL) for message in messages), quote


def test_the_architecture_page_lists_the_units_in_their_order() -> None:
    """Each Before= and After= of this repository's units, between units of the page's table, agrees with the table."""
    table = (TOP / "docs/architecture.md").read_text(encoding="utf-8").partition("| order |")[2].partition("\n\n")[0]
    listed = [re.findall(r"`([\w.-]+)`", row.split("|")[2])[0] for row in table.splitlines()[2:]]
    units = [*TOP.glob("recipes-containers/*/*/*.service"), *TOP.glob("meta-wr-nvidia-k8s/recipes-*/*/*/*.service")]
    orders = set()
    for unit in units:
        for kind, names in re.findall(r"^(Before|After)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
            for name in (name.removesuffix(".service") for name in names.split()):
                orders.add((unit.stem, name) if kind == "Before" else (name, unit.stem))
    known = {(first, then) for first, then in orders if first in listed and then in listed}
    assert len(known) > 5
    wrong = [(first, then) for first, then in sorted(known) if listed.index(first) > listed.index(then)]
    assert not wrong
