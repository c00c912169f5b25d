# An overlay port, which builds the repository that it is part of. Needs Rust.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# The library is the same for debug and release builds of a program.
set(VCPKG_BUILD_TYPE release)
# The shared and the static library are both installed, and a program chooses one by its target.
set(VCPKG_POLICY_DLLS_IN_STATIC_LIBRARY enabled)
# framewire-config.cmake finds the library relative to lib/cmake/framewire.
set(VCPKG_POLICY_SKIP_MISPLACED_CMAKE_FILES_CHECK enabled)
set(VCPKG_POLICY_SKIP_LIB_CMAKE_MERGE_CHECK enabled)

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}")
vcpkg_cmake_install()
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")
