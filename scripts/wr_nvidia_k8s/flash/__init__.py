# SPDX-License-Identifier: MIT
"""An image onto a board: over USB, or onto a card or disk of this machine. It depends on nothing that tests need.

May import: common.
"""
