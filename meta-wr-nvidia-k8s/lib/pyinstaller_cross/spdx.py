# SPDX-License-Identifier: MIT
"""Record in a package's SPDX 2 document which recipes' files are bundled in it.

create-spdx of OE-core knows what a package was built from and what it depends on at run time. A bundled library is
neither: without this, a CVE check of an image that reads its SPDX documents would not see that library at all.
For each such recipe, the package CONTAINS a package with that recipe's version and CPE names, and each file is
GENERATED_FROM that recipe (SPDX 2.3, 11.1). Run by BitBake itself: Python's standard library only.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing

Json = typing.Dict[str, typing.Any]  # noqa: UP006  (kirkstone's BitBake still runs on Python 3.8)
# What is said of a recipe and holds for its bundled files as well.
COPIED = ("name", "versionInfo", "supplier", "externalRefs", "sourceInfo")


def _recipe_package(document: Json, recipe: str) -> Json | None:
    found = [package for package in document["packages"] if package["name"] == recipe]
    return found[0] if found else None


def _licence(expression: str, reference: str) -> str:
    """Make the names of the other document's own licences valid in this one."""
    return expression.replace("LicenseRef-", reference + ":LicenseRef-")


def add_bundled(
    document: Json, package: str, bundled: dict[str, list[str]], recipes: dict[str, tuple[Json, str]]
) -> None:
    """Amend a package's document in place.

    bundled  paths in the package, without the leading slash, by recipe
    recipes  the recipes' own documents and their SHA-1 sums
    """
    owner = _recipe_package(document, package)
    if owner is None:
        raise ValueError(f"{document.get('name')}: expected the package {package} in it, found none")
    files = {entry["fileName"]: entry["SPDXID"] for entry in document.get("files", [])}
    known = {entry["spdxDocument"]: entry["externalDocumentId"] for entry in document["externalDocumentRefs"]}

    def relate(subject: str, kind: str, related: str) -> None:
        relationship = {"spdxElementId": subject, "relationshipType": kind, "relatedSpdxElement": related}
        document["relationships"].append(relationship)

    for recipe, (other, sha1) in sorted(recipes.items()):
        source = _recipe_package(other, recipe)
        if source is None:
            continue
        namespace = other["documentNamespace"]
        if namespace not in known:
            known[namespace] = "DocumentRef-bundled-" + other["name"]
            checksum = {"algorithm": "SHA1", "checksumValue": sha1}
            entry = {"externalDocumentId": known[namespace], "spdxDocument": namespace, "checksum": checksum}
            document["externalDocumentRefs"].append(entry)
        reference = known[namespace]
        origin = f"{reference}:{source['SPDXID']}"
        copy: Json = {key: source[key] for key in COPIED if key in source}
        copy["SPDXID"] = "SPDXRef-Bundled-" + recipe
        copy["downloadLocation"] = "NOASSERTION"
        copy["licenseDeclared"] = _licence(source.get("licenseDeclared", "NOASSERTION"), reference)
        document["packages"].append(copy)
        relate(owner["SPDXID"], "CONTAINS", copy["SPDXID"])
        relate(copy["SPDXID"], "GENERATED_FROM", origin)
        for name in bundled[recipe]:
            if name in files:
                relate(files[name], "GENERATED_FROM", origin)


def _find(deployed: pathlib.Path, recipe: str, architectures: list[str]) -> pathlib.Path | None:
    """Find a recipe's document: scarthgap keeps them by architecture, kirkstone does not."""
    name = f"recipes/recipe-{recipe}.spdx.json"
    for path in [*(deployed / architecture / name for architecture in architectures), deployed / name]:
        if path.is_file():
            return path
    return None


def amend(
    written: pathlib.Path, deployed: pathlib.Path, architectures: list[str], package: str, bundled: dict[str, list[str]]
) -> list[str]:
    """Amend the document that do_create_spdx has just written below `written`; return the recipes that are now in it.

    deployed       ${DEPLOY_DIR_SPDX}, with the recipes' documents
    architectures  the folders to look in there, best first
    """
    recipes: dict[str, tuple[Json, str]] = {}
    for recipe in bundled:
        path = _find(deployed, recipe, architectures)
        if path is not None:
            content = path.read_bytes()
            recipes[recipe] = (json.loads(content), hashlib.sha1(content).hexdigest())
    for path in written.rglob(f"packages/{package}.spdx.json"):
        if path.is_symlink():
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        add_bundled(document, package, bundled, recipes)
        path.write_text(json.dumps(document, sort_keys=True), encoding="utf-8")
    return sorted(recipes)
