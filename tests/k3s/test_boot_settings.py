# SPDX-License-Identifier: MIT
"""Settings of one machine from wr-nvidia-k8s.conf: all of them are applied, or none with every reason."""

import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from wr_nvidia_k8s.common.paths import TOP

FILES = TOP / "meta-wr-nvidia-k8s/recipes-core/boot-settings/boot-settings"
EXAMPLE = TOP / "examples/wr-nvidia-k8s.conf"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE01 me@laptop"
TOKEN = "K10f00::server:5ec4e7"
K3S = "etc/rancher/k3s"
YAML = f"{K3S}/config.yaml.d/10-boot-settings.yaml"
KEYS = "root/.ssh/authorized_keys"


class Machine:
    """A root file system, and the program in it."""

    def __init__(self, folder: Path, shell: list[str], role: str = "agent") -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.file = folder / "wr-nvidia-k8s.conf"
        self.program = folder / "boot-settings"
        text = (FILES / "boot-settings").read_text().replace("@ROLE@", role).replace("@HOME@", "/root")
        self.program.write_text(text)
        self.shell = shell

    def boot(self, text: str | bytes) -> subprocess.CompletedProcess[str]:
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        command = [*self.shell, str(self.program), str(self.root), str(self.file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def files(self) -> dict[str, tuple[str, int]]:
        """Path -> content and mode of what is there."""
        found = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        return {str(p.relative_to(self.root)): (p.read_text(), stat.S_IMODE(p.stat().st_mode)) for p in found}


@pytest.fixture(params=SHELLS)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, SHELLS[request.param])


def test_all_settings(machine: Machine) -> None:
    result = machine.boot(
        f"# the press in hall 7\nhostname=press-7\nssh-key={KEY}\nserver=https://192.0.2.5:6443\ntoken={TOKEN}\n"
        "label=line=7\nlabel=example.com/hall=north\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
    files = machine.files()
    assert files["etc/hostname"] == ("press-7\n", 0o644)
    assert files[KEYS] == (f"{KEY}\n", 0o600)
    assert stat.S_IMODE((machine.root / "root/.ssh").stat().st_mode) == 0o700
    assert files[f"{K3S}/token"] == (f"{TOKEN}\n", 0o600)
    text, mode = files[YAML]
    assert (mode, yaml.safe_load(text)) == (
        0o600, {"server": "https://192.0.2.5:6443", "node-label+": ["line=7", "example.com/hall=north"]},
    )  # fmt: skip
    assert len(files) == 4, "nothing else is left lying about"
    assert TOKEN not in result.stdout


def test_the_next_boot_changes_nothing(machine: Machine) -> None:
    text = f"hostname=press-7\nssh-key={KEY}\nlabel=line=7\n"
    machine.boot(text)
    before = {path: path.stat().st_ino for path in machine.root.rglob("*")}
    result = machine.boot(text)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert {path: path.stat().st_ino for path in machine.root.rglob("*")} == before


def test_an_editor_on_windows(machine: Machine) -> None:
    result = machine.boot(b"\xef\xbb\xbfhostname=press-7\r\n\r\nlabel=line=7\r\nlabel=last=")
    assert result.returncode == 0, result.stderr
    assert machine.files()["etc/hostname"][0] == "press-7\n"
    assert yaml.safe_load(machine.files()[YAML][0]) == {"node-label+": ["line=7", "last="]}


def test_the_images_own_keys_stay(machine: Machine) -> None:
    keys = machine.root / KEYS
    keys.parent.mkdir(parents=True)
    keys.write_text("# of the image\n\nssh-rsa AAAAB3Nza image")  # whoever wrote it left the last line open
    assert machine.boot(f"ssh-key={KEY}\nssh-key={KEY}\n").returncode == 0
    assert keys.read_text() == f"# of the image\n\nssh-rsa AAAAB3Nza image\n{KEY}\n"


def test_labels_go_with_their_lines(machine: Machine) -> None:
    machine.boot("label=line=7\n")
    assert machine.boot("hostname=press-7\n").returncode == 0
    assert YAML not in machine.files()


def test_a_server_takes_its_clusters_token_and_joins_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHELLS["dash"], role="server")
    refused = machine.boot("server=https://192.0.2.5:6443\n")
    assert refused.returncode == 1
    assert "1: expected no server, found one: this image is a server" in refused.stderr
    assert machine.boot(f"token={TOKEN}\n").returncode == 0
    assert yaml.safe_load(machine.files()[YAML][0]) == {"token-file": "/etc/rancher/k3s/token"}


WRONG = {
    "hostname=Press 7": 'a host name of at most 63 lower-case letters, digits, - and ., found "Press 7"',
    f"hostname={'a' * 64}": "at most 63",
    "hostname=": 'found ""',
    "hostname=press-": 'found "press-"',
    "ssh-key=me@laptop": "a public key as in ~/.ssh/id_ed25519.pub",
    'ssh-key=command="rm -rf /" ' + KEY: "a public key",
    "server=192.0.2.5": "https://ADDRESS:6443",
    'server=https://a:1" \n': "https://ADDRESS:6443",
    "token=two words": 'node-token, found "9 characters"',
    "label=line": "a label NAME=VALUE",
    'label=line="7"': "a label NAME=VALUE",
    "label=-a=b": "a label NAME=VALUE",
    f"label=a={'b' * 64}": "a label NAME=VALUE",
    "Hostname=press-7": 'expected hostname, ssh-key, server, token or label, found "Hostname"',
    "press-7": 'expected NAME=VALUE, found "press-7"',
    "hostname=a\nhostname=b": "2: expected hostname once, found it again",
    "label=a=\x1b[31m": 'found "a=[31m"',
    "#" * 70000: "expected at most 65536 bytes, found more",
}


@pytest.mark.parametrize("line", WRONG, ids=lambda line: line[:20])
def test_one_wrong_line_changes_nothing(machine: Machine, line: str) -> None:
    assert machine.boot(f"label=line=7\ntoken={TOKEN}\n").returncode == 0
    before = machine.files()
    result = machine.boot(f"{line}\nlabel=line=8\n")
    assert result.returncode == 1
    assert WRONG[line] in result.stderr
    assert all(said.startswith("<3>") for said in result.stderr.splitlines())
    assert "No setting in " in result.stderr.splitlines()[-1]
    assert machine.files() == before


def test_every_problem_is_said_at_once(machine: Machine) -> None:
    result = machine.boot("hostname=A\n\nlabel=x\ntoken=a b\n")
    assert re.findall(r"conf:(\d):", result.stderr) == ["1", "3", "4"]
    assert "a b" not in result.stderr


def test_what_cannot_be_written_is_named(machine: Machine) -> None:
    (machine.root / "etc").write_text("")
    result = machine.boot("hostname=press-7\n")
    assert result.returncode == 1
    assert f"<3>/etc/hostname: expected to write what {machine.file} says, but cannot" in result.stderr


def test_the_example_is_right(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHELLS["dash"])
    text = EXAMPLE.read_text()
    assert machine.boot(text).returncode == 0
    assert machine.files() == {}, "as it is, it sets nothing"
    result = machine.boot(re.sub(r"^#(?=[a-z-]+=)", "", text, flags=re.MULTILINE))
    assert (result.returncode, result.stderr) == (0, "")
    assert {"etc/hostname", KEYS, f"{K3S}/token", YAML} == set(machine.files())
