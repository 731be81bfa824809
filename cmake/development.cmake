# For work on corespun itself: warnings, sanitizers, ccache. A project that includes corespun by
# add_subdirectory keeps its own choices.
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wundef -Wimplicit-fallthrough
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual> $<$<COMPILE_LANGUAGE:CXX>:-Wextra-semi>
  $<$<CXX_COMPILER_ID:Clang>:-Wshadow>)  # g++ also warns about what GoogleTest's macros hide

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

if(CORESPUN_SANITIZE)
  add_compile_options(-fsanitize=${CORESPUN_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CORESPUN_SANITIZE})
  if(CORESPUN_SANITIZE MATCHES "undefined")
    # It looks at memory through a pipe, and aborts where a test leaves no descriptor for one.
    add_compile_options(-fno-sanitize=vptr)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # keep symmetric transfer a jump (docs/compilers.md)
    if(CORESPUN_SANITIZE MATCHES "address")
      add_compile_options(--param=asan-stack=0)
    elseif(CORESPUN_SANITIZE MATCHES "thread")
      add_compile_options(-O1 --param=tsan-instrument-func-entry-exit=0)
    endif()
  endif()
endif()
