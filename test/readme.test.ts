/**
 * The README's commands, as they stand there, in a folder with a recording, `call.wav`. A simulator stands in for the
 * endpoint on SageMaker, stubs for recorders, and the command for what npm would start.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bin, compileCache, firstTurn, lines as spokenLines, root, simulator, spoken, start } from "./support/command.ts"

const readme = readFileSync(join(root, "README.md"), "utf8")
/** Each block of commands, line by line; what is continued is one line. */
const blocks = [...readme.matchAll(/```sh\n([^]*?)```/g)].map(([, text = ""]) =>
  text.replaceAll(/\\\n\s*/g, "").trim().split("\n").map((line) => line.replace(/\s+# .*$/, ""))
)
const commands = blocks.flat()

/** What stands in for what, in the shell that runs them. */
const prelude = `
command=("${process.execPath}" "${bin}")
flux-stt() { "\${command[@]}" "$@"; }
node() { local program="$1"; shift; "${process.execPath}" "${root}/$program" "$@"; }
npm() {
  case "$*" in
    "run -s flux-stt -- "*) shift 4; flux-stt "$@" ;;
    start) flux-stt transcribe --simulate ;;
    "start -- "*) shift 2; flux-stt transcribe --simulate "$@" ;;
    install) true ;;
    *) echo "npm $* is not run here" >&2; return 99 ;;
  esac
}
raw() { tail -c +45 call.wav; }
arecord() { [[ "$*" == *"-t wav"* ]] && cat call.wav || raw; }
sox() { raw; }
ffmpeg() { raw; }
set -o pipefail
`

let folder = ""
let endpoint: Awaited<ReturnType<typeof simulator>>
let env: Record<string, string> = {}
const children = new Set<ChildProcess>()
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "flux-stt-readme-"))
  writeFileSync(join(folder, "call.wav"), firstTurn)
  writeFileSync(join(folder, "script.json"), /```json\n(\{\s+"turns"[^]*?)```/.exec(readme)?.[1] ?? "")
  endpoint = await simulator()
  env = {
    HOME: folder,
    PATH: process.env["PATH"] ?? "",
    NODE_COMPILE_CACHE: compileCache,
    AWS_EC2_METADATA_DISABLED: "true",
    ...endpoint.env
  }
})
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL")
  await endpoint.stop()
  rmSync(folder, { recursive: true })
})

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}
/** Runs a line in a shell; one that serves is interrupted once it says that it does, or when `until` is over. */
const shell = (line: string, onServing?: (url: string) => Promise<unknown>): Promise<Ran> =>
  new Promise((resolve) => {
    const child = spawn("bash", ["-c", `${prelude}\n${onServing === undefined ? line : line.replace(/.* simulate /, 'exec "${command[@]}" simulate ')}`], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
    children.add(child)
    let [stdout, stderr] = ["", ""]
    child.stdout.on("data", (chunk) => (stdout += chunk))
    let served = false
    child.stderr.on("data", (chunk) => {
      stderr += chunk
      const [, url] = /at (https?:\S+\d); it does not/.exec(stderr) ?? []
      if (onServing === undefined || url === undefined || served || !stderr.includes("try: ")) return
      served = true
      void onServing(url).finally(() => child.kill("SIGINT"))
    })
    child.on("close", (status) => {
      children.delete(child)
      resolve({ status, stdout, stderr })
    })
  })
const good = async (line: string): Promise<Ran> => {
  const ran = await shell(line)
  assert.strictEqual(ran.status, 0, `${line}\n${ran.stderr}`)
  return ran
}
const turns = ({ stdout }: Ran): ReadonlyArray<string> => stdout.trim().split("\n").map(spoken)

/** Every line is one of these. */
const kinds = {
  /** Runs for ever. */
  serves: (line: string) => / simulate /.test(line),
  /** Is the client of a line that serves. */
  isClient: (line: string) => line.includes("127.0.0.1:8443"),
  /** Is run by other tests: the package's, and CI's own. */
  elsewhere: (line: string) => /^npm (pack$|install \S+\.tgz)|^npm install && npm test$/.test(line),
  /** Is what the folder has already, in short. */
  copies: (line: string) => line.startsWith("cp "),
  /** Goes on from what the line before it wrote. */
  captures: (line: string) => /call\.ndjson/.test(line)
}
const ordinary = commands.filter((line) => !Object.values(kinds).some((is) => is(line)))

describe.concurrent("README", { timeout: 120_000 }, () => {
  it("has commands, and CI runs those that test", () => {
    assert.isAtLeast(commands.length, 20)
    const copied = commands.filter(kinds.copies).flatMap((line) => [...line.matchAll(/cp (\S+) /g)].map(([, path = ""]) => path))
    assert.isAtLeast(copied.length, 2)
    for (const path of copied) assert.isTrue(existsSync(join(root, path)), path)
    assert.include(readFileSync(join(root, ".ci/run"), "utf8"), commands.find((line) => line.endsWith("npm test")) ?? "none")
  })

  for (const line of ordinary) {
    it(line, async () => {
      const ran = await good(line)
      assert.notMatch(ran.stderr, /^\s+at /m)
      if (/^npm install && npm start$|^npm start/.test(line)) assert.deepStrictEqual(turns(ran), spokenLines)
      // a recording's words are placeholders, if none are beside it
      if (/ transcribe (call\.wav|-) --endpoint-name|microphone/.test(line)) assert.deepStrictEqual(turns(ran), spokenLines.slice(0, 1))
      if (line.includes("--json")) assert.match(ran.stdout, /^\{"type":"Header","schemaVersion":1\}\n/)
    })
  }

  it("completions: the shell that has run it completes", async () => {
    const line = commands.find((line) => line.startsWith("source "))
    assert.isDefined(line)
    const { stdout } = await good(`${line}; complete -p flux-stt`)
    assert.match(stdout, /^complete -F .* flux-stt\n$/)
  })

  const servers = commands.filter((line) => kinds.serves(line) && !kinds.captures(line))
  const clients = commands.filter(kinds.isClient)
  it("what serves does so until it is interrupted, and has its client's call", async () => {
    assert.isAtLeast(servers.length, 2)
    assert.isAtLeast(clients.length, 1)
    for (const [place, line] of servers.entries()) {
      const ran = await shell(line.replace("--port 8443", "--port 0"), async (url) => {
        // the first one is for the client that follows it
        for (const client of place === 0 ? clients : []) {
          assert.match((await good(client.replace("http://127.0.0.1:8443", url))).stdout, /"type":"EndOfTurn"/)
        }
      })
      assert.strictEqual(ran.status, 0, `${line}\n${ran.stderr}`)
    }
    assert.isTrue(existsSync(join(folder, "ledger.ndjson")))
  })

  it("what is captured is replayed, by the command and by a server", async () => {
    const [capture = "", replay = "", serve = "", ...others] = commands.filter(kinds.captures)
    assert.deepStrictEqual(others, [])
    const captured = await good(capture)
    assert.deepStrictEqual(turns(captured), spokenLines.slice(0, 1))
    // as many words, each of them masked
    const [masked = "", ...more] = turns(await good(replay))
    const words = masked.split(" ")
    assert.deepStrictEqual([words.length, more], [spokenLines[0]?.split(" ").length, []])
    for (const word of spokenLines[0]?.split(" ") ?? []) if (word.length > 3) assert.notInclude(words, word)
    const served = await shell(`${serve} --port 0`, async (url) => {
      await good(`flux-stt transcribe call.wav --endpoint-name any --endpoint-url ${url} --region us-east-1`)
    })
    assert.strictEqual(served.status, 0, served.stderr)
  })

  it("shows what doctor says to a role that may not", async () => {
    const [, flags = "", shown = ""] = /<!-- doctor (.*) -->\n```\n([^]*?)```/.exec(readme) ?? []
    const { stop, url } = await simulator(...flags.split(" "))
    const command = commands.find((line) => line.includes(" doctor "))
    const { status, stdout } = await shell(`${command} --endpoint-url ${url}`)
    assert.strictEqual(status, 1)
    const comparable = (text: string): string => text.replace(/request [\w-]{36}/, "request ID")
    assert.include(comparable(stdout), comparable(shown))
    assert.isTrue(stdout.endsWith(shown.slice(-40)))
    await stop()
  })

  it("npm's own scripts start what it says", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    assert.strictEqual(scripts.start, "node src/bin.ts transcribe --simulate")
    assert.strictEqual(scripts["flux-stt"], "node src/bin.ts")
    const printed = execFileSync("npm", ["run", "-s", "flux-stt", "--", "--version"], { cwd: root, encoding: "utf8" })
    assert.match(printed, /^flux-stt v\d+\.\d+\.\d+\n$/)
  })

  describe("measurements", () => {
    /** Commands within the text, and that of the soak. */
    const measured = [...new Set([...readme.matchAll(/`(npm run [^`]+)`|^\$ (npm run .*)$/gm)].map(([, inline, block]) => inline ?? block ?? ""))]
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    /** What is less of the same: seconds, not minutes. */
    const small: Readonly<Record<string, (out: string) => ReadonlyArray<string>>> = {
      bench: (out) => ["scratch/bench/clients/run.ts", "--streams", "2", "--clients", "transcriber,raw", "--seconds", "1", "--warm-up", "1", "--repeats", "1", "--out", out],
      "bench:micro": () => ["scratch/bench/micro.ts", "--time", "5"],
      "bench:simulator": () => ["scratch/bench/simulator/run.ts", "--sessions", "2", "--seconds", "1", "--warm-up", "1", "--repeats", "1"],
      soak: () => ["scratch/soak/run.ts", "--conversations", "2", "--minutes", "1", "--seed", "1"]
    }
    const nameOf = (command: string): string => /^npm run (?:-s )?([\w:-]+)/.exec(command)?.[1] ?? ""

    it("are scripts that there are, and are started here or by CI", () => {
      const ci = readFileSync(join(root, ".ci/run"), "utf8")
      for (const name of new Set(measured.map(nameOf))) {
        assert.property(scripts, name)
        assert.isTrue(name in small || name === "flux-stt" || ci.includes(`npm run ${name}\n`), name)
      }
    })

    for (const [name, args] of Object.entries(small)) {
      it(`npm run ${name}`, async () => {
        const [program = "", ...rest] = args(folder)
        assert.include(scripts[name], `node ${program}`)
        const running = start(rest, { program })
        assert.strictEqual(await running.status, 0, running.stderr())
        assert.isAbove(running.stdout().length, 100)
      })
    }
  })
})
