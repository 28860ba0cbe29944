# SPDX-License-Identifier: MIT
"""Running the product without hardware: simulated boards, nodes, kubelets, virtual machines.

May import: build, freeze, debian, common.
"""
