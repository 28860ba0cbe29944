# SPDX-License-Identifier: MIT
"""What an image's choices about k3s make of our recipes: server or agent, and the images that are preloaded."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitbake.test_tasks import NEEDED
from k3s.archives import PAUSE, save
from wr_nvidia_k8s.build import kas, plugin_package, task_build
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.build.task_build import Tasks
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

RECIPES = TOP / "recipes-containers"
CONFIG = RECIPES / "k3s" / "k3s-config_1.0.bb"
PRELOAD = RECIPES / "container-images-preload" / "container-images-preload_1.0.bb"
PACKAGES = ["container-images-preload", "data-disk", "k3s-config", "k3s-node-labels"]
SERVER = "https://10.1.2.3:6443"
APP = "registry.example/app:1"


def lines(settings: dict[str, object]) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in settings.items())


# A configuration for each release.
RELEASES = {"lts24": task_build.BOARDS["amd64"], "lts22": "kas/jetson-nano.yml"}


def build_directory(settings: dict[str, object], release: str = "lts24") -> KasBuild:
    """A build directory for single recipes, with ``settings`` in its local.conf."""
    files = [RELEASES[release], kas.OFFLINE]
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")
    return KasBuild(cache.root() / "k3s" / release, files, {"test": lines(settings)})


def run(build: KasBuild, command: str) -> tuple[int, str]:
    with build.popen(command) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    return process.returncode, output


def parsed(release: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """BitBake's answers to the questions: layer/parse_recipes.py says what they are."""
    build = build_directory({}, release)
    (build.directory.parent / "questions.json").write_text(json.dumps(questions))
    script = Path(__file__).resolve().parents[1] / "layer" / "parse_recipes.py"
    libraries = '$(dirname "$(command -v bitbake)")/../lib'
    status, output = run(build, f"PYTHONPATH={libraries} python3 {script} ../questions.json")
    assert status == 0, output
    answers: list[dict[str, Any]] = json.loads(output.rsplit("recipes as JSON: ", 1)[1])
    return answers


def skipped(release: str, recipe: Path, *settings: dict[str, object]) -> list[str | None]:
    """For each of ``settings``: BitBake's reason not to offer ``recipe``, None where it does."""
    questions = [{"recipe": str(recipe), "settings": each} for each in settings]
    return [answer["skipped"] for answer in parsed(release, questions)]


@pytest.mark.parametrize("release", RELEASES)
def test_an_agent_needs_a_server_and_only_an_agent_has_one(release: str) -> None:
    def node(role: str, url: str) -> dict[str, object]:
        return {"WR_NVIDIA_K8S_ROLE": role, "WR_NVIDIA_K8S_SERVER_URL": url}

    server, agent, named, *refused = skipped(
        release, CONFIG, node("server", ""), node("agent", SERVER), node("agent", "https://[fd00::1]:6443"),
        node("agent", ""), node("agent", "10.1.2.3"), node("agent", 'https://x"; reboot'), node("server", SERVER),
    )  # fmt: skip
    assert (server, agent, named) == (None, None, None)
    for reason in refused:
        assert reason is not None and reason.startswith("WR_NVIDIA_K8S_SERVER_URL: expected ")
    assert "such as https://10.0.0.1:6443" in str(refused[0])
    (misspelt,) = skipped(release, CONFIG, node("worker", ""))
    assert misspelt == 'WR_NVIDIA_K8S_ROLE: expected server or agent, found "worker"'


