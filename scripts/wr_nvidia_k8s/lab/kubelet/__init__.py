# SPDX-License-Identifier: MIT
"""Kubelets to register with: a stand-in for the device manager, and the real one with its containerd.

May import: lab.room, and what lab may.
"""
