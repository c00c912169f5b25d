"""Builds Framewire from this repository with Conan 2: conan create packaging/conan"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class FramewireConan(ConanFile):
    name = "framewire"
    description = "A WebSocket client for game engines: a Rust core with a C ABI."
    license = "MIT OR Apache-2.0"
    topics = ("websocket", "network", "gamedev")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    # A Rust library is always position-independent; Conan expects the option.
    default_options = {"shared": True, "fPIC": True}

    @property
    def _repository(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        manifest = load(self, os.path.join(self._repository, "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"$', manifest, re.MULTILINE).group(1)

    def export_sources(self):
        # All members of the workspace, without which cargo does not read its manifest.
        for pattern in (
            "Cargo.*",
            "CMakeLists.txt",
            "LICENSE-*",
            "README.md",
            "src/*",
            "include/*",
            "examples/rust/*",
            "bindings/cpp/*",
            "tests/*.rs",
            "tests/servers/*",
            "tools/*",
            "xtask/*",
        ):
            copy(self, pattern, self._repository, self.export_sources_folder, excludes="target/*")

    def validate(self):
        if self.settings.os not in ("Linux", "Macos", "Windows"):
            raise ConanInvalidConfiguration("use the release archive for this system")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        is_debug = self.settings.build_type == "Debug"
        toolchain.cache_variables["FRAMEWIRE_CARGO_PROFILE"] = "dev" if is_debug else "release"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # The package has its own CMake files, which define a target for each library.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "framewire")]
        self.cpp_info.includedirs = ["include", os.path.join("include", "framewire")]
        is_static_msvc = self.settings.compiler == "msvc" and not self.options.shared
        self.cpp_info.libs = ["framewire_static" if is_static_msvc else "framewire"]
