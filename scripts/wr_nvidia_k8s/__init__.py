# SPDX-License-Identifier: MIT
"""The logic behind the commands in scripts/, one package per subject.

An arrow is "may import"; each package says the same of itself, and tests/scripts/test_layout.py holds them to it:

    commands -> lab -> build -> freeze -> debian -> common
    commands -> flash -> common
"""
