# SPDX-License-Identifier: MIT
"""Which devices go best together."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from nvidia_device_plugin.model import Resource


def together(available: Sequence[str], must: Sequence[str], size: int, resource: Resource) -> list[str]:
    """The devices that must be, then those on the NUMA node of the ones chosen so far, in the driver's order.

    Before any is chosen, the node with the most free devices is the nearest.
    """
    devices, chosen = resource.by_id, list(must)
    free: dict[int | None, deque[str]] = defaultdict(deque)
    for device in sorted(set(available) - set(must), key=lambda device: devices[device].index):
        free[devices[device].numa_node].append(device)
    taken = Counter(devices[device].numa_node for device in chosen)
    while len(chosen) < size:
        near = taken if chosen else {node: len(ids) for node, ids in free.items()}
        node = max((node for node, ids in free.items() if ids),
                   key=lambda node: (near.get(node, 0), -devices[free[node][0]].index))
        chosen.append(free[node].popleft())
        taken[node] += 1
    return chosen
