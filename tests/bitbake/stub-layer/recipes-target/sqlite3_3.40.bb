SUMMARY = "Debian's sqlite3 for the target"

DEBIAN_PACKAGES = "libsqlite3-0"

inherit stub-debian
