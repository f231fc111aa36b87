# The front door. `make demo` and `make test` set a fresh Debian 12 up by themselves; `make help` lists the rest.
PRESET ?= release
PROMPT ?=
.DEFAULT_GOAL := help
.PHONY: help demo test build format lint install package clean setup

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: build ## set up, build, obtain the default model and answer a prompt (PROMPT="..." for your own)
	@tools/demo $(if $(PROMPT),"$(PROMPT)")

test: build ## set up, build and run all the tests
	@tools/test $(PRESET)

build: setup ## set up and build into build/$(PRESET) (PRESET=release, dev, asan, tsan)
	@tools/build $(PRESET)

setup: ## install what is missing from Debian's packages
	@tools/setup

format: ## format the C++ sources
	@tools/format

lint: ## check format, scripts and house rules
	@tools/ci/lint

install: build ## install under PREFIX (default /usr/local)
	@cmake --install build/$(PRESET) $(if $(PREFIX),--prefix $(PREFIX))

package: build ## make a Debian package in build/$(PRESET)
	@cd build/$(PRESET) && cpack -G DEB

clean: ## remove everything that was built
	@rm -rf build
