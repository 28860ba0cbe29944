# SPDX-License-Identifier: MIT
"""How BitBake's output is read. The lines are made here in the forms that BitBake prints."""

from pathlib import Path

from wr_nvidia_k8s.build.bitbake_log import BitbakeLog

ELSEWHERE = Path("/home/user/.cache/wr-nvidia-k8s")


def read(*lines: str) -> BitbakeLog:
    log = BitbakeLog()
    for line in lines:
        log.line(line + "\n")
    return log


def test_good_dry_run() -> None:
    log = read(
        "Parsing recipes...done.",
        "Parsing of 12 .bb files complete (2 cached, 10 parsed). 30 targets, 4 skipped, 1 masked, 0 errors.",
        "NOTE: Running task 1 of 2 (virtual:native:/layers/meta/recipes-x/zlib/zlib_1.3.bb:do_fetch)",
        "NOTE: Running noexec task 2 of 2 (/layers/meta/recipes-x/docker-moby_26.0.2.bb:do_build)",
        "NOTE: Tasks Summary: Attempted 2 tasks of which 0 didn't need to be rerun and all succeeded.",
    )
    assert (log.recipes, log.variants, log.total, log.attempted) == (12, 30, 2, 2)
    assert log.built == {"zlib_1.3.bb", "docker-moby_26.0.2.bb"}
    assert log.messages == []


def test_failed_tasks_are_not_a_success() -> None:
    log = read(
        "NOTE: Running task 1 of 2 (/layers/a.bb:do_fetch)",
        "NOTE: Tasks Summary: Attempted 2 tasks of which 0 didn't need to be rerun and 1 failed.",
    )
    assert (log.total, log.attempted) == (2, None)


def test_parse_errors_are_counted() -> None:
    log = read("Parsing of 3 .bb files complete (0 cached, 2 parsed). 2 targets, 0 skipped, 0 masked, 1 errors.")
    assert log.parse_errors == 1


def test_graph() -> None:
    log = BitbakeLog()
    ours = log.graph(
        "digraph depends {\n"
        r'"zlib-native.do_fetch" [label="zlib-native do_fetch\n:1.3-r0\nvirtual:native:/layers/meta/zlib_1.3.bb"]'
        "\n"
        r'"docker-ce.do_build" [label="docker-ce do_build\n:1.0-r0\n/checkout/ours/docker-ce_1.0.bb"]'
        "\n"
        '"docker-ce.do_build" -> "zlib-native.do_fetch"\n}\n',
        "/ours/",
    )
    assert (log.total, log.built, ours) == (2, {"zlib_1.3.bb", "docker-ce_1.0.bb"}, {"docker-ce"})


def test_a_message_keeps_all_its_lines() -> None:
    log = read(
        "WARNING: No recipes in default available for:",
        "  /checkout/meta-wr-nvidia-k8s/recipes-x/nosuch_%.bbappend",
        "NOTE: Resolving any missing task queue dependencies",
        "  not part of it",
        "ERROR: Nothing RPROVIDES 'nosuch'",
    )
    assert [message.text for message in log.errors] == ["Nothing RPROVIDES 'nosuch'"]
    warning = log.messages[0]
    assert warning.text.endswith("nosuch_%.bbappend")
    assert log.warnings_naming(["meta-wr-nvidia-k8s"], ELSEWHERE) == [warning]


def test_a_warning_is_ours_only_by_our_whole_name() -> None:
    log = read("WARNING: docker-ce-cli: something", "WARNING: /layers/k3s/k3s-config_1.0.bb: something")
    assert log.warnings_naming(["docker-ce", "k3s-conf"], ELSEWHERE) == []
    assert len(log.warnings_naming(["docker-ce-cli"], ELSEWHERE)) == 1
    assert len(log.warnings_naming(["k3s-config"], ELSEWHERE)) == 1


def test_a_path_in_the_cache_does_not_make_a_warning_ours() -> None:
    log = read(f"WARNING: {ELSEWHERE}/layers/oe-core/zlib_1.3.bb: something", "WARNING: Layer wr-nvidia-k8s: something")
    assert log.warnings_naming(["wr-nvidia-k8s"], ELSEWHERE) == [log.messages[1]]
