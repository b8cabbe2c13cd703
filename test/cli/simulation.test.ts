/** The simulator as the command has it: scripts, faults, ledger, capture and replay, TLS. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { FluxEvent } from "../../src/FluxEvent.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import { file, lines, path, real, run, signalTwice, simulate, start, wav } from "../support/command.ts"

/** NDJSON without what differs from run to run. */
const events = (stdout: string): ReadonlyArray<{ readonly [key: string]: unknown }> =>
  stdout.trimEnd().split("\n").slice(1).flatMap((line) => {
    const { id: _id, receivedAt: _at, requestId: _request, ...event } = JSON.parse(line)
    // what was on its way when a call broke is a matter of moments
    if (event.type === "Disconnected") return [{ ...event, usage: undefined }]
    if (event.type === "Resumed") return [{ ...event, behindSeconds: undefined }]
    if (event.type === "EndOfTurn") return [{ ...event, usage: { ...event.usage, replayedSeconds: undefined } }]
    // of Updates a slow consumer gets the latest
    return event.type === "Update" ? [] : [event]
  })
const json = (text: string): ReadonlyArray<{ readonly [key: string]: unknown }> => text.trimEnd().split("\n").map((line) => JSON.parse(line))

describe.concurrent("flux-stt", { timeout: 60_000 }, () => {
  it("--fault breaks the call, --ledger tells of it, --capture keeps it, and --replay gives the same events", async () => {
    const [ledger, capture] = [path("ledger.ndjson"), path("capture.ndjson")]
    const fault = "model-stream-error,session=0,turn=1,after=0.5,errorCode=E7"
    const first = await run([
      ...simulate, "--json", "--fault", fault, "--ledger", ledger, "--capture", capture, "--capture-content"
    ])
    assert.strictEqual(first.status, 0)
    assert.match(first.stderr, /The model's stream failed, E7: .*; trying again \(attempt 1\)\n.*the transcription goes on, /)
    assert.deepInclude(events(first.stdout).at(-2), { type: "EndOfTurn", ending: "confirmed" })

    const [session, ...others] = json(readFileSync(ledger, "utf8"))
    assert.deepStrictEqual(others.map(({ ending }) => ending), ["flux-closed"])
    assert.deepInclude(session, { session: 0, endpoint: "simulator", ending: "fault" })
    assert.include(JSON.stringify(session?.["faults"]), `"model-stream-error"`)

    const again = await run([...simulate, "--json", "--replay", capture])
    assert.strictEqual(again.status, 0, again.stderr)
    assert.deepStrictEqual(events(again.stdout), events(first.stdout))
    // how far behind it is depends on how fast the file was taken
    const reason = (stderr: string) => stderr.replace(/[\d.]+ s behind/, "").split("\n").slice(1, 3)
    assert.deepStrictEqual(reason(again.stderr), reason(first.stderr))

    // in real time, too, where what follows the captured audio may not become a call of its own
    const inRealTime = await run(["transcribe", "--simulate", "--json", "--replay", capture])
    assert.strictEqual(inRealTime.status, 0, inRealTime.stderr)
    assert.deepStrictEqual(events(inRealTime.stdout), events(first.stdout))
  })

  it("audio that had to wait for an embedded simulator goes at once with --pace fast", async () => {
    const { status, stdout } = await run([...simulate, "--json", "--fault", "late-connected,delay=1500"])
    assert.strictEqual(status, 0)
    const at = (type: string): number => Number(json(stdout).find((event) => event["type"] === type)?.["receivedAt"])
    // 11.6 s of audio, which take half as long where they are not to overrun anybody
    assert.isBelow(at("Disconnected") - at("Connected"), 4500)
  })

  it("a capture holds no word, no audio and no key unless asked", async () => {
    const capture = path("masked.ndjson")
    const first = await run([...simulate, "--json", "--capture", capture, "--keyterm", "Zanzibar", "--tag", "Timbuktu"])
    assert.strictEqual(first.status, 0, first.stderr)
    const text = readFileSync(capture, "utf8")
    for (const word of [...lines.join(" ").split(" ").filter((word) => word.length > 3), "Zanzibar", "Timbuktu", "base64", "AWS4"]) {
      assert.notInclude(text, word)
    }
    const again = await run([...simulate, "--json", "--replay", capture])
    assert.strictEqual(again.status, 0, again.stderr)
    assert.match(again.stderr, /with words masked/)
    const shape = (stdout: string) =>
      events(stdout).map((event) => JSON.stringify(event, (key, value) => key === "transcript" || key === "word" ? value.split(" ").length : value))
    assert.deepStrictEqual(shape(again.stdout), shape(first.stdout))
  })

  it("a JSON script says what is heard when, and what goes wrong", async () => {
    const script = file("script.json", JSON.stringify({
      turns: [{ at: 1, words: ["Well,", { pause: 0.2 }, "hello."] }, { at: 5, words: "Who is there?" }],
      faults: [{ fault: "say", turn: 1, text: "{\"type\":\"Novel\"}" }]
    }))
    const { status, stdout } = await run([...simulate, "--json", "--script", script])
    assert.strictEqual(status, 0)
    const heard = events(stdout).map((event) => JSON.stringify(event))
    assert.match(heard.join("\n"), /"EndOfTurn".*"Well, hello\."[^]*"Novel"[^]*"EndOfTurn".*"Who is there\?"/)
    assert.match(heard.join("\n"), /"word":"hello\.","confidence":0\.\d+,"start":1\.52,/)
  })

  it("simulate --tls serves TLS with a certificate that its suggestion trusts, and lets it go", async () => {
    const server = start(["simulate", "--port", "0", "--tls"])
    const [, line = ""] = await server.until(/try: (.*)\n/)
    const [, caFile = ""] = /--ca-file (\S+)/.exec(line) ?? []
    const [url = ""] = /https:\S+/.exec(line) ?? []
    const env = { AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
    const args = (line.split(" flux-stt ")[1] ?? "").replaceAll("\"", "").split(" ")
    const client = await run([...args, "--pace", "fast"], { env })
    assert.strictEqual(client.status, 0, client.stderr)
    assert.strictEqual(client.lines.length, 3)
    const distrustful = await run(["transcribe", args.at(-1) ?? "", ...real, "--endpoint-url", url], { env })
    assert.strictEqual(distrustful.status, 1)
    assert.match(distrustful.stderr, /certificate is not trusted: give the CA/)
    server.child.kill("SIGINT")
    assert.strictEqual(await server.status, 0)
    assert.throws(() => readFileSync(caFile))
  })

  it("simulate serves a certificate of one's own, and writes its ledger as sessions end", async () => {
    const { cert, key } = await Effect.runPromise(certificate.make("localhost"))
    const [certFile, keyFile, ledger] = [file("cert.pem", cert), file("key.pem", key), path("served.ndjson")]
    const server = start(["simulate", "--port", "0", "--cert", certFile, "--key", keyFile, "--ledger", ledger, "--fault", "reject-424,session=0"])
    const [url = ""] = await server.until(/https:\S+\d/)
    const env = { AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
    const call = ["transcribe", file("silence.raw", new Uint8Array(16_000)), "--raw", ...real, "--endpoint-url", url, "--ca-file", certFile]
    // the first try is refused, and the call goes on with the next one
    assert.strictEqual((await run(call, { env })).status, 0)
    server.child.kill("SIGINT")
    assert.strictEqual(await server.status, 0)
    assert.deepStrictEqual(json(readFileSync(ledger, "utf8")).map(({ ending }) => ending), ["refused", "flux-closed"])
  })

  it("simulate serves the endpoints that there are, and tries the first of them", async () => {
    const server = start(["simulate", "--port", "0", "--endpoint-name", "one", "--endpoint-name", "two"])
    const [, line = ""] = await server.until(/try: (.*)\n/)
    assert.include(line, " --endpoint-name one ")
    const [url = ""] = /http:\S+/.exec(line) ?? []
    const env = { AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
    const call = (name: string) =>
      run(["transcribe", file("silence.raw", new Uint8Array(16_000)), "--raw", "--endpoint-name", name, "--region", "us-east-1", "--endpoint-url", url], { env })
    for (const name of ["one", "two"]) assert.strictEqual((await call(name)).status, 0)
    const { status, stderr } = await call("three")
    assert.strictEqual(status, 1)
    assert.match(stderr, /Endpoint three of account 000000000000 not found/)
    assert.match(stderr, /check the endpoint name, the region/)
    server.child.kill("SIGINT")
    assert.strictEqual(await server.status, 0)
  })

  it("a call that hangs and is interrupted keeps the words heard so far", async () => {
    const running = start([...simulate.slice(0, 2), "--json", "--fault", "stay-open", "--min-confidence", "0.99"])
    await running.until(/"transcript":"Hello, I would"/)
    await signalTwice(running, "SIGINT")
    assert.strictEqual(await running.status, 130)
    const told = running.stdout().trimEnd().split("\n").slice(1).map((line) => Schema.decodeUnknownSync(FluxEvent)(JSON.parse(line)))
    const end = told.at(-1)
    assert.deepInclude(end, { type: "EndOfTurn", turn: 0, ending: "lost", accepted: false })
    const update = told.findLast((event) => event.type === "Update")
    assert.match(update?.transcript ?? "", /^Hello, I would/)
    assert.strictEqual(end?.type === "EndOfTurn" && end.transcript, update?.transcript)
  })

  it("faults lists the menu, and schema the shapes", async () => {
    const menu = await run(["faults"])
    assert.strictEqual(menu.status, 0)
    for (const name of Fault.names) assert.match(menu.stdout, new RegExp(`^${name}  `, "m"))
    assert.match(menu.stdout, /^as= .*AWS's SDKs throw an exception\. An event is a member of the response stream:\n.*PayloadPart alone passes over it/m)
    for (const of of ["event", "script", "ledger", "capture"]) {
      const { status, stdout } = await run(["schema", of])
      assert.strictEqual(status, 0)
      assert.deepInclude(JSON.parse(stdout), { $schema: "https://json-schema.org/draft/2020-12/schema" })
    }
  })

  describe("what is wrong is told before anything starts", () => {
    const bad = () => file("bad.json", `{"turns": [{"at": 1, "words": ["a"], "colour": 1}, {"words": [{"word": "b", "confidence": 2}]}]}`)
    const cases: ReadonlyArray<readonly [name: string, args: () => ReadonlyArray<string>, stderr: ReadonlyArray<RegExp>]> = [
      ["in a script, with place and rule", () => [...simulate, "--script", bad()], [
        /script: .*bad\.json: turns\[0\]\.colour: /,
        /script: .*bad\.json: turns\[1\]\.words\[0\]\.confidence: must be .*between 0 and 1/
      ]],
      ["in a script that is no JSON", () => [...simulate, "--script", file("worse.json", "{\n  \"turns\": [}")], [/worse\.json: .*line 2.*column 13/]],
      ["in faults, all of them", () => ["simulate", "--fault", "mutee", "--fault", "mute,turn=x"], [/fault: there is no fault "mutee"; known are accept-and-hang, /, /fault: mute: turn must be /]],
      ["in names of endpoints", () => ["simulate", "--port", "0", "--endpoint-name", "good", "--endpoint-name", "my_flux", "--endpoint-name", ""], [
        /endpointName: "my_flux" must be letters and digits with hyphens between them, at most 63/,
        /endpointName: "" must be/
      ]],
      ["in a capture", () => [...simulate, "--replay", file("bad.ndjson", "{}\n")], [/replay: .*bad\.ndjson: line 1: this is no capture/]],
      ["a capture that is not there", () => ["simulate", "--replay", "nowhere"], [/replay: nowhere cannot be read/]],
      ["a replay and a script", () => ["simulate", "--replay", "nowhere", "--script", "words"], [/script: --replay says it all/]],
      ["a ledger that cannot be written", () => [...simulate, "--ledger", "/nowhere/ledger"], [/ledger: \/nowhere is not there/]],
      ["a capture that cannot be written", () => [...simulate, "--capture", "/nowhere/capture"], [/capture: \/nowhere is not there/]],
      ["a capture that is there already", () => [...simulate, "--capture", file("old.ndjson", "precious")], [/capture: .*old\.ndjson is there already, and is not overwritten/]],
      ["a ledger in place of the audio", () => {
        const audio = file("precious.wav", wav)
        return ["transcribe", "--simulate", audio, "--ledger", audio]
      }, [/ledger: .*precious\.wav is there already, and is not overwritten/]],
      ["two outputs in one file", () => [...simulate, "--ledger", path("one"), "--capture", path("one")], [/ledger: .*one is for capture already/]],
      ["a directory as an output", () => ["simulate", "--ledger", "."], [/ledger: .* is a directory/]],
      ["content of no capture", () => [...simulate, "--capture-content"], [/captureContent: /]],
      ["faults of a real endpoint", () => ["transcribe", "x.wav", ...real, "--fault", "mute", "--seed", "1"], [/fault: is for --simulate only/, /seed: is for --simulate only/]],
      ["credentials to verify with a line end", () => ["simulate", "--verify-credentials", "AKIDVERIFIED:secret-to-verify\r\n"], [/verifyCredentials: the secret access key ends in a newline/]],
      ["credentials to verify in quotes", () => ["simulate", "--verify-credentials", `"AKIDVERIFIED":"secret-to-verify"`], [/verifyCredentials: the access key id has quotes around it/]],
      ["credentials to verify with a blank after the colon", () => ["simulate", "--verify-credentials", "AKIDVERIFIED: secret-to-verify"], [/verifyCredentials: the secret access key begins with a blank/]],
      ["a certificate without its key", () => ["simulate", "--cert", "x"], [/tls: give both --cert and --key, or neither/]],
      ["a certificate that is none", () => ["simulate", "--port", "0", "--cert", file("no.pem", "x"), "--key", file("no.key", "y")], [/tls: the one given cannot be used with its key/]]
    ]
    for (const [name, args, expected] of cases) {
      it(name, async () => {
        const { status, stderr, stdout } = await run(args())
        assert.strictEqual(status, 2, stderr)
        assert.strictEqual(stdout, "")
        for (const pattern of expected) assert.match(stderr, pattern)
        assert.notMatch(stderr, /\n\s+at |AKIDVERIFIED|secret-to-verify/)
      })
    }
  })
})
