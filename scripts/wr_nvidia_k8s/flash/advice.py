# SPDX-License-Identifier: MIT
"""What to do when a script of a tegraflash archive fails: its own words, and what is behind them.

The words are those of initrd-flash, tegra*-flash-helper.sh, make-sdcard and find-jetson-usb in meta-tegra; the causes
are from its docs (Flashing-the-Jetson-Dev-Kit, Tegraflash-Troubleshooting, initrd-flashing-support).
"""

from __future__ import annotations

import re
from pathlib import Path

from wr_nvidia_k8s.flash.boards import BOARDS

_TAIL = 64 << 10  # bytes

_AGAIN = "put the board into recovery mode again and repeat the command"
_CABLE = f"use another cable, another port of the machine itself, no hub and no virtual machine; {_AGAIN}"

_ABSENT = "the board does not offer the card or drive for the root file system: see that it is in its slot, then"

_USB = (
    "the USB connection failed, which is not the fault of this machine's tools: use a port of another USB controller "
    "(USB 2.0 or a plugged-in card), another cable, no hub and no virtual machine, and switch off the power saving of "
    "USB, which counts from the next connection on: echo -1 | sudo tee /sys/module/usbcore/parameters/autosuspend; "
    f"{_AGAIN}"
)

# The first that matches is told: the specific ones stand before the general ones.
_ADVICE = (
    (r"does not match expected board (ID|SKU)",
     f"the module is another one than the image was built for: connect the right one. kas/ has {', '.join(BOARDS)}; "
     "for other modules there is no image here"),
    (r"configured for secure boot|non-production chip",
     "the module's fuses ask for signed images: unpack the archive and run its script with your keys (-u, -v)"),
    (r"does not match actual chip ID|does not identify as",
     "another kind of board is connected: connect the right one"),
    (r"No module named '?yaml", "install python3-yaml for the python3 that is first on PATH"),
    (r"got flashpkg when expecting|ERR: could not find (mmcblk|nvme|sd)", f"{_ABSENT} {_AGAIN}"),
    (r"could not mount USB|could not create command package",
     "the board's USB drive could not be mounted: see that udisks2 runs (systemctl status udisks2) and that the "
     f"desktop mounts nothing by itself; {_AGAIN}"),
    (r"timeout in USB (write|read)|[Rr]eturn value 3\b", _USB),
    (r"could not retrieve (chip ID|EEPROM)|RCM boot failed|Device not found|Error: Return value|Written less bytes",
     f"the board stopped answering on USB: {_CABLE}"),
    (r"partitioning failed|could not initialize GPT|verification failed for",
     "the card or drive could not be partitioned: see that it is large enough and not write-protected, try another"),
    (r"failed to write|write failure", f"writing the card or drive failed: try another one; {_AGAIN}"),
    (r"Final status: FAILED", f"the board reports a failure: its logs are in device-logs-* in the folder; {_AGAIN}"),
    (r"signing failed", "NVIDIA's tools failed on this machine: log.initrd-flash.* in the folder says which"),
    (r"ermission denied|insufficient permissions",
     "the script may not use the device: run this command as root, or with the rights that the lines above name"),
)  # fmt: skip


def for_output(output: str, log: str = "") -> str:
    """What to do about a failed script, from what it said and what its log says."""
    said = f"{output}\n{log}"
    return next((advice for words, advice in _ADVICE if re.search(words, said)), f"the lines above say why; {_CABLE}")


def logged(folder: Path) -> str:
    """The end of the log that initrd-flash leaves in ``folder``: NVIDIA's tools say there what they do and why not."""
    logs = sorted(folder.glob("log.initrd-flash.*"))  # named by date and time
    return logs[-1].read_bytes()[-_TAIL:].decode(errors="replace") if logs else ""


WAITED_LONG = 120.0  # seconds in which a storage device that is there has long appeared
_FOR_STORAGE = re.compile(r"Waiting for USB storage device (mmcblk|nvme|sd)")


class WaitHint:
    """Says once what is missing when a script waits long for a USB drive: the real ones wait for ever."""

    def __init__(self) -> None:
        self._line = ""
        self._since = 0.0
        self._said = False

    def feed(self, text: str, now: float) -> str | None:
        """Take output as it comes, at ``now`` seconds; the hint when it is time for it."""
        *done, rest = (self._line + text).split("\n")
        if done or not self._line:
            self._since, self._said = now, False
        self._line = rest
        if self._said or now - self._since < WAITED_LONG or not self._line.startswith("Waiting for"):
            return None
        self._said = True
        what = f"{_ABSENT} {_AGAIN}" if _FOR_STORAGE.match(self._line) else f"the board does not answer: {_CABLE}"
        return f"waiting for {int(now - self._since)} s by now; Ctrl-C ends it. {what}"
