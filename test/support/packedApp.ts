/** The package as somebody gets it: built and packed from what lies in the repository, installed with its peers in an empty project, as the README says. */
import { afterAll, assert, beforeAll } from "@effect/vitest"
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { root } from "./command.ts"

export const readme = readFileSync(join(root, "README.md"), "utf8")
export const manifest: {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const [, pack = "", install = ""] = /^(npm pack)\n(npm install \S+\.tgz .*)$/m.exec(readme) ?? []

/** Node of this process comes first: that of the machine may be too old. */
export const env = (): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => value === undefined || /^(npm_|AWS_|FLUX_|VITEST)/i.test(name) ? [] : [[name, value]])),
  PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`,
  AWS_EC2_METADATA_DISABLED: "true"
})

/** How a program ended. */
export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The empty project; all but `install` are of no use before the first test. */
export interface PackedApp {
  readonly folder: () => string
  /** The paths of the packed files. */
  readonly packed: () => ReadonlyArray<string>
  /** Runs a program in the project. */
  readonly run: (program: string, args: ReadonlyArray<string>) => Promise<Ran>
  /** The same, for a program that must succeed; gives its output. */
  readonly good: (program: string, args: ReadonlyArray<string>) => Promise<string>
  /** Writes a file there; gives its name. */
  readonly write: (name: string, text: string | Uint8Array) => string
}

const run = (program: string, args: ReadonlyArray<string>, cwd: string): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(program, args, { cwd, env: env(), maxBuffer: 1e8 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr })
    })
  })

const good = async (program: string, args: ReadonlyArray<string>, cwd: string): Promise<string> => {
  const { status, stderr, stdout } = await run(program, args, cwd)
  assert.strictEqual(status, 0, `${program} ${args.join(" ")}\n${stdout}\n${stderr}`)
  return stdout
}

/** The project of one test file: made before its tests, with further packages where it asks for them, removed after them. */
export const packedApp = (...more: ReadonlyArray<string>): PackedApp => {
  let parent = ""
  let folder = ""
  let packed: ReadonlyArray<string> = []
  const write: PackedApp["write"] = (name, text) => {
    writeFileSync(join(folder, name), text)
    return name
  }
  beforeAll(async () => {
    parent = mkdtempSync(join(tmpdir(), "flux-stt-package-"))
    folder = join(parent, "app")
    const clone = join(parent, "clone")
    mkdirSync(folder)
    mkdirSync(clone)
    for (const name of ["src", "package.json", "tsconfig.json", "README.md", "LICENSE"]) cpSync(join(root, name), join(clone, name), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(clone, "node_modules"))
    const [npm = "", ...packing] = pack.split(" ")
    await good(npm, packing, clone)
    const tarball = `effect-flux-sagemaker-${manifest.version}.tgz`
    packed = (await good("tar", ["-tzf", tarball], clone)).trim().split("\n").map((path) => path.replace("package/", ""))
    cpSync(join(clone, tarball), join(folder, tarball))
    write("package.json", JSON.stringify({ name: "app", private: true, type: "module" }))
    const [, ...installing] = install.split(" ")
    await good("npm", [...installing, ...more, "--prefer-offline", "--no-audit", "--no-fund"], folder)
  }, 240_000)
  afterAll(() => {
    rmSync(parent, { recursive: true })
    // some ten thousand files
  }, 120_000)
  return {
    folder: () => folder,
    packed: () => packed,
    run: (program, args) => run(program, args, folder),
    good: (program, args) => good(program, args, folder),
    write
  }
}
