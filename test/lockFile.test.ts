/** The lock file serves a clean clone, on every platform. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./support/command.ts"

const text = readFileSync(join(root, "package-lock.json"), "utf8")

describe("the lock file", () => {
  it("is whole: npm ci takes it, which asks for every platform's binaries", () => {
    const folder = mkdtempSync(join(tmpdir(), "flux-stt-lock-"))
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) cpSync(join(root, name), join(folder, name))
    const { status, stderr } = spawnSync("npm", ["ci", "--dry-run", "--offline", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder, encoding: "utf8" })
    rmSync(folder, { recursive: true })
    assert.strictEqual(stderr, "")
    assert.strictEqual(status, 0)
  }, 60_000)

  it("says of no package where it comes from", () => {
    assert.notInclude(text, "\"resolved\"")
  })
})
