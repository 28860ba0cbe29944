# Freezes a Python program for the target with PyInstaller: its modules, its extension modules, the libraries they
# need and Python itself end up in one directory (or file) that runs without an installed Python. PyInstaller runs on
# the build machine, unmodified; lib/pyinstaller_cross answers its questions from the recipe's sysroot and verifies
# the result. Everything this class does not say is told there.
#
#   inherit pyinstaller
#
# The program's modules are found in PYINSTALLER_PYTHONPATH, its dependencies in DEPENDS (their target recipes).
#
# PYINSTALLER_SCRIPT         the script to freeze, or an entry point package.module:function
# PYINSTALLER_SETTINGS       instead or in addition: a JSON file that the program ships, with any of the keys script,
#                            hidden_imports, excludes and extra_args
# PYINSTALLER_PYTHONPATH     directories with the program's own modules (${S})
# PYINSTALLER_NAME           what the program is called (${BPN})
# PYINSTALLER_MODE           onedir, or onefile, which unpacks itself at every start (onedir)
# PYINSTALLER_HIDDENIMPORTS  modules that no import statement names, such as those a compiled module imports
# PYINSTALLER_EXCLUDES       modules to leave out although something imports them
# PYINSTALLER_EXTRA_ARGS     more arguments for PyInstaller
# PYINSTALLER_DESTDIR        where the directory (or file) PYINSTALLER_NAME is installed (${libexecdir}); ${bindir} gets
#                            a link to the program
# PYINSTALLER_CHILD          the interpreter in which hooks import modules: native is fast but cannot load the
#                            target's extension modules; qemu runs the target's own (native)
#
# The task is do_pyinstaller, between do_compile and do_install; its log and PyInstaller's are in ${PYINSTALLER_WORKDIR}.
# A do_install of the recipe's own calls pyinstaller_do_install.

PYINSTALLER_SCRIPT ?= ""
PYINSTALLER_SETTINGS ?= ""
PYINSTALLER_PYTHONPATH ?= "${S}"
PYINSTALLER_NAME ?= "${BPN}"
PYINSTALLER_MODE ?= "onedir"
PYINSTALLER_HIDDENIMPORTS ?= ""
PYINSTALLER_EXCLUDES ?= ""
PYINSTALLER_EXTRA_ARGS ?= ""
PYINSTALLER_DESTDIR ?= "${libexecdir}"
PYINSTALLER_CHILD ?= "native"

PYINSTALLER_WORKDIR = "${WORKDIR}/pyinstaller"

inherit python3native

DEPENDS += "\
    pyinstaller-bootloader \
    python3 \
    python3-pyelftools-native \
    python3-pyinstaller-native \
    ${@'pkgconfig-native qemu-native' if d.getVar('PYINSTALLER_CHILD') == 'qemu' else ''} \
"

# ${QEMU_OPTIONS} and the name of the emulator.
inherit qemu

def pyinstaller_library(d):
    """The directory that holds the package pyinstaller_cross, in the layer of this class."""
    import os
    found = bb.utils.which(d.getVar('BBPATH'), 'lib/pyinstaller_cross/__main__.py')
    if not found:
        bb.fatal('expected lib/pyinstaller_cross beside classes/pyinstaller.bbclass in a layer on BBPATH, found none')
    return os.path.dirname(os.path.dirname(found))

def pyinstaller_checksums(d):
    """The package's content decides over the hash of a task, not where its layer lies."""
    import glob
    names = glob.glob(pyinstaller_library(d) + '/pyinstaller_cross/*.[cp]*')
    return ' '.join('%s:True' % name for name in sorted(names) if not name.endswith('.pyc'))

def pyinstaller_qemu(d):
    """The command that runs the target's interpreter, without it, and the interpreter: pyinstaller_interpreter."""
    sysroot = d.getVar('RECIPE_SYSROOT')
    libraries = ':'.join(sysroot + d.getVar(name) for name in ('libdir', 'base_libdir'))
    options = ['-L', sysroot, '-E', 'LD_LIBRARY_PATH=' + libraries, '-E', 'PYTHONHOME=' + sysroot + d.getVar('prefix')]
    return [qemu_target_binary(d)] + d.getVar('QEMU_OPTIONS').split() + options

