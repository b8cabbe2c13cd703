/** How the command ends where what it writes to, or reads, gives out: cleanly, and with its status. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { chmodSync, existsSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { bin, compileCache, file, lines as spokenLines, path, root, run, sample, signalTwice, simulate, simulator, spoken, start, wav } from "../support/command.ts"
import * as terminal from "../support/terminal.ts"

const stackTrace = /^\s+at /m
/** A pipeline of a shell: the status of each of its commands. */
const pipeline = (command: string): Promise<{ readonly statuses: ReadonlyArray<number>; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env["PATH"] ?? "", HOME: path(""), NODE_COMPILE_CACHE: compileCache, AWS_EC2_METADATA_DISABLED: "true" }
    const script = `${command.replaceAll("flux-stt", `"${process.execPath}" "${bin}"`)}; echo ":\${PIPESTATUS[*]}"`
    execFile("bash", ["-c", script], { cwd: root, env }, (_error, stdout, stderr) => {
      const [, shown = "", statuses = ""] = /^([^]*):([\d ]+)\n$/.exec(stdout) ?? []
      resolve({ statuses: statuses.split(" ").map(Number), stdout: shown, stderr })
    })
  })

describe.concurrent("flux-stt ends cleanly", { timeout: 60_000 }, () => {
  describe("where the reader of its output has gone", () => {
    for (const command of ["transcribe --simulate --pace fast", "transcribe --simulate --pace fast --json", "doctor", "faults", "schema event", "--help", "transcribe --help"]) {
      it(`${command} | head -1`, async () => {
        const { statuses, stderr, stdout } = await pipeline(`flux-stt ${command} | head -1`)
        assert.strictEqual(stdout.split("\n").length, 2)
        assert.notMatch(stderr, stackTrace)
        assert.deepStrictEqual(statuses, [command === "doctor" ? 1 : 0, 0], stderr)
      })
    }

    for (const command of ["schema event", "faults", "--help", "--version"]) {
      it(`${command}, before it has begun`, async () => {
        const running = start(command.split(" "))
        running.child.stdout?.destroy()
        assert.deepStrictEqual([await running.status, running.stderr()], [0, ""])
      })
    }
  })

  describe.skipIf(!existsSync("/dev/full"))("where a disk is full", () => {
    for (const command of ["transcribe --simulate --pace fast", "doctor", "faults", "schema event"]) {
      it(`${command} > /dev/full: 1, and why`, async () => {
        const { statuses, stderr } = await pipeline(`flux-stt ${command} > /dev/full`)
        assert.deepStrictEqual(statuses, [1])
        assert.match(stderr, /^flux-stt: standard output cannot be written: ENOSPC: .*\n$/m)
        assert.notMatch(stderr, stackTrace)
      })
    }

    for (const flag of ["capture", "ledger"]) {
      it(`--${flag} /dev/full: the call is held to its end, then 1, and why`, async () => {
        const { lines, status, stderr } = await run([...simulate, `--${flag}`, "/dev/full"])
        assert.deepStrictEqual(lines.map(spoken), spokenLines)
        assert.strictEqual(status, 1)
        assert.match(stderr, new RegExp(`^flux-stt: ${flag}: /dev/full is not whole: ENOSPC: `, "m"))
        assert.notMatch(stderr, stackTrace)
      })
    }

    it("a server whose ledger is on it tells at once, serves on, and ends with 1", async () => {
      const server = start(["simulate", "--port", "0", "--ledger", "/dev/full"])
      const [url = ""] = await server.until(/http:\S+\d/)
      const call = ["transcribe", sample, "--endpoint-name", "any", "--region", "us-east-1", "--endpoint-url", url, "--pace", "fast"]
      const env = { AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
      const { status } = await run(call, { env })
      assert.strictEqual(status, 0)
      await server.until(/warning: ledger: \/dev\/full cannot be written/)
      server.child.kill("SIGTERM")
      assert.strictEqual(await server.status, 1)
      assert.match(server.stderr(), /^flux-stt: ledger: \/dev\/full is not whole: ENOSPC/m)
    })
  })

  describe("where its terminal hangs up in mid-turn: the turn is closed, and the call ends well", () => {
    // an event as JSON a line
    const json = (name: string): ReadonlyArray<Record<string, unknown>> =>
      readFileSync(path(name), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))
    const ofTypes = (lines: ReadonlyArray<Record<string, unknown>>) => lines.map(({ type }) => type)

    it("SIGHUP, as SIGTERM does", async () => {
      const running = start(["transcribe", "--simulate", "--json"])
      await running.until(/"type":"Update".*"words":\[.*"words"/s)
      running.child.kill("SIGHUP")
      // a shell tells of it besides the kernel
      running.child.kill("SIGHUP")
      assert.strictEqual(await running.status, 0)
      const told = running.stdout().trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepInclude(told.at(-2), { type: "EndOfTurn", ending: "closed" })
      assert.match(told.at(-2).transcript, /^Hello/)
      assert.strictEqual(told.at(-1).type, "Disconnected")
    })

    it("SIGHUP again interrupts, once that is no echo", async () => {
      // a server that keeps its side open keeps the first one from ending it
      const running = start(["transcribe", "--simulate", "--json", "--fault", "stay-open"], { env: { FLUX_DRAIN_TIMEOUT: "60 seconds" } })
      await running.until(/"transcript":"Hello, I would"/)
      await signalTwice(running, "SIGHUP")
      assert.strictEqual(await running.status, 130)
      assert.match(running.stdout(), /"type":"EndOfTurn".*"ending":"lost"/)
    })

    it("SIGHUP ends a simulator, with its ledger", async () => {
      const server = await simulator("--ledger", path("served.ndjson"))
      const client = start(["transcribe", sample], { env: server.env })
      await client.until(/Hello/)
      assert.strictEqual(await server.stop("SIGHUP"), 0)
      assert.strictEqual(json("served.ndjson").length, 1)
      client.child.kill("SIGKILL")
    })

    for (const to of ["a file", "the terminal"]) {
      for (const format of ["--json", ""]) {
        it(`a terminal, with output to ${to} ${format}`, async () => {
          const name = `${to.replace(" ", "-")}${format}`
          const command = [bin, "transcribe", "--simulate", format, "--capture", path(`${name}.capture`), "--capture-content", "--ledger", path(`${name}.ledger`)]
          const program = ["exec", process.execPath, ...command, ...(to === "a file" ? [">", path(`${name}.out`)] : [])].join(" ")
          const at = terminal.start(["-c", program], { program: "/bin/bash" })
          const capturedSoFar = (): string => existsSync(path(`${name}.capture`)) ? readFileSync(path(`${name}.capture`), "utf8") : ""
          await Effect.runPromise(Effect.sync(capturedSoFar).pipe(
            Effect.delay("20 millis"),
            Effect.repeat({ until: (text) => text.includes("Hello, I") }),
            Effect.timeout("30 seconds")
          ))
          at.hangUp()
          assert.strictEqual(await at.status, 0)
          const capture = readFileSync(path(`${name}.capture`), "utf8")
          assert.match(capture, /CloseStream/)
          assert.isTrue(capture.endsWith("\n"))
          assert.deepStrictEqual(json(`${name}.ledger`).map(({ ending }) => ending), ["flux-closed"])
          if (to === "the terminal") return
          if (format === "") assert.match(readFileSync(path(`${name}.out`), "utf8"), /^\[.*\] Hello, .* \(closed\)\n$/)
          else assert.deepStrictEqual(ofTypes(json(`${name}.out`)).slice(-2), ["EndOfTurn", "Disconnected"])
        })
      }
    }
  })

  it("where the reader of stderr has gone, the call is held to its end", async () => {
    const { statuses, stdout } = await pipeline("{ flux-stt transcribe --simulate --log-level debug 2>&1 >&3 | head -1 >/dev/null; } 3>&1")
    assert.deepStrictEqual(statuses, [0, 0])
    assert.deepStrictEqual(stdout.trim().split("\n").map(spoken), spokenLines)
  })

  it("where stderr is closed, as if it were not", async () => {
    const { statuses, stdout } = await pipeline("flux-stt transcribe --simulate --pace fast 2>&-")
    assert.deepStrictEqual(statuses, [0])
    assert.deepStrictEqual(stdout.trim().split("\n").map(spoken), spokenLines)
  })

  it("where there is no terminal at all", async () => {
    const { statuses, stderr, stdout } = await pipeline("setsid flux-stt transcribe --simulate --pace fast </dev/null")
    assert.deepStrictEqual(statuses, [0], stderr)
    assert.deepStrictEqual(stdout.trim().split("\n").map(spoken), spokenLines)
  })

  describe("where the audio is bad: 2 if nothing of it can be used, else what there is", () => {
    const bad: ReadonlyArray<readonly [name: string, bytes: () => Uint8Array, says: RegExp]> = [
      ["empty", () => new Uint8Array(), /empty|not a WAV file/],
      ["noise", () => Uint8Array.from({ length: 4000 }, (_, at) => (at * 7919) % 251), /not a WAV file/],
      ["cut off in its header", () => wav.subarray(0, 20), /cut off in its header|not a WAV file/]
    ]
    for (const [name, bytes, says] of bad) {
      it(name, async () => {
        const { status, stderr, stdout } = await run([...simulate, file(`${name}.wav`, bytes())])
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(stderr, says)
        assert.notMatch(stderr, stackTrace)
      })
    }

    it("cut off in its audio", async () => {
      const { status, stderr, stdout } = await run([...simulate, file("cut.wav", wav.subarray(0, 60_001))])
      assert.strictEqual(status, 0)
      assert.match(stdout, /\(closed\)$/m)
      assert.match(stderr, /warning: the WAV file is shorter than its header declares/)
    })

    it.skipIf(process.getuid?.() === 0)("not to be read", async () => {
      const secret = file("secret.wav", wav)
      chmodSync(secret, 0)
      const { status, stderr } = await run([...simulate, secret])
      assert.strictEqual(status, 2)
      assert.notMatch(stderr, stackTrace)
    })
  })

  it("--help of every command has an example", async () => {
    for (const command of [[], ["transcribe"], ["doctor"], ["simulate"], ["faults"], ["schema"]]) {
      const { status, stdout } = await run([...command, "--help"])
      assert.strictEqual(status, 0)
      assert.match(stdout, /\nEXAMPLES\n {2}# .*\n {2}.*flux-stt /, command.join(" "))
    }
  })
})
