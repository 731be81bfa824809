"""What corespun needs from outside. Everything is on the machine; nothing asks the network.

In another WORKSPACE: load("@corespun//bazel:repositories.bzl", "corespun_repositories"), call it.
"""

def _stub_impl(ctx):
    ctx.file("WORKSPACE", "")
    for path, content in ctx.attr.files.items():
        ctx.file(path, content)

_stub = repository_rule(implementation = _stub_impl, attrs = {"files": attr.string_dict()})

def _native(rules):
    return "".join(["{0} = native.{0}\n".format(rule) for rule in rules.split(" ")])

_CC = "cc_binary cc_import cc_library cc_test cc_toolchain cc_toolchain_suite objc_library"
_JAVA = ("java_binary java_import java_library java_test java_runtime java_toolchain " +
         "java_package_configuration")
_COVERAGE = """filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
"""

def corespun_repositories():
    # Debian's packages: liburing, mimalloc, GoogleTest and so on.
    native.new_local_repository(
        name = "debian",
        path = "/usr",
        build_file = "@corespun//bazel:debian.BUILD",
    )

    # Bazel 4.2 would download these three; the rules that corespun uses are built in.
    _stub(name = "rules_cc", files = {"cc/BUILD": "", "cc/defs.bzl": _native(_CC)})
    _stub(name = "rules_java", files = {"java/BUILD": "", "java/defs.bzl": _native(_JAVA)})
    _stub(name = "remote_coverage_tools", files = {"BUILD": _COVERAGE})
