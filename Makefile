# One way to do each thing. Every target sets up what it needs; on a bare Debian 12: make, git, Node 18.20 and npm 9.2.

# The project's own Node (a dependency): the installed one may be too old for TypeScript.
NODE := node_modules/.bin/node

STAMP := node_modules/.installed

.PHONY: setup demo test check bench fuzz fix clean redis

setup: $(STAMP) redis

$(STAMP): package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

# The bridge runs a private redis-server; we install it when we may, else say so.
redis:
	@command -v redis-server >/dev/null || scripts/install-redis.sh

# Two people mail each other over Confidant Mail; ONCE=1 ends when they did. See README.
demo: setup
	@$(NODE) scripts/demo.ts

test: setup
	@$(NODE) scripts/run-tests.ts $(TESTS)

check: $(STAMP)
	npm run --silent check

bench: setup
	@$(NODE) scripts/bench.ts

# Looks for inputs that break parsers; SECONDS=60, TARGET=name, SEED=n.
fuzz: $(STAMP)
	@$(NODE) scripts/fuzz.ts

fix: $(STAMP)
	npm run --silent fix

clean:
	rm -rf .demo .cache node_modules
