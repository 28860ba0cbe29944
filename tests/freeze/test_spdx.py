# SPDX-License-Identifier: MIT
"""The SPDX document of a frozen program's package names the recipes that are bundled in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pyinstaller_cross import provenance, spdx

LICENCE = "LicenseRef-zlib AND MIT"
CPE = "cpe:2.3:*:*:zlib:1.3.1:*:*:*:*:*:*:*"


def recipe_document(name: str, licence: str) -> dict[str, Any]:
    """As create-spdx writes it for a recipe."""
    reference = {"referenceCategory": "SECURITY", "referenceType": "http://spdx.org/rdf/references/cpe23Type",
                 "referenceLocator": CPE}  # fmt: skip
    package = {"SPDXID": f"SPDXRef-Recipe-{name}", "name": name, "versionInfo": "1.3.1", "licenseDeclared": licence,
               "externalRefs": [reference], "supplier": "Organization: OpenEmbedded ()", }  # fmt: skip
    return {"SPDXID": "SPDXRef-DOCUMENT", "name": f"recipe-{name}", "documentNamespace": f"http://spdx.org/{name}",
            "packages": [package], "relationships": [], "externalDocumentRefs": []}  # fmt: skip


def package_document() -> dict[str, Any]:
    """As create-spdx writes it for a package."""
    files = [("usr/libexec/program/program", 1), ("usr/libexec/program/_internal/libz.so.1", 2)]
    return {
        "SPDXID": "SPDXRef-DOCUMENT", "name": "program", "documentNamespace": "http://spdx.org/program",
        "packages": [{"SPDXID": "SPDXRef-Package-program", "name": "program", "versionInfo": "1"}],
        "files": [{"fileName": name, "SPDXID": f"SPDXRef-PackagedFile-program-{n}"} for name, n in files],
        "relationships": [], "externalDocumentRefs": [],
    }  # fmt: skip


def deploy(tmp_path: Path, name: str, document: dict[str, Any], folder: str) -> Path:
    path = tmp_path / folder / f"{name}.spdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def relations(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    keys = ("spdxElementId", "relationshipType", "relatedSpdxElement")
    return {tuple(entry[key] for key in keys) for entry in document["relationships"]}


def check(tmp_path: Path, recipe_folder: str, package_folder: str, architectures: list[str]) -> dict[str, Any]:
    recipe = deploy(tmp_path / "deploy", "recipe-zlib", recipe_document("zlib", LICENCE), recipe_folder)
    package = deploy(tmp_path / "written", "program", package_document(), package_folder)
    bundled = {"zlib": ["usr/libexec/program/_internal/libz.so.1"], "python3": ["usr/libexec/program/program"]}
    found = spdx.amend(tmp_path / "written", tmp_path / "deploy", architectures, "program", bundled)
    assert found == ["zlib"], "python3 has no document"
    document: dict[str, Any] = json.loads(package.read_text())
    (reference,) = document["externalDocumentRefs"]
    assert reference["spdxDocument"] == "http://spdx.org/zlib"
    assert reference["checksum"]["checksumValue"] == hashlib.sha1(recipe.read_bytes()).hexdigest()
    return document


def test_a_bundled_recipe_is_a_package_in_the_package(tmp_path: Path) -> None:
    document = check(tmp_path, "cortexa57/recipes", "cortexa57/packages", ["cortexa57", "allarch"])
    (copy,) = [package for package in document["packages"] if package["name"] == "zlib"]
    assert copy["versionInfo"] == "1.3.1"
    assert [reference["referenceLocator"] for reference in copy["externalRefs"]] == [CPE]
    origin = document["externalDocumentRefs"][0]["externalDocumentId"]
    assert copy["licenseDeclared"] == f"{origin}:{LICENCE}"
    assert relations(document) == {
        ("SPDXRef-Package-program", "CONTAINS", copy["SPDXID"]),
        (copy["SPDXID"], "GENERATED_FROM", f"{origin}:SPDXRef-Recipe-zlib"),
        ("SPDXRef-PackagedFile-program-2", "GENERATED_FROM", f"{origin}:SPDXRef-Recipe-zlib"),
    }


def test_kirkstone_keeps_documents_without_an_architecture(tmp_path: Path) -> None:
    check(tmp_path, "recipes", "packages", [])


def test_files_are_traced_to_the_recipes_that_staged_them(tmp_path: Path) -> None:
    installed = tmp_path / "recipe-sysroot-native/installeddeps"
    installed.mkdir(parents=True)
    for recipe, lines in {
        "zlib": ["recipe-sysroot/usr/lib/libz.so.1", "recipe-sysroot/usr/include/zlib.h"],
        "python3": ["recipe-sysroot/usr/lib/python3.12/os.py", "recipe-sysroot/usr/lib/libpython3.12.so.1.0"],
        "quilt-native": ["recipe-sysroot-native/usr/bin/quilt"],
    }.items():
        (installed / f"{recipe}.0123abcd").write_text("\n".join(lines) + "\n")
        (installed / recipe).symlink_to(f"{recipe}.0123abcd")
        (installed / f"{recipe}.complete").symlink_to("/somewhere/manifest")
    (installed / "index.do_prepare_recipe_sysroot").write_text("TaskDeps: x\nzlib\n")
    bundle = tmp_path / "bundle.json"
    sysroot = f"{tmp_path}/recipe-sysroot/usr/lib"
    bundle.write_text(json.dumps({
        "files": {"libz.so.1": f"{sysroot}/libz.so.1", "libpython3.12.so.1.0": f"{sysroot}/libpython3.12.so.1.0",
                  "base_library.zip": "/elsewhere/base_library.zip"},
        "modules": [f"{sysroot}/python3.12/os.py", f"{tmp_path}/build/own.py"],
    }))  # fmt: skip
    assert provenance.trace(bundle, tmp_path, "usr/libexec/p/p", "usr/libexec/p/_internal") == {
        "python3": ["usr/libexec/p/_internal/libpython3.12.so.1.0", "usr/libexec/p/p"],
        "zlib": ["usr/libexec/p/_internal/libz.so.1"],
    }
