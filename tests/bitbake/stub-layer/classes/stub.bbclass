# What all stand-ins have in common: nothing to fetch, patch or build, and no dependencies of their own.
LICENSE = "CLOSED"
INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"

deltask do_fetch
deltask do_patch
deltask do_configure
deltask do_compile
deltask do_recipe_qa
deltask do_deploy_source_date_epoch
addtask do_install after do_unpack do_prepare_recipe_sysroot
