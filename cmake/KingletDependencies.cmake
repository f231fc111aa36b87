# The packages that Kinglet's libraries link. The build includes this file, and so does the installed package's
# kinglet-config.cmake: what one needs, the other needs.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)  # Debian's PCRE2 and utf8proc come with no CMake package
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET GLOBAL libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET GLOBAL libutf8proc)
# what whoever links the static library links too
set(KINGLET_LINKED_PACKAGES
  fmt::fmt Threads::Threads CURL::libcurl OpenSSL::Crypto ZLIB::ZLIB PkgConfig::pcre2 PkgConfig::utf8proc)
