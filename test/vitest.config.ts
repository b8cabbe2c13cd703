import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/bundle.ts"],
    testTimeout: 20_000,
    // on two cores, too: most tests wait for themselves, and one file takes as long as all others
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // what is logged on the way is of interest where something failed
    silent: "passed-only"
  }
})