@pytest.mark.parametrize("release", RELEASES)
def test_wrong_settings_are_refused_before_the_first_recipe_is_parsed(release: str) -> None:
    """A parse of all recipes takes minutes. The few that are left here say whether one began."""
    few = {"BBMASK": r"/(?!k3s-config)[^/]*\.bb(append)?$", "BB_DANGLINGAPPENDS_WARNONLY": "1"}
    wrong = {
        "WR_NVIDIA_K8S_ROLE": "agent",
        "WR_NVIDIA_K8S_TOKEN_FILE": "/nonexistent",
        "WR_NVIDIA_K8S_PRELOAD_DIR": "images",
    }
    status, output = run(build_directory({**few, **wrong}, release), "bitbake -p")
    assert status != 0
    assert "WR_NVIDIA_K8S_SERVER_URL: expected the server that the agent (WR_NVIDIA_K8S_ROLE) joins" in output
    assert 'WR_NVIDIA_K8S_TOKEN_FILE: expected a file, by its absolute path, found none as "/nonexistent"' in output
    assert 'WR_NVIDIA_K8S_PRELOAD_DIR: expected a directory, by its absolute path, found none as "images"' in output
    assert "Traceback" not in output and ".bb files complete" not in output
    right = {"WR_NVIDIA_K8S_ROLE": "agent", "WR_NVIDIA_K8S_SERVER_URL": SERVER}
    status, output = run(build_directory({**few, **right}, release), "bitbake -p")
    assert status == 0 and ".bb files complete" in output, output


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_is_preloaded_where_no_directory_is_named(release: str) -> None:
    directories: list[dict[str, object]] = [
        {},
        {"WR_NVIDIA_K8S_PRELOAD_DIR": "images"},
        {"WR_NVIDIA_K8S_PRELOAD_DIR": "/images"},
    ]
    nowhere, anywhere, somewhere = skipped(release, PRELOAD, *directories)
    for reason in (nowhere, anywhere):
        assert reason is not None and reason.startswith("WR_NVIDIA_K8S_PRELOAD_DIR: expected a directory")
    assert somewhere is None


def archives(name: str) -> Path:
    """An empty folder that a build sees."""
    folder = cache.root() / "k3s" / "lts24" / "archives" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def nothing_built() -> None:
    """No task has run: a stamp of another state of the recipe would be believed."""
    build_directory({}).forget()


def compile_preload(directory: Path) -> tuple[int, str]:
    build = build_directory({"WR_NVIDIA_K8S_PRELOAD_DIR": directory})
    return run(build, f"bitbake -b {PRELOAD} -c compile")


def test_what_cannot_be_preloaded_stops_the_build_and_names_the_variable(nothing_built: None) -> None:
    folder = archives("refused")
    refusals = [(folder / "missing", "expected a directory"), (folder, "expected container image archives")]
    for directory, words in refusals:
        status, output = compile_preload(directory)
        assert status != 0, output
        assert f'WR_NVIDIA_K8S_PRELOAD_DIR = "{directory}": {words}' in output
        assert "Traceback" not in output
    save(folder / "app.tar", [APP], arch="arm64")
    status, output = compile_preload(folder)
    assert status != 0, output
    assert f"app.tar: expected images for amd64, found {APP} for arm64" in output


def test_archives_decide_what_is_built_again_and_their_place_does_not(nothing_built: None) -> None:
    again = "all succeeded."
    here, there = archives("here"), archives("there")
    save(here / "app.tar", [APP, PAUSE])
    status, output = compile_preload(here)
    assert status == 0, output
    there.rmdir()
    here.rename(there)
    there.with_name("link").unlink(missing_ok=True)
    there.with_name("link").symlink_to(there)
    status, output = compile_preload(there.with_name("link"))
    assert status == 0 and again in output
    done = "Attempted {0} tasks of which {0} didn't need to be rerun"
    assert any(done.format(count) in output for count in range(2, 20)), output
    save(there / "app.tar", [APP, PAUSE], content="newer")
    status, output = compile_preload(there)
    assert status == 0 and again in output
    assert not any(done.format(count) in output for count in range(2, 20)), output


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tasks]:
    """The packages of an agent with preloaded images, by all their real tasks."""
    wanted = [package for name, package in NEEDED.items() if not (shutil.which(name) or Path(name).is_file())]
    if wanted:
        pytest.skip(f"{', '.join(wanted)}: apt-get install {' '.join(wanted)}")
    if missing := task_build.missing("amd64"):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")
    directory = cache.root() / "tasks" / "build" / "preload"
    shutil.rmtree(directory, ignore_errors=True)
    save(directory / "k3s-airgap-images-amd64.tar.zst", [f"docker.io/{PAUSE}"])
    save(directory / "app.tar.gz", [APP])
    settings: dict[str, object] = {
        "WR_NVIDIA_K8S_PRELOAD_DIR": directory, "WR_NVIDIA_K8S_ROLE": "agent", "WR_NVIDIA_K8S_SERVER_URL": SERVER,
        "WR_NVIDIA_K8S_DATA_DISK": "LABEL=data",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_build, "KasBuild", functools.partial(KasBuild, extra={"k3s": lines(settings)}))
        yield task_build.build("amd64", PACKAGES, tmp_path_factory.mktemp("k3s") / "results")


