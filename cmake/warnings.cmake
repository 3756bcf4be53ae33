# Warnings are errors in our own builds, and nobody else's business.
function(selectors_warnings target)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror)
  endif()
endfunction()

if(SELECTORS_SANITIZE)
  add_compile_options(-fsanitize=${SELECTORS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SELECTORS_SANITIZE})
endif()
