/** Text files that flags name, as people have them: what the simulator says of them, and what is told of those that are no text. */
import { assert, describe, it } from "@effect/vitest"
import { chmodSync, mkdirSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as certificate from "../../src/simulator/server/certificate.ts"
import { file, firstTurn, path, real, run, simulate, spoken } from "../support/command.ts"

const words = "Grüße, Zoë!"
const utf16 = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, "utf16le")

describe.concurrent("flux-stt and text files", { timeout: 60_000 }, () => {
  const audio = (name: string): string => file(`${name}.wav`, firstTurn)
  const readable: ReadonlyArray<readonly [name: string, bytes: Buffer]> = [
    ["utf-16le", utf16(`${words}\r\n`)],
    ["utf-16be", utf16(`${words}\r\n`).swap16()],
    ["utf-8-mark", Buffer.from(`\uFEFF${words}\n`)],
    ["old-mac", Buffer.from(`${words}\rAnd more.\r`)]
  ]
  for (const [name, bytes] of readable) {
    it(`a transcript beside the audio in ${name} is said as its words`, async () => {
      file(`${name}.txt`, bytes)
      const { lines, status, stderr } = await run([...simulate, audio(name)])
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(lines.map(spoken), [words])
      assert.match(stderr, /words come from .*\.txt/)
    })
  }

  it("a script of JSON in UTF-16 is read, and its faults have their lines", async () => {
    const sound = await run([...simulate, audio("json"), "--script", file("json-16.json", utf16(JSON.stringify({ turns: [words] })))])
    assert.strictEqual(sound.status, 0, sound.stderr)
    assert.deepStrictEqual(sound.lines.map(spoken), [words])
    const broken = await run([...simulate, audio("json"), "--script", file("json-16b.json", utf16("{\r\n \"turns\": [}"))])
    assert.strictEqual(broken.status, 2)
    assert.match(broken.stderr, /json-16b\.json: line 2, column 12/)
  })

  const refused: ReadonlyArray<readonly [name: string, bytes: Buffer, says: RegExp]> = [
    ["unmarked", Buffer.from(words, "utf16le"), /script: .*unmarked\.txt is UTF-16 without a byte order mark: save it as UTF-8/],
    ["latin", Buffer.from(words, "latin1"), /script: .*latin\.txt is not UTF-8 \(byte 0xFC in line 1\), and looks like Windows-1252/],
    ["audio", firstTurn, /script: .*audio\.txt is audio \(RIFF\), and no text/],
    ["replaced", Buffer.from("Gr\uFFFD\uFFFDe"), /script: .*replaced\.txt: has U\+FFFD in line 1/]
  ]
  for (const [name, bytes, says] of refused) {
    it(`a script that is ${name} is refused, with --script and beside the audio`, async () => {
      const script = file(`${name}.txt`, bytes)
      for (const args of [[audio(`other-${name}`), "--script", script], [audio(name)]]) {
        const { status, stderr, stdout } = await run([...simulate, ...args])
        assert.strictEqual(status, 2)
        assert.strictEqual(stdout, "")
        assert.match(stderr, says)
      }
    })
  }

  it("a transcript beside the audio that cannot be read is told, and none at all is no fault", async () => {
    mkdirSync(path("folder.txt"))
    const folder = await run([...simulate, audio("folder")])
    assert.strictEqual(folder.status, 2)
    assert.match(folder.stderr, /script: .*folder\.txt cannot be read: it is a directory \(it lies beside the audio; give --script/)
    const none = await run([...simulate, audio("alone")])
    assert.strictEqual(none.status, 0)
    assert.match(none.stderr, /words are placeholders/)
    const missing = await run([...simulate, audio("alone"), "--script", "nowhere.txt"])
    assert.strictEqual(missing.status, 2)
    assert.match(missing.stderr, /script: nowhere\.txt cannot be read\n/)
  })

  it("a transcript that this user may not read is told", async (context) => {
    if (process.getuid?.() === 0) context.skip("root may read everything")
    chmodSync(file("locked.txt", words), 0)
    const { status, stderr } = await run([...simulate, audio("locked")])
    assert.strictEqual(status, 2)
    assert.match(stderr, /script: .*locked\.txt cannot be read: it may not be read by this user/)
  })

  it("a capture that an editor has written anew replays, in UTF-16 and with other line ends", async () => {
    const capture = path("call.ndjson")
    const first = await run([...simulate, audio("captured"), "--capture", capture, "--capture-content"])
    assert.strictEqual(first.status, 0, first.stderr)
    const text = readFileSync(capture, "utf8")
    for (const [name, bytes] of [["crlf", utf16(text.replaceAll("\n", "\r\n"))], ["cr", Buffer.from(`\uFEFF${text.replaceAll("\n", "\r")}`)]] as const) {
      const again = await run([...simulate, "--replay", file(`call-${name}.ndjson`, bytes)])
      assert.strictEqual(again.status, 0, again.stderr)
      assert.deepStrictEqual(again.lines.map(spoken), first.lines.map(spoken))
    }
    const odd = await run([...simulate, "--replay", file("call-odd.ndjson", Buffer.from(text, "utf16le"))])
    assert.strictEqual(odd.status, 2)
    assert.match(odd.stderr, /replay: .*call-odd\.ndjson is UTF-16 without a byte order mark/)
  })

  it("certificates in UTF-16 are read, and what is no text is none", async () => {
    const { cert, key } = await Effect.runPromise(certificate.make("localhost"))
    const trusting = await run(["doctor", ...real, "--endpoint-url", "https://127.0.0.1:1", "--ca-file", file("ca-16.pem", utf16(cert))])
    assert.match(trusting.stdout, /ok {4}address/)
    const der = await run(["doctor", ...real, "--endpoint-url", "https://127.0.0.1:1", "--ca-file", file("ca.der", Buffer.from(cert.replaceAll(/-----.*-----|\s/g, ""), "base64"))])
    assert.match(der.stdout, /FAIL {2}address .*caFile: .*ca\.der holds no certificate in PEM form: it is binary, and no text/)
    const odd = await run(["simulate", "--port", "0", "--cert", file("cert.pem", Buffer.from(cert, "utf16le")), "--key", file("key.pem", key)])
    assert.strictEqual(odd.status, 2)
    assert.match(odd.stderr, /cert: .*cert\.pem is UTF-16 without a byte order mark/)
  })
})
