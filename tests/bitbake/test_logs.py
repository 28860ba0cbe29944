# SPDX-License-Identifier: MIT
"""An image's logs outlive a reboot, and are written once: what the releases' own recipes make of our settings."""

import pytest

from bitbake.test_k3s import RELEASES, parsed
from wr_nvidia_k8s.build import kas

TREES = {"lts24": kas.LAYERS, "lts22": kas.LAYERS / "lts22"}


@pytest.mark.parametrize("release", RELEASES)
def test_the_logs_are_on_the_medium_and_no_syslog_daemon_copies_them(release: str) -> None:
    core = TREES[release] / "oe-core/meta/recipes-core"
    (files,) = core.glob("base-files/base-files_*.bb")
    boot = core / "packagegroups/packagegroup-core-boot.bb"
    found, group = parsed(release, [
        {"recipe": str(files), "read": ["dirs755", "volatiles"]},
        {"recipe": str(boot), "read": ["RDEPENDS:packagegroup-core-boot", "RRECOMMENDS:packagegroup-core-boot"]},
    ])  # fmt: skip
    assert "/var/log" in found["dirs755"].split(), "expected a folder, not a link into /var/volatile, which is a tmpfs"
    assert "log" not in found["volatiles"].split()
    packages = f"{group['RDEPENDS:packagegroup-core-boot']} {group['RRECOMMENDS:packagegroup-core-boot']}".split()
    assert "base-files" in packages
    assert [package for package in packages if "syslog" in package or "sysklogd" in package] == []
