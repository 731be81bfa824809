"""Short forms for the floors and their tests."""

_LANES = {
    "futex": {},
    "world": {},
    "sim": {"CORESPUN_TEST_DRIVER": "sim"},
    "uring": {"CORESPUN_DRIVER": "uring"},
    "epoll": {"CORESPUN_DRIVER": "epoll"},
    "small": {"CORESPUN_DRIVER": "uring", "CORESPUN_TEST_RINGS": "small"},
}

def corespun_floor(name, **kwargs):
    """The library of this folder; its headers are <corespun/NAME/...>."""
    native.cc_library(
        name = name,
        srcs = native.glob(["**/*.cpp"]),
        hdrs = native.glob(["**/*.hpp"]),
        strip_include_prefix = "/" + name,
        include_prefix = "corespun/" + name,
        **kwargs
    )

def corespun_tests(folder, lanes, starts = None, deps = []):
    """tests/FOLDER, once per lane; `starts` is the package whose programs the tests start, `deps`
    what they need beside corespun."""
    sources = native.glob([folder + "/**/*_test.cpp"])
    if not sources:
        return
    native.cc_library(
        name = folder,
        testonly = True,
        srcs = sources,
        hdrs = native.glob([folder + "/**/*.hpp"]),
        local_defines = ["CORESPUN_BIN_DIR=\\\"" + starts + "\\\""] if starts else [],
        deps = [":support"] + deps,
        alwayslink = True,
    )
    for lane in lanes:
        native.cc_test(
            name = folder + "_" + lane,
            env = _LANES[lane],
            tags = ["cpu:2"] + (["uring"] if "uring" in _LANES[lane].values() else []),
            data = ["//" + starts + ":programs"] if starts else [],
            deps = [":" + folder],
        )
