# SPDX-License-Identifier: MIT
"""WR_NVIDIA_K8S_SECURE in the plugin's recipe: the configuration that an image gets, on both releases."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nvidia_device_plugin import config
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.common import cache

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "recipes-containers/nvidia-device-plugin"
SWITCH = "WR_NVIDIA_K8S_SECURE"
# Where the BitBake of LTS24 and that of LTS22 note the tasks' hashes when they have read a recipe.
HASHES = ("__siggen_basehashes", "BB_BASEHASH:task-do_install")
BOARDS = {"LTS24": "jetson-orin-nano", "LTS22": "jetson-nano"}


@pytest.fixture(scope="module", params=sorted(BOARDS))
def recipes(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """What a release's BitBake makes of the recipe, by the value of the switch; "" is the layer's default."""
    board = BOARDS[request.param]
    files = [f"kas/{board}.yml", kas.OFFLINE]
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)} in {kas.LAYERS}: lay them out, see CONTRIBUTING.md")
    build = KasBuild(cache.root() / "service" / board, files)
    (recipe,) = FOLDER.glob("*.bb")
    values = ["", "0", "1", "yes", "1 0"]
    questions = [{"recipe": str(recipe), "settings": {"D": "@D@", **({SWITCH: value} if value else {})},
                  "read": ["do_install", *HASHES]} for value in values]
    (build.directory.parent / "questions.json").write_text(json.dumps(questions))
    script = TOP / "tests/layer/parse_recipes.py"
    libraries = '$(dirname "$(command -v bitbake)")/../lib'
    with build.popen(f"PYTHONPATH={libraries} python3 {script} ../questions.json") as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0, output[-4000:]
    return dict(zip(values, json.loads(output.rsplit("recipes as JSON: ", 1)[1]), strict=True))


def installed(recipe: dict[str, Any], root: Path) -> Path:
    """The configuration file, after what the recipe does to it."""
    file = root / "etc/nvidia-device-plugin/config.yaml"
    file.parent.mkdir(parents=True)
    shutil.copy(FOLDER / "files/config.yaml", file)
    (command,) = re.findall(r"^\s*(sed -i (?:.*\\\n)*.*)$", recipe["do_install"], re.MULTILINE)
    subprocess.run(["sh", "-ec", command.replace("@D@", str(root))], check=True)
    return file


@pytest.mark.parametrize(("value", "strategy"), [("", "envvar"), ("0", "envvar"), ("1", "volume-mounts")])
def test_configuration_of_an_image(recipes: dict[str, dict[str, Any]], tmp_path: Path, value: str,
                                   strategy: str) -> None:
    assert recipes[value]["skipped"] is None
    file = installed(recipes[value], tmp_path)
    expected = config.load({"device-list-strategy": strategy, "fail-on-init-error": "false"}, {})
    assert config.load({"config-file": str(file)}, {}) == expected


@pytest.mark.parametrize("value", ["yes", "1 0"])
def test_another_value_is_refused_without_stopping_the_parse(recipes: dict[str, dict[str, Any]], value: str) -> None:
    assert recipes[value]["skipped"] == f'{SWITCH}: expected "0" or "1", found "{value}"'


def test_a_change_of_the_switch_builds_the_package_anew(recipes: dict[str, dict[str, Any]]) -> None:
    found = {value: (recipes[value][HASHES[0]] or {}).get("do_install") or recipes[value][HASHES[1]]
             for value in ("", "0", "1")}
    assert found["0"] and found["1"]
    assert found["0"] != found["1"]
    assert found["0"] == found[""]
