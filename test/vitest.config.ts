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
    // a machine's own proxy does not lead to the servers of tests
    env: { NO_PROXY: ["localhost,127.0.0.1", process.env["NO_PROXY"] ?? process.env["no_proxy"] ?? ""].join() },
    // what is logged on the way is of interest where something failed
    silent: "passed-only"
  }
})
