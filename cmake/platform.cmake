# What the library is built of on each platform: the one place where that is decided.
if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  set(selectors_mechanisms epoll uring poll select)
  set(selectors_system linux posix posix_process ring)
elseif(CMAKE_SYSTEM_NAME MATCHES "^(Darwin|FreeBSD|OpenBSD|NetBSD|DragonFly)$")
  set(selectors_mechanisms kqueue poll select)
  set(selectors_system bsd posix posix_process)
elseif(CMAKE_SYSTEM_NAME STREQUAL Windows)
  set(selectors_mechanisms afd)
  set(selectors_system windows windows_process)
  set(selectors_libraries ws2_32 iphlpapi ntdll)
  set(selectors_definitions _WIN32_WINNT=0x0602 WIN32_LEAN_AND_MEAN NOMINMAX)
else()
  message(FATAL_ERROR "selectors has not been brought to ${CMAKE_SYSTEM_NAME} yet.")
endif()

# selectors_sources(TARGET MECHANISMS epoll poll ... SYSTEM linux posix ...)
# Each mechanism is src/backend/NAME.cpp, and registry.cpp is told of it by SELECTORS_HAS_NAME.
function(selectors_sources target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "MECHANISMS;SYSTEM")
  set(src ${PROJECT_SOURCE_DIR}/src)
  target_sources(${target} PRIVATE
    ${src}/backend/registry.cpp
    ${src}/loop/child.cpp
    ${src}/loop/door.cpp
    ${src}/loop/drain.cpp
    ${src}/loop/listener.cpp
    ${src}/loop/loop.cpp
    ${src}/loop/pool.cpp
    ${src}/loop/readiness.cpp
    ${src}/loop/signals.cpp
    ${src}/loop/state.cpp
    ${src}/loop/subscription.cpp
    ${src}/loop/timer.cpp
    ${src}/loop/watch.cpp
    ${src}/net/address.cpp
    ${src}/net/listen.cpp
    ${src}/net/resolver.cpp
    ${src}/net/socket.cpp
    ${src}/selector/core.cpp
    ${src}/selector/errors.cpp
    ${src}/selector/event.cpp)
  list(TRANSFORM arg_SYSTEM REPLACE "(.+)" "${src}/system/\\1.cpp" OUTPUT_VARIABLE systems)
  target_sources(${target} PRIVATE ${systems})
  foreach(mechanism ${arg_MECHANISMS})
    string(TOUPPER ${mechanism} upper)
    target_sources(${target} PRIVATE ${src}/backend/${mechanism}.cpp)
    target_compile_definitions(${target} PRIVATE SELECTORS_HAS_${upper})
  endforeach()
  target_link_libraries(${target} PRIVATE ${selectors_libraries})
  target_compile_definitions(${target} PRIVATE ${selectors_definitions})
  target_compile_features(${target} PUBLIC cxx_std_23)
  # Timers of the library's own say where they are from: not in which directory of which machine.
  target_compile_options(${target} PRIVATE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    PRIVATE ${src})
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
