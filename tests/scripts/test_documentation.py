# SPDX-License-Identifier: MIT
"""What the documentation tells a reader to run, use and look at is there."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*TOP.glob("*.md"), *TOP.glob("meta-wr-nvidia-k8s/*.md")])
README = TOP / "README.md"


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
                if re.match(r"(scripts|kas|tests|meta-wr-nvidia-k8s)/", part):
                    assert (TOP / part).exists(), f"{document.name}: {line}"
        if program.startswith("scripts/"):
            assert os.access(TOP / program, os.X_OK), f"{document.name}: {line}"
            usage = subprocess.run([TOP / program, "--help"], capture_output=True, text=True, timeout=300)
            assert usage.returncode == 0, f"{document.name}: {program} --help: {usage.stderr}"
            for option in (word for word in arguments if word.startswith("--")):
                assert option.split("=")[0] in usage.stdout, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "#")):
            assert (document.parent / target.split("#")[0]).exists(), f"{document.name}: {target}"


def test_the_readmes_pod_asks_for_what_the_plugin_offers() -> None:
    pods = [yaml.safe_load(block) for block in blocks(README, "yaml")]
    assert pods
    for pod in pods:
        assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
        assert [container["resources"]["limits"]["nvidia.com/gpu"] for container in pod["spec"]["containers"]] == [1]
