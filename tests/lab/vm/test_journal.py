# SPDX-License-Identifier: MIT
"""The journal of a virtual machine, as it comes out of a port that a reboot may cut off."""

import asyncio
import json

import pytest

from wr_nvidia_k8s.lab.vm import checks
from wr_nvidia_k8s.lab.vm.journal import RECORD, Entry, Journal


def record(message: str, **fields: object) -> bytes:
    return RECORD + json.dumps({"MESSAGE": message, "__MONOTONIC_TIMESTAMP": "1500000", **fields}).encode() + b"\n"


def messages(journal: Journal) -> list[str]:
    return [entry.message for entry in journal.entries]


async def test_entries_come_whole_however_they_are_cut() -> None:
    journal = Journal()
    text = record("one") + record("two, with ü") + record("three")
    for at in range(len(text)):
        await journal.feed(text[at:at + 1])
    assert messages(journal) == ["one", "two, with ü", "three"]
    assert journal.entries[0].seconds == 1.5


async def test_what_a_reboot_cut_off_does_not_take_the_next_boot_with_it() -> None:
    journal = Journal()
    await journal.feed(record("last words", _BOOT_ID="a")[:-20])
    await journal.feed(record("first words", _BOOT_ID="b"))
    assert [(entry.message, entry.boot) for entry in journal.entries] == [("first words", "b")]


async def test_waiting_ends_with_the_entry_with_the_time_or_with_the_machine() -> None:
    journal = Journal()
    waiting = asyncio.create_task(journal.wait(lambda entry: entry.message == "two", 0, 30))
    await journal.feed(record("one"))
    await journal.feed(record("two"))
    assert await waiting == 1
    with pytest.raises(asyncio.TimeoutError):
        await journal.wait(lambda entry: entry.message == "two", 2, 0.01)
    await journal.end("qemu ended with 1")
    with pytest.raises(EOFError, match="qemu ended with 1"):
        await journal.wait(lambda entry: entry.message == "three", 0, 30)


def entry(message: str = "", **fields: str) -> Entry:
    return Entry({"MESSAGE": message, "__MONOTONIC_TIMESTAMP": "0", **fields})


def test_the_node_has_its_gpu_when_it_says_so_itself() -> None:
    assert checks.has_gpu(entry('{"nvidia.com/gpu": 1}', SYSLOG_IDENTIFIER="node"))
    assert not checks.has_gpu(entry('{"nvidia.com/gpu": 0}', SYSLOG_IDENTIFIER="node"))
    assert not checks.has_gpu(entry("{}", SYSLOG_IDENTIFIER="node"))
    assert not checks.has_gpu(entry('{"nvidia.com/gpu": 1}', SYSLOG_IDENTIFIER="nvidia-device-plugin"))


def test_a_registration_is_the_services_own_word() -> None:
    said = checks.REGISTERED
    assert checks.is_registered(entry(said, _SYSTEMD_UNIT=checks.UNIT))
    assert not checks.is_registered(entry(said, _SYSTEMD_UNIT="k3s.service"))
