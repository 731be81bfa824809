# One executable per folder of tests/. It runs in lanes, chosen by environment, so that each promise
# holds under each driver: uring, epoll, uring with rings of a few entries, and the simulation.
enable_testing()
find_package(GTest REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# Helpers; a main() among them takes the place of GoogleTest's.
file(GLOB support CONFIGURE_DEPENDS tests/support/*.cpp)
add_library(corespun_test_support OBJECT ${support})
target_link_libraries(corespun_test_support PUBLIC corespun::corespun GTest::gtest)
# They are included as "tests/support/….hpp".
target_compile_options(corespun_test_support PUBLIC -iquote ${PROJECT_SOURCE_DIR})

set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES
             ${PROJECT_SOURCE_DIR}/cmake/discover.cmake)

function(corespun_tests folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "STARTS;LINKS" "LANES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS tests/${folder}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  set(target corespun_${folder}_tests)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${arg_LINKS} corespun_test_support GTest::gtest_main)
  if(arg_STARTS)  # programs that the tests start
    target_compile_definitions(${target} PRIVATE
      CORESPUN_BIN_DIR="${PROJECT_BINARY_DIR}/${arg_STARTS}")
    add_dependencies(${target} ${arg_STARTS})
  endif()
  set(list ${PROJECT_BINARY_DIR}/${target}.cmake)
  file(GENERATE OUTPUT ${list} CONTENT
    "corespun_discover(${folder} [[$<TARGET_FILE:${target}>]] ${arg_LANES})\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${list})
endfunction()

corespun_tests(runtime LANES futex sim)
if(CORESPUN_SANITIZE MATCHES address)
  # Not at -O0 as the rest: what an optimizer does to their frames is to be seen, too.
  file(GLOB sources tests/runtime/*coroutine_test.cpp tests/runtime/generator_test.cpp
       tests/runtime/pipeline_test.cpp)
  set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS -O1)
endif()
corespun_tests(io LANES uring epoll small sim)
corespun_tests(net LANES uring epoll small sim)
corespun_tests(sim LANES world)
if(CORESPUN_EXAMPLES)
  corespun_tests(examples LANES uring epoll small STARTS examples LINKS examples_http_parts)
  corespun_tests(kv LANES uring epoll small STARTS examples LINKS examples_kv_parts)
  add_test(NAME kv.differential COMMAND Python3::Interpreter tests/kv/differential
           --kv $<TARGET_FILE:examples_kv> WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(kv.differential PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endif()
if(CORESPUN_PERF)
  corespun_tests(perf LANES uring STARTS perf)
  add_test(NAME perf.bench COMMAND Python3::Interpreter tests/perf/bench_test.py
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endif()

add_test(NAME tools.floors COMMAND Python3::Interpreter tools/floors.py
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME tools.floors_finds_violations COMMAND Python3::Interpreter tools/floors.py --self-test
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME tools.snippets COMMAND Python3::Interpreter tools/snippets.py
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME tools.snippets_finds_violations
         COMMAND Python3::Interpreter tools/snippets.py --self-test
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})

# Services in simulated worlds: ./dev sim plays them at length, the test only briefly.
file(GLOB sources CONFIGURE_DEPENDS tests/sim/suite/*.cpp)
add_executable(corespun_sim_suite ${sources})
target_compile_options(corespun_sim_suite PRIVATE -iquote ${PROJECT_SOURCE_DIR})
target_link_libraries(corespun_sim_suite PRIVATE corespun::corespun)
add_test(NAME sim.suite COMMAND corespun_sim_suite --seeds 20)
