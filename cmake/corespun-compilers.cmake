# What is known about compilers: docs/compilers.md. Also installed, for projects that use corespun.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(WARNING
    "g++ ${CMAKE_CXX_COMPILER_VERSION} silently miscompiles some forms of coroutines.\n"
    "Use the forms of docs/compilers.md, or clang 19 (CC=clang-19 CXX=clang++-19).")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR "clang ${CMAKE_CXX_COMPILER_VERSION} is too old for corespun: it has no "
    "std::expected and reads stale thread-locals after a coroutine changed threads.\n"
    "Use clang 19 or younger, or g++ 12.2 or younger. More: docs/compilers.md")
endif()
