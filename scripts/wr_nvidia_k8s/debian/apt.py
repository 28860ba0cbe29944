# SPDX-License-Identifier: MIT
"""apt beside the system: packages of one Debian release and of any architecture, without installing any.

The mirrors are those that this machine's own apt uses. Everything else (list of sources, package lists, state, cache)
is private to a scratch folder, so that neither the user's apt configuration nor what is installed changes, a foreign
architecture need not be added to the system's dpkg, and no root is needed. apt verifies what it fetches as always: the
release file against Debian's archive keys, every file against the checksums below it.
"""

from __future__ import annotations

import os
from pathlib import Path

from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.common.process import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"  # package debian-archive-keyring
_ADVICE = "expected a Debian mirror to be reachable with the system's apt settings; try: apt-get update"


class DebianError(HostError):
    """Packages cannot be had; the text says what was expected, what was found and what to do."""


class Apt:
    """apt-get for the release ``suite`` (its code name), its updates, and packages of ``arch`` (Debian's name).

    source: source packages as well.
    Its state is below ``scratch``, a folder that does not exist yet or has nothing of the kind. Raises DebianError, as
    the methods do.
    """

    def __init__(self, suite: str, arch: str, scratch: Path, *, source: bool = False) -> None:
        for folder in ("lists/partial", "archives/partial", "sources.d"):
            (scratch / folder).mkdir(parents=True)
        (scratch / "status").touch()
        self._sources = scratch / "debian.sources"
        self._sources.write_text(sources(suite, scratch, "deb deb-src" if source else "deb"), encoding="utf-8")
        self._options = _options({
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
            "Dir::Cache": str(scratch),
            "Dir::Cache::Archives": str(scratch / "archives"),
            "Dir::Etc::SourceList": str(self._sources),
            "Dir::Etc::SourceParts": str(scratch / "sources.d"),
            "Dir::State::Lists": str(scratch / "lists"),
            "Dir::State::Status": str(scratch / "status"),
        })  # fmt: skip
        # Without this a mirror out of reach is only a warning, and what follows finds no packages.
        self("update", "-oAPT::Update::Error-Mode=any")

    def __call__(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run apt-get; its output."""
        advice = f"{_ADVICE}\nthe sources were:\n{self._sources.read_text(encoding='utf-8')}"
        return run(["apt-get", "-qq", *self._options, *arguments], error=DebianError, advice=advice, cwd=cwd)


def _options(settings: dict[str, str]) -> list[str]:
    if os.geteuid() == 0:
        # The scratch folder may be below /root, where apt's own user cannot go; apt would do the same with a warning.
        settings = {**settings, "APT::Sandbox::User": "root"}
    return [f"-o{name}={value}" for name, value in settings.items()]


def architecture() -> str:
    """This machine's, under Debian's name."""
    return run(["dpkg", "--print-architecture"], error=DebianError).strip()


def codename() -> str:
    """The release that this machine runs, such as bookworm. Raises DebianError where it is no Debian."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    if release.get("ID", "").strip('"') != "debian":
        raise DebianError(
            f"expected Debian, from whose packages this is made, found ID={release.get('ID', 'nothing')} in "
            "/etc/os-release: run it on Debian 12, for instance in a container"
        )
    return release["VERSION_CODENAME"].strip('"')


def mirrors(scratch: Path) -> list[str]:
    """The addresses of Debian's main archive that this system uses. As `sources` for the rest."""
    return list(dict.fromkeys(uri for uri, _, _, label in _known(scratch) if label == "Debian"))


def _known(scratch: Path) -> list[tuple[str, str, str, str]]:
    """`_indexes` with Debian's main archive among them."""
    known = _indexes([])
    if not any(label == "Debian" for *_, label in known):  # apt has no package lists yet
        (scratch / "own" / "partial").mkdir(parents=True)
        own = _options({"Dir::State::Lists": str(scratch / "own")})
        complaint = ""
        try:
            run(["apt-get", "-qq", *own, "update"], error=DebianError)
        except DebianError as error:  # which may be about a source that is none of ours
            complaint = f"\n{error}"
        known = _indexes(own)
        if not any(label == "Debian" for *_, label in known):
            others = sorted({uri for uri, *_ in known})
            raise DebianError(
                f"expected Debian's main archive among this machine's apt sources, found "
                f"{', '.join(others) or 'none'}; add it, or use a Debian 12 container\n{_ADVICE}{complaint}"
            )
    return known


def sources(suite: str, scratch: Path, types: str = "deb") -> str:
    """apt sources (deb822) for ``suite`` from the mirrors that this system uses, with updates where it has them.

    Where apt has no package lists yet, some are fetched below ``scratch``. Raises DebianError.
    """
    known = _known(scratch)
    found = {}
    for uri, release, signed_by, label in known:
        keyring = signed_by if signed_by.startswith("/") else KEYRING
        # Whatever release the system runs, its main mirror has the others as well.
        if label == "Debian":
            found[uri, suite] = keyring
        if release in (f"{suite}-updates", f"{suite}-security"):
            found[uri, release] = keyring
    return "\n".join(
        f"Types: {types}\nURIs: {uri}\nSuites: {release}\nComponents: main\nSigned-By: {keyring}\n"
        for (uri, release), keyring in sorted(found.items())
    )


def _indexes(options: list[str]) -> list[tuple[str, str, str, str]]:
    """What apt knows of each source with a component main: address, release, keyring, label."""
    fields = "$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)|$(LABEL)|$(COMPONENT)"
    command = ["apt-get", *options, "indextargets", "--format", fields, "Created-By: Packages"]
    lines = [line.split("|") for line in run(command, error=DebianError).splitlines()]
    return sorted({(uri, release, keyring, label) for uri, release, keyring, label, part in lines if part == "main"})
