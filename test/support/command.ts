/** The command as its user has it: a process with its output, its exit status and a directory of the test's own. */
import { afterAll, beforeAll } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))
/** The command; see `bundle`. */
export const bin = join(root, "dist/test/command/bin.js")
/** What Node has compiled, of this run and others: half of what a process costs. */
export const compileCache = join(root, "dist/test/cache")
/** The bundled sample, its words by line, and its bytes. */
export const sample = join(root, "dist/test/simulator/sample/sample.wav")
export const lines = readFileSync(sample.replace(".wav", ".txt"), "utf8").trim().split("\n")
export const wav = readFileSync(sample)
/** The first turn of the sample, and the silence after it, as a file of its own. */
export const firstTurn = ((): Buffer => {
  const bytes = 32_000 * 3.8
  const cut = Buffer.from(wav.subarray(0, 44 + bytes))
  // the sizes in its header
  cut.writeUInt32LE(36 + bytes, 4)
  cut.writeUInt32LE(bytes, 40)
  return cut
})()

let home = ""
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "flux-stt-"))
})
const children = new Set<ChildProcess>()
afterAll(async () => {
  // what a failed test has left behind
  await Promise.all([...children].map((child) => {
    child.kill("SIGKILL")
    return new Promise((resolve) => child.once("close", resolve))
  }))
  rmSync(home, { recursive: true })
})

/** A path in a directory of the test's own. */
export const path = (name: string): string => join(home, name)

/** A file there. */
export const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(path(name), content)
  return path(name)
}

/** The command as a process. */
export interface Running {
  readonly child: ChildProcess
  /** Text so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves once stdout or stderr matches, fails when the process ends first. */
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly status: Promise<number | null>
}

/** Starts the command, or another program, as a process. */
export const start = (args: ReadonlyArray<string>, options: Options = {}): Running => {
  const child = spawn(process.execPath, [options.program ?? bin, ...args], {
    cwd: options.cwd ?? root,
    // nothing of the machine's AWS set-up
    env: { HOME: home, NODE_COMPILE_CACHE: compileCache, AWS_EC2_METADATA_DISABLED: "true", ...options.env }
  })
  children.add(child)
  child.on("close", () => children.delete(child))
  let [out, err] = ["", ""]
  const watchers = new Set<() => void>()
  const gather = (use: (text: string) => void) => (chunk: Buffer): void => {
    use(chunk.toString("utf8"))
    for (const watcher of watchers) watcher()
  }
  child.stdout.on("data", gather((text) => (out += text)))
  child.stderr.on("data", gather((text) => (err += text)))
  child.stdin.on("error", () => undefined)
  if (options.stdin === undefined || options.stdin === "open") {
    if (options.stdin === undefined) child.stdin.end()
  } else child.stdin.end(options.stdin)
  const status = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)))
  const until = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(out) ?? pattern.exec(err)
        if (match === null) return
        watchers.delete(look)
        resolve(match)
      }
      watchers.add(look)
      look()
      void status.then((code) => reject(new Error(`ended with ${code} before ${pattern}: ${err}`)))
    })
  return { child, stdout: () => out, stderr: () => err, until, status }
}

/** What a process is given. */
export interface Options {
  /** Default: the command. */
  readonly program?: string
  readonly env?: Record<string, string>
  /** The folder that it works in; default: that of the project. */
  readonly cwd?: string
  readonly stdin?: Uint8Array | "open"
}

/** Runs the command to its end. */
export const run = async (args: ReadonlyArray<string>, options?: Options) => {
  const began = performance.now()
  const running = start(args, options)
  const status = await running.status
  return { status, millis: performance.now() - began, stdout: running.stdout(), stderr: running.stderr(), lines: running.stdout().trimEnd().split("\n") }
}

/** Asks a call to end, and once more when that is no echo: two signals within 300 ms count as one. */
export const signalTwice = async (running: Running, signal: "SIGINT" | "SIGHUP"): Promise<void> => {
  running.child.kill(signal)
  await running.until(/once more to stop at once/)
  await new Promise((resolve) => setTimeout(resolve, 400))
  running.child.kill(signal)
}

/** A simulator in a process of its own, which says what the sample does, and the environment of its clients. */
export const simulator = async (...args: ReadonlyArray<string>) => {
  const server = start(["simulate", "--port", "0", "--script", sample.replace(".wav", ".txt"), ...args])
  const [url = ""] = await server.until(/http:\S+\d/)
  return {
    url,
    env: { FLUX_ENDPOINT_URL: url, FLUX_ENDPOINT_NAME: "any", AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" },
    /** As its user does; gives the exit status. */
    stop: (signal: "SIGTERM" | "SIGHUP" = "SIGTERM"): Promise<number | null> => {
      server.child.kill(signal)
      return server.status
    }
  }
}

/** The words of a printed turn. */
export const spoken = (line: string): string => line.replace(/^\[.*?\] /, "")
export const simulate = ["transcribe", "--simulate", "--pace", "fast"]
export const real = ["--endpoint-name", "flux", "--region", "us-east-1"]
