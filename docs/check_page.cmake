# Fails when a committed page is not what the .td files say.
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${GENERATED} ${COMMITTED}
  RESULT_VARIABLE different OUTPUT_QUIET ERROR_QUIET)
if(different)
  message(FATAL_ERROR "${COMMITTED} is stale; run: cmake --build ${BUILD} --target docs")
endif()
