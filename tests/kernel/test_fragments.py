# SPDX-License-Identifier: MIT
"""The configuration fragments by themselves: complete for docker and k3s, and harmless to a board's own options."""

import re
from pathlib import Path

import pytest

from kernel import kernel_config
from kernel.kernel_config import FEATURES, KERNELS, FragmentError, Kernel

# What k3s's own check (contrib/util/check-config.sh, "Generally Necessary") fails without, as of 2026.
K3S_REQUIRES = """
    NAMESPACES NET_NS PID_NS IPC_NS UTS_NS
    CGROUPS CGROUP_PIDS CGROUP_CPUACCT CGROUP_DEVICE CGROUP_FREEZER CGROUP_SCHED CPUSETS MEMCG
    SECCOMP KEYS
    VETH BRIDGE BRIDGE_NETFILTER
    IP_NF_FILTER IP_NF_TARGET_MASQUERADE IP_NF_TARGET_REJECT
    NETFILTER_XT_MATCH_ADDRTYPE NETFILTER_XT_MATCH_CONNTRACK NETFILTER_XT_MATCH_IPVS NETFILTER_XT_MATCH_COMMENT
    NETFILTER_XT_MATCH_MULTIPORT NETFILTER_XT_MATCH_STATISTIC
    IP_NF_NAT NF_NAT
    POSIX_MQUEUE
"""
# What it warns about, without features that its documentation lets one choose.
K3S_WANTS = """
    USER_NS BLK_CGROUP BLK_DEV_THROTTLING CGROUP_PERF CGROUP_HUGETLB NET_CLS_CGROUP CGROUP_NET_PRIO
    CFS_BANDWIDTH FAIR_GROUP_SCHED IP_NF_TARGET_REDIRECT IP_SET IP_VS IP_VS_NFCT IP_VS_PROTO_TCP IP_VS_PROTO_UDP
    IP_VS_RR EXT4_FS EXT4_FS_POSIX_ACL EXT4_FS_SECURITY VXLAN OVERLAY_FS
"""
# The kernel modules of which kube-proxy (pkg/proxy/ipvs) and k3s's network policies (kube-router, pkg/utils/ipset.go)
# make use, by their options.
PROXY_AND_POLICIES = """
    DUMMY IP_VS_WRR IP_VS_SH NF_CONNTRACK NETFILTER_XT_MARK NETFILTER_XT_SET NETFILTER_XT_TARGET_NFLOG
    NETFILTER_XT_MATCH_PHYSDEV IP_SET_HASH_IP IP_SET_HASH_NET IP_SET_HASH_IPPORT IP_SET_HASH_IPPORTIP
    IP_SET_HASH_IPPORTNET IP_SET_BITMAP_PORT
"""
# What Docker's own check asks for since the release that test_check_scripts.py runs.
DOCKER_WANTS = "NETFILTER_XT_MATCH_BPF"
# The toolkit admits a container to a device by a BPF program where the control groups have one hierarchy.
NVIDIA_TOOLKIT = "BPF_SYSCALL CGROUP_BPF"


def selected(kernel: Kernel) -> dict[str, str]:
    """The fragments' options, and those without a prompt that these select (net/ipv4/netfilter/Kconfig of 4.9)."""
    options = kernel_config.merge(kernel.fragments)
    if options.get("NF_NAT_IPV4") == "y":
        options |= {"NF_NAT": "y", "NF_NAT_NEEDED": "y"}
    return options


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize(
    "wanted", [K3S_REQUIRES, K3S_WANTS, DOCKER_WANTS, PROXY_AND_POLICIES, NVIDIA_TOOLKIT],
    ids=["k3s requires", "k3s wants", "docker wants", "kube-proxy and network policies", "NVIDIA's toolkit"],
)  # fmt: skip
def test_fragments_alone_have_it(kernel: Kernel, wanted: str) -> None:
    options = selected(kernel)
    assert [option for option in wanted.split() if options.get(option) != "y"] == []


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_no_fragment_makes_a_module_of_what_is_built_in(kernel: Kernel) -> None:
    """A board's own configuration is not known here: what we ask for is built in, or is not to be there at all."""
    options = kernel_config.merge(kernel.fragments)
    assert {option: value for option, value in options.items() if value not in ("y", "n")} == {}
    assert {option for option, value in options.items() if value == "n"} <= {
        "DRM_NOUVEAU", "MODULE_SIG_FORCE", "RT_GROUP_SCHED", "TRIM_UNUSED_KSYMS",
    }  # fmt: skip


def test_a_graphics_card_is_left_to_its_driver() -> None:
    options = kernel_config.read(kernel_config.GPU)
    assert options["DRM_NOUVEAU"] == "n"
    assert options["MODULE_SIG_FORCE"] == "n", "our modules are built outside the kernel, without its key"


def test_kernels_with_and_without_the_older_names_differ_in_them_only() -> None:
    before, since = kernel_config.read(kernel_config.BEFORE), kernel_config.read(kernel_config.SINCE)
    assert not before.keys() & since.keys()
    assert "NF_NAT_IPV4" in before
    assert "NF_NAT" in since


def test_features_name_fragments_that_are_there() -> None:
    named = {}
    for feature in FEATURES.glob("*.scc"):
        named[feature.stem] = re.findall(r"(?m)^kconf (?:non-)?hardware (\S+)$", feature.read_text())
    assert named == {
        "containers": [kernel_config.COMMON.name, kernel_config.SINCE.name],
        "nvidia-gpu": [kernel_config.GPU.name],
    }
    unused = {path.name for path in FEATURES.glob("*.cfg")} - {name for names in named.values() for name in names}
    assert unused == {kernel_config.BEFORE.name}, "which is for kernels without features"


def test_a_mistake_in_a_fragment_is_found(tmp_path: Path) -> None:
    fragment = tmp_path / "some.cfg"
    for mistake in ("CONFIG_VETH=y\nCONFIG_VETH=m\n", "CONFIG_VETH =y\n", "VETH=y\n", "# CONFIG_VETH is unset\n"):
        fragment.write_text(mistake)
        with pytest.raises(FragmentError, match=r"some\.cfg"):
            kernel_config.read(fragment)
