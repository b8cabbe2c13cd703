/** Files whose names begin with a dash, as somebody has them who works in their folder. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as certificate from "../../src/simulator/server/certificate.ts"
import { file, firstTurn, path, run, simulate, spoken, start } from "../support/command.ts"

const said = "Dashes are letters."
let cwd = ""
beforeAll(async () => {
  cwd = path("dashes")
  mkdirSync(cwd)
  file("dashes/-call.wav", firstTurn)
  file("dashes/--call.wav", firstTurn)
  file("dashes/-x.txt", said)
  file("dashes/--x.txt", said)
  file("dashes/-v", firstTurn)
  const { cert, key } = await Effect.runPromise(certificate.make("localhost"))
  file("dashes/-cert.pem", cert)
  file("dashes/-key.pem", key)
})

describe.concurrent("names that begin with a dash", { timeout: 60_000 }, () => {
  const taken: ReadonlyArray<ReadonlyArray<string>> = [
    ["--script=-x.txt", "--", "-call.wav"],
    ["--script=-x.txt", "./-call.wav"],
    ["./-call.wav", "--script", "./-x.txt"],
    ["--script=--x.txt", "--", "--call.wav"],
    ["--script=-x.txt", "--", "-v"]
  ]
  for (const args of taken) {
    it(`${args.join(" ")}: is taken as it is meant`, async () => {
      const { lines, status, stderr } = await run([...simulate, ...args], { cwd })
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(lines.map(spoken), [said])
    })
  }

  it("what is written, and read again", async () => {
    const written = await run([...simulate, "--capture=-o.ndjson", "--capture-content", "--ledger=-l.ndjson", "--script=-x.txt", "--", "-call.wav"], { cwd })
    assert.strictEqual(written.status, 0, written.stderr)
    assert.deepStrictEqual(["-o.ndjson", "-l.ndjson"].map((name) => existsSync(`${cwd}/${name}`)), [true, true])
    const again = await run([...simulate, "--replay=-o.ndjson"], { cwd })
    assert.strictEqual(again.status, 0, again.stderr)
    assert.deepStrictEqual(again.lines.map(spoken), [said])
  })

  it("certificates", async () => {
    const server = start(["simulate", "--port", "0", "--cert=-cert.pem", "--key=-key.pem"], { cwd })
    const [url = ""] = await server.until(/https:\S+\d/)
    const { stdout } = await run(["doctor", "--endpoint-name", "any", "--region", "us-east-1", "--endpoint-url", url.replace("127.0.0.1", "localhost"), "--ca-file=-cert.pem"], { cwd })
    assert.match(stdout, /^ok {4}tls /m)
    server.child.kill("SIGTERM")
    assert.strictEqual(await server.status, 0)
  })

  const refused: ReadonlyArray<readonly [args: ReadonlyArray<string>, names: ReadonlyArray<string>]> = [
    [["-call.wav"], ["-call.wav"]],
    [["--script", "-x.txt", "--", "-call.wav"], ["-x.txt"]],
    [["--capture", "-out.ndjson"], ["-out.ndjson"]],
    [["--keyterm", "-foo"], ["-foo"]],
    [["-pace=fast"], ["-pace=fast"]],
    [["-call.wav", "--ledger", "-l"], ["-call.wav", "-l"]]
  ]
  for (const [args, names] of refused) {
    it(`${args.join(" ")}: is refused with the ways to write it`, async () => {
      const { status, stderr, stdout } = await run([...simulate, ...args], { cwd })
      assert.strictEqual(status, 2)
      assert.strictEqual(stdout, "")
      for (const name of names) {
        assert.include(stderr, `${name} is no flag: a file of that name is ./${name}, or comes after --; as the value of a flag it is given with =, as in --script=${name}`)
      }
      assert.notInclude(stderr, "Unrecognized")
    })
  }

  it("a value with two dashes is taken for a flag, and the way to write it is told", async () => {
    const { status, stderr } = await run([...simulate, "--script", "--x.txt"], { cwd })
    assert.strictEqual(status, 2)
    assert.match(stderr, /Missing value for flag --script\. Expected: FILE; one that begins with a dash is given with =/)
  })

  it("numbers, help and the version are what they were", async () => {
    const low = await run([...simulate, "--min-confidence", "-1"], { cwd })
    assert.match(low.stderr, /minConfidence: must be between 0 and 1/)
    for (const flag of ["-h", "-v"]) {
      const { status, stdout } = await run([flag], { cwd })
      assert.strictEqual(status, 0)
      assert.match(stdout, flag === "-v" ? /^flux-stt v\d/ : /flux-stt/)
    }
  })
})
