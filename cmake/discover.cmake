# Read by ctest, not by the configure step: asks an executable for its tests and registers each of
# them once per lane. (gtest_discover_tests cannot set more than one environment variable.)

set(lane_futex "")  # the runtime alone, without kernel I/O
set(lane_world "")  # the simulation itself
set(lane_uring CORESPUN_DRIVER=uring)
set(lane_epoll CORESPUN_DRIVER=epoll)
set(lane_sim CORESPUN_TEST_DRIVER=sim)
set(lane_small CORESPUN_DRIVER=uring CORESPUN_TEST_RINGS=small)
set(every_lane UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS=halt_on_error=1)

function(corespun_discover folder executable)  # then the lanes
  execute_process(COMMAND ${executable} --gtest_list_tests
                  OUTPUT_VARIABLE listing RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(SEND_ERROR "${executable} does not list its tests (${result}). Build it first.")
    return()
  endif()
  # GoogleTest adds "# GetParam() = …", whose brackets and semicolons would end a list of CMake.
  string(REGEX REPLACE " +#[^\n]*" "" listing "${listing}")
  string(REGEX MATCHALL "[^\n]+" lines "${listing}")
  foreach(line ${lines})
    if(line MATCHES "^[^ ]+\\.$")
      set(suite ${line})
    elseif(NOT line MATCHES "DISABLED_" AND line MATCHES "^  ([^ ]+)$")
      set(test ${suite}${CMAKE_MATCH_1})
      foreach(lane ${ARGN})
        set(name ${folder}.${lane}.${test})
        add_test(${name} ${executable} --gtest_filter=${test})
        set_tests_properties(${name} PROPERTIES TIMEOUT 60 LABELS "${lane};${folder}"
          SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]"
          ENVIRONMENT "${lane_${lane}};${every_lane}")
      endforeach()
    endif()
  endforeach()
endfunction()