# The sysroot has no programs of the target, so the interpreter that runs under qemu is made here.
pyinstaller_interpreter() {
    if [ "${PYINSTALLER_CHILD}" = "qemu" ]; then
        ${CC} ${CFLAGS} ${LDFLAGS} -o ${PYINSTALLER_WORKDIR}/target-python ${PYINSTALLER_LIBRARY}/pyinstaller_cross/interpreter.c \
            $(pkg-config --cflags --libs python3-embed)
    fi
}

python pyinstaller_configure() {
    import glob
    import json

    pattern = d.expand('${RECIPE_SYSROOT}${PYTHON_SITEPACKAGES_DIR}/PyInstaller/bootloader/Linux-*')
    bootloaders = glob.glob(pattern)
    if len(bootloaders) != 1:
        bb.fatal('expected one bootloader as %s, found %s' % (pattern, ', '.join(bootloaders) or 'none'))
    # What `uname -m` says on the target.
    machines = {'arm': 'armv7l', 'i586': 'i686', 'powerpc64le': 'ppc64le'}
    config = {
        'settings': d.getVar('PYINSTALLER_SETTINGS'),
        'script': d.getVar('PYINSTALLER_SCRIPT'),
        'name': d.getVar('PYINSTALLER_NAME'),
        'mode': d.getVar('PYINSTALLER_MODE'),
        'hidden_imports': d.getVar('PYINSTALLER_HIDDENIMPORTS').split(),
        'excludes': d.getVar('PYINSTALLER_EXCLUDES').split(),
        'extra_args': d.getVar('PYINSTALLER_EXTRA_ARGS').split(),
        'python_path': d.getVar('PYINSTALLER_PYTHONPATH').split(),
        'sysroot': d.getVar('RECIPE_SYSROOT'),
        'machine': machines.get(d.getVar('TARGET_ARCH'), d.getVar('TARGET_ARCH')),
        'prefix': d.getVar('prefix'),
        'stdlib': d.expand('${libdir}/${PYTHON_DIR}'),
        'site_packages': [d.getVar('PYTHON_SITEPACKAGES_DIR')],
        'library_dirs': [d.getVar('libdir'), d.getVar('base_libdir')],
        'bootloader': bootloaders[0],
        'tools': {name: d.getVar(name.upper()).split() for name in ('strip', 'objcopy', 'objdump')},
        'output': d.expand('${PYINSTALLER_WORKDIR}/output'),
        'work': d.expand('${PYINSTALLER_WORKDIR}/work'),
        'build_paths': sorted({d.getVar('TMPDIR'), d.getVar('TOPDIR'), d.getVar('S')}),
        'child': d.getVar('PYINSTALLER_CHILD'),
        'qemu': pyinstaller_qemu(d),
        'target_python': d.expand('${PYINSTALLER_WORKDIR}/target-python'),
        # Packaging strips, and keeps what it takes off for the -dbg package.
        'strip': False,
        'source_date_epoch': int(d.getVar('SOURCE_DATE_EPOCH') or 1),
    }
    with open(d.expand('${PYINSTALLER_WORKDIR}/config.json'), 'w') as stream:
        json.dump(config, stream, indent=2)
}
pyinstaller_configure[vardepsexclude] += "SOURCE_DATE_EPOCH TMPDIR TOPDIR"

PYINSTALLER_LIBRARY = "${@pyinstaller_library(d)}"
PYINSTALLER_LIBRARY[vardepvalue] = ""

do_pyinstaller() {
    PYTHONPATH=${PYINSTALLER_LIBRARY} ${PYTHON} -B -m pyinstaller_cross ${PYINSTALLER_WORKDIR}/config.json
}
do_pyinstaller[dirs] = "${PYINSTALLER_WORKDIR}"
# Of the first function, not of the task: its directories are made after its prefuncs have run.
pyinstaller_configure[cleandirs] = "${PYINSTALLER_WORKDIR}"
do_pyinstaller[prefuncs] += "pyinstaller_configure pyinstaller_interpreter"
do_pyinstaller[file-checksums] += "${@pyinstaller_checksums(d)}"
addtask do_pyinstaller after do_compile before do_install

