SUMMARY = "Debian's gRPC for Python for the target"

DEBIAN_PACKAGES = "python3-grpcio"
DEPENDS = "abseil-cpp c-ares openssl python3 python3-protobuf re2 zlib"

inherit stub-python
