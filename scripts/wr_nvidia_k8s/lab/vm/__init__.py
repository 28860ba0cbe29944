# SPDX-License-Identifier: MIT
"""A virtual machine that boots with the plugin's package in it.

May import: lab.kubelet, the modules of lab, and what lab may.
"""
