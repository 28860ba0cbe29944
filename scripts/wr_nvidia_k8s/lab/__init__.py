# SPDX-License-Identifier: MIT
"""Where the product is tried without hardware: simulated boards, nodes, kubelets, virtual machines.

May import: build, freeze, debian, common.
"""
