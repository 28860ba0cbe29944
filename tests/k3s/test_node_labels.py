# SPDX-License-Identifier: MIT
"""What a board says of itself as labels of its node, as k3s and Kubernetes read them."""

import random
import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FILES = Path(__file__).resolve().parents[2] / "recipes-containers/k3s/k3s-node-labels"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
KEY = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

MODEL = "proc/device-tree/model"
COMPATIBLE = "proc/device-tree/compatible"
RELEASE = "etc/nv_tegra_release"
MEMORY = "proc/meminfo"
PRODUCT = "sys/class/dmi/id/product_name"
BASE_BOARD = "sys/class/dmi/id/board_name"


def jetson(model: str, compatible: str, release: str, kib: int) -> dict[str, bytes]:
    return {
        MODEL: model.encode() + b"\0",
        COMPATIBLE: "".join(f"{name}\0" for name in compatible.split()).encode(),
        RELEASE: f"# {release}, GCID: 38968081, BOARD: generic, EABI: aarch64\n# KERNEL_VARIANT: oot\n".encode(),
        MEMORY: f"MemTotal:       {kib:8} kB\nMemFree:         100000 kB\n".encode(),
    }


# What the boards' device trees, releases and kernels say, and the labels that are expected of it.
BOARDS = {
    "jetson-orin-nano": (
        jetson("NVIDIA Jetson Orin Nano Developer Kit",
               "nvidia,p3768-0000+p3767-0005 nvidia,p3767-0005 nvidia,tegra234",
               "R36 (release), REVISION: 5.0", 7802884),
        {"board": "NVIDIA-Jetson-Orin-Nano-Developer-Kit", "soc": "tegra234", "l4t": "36.5.0", "memory-gib": "8"},
    ),
    "jetson-agx-orin": (
        jetson("NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0005 nvidia,p3701-0005 nvidia,tegra234",
               "R36 (release), REVISION: 5.0", 64349264),
        {"board": "NVIDIA-Jetson-AGX-Orin-Developer-Kit", "soc": "tegra234", "l4t": "36.5.0", "memory-gib": "64"},
    ),
    "jetson-xavier-nx": (
        jetson("NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3509-0000+p3668-0000 nvidia,tegra194",
               "R35 (release), REVISION: 6.4", 7010252),
        {"board": "NVIDIA-Jetson-Xavier-NX-Developer-Kit", "soc": "tegra194", "l4t": "35.6.4", "memory-gib": "8"},
    ),
    "jetson-agx-xavier": (
        jetson("Jetson-AGX", "nvidia,galen-industrial nvidia,jetson-xavier-industrial nvidia,p2822-0000+p2888-0008 "
               "nvidia,tegra194", "R35 (release), REVISION: 6.4", 31198604),
        {"board": "Jetson-AGX", "soc": "tegra194", "l4t": "35.6.4", "memory-gib": "32"},
    ),
    "jetson-nano": (
        jetson("NVIDIA Jetson Nano Developer Kit",
               "nvidia,p3449-0000-b00+p3448-0000-b00 nvidia,jetson-nano nvidia,tegra210",
               "R32 (release), REVISION: 7.6", 4059712),
        {"board": "NVIDIA-Jetson-Nano-Developer-Kit", "soc": "tegra210", "l4t": "32.7.6", "memory-gib": "4"},
    ),
    "pc": (
        {PRODUCT: b"NUC12WSKi7\n", BASE_BOARD: b"NUC12WSBi7\n", MEMORY: b"MemTotal:       40907000 kB\n"},
        {"board": "NUC12WSKi7", "memory-gib": "40"},
    ),
    "pc-without-a-name": (
        {PRODUCT: b"System Product Name\n", BASE_BOARD: b"PRIME X570-P (rev. 1.0)\n",
         MEMORY: b"MemTotal: 16317000 kB\n"},
        {"board": "PRIME-X570-P-rev.-1.0", "memory-gib": "16"},
    ),
    "pc-without-any-name": ({PRODUCT: b"To Be Filled By O.E.M.\n", BASE_BOARD: b"Default string\n"}, {}),
    "qemu-arm64": (
        {MODEL: b"linux,dummy-virt\0", COMPATIBLE: b"linux,dummy-virt\0", MEMORY: b"MemTotal:        2027460 kB\n"},
        {"board": "linux-dummy-virt", "memory-gib": "2"},
    ),
    "nothing": ({}, {}),
}  # fmt: skip


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    command = SHELLS[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]}: apt-get install {command[0]}")
    return command


