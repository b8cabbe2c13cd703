import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Recording from "../../src/simulator/Recording.ts"

const header = { capture: 1, content: false, startedAt: 1_700_000_000_000 }
const opened = { session: 0, at: 0, what: "open", query: "model=flux-general-en" }
const accepted = { session: 0, at: 12.5, what: "accepted", requestId: "r-0", variant: "AllTraffic" }
const refused = { session: 0, at: 1, what: "refused", reason: { tag: "Rejected", detail: "no" } }
const connected = { session: 0, at: 20, what: "received", text: `{"type":"Connected"}` }
const audio = { session: 0, at: 21, what: "audio", bytes: 2560 }
const closed = { session: 0, at: 30, what: "closed" }

const file = (...lines: ReadonlyArray<object | string>): string =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("")
const parsed = (...lines: ReadonlyArray<object | string>): Recording.Recording => {
  const result = Recording.parse(file(...lines))
  return Result.isSuccess(result) ? result.success : assert.fail(result.failure.join("\n"))
}
const faults = (...lines: ReadonlyArray<object | string>): ReadonlyArray<string> => {
  const result = Recording.parse(file(...lines))
  return Result.isFailure(result) ? result.failure : assert.fail("it was read")
}

describe("Recording", () => {
  it("gives each session its entries, in order, however they are mixed", () => {
    const second = { ...opened, session: 1, at: 5 }
    const { notes, sessions } = parsed(header, opened, second, accepted, { ...accepted, session: 1 }, audio, connected, closed)
    assert.deepStrictEqual<unknown>(sessions.map(({ entries, session }) => [session, entries]), [
      [0, [opened, accepted, audio, connected, closed]],
      [1, [second, { ...accepted, session: 1 }]]
    ])
    assert.deepStrictEqual(notes, [])
  })

  it("reads what it writes", () => {
    const lines = [opened, accepted, audio, connected, closed]
    const { header: first, sessions } = parsed(header, ...lines)
    const written = [Recording.line(first), ...(sessions[0]?.entries ?? []).map(Recording.line)]
    assert.deepStrictEqual<unknown>(written.map((line) => JSON.parse(line)), [header, ...lines])
  })

  it("a last line that a crash cut off is left out, with a note", () => {
    const whole = file(header, opened, accepted, audio)
    for (const length of [1, 10, 30]) {
      const result = Recording.parse(whole + JSON.stringify(connected).slice(0, length))
      assert.isTrue(Result.isSuccess(result))
      if (Result.isFailure(result)) return
      assert.strictEqual(result.success.sessions[0]?.entries.length, 3)
      assert.deepStrictEqual(result.success.notes, ["line 5: cut off, left out"])
    }
    // the same line in the middle is a fault
    assert.deepStrictEqual(faults(header, opened, JSON.stringify(connected).slice(0, 10), accepted), ["line 3: must be JSON"])
  })

  it("names every fault by its line, and no value", () => {
    const found = faults(
      header,
      opened,
      { ...accepted, at: -1 },
      { ...accepted, requestId: 5 },
      { session: 0, at: 2, what: "whispered", text: "secret" },
      accepted,
      { ...connected, text: undefined, bytes: "secret" }
    )
    assert.deepStrictEqual(found.map((fault) => fault.split(": ").slice(0, 2).join(": ")), [
      "line 3: at",
      "line 4: requestId",
      "line 5: what",
      "line 7: text",
      "line 7: bytes"
    ])
    assert.notInclude(found.join(), "secret")
  })

  it("takes no other version, no other file and no empty one", () => {
    assert.match(faults({ ...header, capture: 2 }, opened)[0] ?? "", /^line 1: capture: /)
    assert.match(faults({ type: "Header", schemaVersion: 1 }, opened)[0] ?? "", /^line 1: /)
    assert.deepStrictEqual(faults(), ["line 1: must be a header"])
    assert.deepStrictEqual(faults(header), ["there is no session that reached the network"])
  })

  it("a session is told in its order", () => {
    const cases: ReadonlyArray<readonly [fault: string, ...lines: ReadonlyArray<object>]> = [
      ["session 0 is not open", accepted],
      ["session 0 is opened twice", opened, opened],
      ["received before the session is accepted", opened, connected],
      ["audio before the session is accepted", opened, audio],
      ["accepted in an open session", opened, accepted, accepted],
      ["received after the end of the response", opened, accepted, { session: 0, at: 13, what: "ended" }, connected],
      ["audio after the end of its session", opened, accepted, closed, audio],
      ["accepted after the end of its session", opened, refused, accepted],
      ["unsent without a message before", opened, accepted, { session: 0, at: 13, what: "unsent" }]
    ]
    for (const [fault, ...lines] of cases) {
      assert.deepStrictEqual(faults(header, ...lines), [`line ${lines.length + 1}: ${fault}`])
    }
  })

  it("sessions that never reached the network are left out, with a note", () => {
    const local = { ...refused, reason: { tag: "CredentialsUnavailable", detail: "none" } }
    const second = { ...opened, session: 1 }
    const { notes, sessions } = parsed(header, opened, local, second, { ...refused, session: 1 })
    assert.deepStrictEqual(sessions.map(({ session }) => session), [1])
    assert.deepStrictEqual(notes, ["session 0 never reached the network (CredentialsUnavailable): left out"])
    assert.deepStrictEqual(faults(header, opened, local), ["there is no session that reached the network"])
  })

  it("says in one line that a file is no capture", () => {
    assert.deepStrictEqual(faults("RIFF", "rubbish", "more"), [`line 1: this is no capture, which begins with {"capture":1,...}`])
    assert.lengthOf(faults({ turns: [] }, opened), 1)
  })

  it("takes no status or size that a server could not have sent", () => {
    const reason = { tag: "Unauthorized", detail: "x" }
    for (const status of [99, 200, 304, 600, -5]) assert.lengthOf(faults(header, opened, { ...refused, reason: { ...reason, status } }), 1)
    assert.lengthOf(faults(header, opened, accepted, { ...audio, bytes: 9e15 }), 1)
  })
})
