# SPDX-License-Identifier: MIT
"""Kubernetes device plugin for NVIDIA GPUs, made to run as a host service on Jetson and x86."""

__version__ = "0.1.0"
