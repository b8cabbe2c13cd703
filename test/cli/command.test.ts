import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { FluxEvent } from "../../src/FluxEvent.ts"
import { file, lines, real, root, run, sample, simulate, spoken, start, wav } from "../support/command.ts"

/** Milliseconds from Connected to Disconnected, of NDJSON. */
const sessionMillis = (stdout: string): number => {
  const at = (type: string): number => {
    const line = stdout.split("\n").find((line) => line.includes(`{"type":"${type}"`))
    return line === undefined ? Number.NaN : JSON.parse(line).receivedAt
  }
  return at("Disconnected") - at("Connected")
}


describe.concurrent("flux-stt", { timeout: 60_000 }, () => {
  it("says its version", async () => {
    const { status, stdout } = await run(["--version"])
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    assert.strictEqual(status, 0)
    assert.strictEqual(stdout, `flux-stt v${version}\n`)
  })

  describe("transcribe", () => {
    it("--simulate prints the turns of the bundled sample, and on stderr that nothing is recognised", async () => {
      const { lines: printed, status, stderr } = await run(simulate)
      assert.strictEqual(status, 0)
      assert.deepStrictEqual(printed.map(spoken), lines)
      assert.match(printed[0] ?? "", /^\[00:00\.\d - 00:0[23]\.\d\] Hello/)
      assert.strictEqual(
        stderr,
        `flux-stt: simulating the endpoint; it does not recognise speech, words come from ${sample.replace(".wav", ".txt")}\n`
      )
    })

    it("--json prints the schema version and then events", async () => {
      const { lines: [header = "", ...rest], status, stdout } = await run([...simulate, "--json"])
      assert.strictEqual(status, 0)
      // 13.8 s of audio, which nothing slows down
      assert.isBelow(sessionMillis(stdout), 6500)
      assert.deepStrictEqual(JSON.parse(header), { type: "Header", schemaVersion: 1 })
      const events = rest.map((line) => Result.getOrThrow(Schema.decodeUnknownResult(FluxEvent)(JSON.parse(line))))
      assert.strictEqual(events[0]?.type, "Connected")
      assert.strictEqual(events.at(-1)?.type, "Disconnected")
      const ends = events.filter(FluxEvent.guards.EndOfTurn)
      assert.deepStrictEqual(ends.map(({ transcript }) => transcript), lines)
      assert.deepStrictEqual(ends.map(({ ending }) => ending), ["confirmed", "confirmed", "confirmed"])
    })

    it("reads WAV from standard input, and does not wait for more than the header declares", async () => {
      const running = start([...simulate, "-", "--script", sample.replace(".wav", ".txt")], { stdin: "open" })
      running.child.stdin?.write(wav)
      assert.strictEqual(await running.status, 0)
      assert.deepStrictEqual(running.stdout().trimEnd().split("\n").map(spoken), lines)
    })

    it("reads raw audio, whose words are placeholders without a script", async () => {
      const raw = await run([...simulate, "-", "--raw"], { stdin: wav.subarray(44) })
      assert.strictEqual(raw.status, 0)
      assert.strictEqual(raw.lines.length, 3)
      assert.match(raw.lines[0] ?? "", /\] speech-1 speech-2/)
      assert.match(raw.stderr, /words are placeholders: give --script FILE\n$/)
      const path = file("audio.pcm", wav.subarray(44))
      assert.strictEqual((await run([...simulate, path, "--raw", "--sample-rate", "16000"])).stdout, raw.stdout)
    })

    it("takes words from the transcript beside the file, or from --script", async () => {
      const path = file("call.wav", wav)
      file("call.txt", "beside one\nbeside two\nbeside three\n")
      const script = file("other.txt", "script one\nscript two\nscript three\n")
      assert.deepStrictEqual((await run([...simulate, path])).lines.map(spoken), ["beside one", "beside two", "beside three"])
      const scripted = await run([...simulate, path, "--script", script])
      assert.deepStrictEqual(scripted.lines.map(spoken), ["script one", "script two", "script three"])
    })

    it("--finish decides what becomes of a turn that the audio cuts off", async () => {
      // the first turn ends at 2.9 s, here without its silence; sizes are the header's own
      const path = file("cut.wav", wav.subarray(0, 44 + 32_000 * 2.9))
      const call = [...simulate, path, "--script", sample.replace(".wav", ".txt")]
      const closed = await run(call)
      assert.match(closed.stdout, /^\[.*\] Hello, .* \(closed\)\n$/)
      const confirmed = await run([...call, "--finish", "silence"])
      assert.match(confirmed.stdout, /^\[.*\] Hello, [^()]*\n$/)
      assert.match(
        closed.stderr,
        /warning: the WAV file is shorter than its header declares \(92800 of 370868 bytes of audio\)/
      )
      assert.deepStrictEqual([closed.status, confirmed.status], [0, 0])
    })

    it("paces the audio like real time unless told otherwise", async () => {
      const { millis, status } = await run(["transcribe", "--simulate", file("3s.wav", wav.subarray(0, 44 + 96_000))])
      assert.strictEqual(status, 0)
      // the last of 38 frames goes out 37 frames after the first
      assert.isAtLeast(millis, 37 * 80)
    })

    it("--simulate keeps clear of the user's AWS environment", async () => {
      const env = {
        AWS_PROFILE: "missing",
        AWS_REGION: "no region",
        AWS_USE_FIPS_ENDPOINT: "true",
        AWS_ENDPOINT_URL: "http://127.0.0.1:1",
        AWS_CA_BUNDLE: "/missing",
        FLUX_ENDPOINT_NAME: "not this",
        FLUX_ENDPOINT_URL: "http://127.0.0.1:1",
        FLUX_CA_FILE: "/missing"
      }
      const { lines: printed, status } = await run(simulate, { env })
      assert.strictEqual(status, 0)
      assert.deepStrictEqual(printed.map(spoken), lines)
    })

    it("takes settings from FLUX_* variables", async () => {
      const { status, stderr } = await run(simulate, { env: { FLUX_EOT_THRESHOLD: "0.4" } })
      assert.strictEqual(status, 2)
      assert.strictEqual(stderr, "flux-stt: eotThreshold: must be between 0.5 and 0.9, got 0.4\n")
      assert.strictEqual((await run([...simulate, "--eot-threshold", "0.5"], { env: { FLUX_EOT_THRESHOLD: "0.4" } })).status, 0)
    })

    it("ends quietly when the reader of its output has gone", async () => {
      const running = start([...simulate, "--json"])
      await running.until(/schemaVersion/)
      running.child.stdout?.destroy()
      assert.strictEqual(await running.status, 0)
      assert.strictEqual(running.stderr().split("\n").length, 2)
    })

    it("the first SIGINT ends the audio, and the words so far still come", async () => {
      const running = start(["transcribe", "--simulate", "--json"])
      await running.until(/"type":"Update".*"words":\[.*"words"/s)
      running.child.kill("SIGINT")
      assert.strictEqual(await running.status, 0)
      const last = running.stdout().trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(last.slice(-2).map(({ type }) => type), ["EndOfTurn", "Disconnected"])
      assert.strictEqual(last.at(-2).ending, "closed")
      assert.match(last.at(-2).transcript, /^Hello/)
    })

    it("SIGTERM does too, and the second signal interrupts", async () => {
      // a peer that takes the connection and never answers keeps the call from ending
      const { createServer } = await import("node:net")
      const server = createServer(() => undefined)
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const address = server.address()
      const connected = new Promise<void>((resolve) => server.once("connection", () => resolve()))
      const port = typeof address === "object" ? address?.port : undefined
      const running = start(["transcribe", sample, ...real, "--endpoint-url", `http://127.0.0.1:${port}`], {
        env: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" }
      })
      await connected
      running.child.kill("SIGTERM")
      // npm hands Ctrl-C on to a child that has got it already: what comes at the same time is one signal
      running.child.kill("SIGINT")
      await running.until(/finishing; once more to stop at once/)
      await new Promise((resolve) => setTimeout(resolve, 400))
      assert.isNull(running.child.exitCode)
      running.child.kill("SIGTERM")
      assert.strictEqual(await running.status, 130)
      assert.strictEqual(running.stdout(), "")
      server.close()
    })
  })

  describe("what can be found wrong before any connection ends with 2, a message and no output", () => {
    const names = "must be letters and digits with hyphens between them, at most 63"
    const lost =
      "endpointName: is required: the name of the SageMaker endpoint; give --endpoint-name or FLUX_ENDPOINT_NAME, or try --simulate"
    const keyterms = Array.from({ length: 300 }, (_, index) => ["--keyterm", `t${index}`]).flat()
    const cases: ReadonlyArray<readonly [name: string, args: () => ReadonlyArray<string>, stderr: string | RegExp]> = [
      ["no such file", () => [...simulate, "nowhere.wav"], "nowhere.wav: no such file"],
      ["a file called -, which is not there", () => [...simulate, "./-"], "./-: no such file"],
      ["a directory", () => [...simulate, "src"], "src: it is a directory"],
      [
        "a text file",
        () => [...simulate, "package.json"],
        "package.json: Unsupported audio: not a WAV file: it looks like text"
      ],
      [
        "WAV cut in its header",
        () => [...simulate, file("header.wav", wav.subarray(0, 30))],
        /^flux-stt: .*header\.wav: Unsupported audio: the WAV file is cut off in its header$/
      ],
      [
        "a threshold out of range",
        () => [...simulate, "--eot-threshold", "0.95"],
        "eotThreshold: must be between 0.5 and 0.9, got 0.95"
      ],
      [
        "an eager threshold above the other",
        () => [...simulate, "--eot-threshold", "0.6", "--eager-eot-threshold", "0.8"],
        "eagerEotThreshold: must not be above eotThreshold (0.6), got 0.8"
      ],
      ["300 keyterms", () => [...simulate, ...keyterms], /keyterm: at most 100 terms, got 300\n/],
      [
        "an endpoint name with a space",
        () => ["transcribe", sample, "--region", "us-east-1", "--endpoint-name", "my flux"],
        `endpointName: ${names}`
      ],
      [
        "an unknown encoding",
        () => [...simulate, "--encoding", "opus"],
        /^flux-stt: encoding: .*linear16.*mulaw.*alaw/
      ],
      [
        "a sample rate that contradicts the file",
        () => [...simulate, "--sample-rate", "8000"],
        `sampleRate: ${sample} is mono 16-bit PCM at 16000 Hz; leave --sample-rate out`
      ],
      [
        "an encoding that contradicts the file",
        () => [...simulate, "--encoding", "mulaw"],
        `encoding: ${sample} is mono 16-bit PCM at 16000 Hz, which is sent as linear16; leave --encoding out`
      ],
      ["no endpoint", () => ["transcribe", sample, "--region", "us-east-1"], lost],
      [
        "no file",
        () => ["transcribe", ...real],
        "file: give a WAV file, or - for standard input, or try --simulate"
      ],
      [
        "several faults together",
        () => ["transcribe", "nowhere.wav", "--endpoint-name", "my flux", "--eot-threshold", "2", "--encoding", "opus"],
        "5 things are wrong:\n" +
        '  encoding: must be "linear16" | "mulaw" | "alaw"\n' +
        "  eotThreshold: must be between 0.5 and 0.9, got 2\n" +
        `  endpointName: ${names}\n` +
        "  region: is required: give it, or set AWS_REGION\n" +
        "  nowhere.wav: no such file"
      ],
      [
        "raw audio without a file",
        () => ["transcribe", "--simulate", "--raw"],
        "raw: give a file of raw audio, or - for standard input"
      ],
      ["a script without a simulator", () => ["transcribe", sample, ...real, "--script", "x"], "script: is for --simulate only"],
      ["a script that is not there", () => [...simulate, "--script", "nowhere.txt"], "script: nowhere.txt cannot be read"],
      [
        "a simulator and an endpoint",
        () => [...simulate, "--endpoint-name", "flux"],
        "endpointName: --simulate has its own endpoint"
      ],
      ["an unknown flag", () => ["transcribe", "--loud"], /^flux-stt: Unrecognized flag: --loud/],
      ["an unknown command", () => ["listen"], /^flux-stt: Unknown subcommand "listen"/],
      [
        "credentials in one piece, which are not repeated",
        () => ["simulate", "--port", "0", "--verify-credentials", "topsecret"],
        "verifyCredentials: must be an access key id and a secret access key, parted by a colon"
      ]
    ]
    for (const [name, args, expected] of cases) {
      it(name, async () => {
        const { status, stderr, stdout } = await run(args())
        assert.strictEqual(status, 2, stderr)
        assert.strictEqual(stdout, "")
        if (typeof expected === "string") assert.strictEqual(stderr, `flux-stt: ${expected}\n`)
        else assert.match(stderr.trimEnd(), expected)
      })
    }

    it("text on standard input", async () => {
      const { status, stderr } = await run([...simulate, "-"], { stdin: Buffer.from("Dear Sir or Madam,\n") })
      assert.strictEqual(status, 2)
      assert.strictEqual(
        stderr,
        "flux-stt: standard input: Unsupported audio: not a WAV file: it looks like text; raw audio needs --raw\n"
      )
    })

    it("other faults do not wait for standard input", async () => {
      const running = start([...simulate, "-", "--eot-threshold", "0.1"], { stdin: "open" })
      assert.strictEqual(await running.status, 2)
    })
  })

  describe("simulate", () => {
    const credentials = { AWS_ACCESS_KEY_ID: "AKIDTEST", AWS_SECRET_ACCESS_KEY: "topsecret" }

    it("serves transcribe in another process, with the very line that it suggests", async () => {
      const script = file("words.txt", "one\ntwo\nthree\n")
      const server = start(["simulate", "--port", "0", "--script", script])
      const [, line = ""] = await server.until(/try: (.*)\n/)
      assert.match(server.stderr(), /at http:\/\/127\.0\.0\.1:\d+; it does not recognise speech, words come from .*words\.txt/)
      const [assignments, args] = line.split(" flux-stt ")
      const env = Object.fromEntries((assignments ?? "").split(" ").map((pair) => pair.split("=")))
      const client = await run([...(args ?? "").replaceAll("\"", "").split(" "), "--pace", "fast"], { env })
      assert.strictEqual(client.status, 0, client.stderr)
      assert.deepStrictEqual(client.lines.map(spoken), ["one", "two", "three"])
      server.child.kill("SIGINT")
      assert.strictEqual(await server.status, 0)
      assert.strictEqual(server.stdout(), "")
    })

    it("--verify-credentials lets in who has them, and nobody else", async () => {
      const server = start(["simulate", "--port", "0", "--verify-credentials", "AKIDTEST:topsecret"])
      const [url] = await server.until(/http:\S+\d/)
      const short = file("short.wav", wav.subarray(0, 44 + 96_000))
      const call = ["transcribe", short, ...real, "--endpoint-url", url, "--pace", "fast"]
      const right = await run(call, { env: credentials })
      assert.strictEqual(right.status, 0, right.stderr)
      // fast is twice real time here
      assert.isAtLeast(right.millis, (37 * 80) / 2)
      const wrong = await run(call, { env: { ...credentials, AWS_SECRET_ACCESS_KEY: "other" } })
      assert.strictEqual(wrong.status, 1)
      assert.match(wrong.stderr, /Not allowed \(403.*\n {2}The signature does not match/)
      assert.strictEqual((await run(call)).status, 1)
      server.child.kill("SIGTERM")
      assert.strictEqual(await server.status, 0)
      assert.notInclude(`${server.stderr()}${right.stderr}${wrong.stderr}`, "topsecret")
    })

    it("fails with 1 where its port is taken", async () => {
      const server = start(["simulate", "--port", "0"])
      const [, port = ""] = await server.until(/127\.0\.0\.1:(\d+)/)
      const second = await run(["simulate", "--port", port])
      assert.strictEqual(second.status, 1)
      assert.match(second.stderr, new RegExp(`^flux-stt: .*127\\.0\\.0\\.1:${port}.*address already in use.*\n$`))
      server.child.kill("SIGINT")
      assert.strictEqual(await server.status, 0)
    })

    it("nobody there: transcribe fails with 1 and says so", async () => {
      const { status, stderr } = await run(["transcribe", sample, ...real, "--endpoint-url", "http://127.0.0.1:1"], {
        env: credentials
      })
      assert.strictEqual(status, 1)
      assert.match(stderr, /\nflux-stt: Gave up after \d+ attempts in [\d.]+ s\. Could not connect to .*\n {2}Nothing listens there/)
      assert.notMatch(stderr, /\n\s+at /)
    })
  })
})
