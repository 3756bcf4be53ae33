# The newcomer's face: on a machine with git and make, `make run` and `make test` bring what is missing
# (scripts/setup), build and go. Everything here is a line or two of CMake; CONTRIBUTING.md has those.
BUILD := build/release
ARGS  ?= serve echo
PREFIX ?= /usr/local

# Where `serve` listens unless told otherwise.
ifeq ($(firstword $(ARGS))$(findstring --listen,$(ARGS)),serve)
hint = 'In another window, or in two at once, type:  nc localhost 7342      Ctrl-C here ends the server.'
endif

# Its warnings and errors go to stderr.
configure := cmake --preset release
build := cmake --build $(BUILD) --target

.PHONY: help run test bench bench-full bench-programs install format clean

help:
	@echo 'selectors, a bag of sockets for C++'
	@echo
	@echo '  make run      build the program and serve an echo at localhost, port 7342'
	@echo '                make run ARGS="serve chat", ARGS="backends", ARGS="--help": anything else it does'
	@echo '  make test     build everything and run the tests'
	@echo '  make bench    build the benchmark house and measure us beside raw epoll and the other libraries'
	@echo '                make bench-full takes an hour, and draws the pictures of docs/performance.md'
	@echo '  make install  install the library and the program under PREFIX ($(PREFIX))'
	@echo '  make format   lay out the sources as the house does'
	@echo '  make clean    remove build/'
	@echo
	@echo 'What is missing on Debian and Ubuntu, the first three install through apt.'

run:
	@scripts/setup run
	@$(configure) >/dev/null
	@$(build) selectors_program
	$(if $(hint),@printf '\n%s\n\n' $(hint))
	@exec $(BUILD)/apps/selectors/selectors $(ARGS)

test:
	@scripts/setup test
	@$(configure) -DSELECTORS_TESTS=ON >/dev/null
	@$(build) all
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j 2

bench: bench-programs
	@python3 bench/loops/house.py --build $(BUILD) --json $(BUILD)/bench.json

bench-full: bench-programs
	@python3 bench/loops/house.py --full --build $(BUILD) --json $(BUILD)/bench-full.json
	@python3 bench/loops/page.py $(BUILD)/bench-full.json

bench-programs:
	@scripts/setup bench
	@$(configure) -DSELECTORS_BENCH=ON >/dev/null
	@$(build) bench/all

install:
	@scripts/setup run
	@$(configure) >/dev/null
	@$(build) selectors selectors_program
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@git ls-files -z '*.hpp' '*.cpp' | xargs -0 clang-format-19 -i

clean:
	rm -rf build
