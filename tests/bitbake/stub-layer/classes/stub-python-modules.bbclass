# STUB_PYTHON_MODULES: the packages into which OE-core splits Python, read from its own manifest.
def stub_python_modules(d):
    import json
    import os

    folder = 'meta/recipes-devtools/python/python3/python3-manifest.json'
    with open(os.path.join(d.getVar('COREBASE'), folder)) as manifest:
        lines = [line for line in manifest if not line.startswith('#')]
    return ' '.join(sorted(json.loads(''.join(lines))))

STUB_PYTHON_MODULES = "${@stub_python_modules(d)}"
