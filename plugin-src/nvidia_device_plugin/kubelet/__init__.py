# SPDX-License-Identifier: MIT
"""The kubelet's device plugin API: the folder it is spoken in, one endpoint per resource, and their registration."""
