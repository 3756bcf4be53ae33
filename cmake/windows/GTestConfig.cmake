# GoogleTest for the target, from the sources that the distribution's package `googletest` brings.
set(INSTALL_GTEST OFF)
set(BUILD_GMOCK OFF)
add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
foreach(library gtest gtest_main)
  if(NOT TARGET GTest::${library})
    add_library(GTest::${library} ALIAS ${library})
  endif()
endforeach()

# CMake asks each program for its tests as soon as it is built, and gives it five seconds.
file(TOUCH ${CMAKE_BINARY_DIR}/CMakeCache.txt)
execute_process(COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} --prepare ${CMAKE_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
