# SPDX-License-Identifier: MIT
"""What is put into the virtual machine is whole, which its boot would tell minutes later."""

import ast

from wr_nvidia_k8s.lab.vm import kubelet


def test_the_machine_has_every_module_that_its_modules_import() -> None:
    package = kubelet.HERE.parents[1]
    imported = set()
    for name in kubelet.MODULES:
        for node in ast.walk(ast.parse((package / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wr_nvidia_k8s."):
                path = str(node.module).removeprefix("wr_nvidia_k8s.").replace(".", "/")
                imported.add(f"{path}.py")
    assert imported
    assert imported <= set(kubelet.MODULES)
