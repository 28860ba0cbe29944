# SPDX-License-Identifier: MIT
#
# For kernel_recipe.py: the hash of each task's own metadata, which BitBake has where it parses and nobody else can ask
# for, as a variable of the recipe.
#
addhandler kernel_hashes
kernel_hashes[eventmask] = "bb.event.RecipeParsed"
python kernel_hashes() {
    import json
    hashes = {name.rpartition(":")[2]: value for name, value in bb.parse.siggen.basehash.items()
              if name.rpartition(":")[0] == d.getVar("FILE")}
    d.setVar("KERNEL_HASHES", json.dumps(hashes))
}
