# Warnings are errors in our own builds, and nobody else's business. Packagers who build with a compiler
# that we have not seen say `cmake --compile-no-warning-as-error`.
function(selectors_warnings target)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast)
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      # Sees overlapping memory in any `"(" + std::string` from -O2 on: gcc.gnu.org/PR105329.
      target_compile_options(${target} PRIVATE -Wno-restrict)
    endif()
    # A sanitizer's instructions mislead the warnings that follow values: see -fsanitize in GCC's manual.
    if(NOT SELECTORS_SANITIZE)
      set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ON)
    endif()
  endif()
endfunction()

if(SELECTORS_SANITIZE)
  add_compile_options(-fsanitize=${SELECTORS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SELECTORS_SANITIZE})
  if(SELECTORS_SANITIZE MATCHES undefined)
    # It opens a pipe to look at an object, and takes having no descriptor left for a bad object.
    add_compile_options(-fno-sanitize=vptr)
    add_link_options(-fno-sanitize=vptr)
  endif()
endif()
