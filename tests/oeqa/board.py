# SPDX-License-Identifier: MIT
"""A board that can be reached over SSH: Debian's OpenSSH server in a root file system of its own, and a cluster.

Real: sshd, the shell and its tools, kubectl, the local image and what runs in its containers. Stood in for: the API
server and the kubelet (cluster.py), systemctl, journalctl and docker, each of which refuses what it does not know.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from oeqa.cluster import GPU, Cluster, Container, Object
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.debian import apt, root

# Any image, which only Kubernetes pulls.
DEVICE_QUERY = "registry.example/devicequery:1"
PACKAGES = ("coreutils", "dash", "grep", "kubernetes-client", "openssh-server", "python3", "sed", "tar")
NODES = ("/dev/nvgpu/igpu0/ctrl", "/dev/nvmap")
LIBRARY = "usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1"
PLUGIN = "nvidia-device-plugin.service"
REGISTERED = f"Registered device plugin for '{GPU}' with Kubelet"
CHECKPOINT = "var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
_COMMANDS = Path(__file__).parent / "commands" / "stand-in"
_KUBECTL = '#!/bin/sh\nKUBECONFIG=/etc/rancher/k3s/k3s.yaml exec /usr/lib/kubectl "$@"\n'
_START = """
set -e
mount --bind SYSTEM usr
mount -t tmpfs tmpfs dev
mount -t proc proc proc
for node in null zero random urandom; do touch dev/$node; mount --bind /dev/$node dev/$node; done
for node in NODES; do mkdir -p ".${node%/*}"; touch ".$node"; done
exec chroot . /usr/sbin/sshd -D -e
"""
_FILES = {
    "etc/passwd": "root::0:0:root:/root:/bin/sh\nsshd:*:100:65534::/run/sshd:/usr/sbin/nologin\n",
    "etc/shadow": "root::19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nvidia-container-runtime/host-files-for-container.d/devices.csv":
        "".join(f"dev, {node}\n" for node in (*NODES, "/dev/not-on-this-board")),
}  # fmt: skip


def system() -> Path:
    """What is /usr on the board: Debian's packages, and commands that are stood in for."""
    kept = cache.Cached("test-board", apt.codename(), *PACKAGES, _COMMANDS, _KUBECTL)

    def make(folder: Path) -> None:
        cache.say("unpacking Debian packages for the stand-in board")
        architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
        with tempfile.TemporaryDirectory() as scratch:
            root.unpack(folder, architecture.stdout.strip(), PACKAGES, Path(scratch) / "apt")
        usr = folder / "usr"
        (usr / "bin/sh").unlink(missing_ok=True)
        (usr / "bin/sh").symlink_to("dash")
        # kubectl is where k3s has it, and knows the cluster as k3s's does.
        (usr / "bin/kubectl").rename(usr / "lib/kubectl")
        (usr / "local/bin").mkdir(parents=True, exist_ok=True)
        (usr / "local/bin/kubectl").write_text(_KUBECTL)
        (usr / "local/bin/kubectl").chmod(0o755)
        for name in ("systemctl", "journalctl", "docker"):
            (usr / "bin" / name).unlink(missing_ok=True)
            shutil.copy(_COMMANDS, usr / "bin" / name)

    return kept.get(make) / "usr"