pyinstaller_do_install() {
    install -d ${D}${PYINSTALLER_DESTDIR} ${D}${bindir}
    cp -dR --preserve=mode,timestamps ${PYINSTALLER_WORKDIR}/output/${PYINSTALLER_NAME} ${D}${PYINSTALLER_DESTDIR}/
    ln -s ${@pyinstaller_link(d)} ${D}${bindir}/${PYINSTALLER_NAME}
}
EXPORT_FUNCTIONS do_install

def pyinstaller_program(d):
    """Where the program is on the target."""
    program = d.expand('${PYINSTALLER_DESTDIR}/${PYINSTALLER_NAME}')
    return program if d.getVar('PYINSTALLER_MODE') == 'onefile' else program + d.expand('/${PYINSTALLER_NAME}')

def pyinstaller_link(d):
    import os
    return os.path.relpath(pyinstaller_program(d), d.getVar('bindir'))

FILES:${PN} += "${PYINSTALLER_DESTDIR}/${PYINSTALLER_NAME}"

# The bundled libraries are stripped where their own recipes stage them, and their -dbg packages have the rest.
# nooelint: oelint.vars.insaneskip
INSANE_SKIP:${PN} += "already-stripped"

# Two things keep the bundled libraries to themselves: PRIVATE_LIBS, by which no other recipe comes to depend on this
# package for them, and no dependencies by file, by which rpm would offer them to others.
SKIP_FILEDEPS:${PN} = "1"

# In the package's data for do_create_spdx: which files come from which recipe.
PKGDATA_VARS += "PYINSTALLER_BUNDLED"

python pyinstaller_package() {
    import json
    import os
    import pathlib
    import sys

    sys.path.insert(0, d.getVar('PYINSTALLER_LIBRARY'))
    from pyinstaller_cross import provenance

    pn = d.getVar('PN')
    directory = pathlib.Path(d.expand('${PKGD}${PYINSTALLER_DESTDIR}/${PYINSTALLER_NAME}'))
    libraries = sorted({path.name for path in directory.rglob('*.so*')})
    d.appendVar('PRIVATE_LIBS:' + pn, ' ' + ' '.join(libraries))

    program = pyinstaller_program(d)[1:]
    bundle = pathlib.Path(d.expand('${PYINSTALLER_WORKDIR}/work/bundle.json'))
    workdir = pathlib.Path(d.getVar('WORKDIR'))
    bundled = provenance.trace(bundle, workdir, program, os.path.dirname(program) + '/_internal')
    d.setVar('PYINSTALLER_BUNDLED:' + pn, json.dumps(bundled, sort_keys=True))
}
PACKAGE_PREPROCESS_FUNCS += "pyinstaller_package"
do_package[file-checksums] += "${@pyinstaller_checksums(d)}"

python pyinstaller_spdx() {
    import json
    import pathlib
    import sys
    import oe.packagedata

    sys.path.insert(0, d.getVar('PYINSTALLER_LIBRARY'))
    from pyinstaller_cross import spdx

    data = oe.packagedata.read_subpkgdata_dict(d.getVar('PN'), d)
    architectures = (d.getVar('SPDX_MULTILIB_SSTATE_ARCHS') or '').split()
    spdx.amend(
        pathlib.Path(d.getVar('SPDXDEPLOY')),
        pathlib.Path(d.getVar('DEPLOY_DIR_SPDX')),
        list(reversed(architectures)),
        data.get('PKG', d.getVar('PN')),
        json.loads(data.get('PYINSTALLER_BUNDLED', '{}')),
    )
}
pyinstaller_spdx[vardepsexclude] += "SPDX_MULTILIB_SSTATE_ARCHS"
do_create_spdx[postfuncs] += "pyinstaller_spdx"
# The documents of the dependencies' dependencies too: from the shared-state cache, only what is asked for comes.
do_create_spdx[recrdeptask] += "do_create_spdx"
do_create_spdx[file-checksums] += "${@pyinstaller_checksums(d)}"