@pytest.fixture(scope="module")
def root(packages: Tasks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, unpacked."""
    folder = tmp_path_factory.mktemp("root")
    for name in PACKAGES:
        (rpm,) = packages.rpms(name)
        plugin_package.from_rpm(rpm, folder)
    return folder


def test_nothing_is_wrong_with_the_packages(packages: Tasks) -> None:
    assert packages.failed == set()
    for name in PACKAGES:
        assert packages.complaints(name) == []
        assert all(packages.succeeded(name, step) for step in task_build.STEPS), name


def test_agents_package_knows_its_server_and_waits_for_its_token(packages: Tasks, root: Path) -> None:
    config = root / "etc/rancher/k3s/config.yaml"
    assert config.stat().st_mode & 0o777 == 0o600, "a token may be written into it"
    settings = yaml.safe_load(config.read_text())
    assert settings["docker"] is True
    assert settings["server"] == SERVER
    assert settings["token-file"] == "/etc/rancher/k3s/token"
    assert not (root / "etc/rancher/k3s/token").exists()
    assert "enable k3s-agent.service" in (root / "usr/lib/systemd/system-preset/90-k3s-agent.preset").read_text()
    units = root / "usr/lib/systemd/system"
    assert (units / "k3s-agent.path").is_file()
    drop_ins = {path.name for path in (units / "k3s-agent.service.d").iterdir()}
    assert drop_ins == {"10-agent.conf", "10-docker.conf", "data-disk.conf"}
    (rpm,) = packages.rpms("k3s-config")
    query = ["rpm", "--query", "--package", str(rpm), "--configfiles"]
    assert subprocess.run(query, capture_output=True, text=True, check=True).stdout.split() == [
        "/etc/rancher/k3s/config.yaml"
    ]


@pytest.mark.parametrize("name", ["container-images-preload", "k3s-node-labels"])
def test_service_is_enabled_and_starts_what_is_in_its_package(root: Path, name: str) -> None:
    unit = (root / f"usr/lib/systemd/system/{name}.service").read_text()
    (program, *arguments) = unit.partition("ExecStart=")[2].splitlines()[0].split()
    assert not re.search("@[A-Z]+@", unit)
    assert (root / program.lstrip("/")).stat().st_mode & 0o777 == 0o755
    preset = root / f"usr/lib/systemd/system-preset/98-{name}.preset"
    assert preset.read_text() == f"enable {name}.service\n"
    if arguments:
        index = (root / arguments[0].lstrip("/") / "index").read_text()
        assert [line.split()[0] for line in index.splitlines()] == ["app.tar.gz", "k3s-airgap-images-amd64.tar.gz"]
        assert all((root / arguments[0].lstrip("/") / line.split()[0]).is_file() for line in index.splitlines())


def test_data_disk_is_the_one_that_the_image_names(root: Path) -> None:
    units = root / "usr/lib/systemd/system"
    assert "What=/dev/disk/by-label/data\n" in (units / "data.mount").read_text()
    assert "BindsTo=dev-disk-by\\x2dlabel-data.device\n" in (units / "data-disk.service").read_text()
    assert "RequiresMountsFor=" in (units / "k3s-agent.service.d/data-disk.conf").read_text()
    assert (root / "usr/libexec/data-disk").stat().st_mode & 0o777 == 0o755