class Board:
    """A healthy board; its attributes say what is to be wrong with it. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "root"
        self.role = "k3s"
        self.states = dict.fromkeys(("docker", "containerd", "k3s", "nvidia-device-plugin"), "active")
        self.failed: list[str] = []
        self.setup_result = "success"
        self.setup_unit = "loaded"
        self.registers_again = True
        self.dies_with_k3s = False
        self.obeys_environment = False
        """A runtime that gives a GPU to whoever sets NVIDIA_VISIBLE_DEVICES."""
        self.device_query = "Result = PASS\n"
        self.registry: list[str] = [DEVICE_QUERY]
        self.is_reached_by_ipv6 = False
        self.process = 100
        self.journal = [REGISTERED]
        self.cluster = Cluster(self._container)
        self.has_image = False
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._lay_out()

    def __enter__(self) -> Board:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        script = _START.replace("NODES", " ".join(NODES)).replace("SYSTEM", shlex.quote(str(system())))
        with (self.folder / "sshd.log").open("w") as log:
            self._sshd = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
                cwd=self.folder,
                stderr=log,
            )
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self._sshd.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self.folder / "sshd.log").read_text()) from None

    def __exit__(self, *_: object) -> None:
        self._sshd.kill()
        self._sshd.wait()
        self._server.shutdown()
        self._server.server_close()
        self.cluster.close()

    @property
    def address(self) -> str:
        return f"[::1]:{self.port}" if self.is_reached_by_ipv6 else f"127.0.0.1:{self.port}"

    def write(self, name: str, text: str) -> None:
        """A file on the board."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def checkpoint(self, *devices: str) -> None:
        """What the kubelet keeps of its plugins."""
        data = {"PodDeviceEntries": None, "RegisteredDevices": {GPU: list(devices)} if devices else {}}
        self.write(CHECKPOINT, json.dumps({"Data": data, "Checksum": 1}))

    def _lay_out(self) -> None:
        for name in ("dev", "proc", "root", "run/sshd", "tmp", "usr", "var/lib"):
            (self.folder / name).mkdir(parents=True)
        for name in root.LINKS:
            (self.folder / name).symlink_to(f"usr/{name}")
        for name, text in _FILES.items():
            self.write(name, text)
        self.write("etc/stand-in", str(self._server.server_address[1]))
        server = {"cluster": {"server": f"http://127.0.0.1:{self.cluster.port}"}, "name": "k3s"}
        context = {"context": {"cluster": "k3s"}, "name": "k3s"}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [server], "contexts": [context]}
        self.write("etc/rancher/k3s/k3s.yaml", json.dumps({**config, "current-context": "k3s"}))
        key = self.folder / "etc/ssh/key"
        key.parent.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.write(
            "etc/ssh/sshd_config",
            f"Port {self.port}\nListenAddress 127.0.0.1\nListenAddress ::1\nHostKey /etc/ssh/key\nPidFile none\n"
            "UsePAM no\nPermitRootLogin yes\nPermitEmptyPasswords yes\n",
        )
        self.checkpoint("0")

    # The container runtime

    def _container(self, part: Object, has_gpu: bool) -> Container:
        environment = {each["name"]: each["value"] for each in part.get("env", [])}
        has_gpu = has_gpu or (self.obeys_environment and "NVIDIA_VISIBLE_DEVICES" in environment)
        container = Container()
        if part["image"] in self.registry and part["imagePullPolicy"] == "IfNotPresent":
            container.output = self.device_query if has_gpu else "cudaGetDeviceCount returned 100\nResult = FAIL\n"
            container.exit_code = 0 if "PASS" in container.output else 1
            container.ended.set()
            return container
        if part["image"] != "localhost/nvidia-k8s-image-test:latest" or not self.has_image:
            raise LookupError(f"image {part['image']} is neither on the board nor in a registry")
        folder = Path(tempfile.mkdtemp(dir=self.folder.parent))
        subprocess.run(["tar", "-x", "-C", folder, "-f", self.folder / "var/lib/image.tar"], check=True)
        for name in (*(node.lstrip("/") for node in NODES), LIBRARY) if has_gpu else ():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        process = subprocess.Popen(
            ["/usr/sbin/chroot", folder, *part["command"]],
            env={"PATH": "/usr/bin:/bin", **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        container.kill = process.kill

        def follow() -> None:
            container.output = process.communicate()[0]
            container.exit_code = process.returncode
            shutil.rmtree(folder, ignore_errors=True)
            container.ended.set()

        threading.Thread(target=follow, daemon=True).start()
        return container

    # The commands

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        board = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                program, *arguments = json.loads(self.rfile.readline())
                status, output = getattr(board, f"_{program}")(arguments)
                self.wfile.write(json.dumps({"status": status, "output": output}).encode() + b"\n")

        return Handler

    def _systemctl(self, arguments: list[str]) -> tuple[int, str]:
        unit = arguments[-1].removesuffix(".service")
        match arguments:
            case ["is-system-running", "--wait"]:
                return (1, "degraded\n") if self.failed else (0, "running\n")
            case ["--failed", "--plain", "--no-legend"]:
                return 0, "".join(f"{name} loaded failed failed {name}\n" for name in self.failed)
            case ["is-active", _]:
                state = self.states.get(unit, "inactive")
                return (0 if state == "active" else 3), state + "\n"
            case ["is-enabled", _]:
                return (0, "enabled\n") if unit == self.role else (1, "disabled\n")
            case ["show", "-p", "LoadState", "-p", "Result", "nvidia-container-setup.service"]:
                return 0, f"Result={self.setup_result}\nLoadState={self.setup_unit}\n"
            case ["show", "-p", "MainPID", "-p", "NRestarts", name] if name == PLUGIN:
                return 0, f"NRestarts={self.process - 100}\nMainPID={self.process}\n"
            case ["restart", _] if unit == self.role:
                self.process += self.dies_with_k3s
                self.checkpoint(*(["0"] if self.registers_again else []))
                self.journal += [REGISTERED] if self.registers_again else ["waiting for a kubelet"]
                return 0, ""
        return 64, f"the stand-in's systemctl knows no {shlex.join(arguments)}\n"

    def _journalctl(self, arguments: list[str]) -> tuple[int, str]:
        shown, rest = list(self.journal), list(arguments)
        output = ""
        while rest:
            match rest.pop(0):
                case "--no-pager":
                    pass
                case "-u":
                    rest.pop(0)
                case "-o" if rest.pop(0) == "cat":
                    pass
                case "-n":
                    shown = shown[-int(rest.pop(0)) :]
                case "--show-cursor":
                    output = f"-- cursor: s={len(self.journal)};i=1\n"
                case option if option.startswith("--after-cursor=s="):
                    shown = self.journal[int(option.removeprefix("--after-cursor=s=").partition(";")[0]) :]
                case option:
                    return 64, f"the stand-in's journalctl knows no {option}\n"
        return 0, "".join(f"{line}\n" for line in shown) + output

    def _docker(self, arguments: list[str]) -> tuple[int, str]:
        name = "localhost/nvidia-k8s-image-test:latest"
        match arguments:
            case ["import", "-", image] if image == name:
                self.has_image = True
                return 0, "sha256:0\n"
            case ["image", "rm", "--force", image] if image == name:
                self.has_image = False
                return 0, ""
        return 64, f"the stand-in's docker knows no {shlex.join(arguments)}\n"


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What oe-test found, by the case's name without that of its module."""
    (run,) = json.loads((folder / "testresults.json").read_text()).values()
    return {name.removeprefix("nvidia_k8s."): result for name, result in run["result"].items()}
