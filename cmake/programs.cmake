# Examples and perf programs. The load generator and the floor (hand-written servers that show what
# the kernel alone costs) owe nothing to corespun, so that they can judge it.

# Adds build/<preset>/PATH from the sources. The first part of PATH is a target that builds all.
function(corespun_program path)
  cmake_path(GET path PARENT_PATH folder)
  cmake_path(GET path FILENAME name)
  string(REPLACE / _ target ${path})
  string(REGEX MATCH "^[a-z]+" group ${path})
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
  add_dependencies(${group} ${target})
endfunction()

if(CORESPUN_EXAMPLES)
  add_custom_target(examples)
  file(GLOB sources RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
       examples/*.cpp examples/notes/*.cpp)
  foreach(source ${sources})
    cmake_path(REMOVE_EXTENSION source OUTPUT_VARIABLE program)
    corespun_program(${program} ${source})
    string(REPLACE / _ target ${program})
    target_link_libraries(${target} PRIVATE corespun::corespun)
  endforeach()

  # All of it but main() is a library, for its tests.
  file(GLOB sources CONFIGURE_DEPENDS examples/kv/*.cpp examples/kv/commands/*.cpp)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/examples/kv/main.cpp)
  add_library(examples_kv_parts STATIC ${sources})
  target_link_libraries(examples_kv_parts PUBLIC corespun::corespun)
  corespun_program(examples/kv examples/kv/main.cpp)
  target_link_libraries(examples_kv PRIVATE examples_kv_parts)

  add_library(examples_http_parts STATIC examples/http/request.cpp)
  target_compile_features(examples_http_parts PUBLIC cxx_std_23)
  corespun_program(examples/http examples/http/main.cpp)
  target_link_libraries(examples_http PRIVATE examples_http_parts corespun::corespun)
endif()

if(CORESPUN_PERF)
  add_custom_target(perf)
  file(GLOB sources CONFIGURE_DEPENDS perf/load/*.cpp)
  corespun_program(perf/load ${sources})
  target_compile_features(perf_load PRIVATE cxx_std_23)
  target_link_libraries(perf_load PRIVATE Threads::Threads)

  file(GLOB sources CONFIGURE_DEPENDS perf/floor/*.c)
  foreach(source ${sources})
    cmake_path(GET source STEM name)
    corespun_program(perf/floor/${name} ${source})
    target_compile_features(perf_floor_${name} PRIVATE c_std_11)
    target_compile_options(perf_floor_${name} PRIVATE -O3)
    target_compile_definitions(perf_floor_${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(perf_floor_${name} PRIVATE PkgConfig::LIBURING Threads::Threads)
  endforeach()

  file(GLOB sources CONFIGURE_DEPENDS perf/forkjoin/*.cpp perf/forkjoin/*.c)
  corespun_program(perf/forkjoin ${sources})
  set_source_files_properties(perf/forkjoin/matmul.c PROPERTIES COMPILE_OPTIONS -O3)
  target_link_libraries(perf_forkjoin PRIVATE corespun::corespun)

  corespun_program(perf/stall perf/stall/main.cpp)
  target_link_libraries(perf_stall PRIVATE corespun::corespun)

  corespun_program(perf/fairness perf/fairness/main.cpp)
  target_link_libraries(perf_fairness PRIVATE corespun::corespun)

  corespun_program(perf/mailbox perf/mailbox/main.cpp)
  target_link_libraries(perf_mailbox PRIVATE corespun::corespun)

  file(GLOB sources CONFIGURE_DEPENDS perf/micro/*.cpp)
  find_package(benchmark REQUIRED)
  corespun_program(perf/micro ${sources})
  target_link_libraries(perf_micro PRIVATE corespun::corespun benchmark::benchmark)

  corespun_program(perf/yields perf/yields/main.cpp perf/yields/elsewhere.cpp)
  target_link_libraries(perf_yields PRIVATE corespun::corespun benchmark::benchmark)
endif()