def lay_out(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def configuration(root: Path) -> Path:
    return root / "etc/rancher/k3s/config.yaml.d/00-node-labels.yaml"


def labels(shell: list[str], root: Path) -> dict[str, str]:
    """The labels that k3s finds after the service ran; each obeys Kubernetes' rules."""
    done = subprocess.run([*shell, FILES / "k3s-node-labels", root], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    file = configuration(root)
    others = [path.name for path in file.parent.iterdir() if path != file] if file.parent.exists() else []
    assert others == []
    if not file.exists():
        return {}
    content = yaml.safe_load(file.read_text())
    # Without the +, k3s would forget labels from config.yaml.
    assert list(content) == ["node-label+"]
    assert content["node-label+"], "k3s takes an empty list for an option without a value"
    found = dict(label.split("=") for label in content["node-label+"])
    assert len(found) == len(content["node-label+"])
    for key, value in found.items():
        assert KEY.fullmatch(key), key
        # What a kubelet may not set on its own node: https://kubernetes.io/docs/reference/labels-annotations-taints/
        assert not key.partition("/")[0].endswith(("kubernetes.io", "k8s.io"))
        assert VALUE.fullmatch(value), value
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_board_is_told_by_its_labels(tmp_path: Path, shell: list[str], board: str) -> None:
    files, expected = BOARDS[board]
    assert labels(shell, lay_out(tmp_path, files)) == {f"wr-nvidia-k8s/{key}": text for key, text in expected.items()}


@pytest.mark.parametrize(
    ("gib", "sold"),
    [(0.9, 1), (1.9, 2), (3.3, 4), (3.9, 4), (5.6, 6), (6.7, 8), (7.4, 8), (11.3, 12), (15.3, 16), (23.4, 24),
     (30.6, 32), (39.1, 40), (46.9, 48), (61.4, 64), (93.8, 96), (125.6, 128), (188.4, 192), (503.4, 512)],
)  # fmt: skip
def test_memory_is_what_the_machine_was_sold_with(tmp_path: Path, shell: list[str], gib: float, sold: int) -> None:
    lay_out(tmp_path, {MEMORY: f"MemTotal:       {round(gib * 1024**2)} kB\n".encode()})
    assert labels(shell, tmp_path) == {"wr-nvidia-k8s/memory-gib": str(sold)}


NASTY = {
    "nothing but NUL": b"\0",
    "spaces only": b"   \n\0",
    "punctuation only": b"-._-!\0",
    "yaml": b'" : {}\n- "x=y": &a *b # !!python/object\0',
    "shell": b"$(touch /tmp/pwned) `id` '; rm -rf /; echo \"%s%n\\\0",
    "equals and commas": b"a=b,c=d\0",
    "options": b"-n -e\0",
    "utf-8": "Übertragungsgerät №5 — Größe".encode() + b"\0",
    "not utf-8": bytes(range(1, 256)) + b"\0",
    "63": b"a" * 63 + b"\0",
    "64": b"a" * 64 + b"\0",
    "a dot at 63": b"a" * 62 + b". b" * 10 + b"\0",
    "long": b"x y" * 3000 + b"\0",
    "lines": b"one\ntwo\n\nthree",
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_odd_names_do_not_stop_k3s(tmp_path: Path, shell: list[str], name: str) -> None:
    text = NASTY[name]
    files = {MODEL: text, PRODUCT: text, COMPATIBLE: text, RELEASE: text, MEMORY: text}
    found = labels(shell, lay_out(tmp_path, files))
    assert set(found) <= {"wr-nvidia-k8s/board"}


def test_any_bytes_make_labels_that_kubernetes_takes(tmp_path: Path, shell: list[str]) -> None:
    generator = random.Random(4)
    digits = b"0123456789"
    templates = {
        MODEL: b"%s\0",
        COMPATIBLE: b"nvidia,tegra%s\0",
        RELEASE: b"# R%s (release), REVISION: %s, GCID\n",
        MEMORY: b"MemTotal: %s kB\n",
    }
    for number in range(60):
        files = {}
        for name, template in templates.items():
            alphabet = generator.choice([bytes(range(256)), b"ab ._-=:\"'\n\0", digits])
            for _ in range(template.count(b"%s")):
                length = generator.choice([0, 1, 3, 20, 70])
                template = template.replace(b"%s", bytes(generator.choices(alphabet, k=length)), 1)
            files[name] = template
        labels(shell, lay_out(tmp_path / str(number), files))


def test_labels_follow_the_machine(tmp_path: Path, shell: list[str]) -> None:
    """Another release of L4T is noticed at the next start; what is as it was is not written again."""
    files, _ = BOARDS["jetson-orin-nano"]
    assert labels(shell, lay_out(tmp_path, files))["wr-nvidia-k8s/l4t"] == "36.5.0"
    before = configuration(tmp_path).stat()
    labels(shell, tmp_path)
    assert configuration(tmp_path).stat() == before
    lay_out(tmp_path, {RELEASE: b"# R36 (release), REVISION: 6.1, GCID: 1\n"})
    assert labels(shell, tmp_path)["wr-nvidia-k8s/l4t"] == "36.6.1"
    for name in files:
        (tmp_path / name).unlink()
    assert labels(shell, tmp_path) == {}


def test_a_reader_never_sees_half_a_file(tmp_path: Path, shell: list[str]) -> None:
    files, _ = BOARDS["jetson-orin-nano"]
    labels(shell, lay_out(tmp_path, files))
    with configuration(tmp_path).open() as reader:  # as k3s may have it open while the service starts again
        before = configuration(tmp_path).read_text()
        lay_out(tmp_path, {RELEASE: b"# R36 (release), REVISION: 6.1, GCID: 1\n"})
        labels(shell, tmp_path)
        assert reader.read() == before
    assert configuration(tmp_path).read_text() != before


def no_room_for_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_what_cannot_be_written_changes_nothing(tmp_path: Path, shell: list[str]) -> None:
    """Without room on the disk, k3s reads what it read before, and nothing that is only begun."""
    folder = configuration(tmp_path).parent

    def what_k3s_reads() -> dict[str, str]:
        paths = folder.iterdir() if folder.exists() else []
        return {path.name: path.read_text() for path in paths if path.suffix in (".yaml", ".yml")}

    def fail() -> None:
        command = [*shell, str(FILES / "k3s-node-labels"), str(tmp_path)]
        assert subprocess.run(command, capture_output=True, preexec_fn=no_room_for_files).returncode != 0

    lay_out(tmp_path, BOARDS["jetson-orin-nano"][0])
    fail()
    assert what_k3s_reads() == {}
    assert len(labels(shell, tmp_path)) == 4, "and what was left of it is not in the way"
    before = what_k3s_reads()
    lay_out(tmp_path, {RELEASE: b"# R36 (release), REVISION: 6.1, GCID: 1\n"})
    fail()
    assert what_k3s_reads() == before
    assert labels(shell, tmp_path)["wr-nvidia-k8s/l4t"] == "36.6.1"


def test_k3s_may_read_the_file(tmp_path: Path, shell: list[str]) -> None:
    assert labels(shell, lay_out(tmp_path, BOARDS["jetson-nano"][0]))
    assert configuration(tmp_path).stat().st_mode & 0o777 == 0o644
