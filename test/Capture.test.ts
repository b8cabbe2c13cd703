import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Capture from "../src/Capture.ts"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import { FluxTransport } from "../src/FluxTransport.ts"
import type * as Recording from "../src/simulator/Recording.ts"
import * as Replay from "../src/simulator/Replay.ts"
import * as Script from "../src/simulator/Script.ts"
import { call, captured, essence, read } from "./support/capturedCall.ts"
import { cut, draw } from "./support/sound.ts"

const script = Script.fromText("good morning\nhow are you today")
const fake = FakeTransport.layer({ script })
const speech = draw("...vvvvvvvv............... vvvvvvvvvvvvvvvv...............")
const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"
const settings = { keyterm: ["customer service", "Ängström"], tag: ["acme-42"] }

/** Everything that is said to be nobody's business in {@link captured} with these settings. */
const contents = [
  "good",
  "morning",
  "today",
  "customer",
  "service",
  "ngstr",
  encodeURIComponent("Ä"),
  "acme",
  "base64",
  // as base64 stands in a file: a voiced frame and a silent one
  Buffer.from(cut(speech, [2560])[4] ?? []).toString("base64").slice(0, 32),
  Buffer.alloc(24).toString("base64")
]

const entriesOf = (file: string): ReadonlyArray<Recording.Entry> => read(file).sessions.flatMap(({ entries }) => entries)

/** Runs an effect and gives what it warns of in the log. */
const logsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const logs: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn" || logLevel === "Error" || logLevel === "Fatal") logs.push(message)
    })
    const value = yield* Effect.provide(effect, Logger.layer([logger]))
    return { logs, value }
  })

describe("Capture", () => {
  it.effect("without content it holds no word, keyterm, tag or audio, and all the rest", () =>
    Effect.gen(function*() {
      const { file, outcome } = yield* captured(fake, speech, settings)
      for (const content of contents) assert.notInclude(file.toLowerCase(), content.toLowerCase())
      const entries = entriesOf(file)
      assert.deepStrictEqual(
        [...new Set(entries.map(({ what }) => what))],
        ["open", "accepted", "received", "audio", "text", "ended", "body-ended", "closed"]
      )
      const bytes = entries.flatMap((entry) => (entry.what === "audio" ? [entry.bytes] : []))
      assert.strictEqual(bytes.reduce((sum, count) => sum + count, 0), speech.length)
      // frames of 80 ms, dated as they were sent
      const times = entries.flatMap((entry) => (entry.what === "audio" ? [entry.at] : []))
      assert.deepStrictEqual(times, times.map((_, at) => at * 80))
      assert.deepStrictEqual(outcome.events.flatMap((event) => (event.type === "EndOfTurn" ? [event.transcript] : [])), [
        "good morning",
        "how are you today"
      ])
    }))

  it.effect("with content it holds all of that", () =>
    Effect.gen(function*() {
      const { file } = yield* captured(fake, speech, settings, { content: true })
      for (const content of contents) assert.include(file, content)
      const audio = Replay.audio(read(file))
      assert.isTrue(audio?.captured)
      assert.deepStrictEqual(Buffer.concat([...audio?.pieces ?? []]), Buffer.from(speech))
    }))

  it.effect("no reason tells what gives access, or whose account it is", () =>
    Effect.gen(function*() {
      const secrets = ["123456789012", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb"]
      const detail = `no, ${secrets.join(" or ")}`
      const reasons: ReadonlyArray<FluxError.Reason> = [
        new FluxError.Unauthorized({ status: 403, errorType: "AccessDeniedException", detail }),
        new FluxError.Rejected({ detail, logStreamArn: `arn:aws:logs:us-east-1:${secrets[0]}:log-group:x` }),
        new FluxError.InvalidRequest({ status: 400, errorType: detail, detail }),
        new FluxError.ModelStreamError({ detail, errorCode: detail }),
        new FluxError.ConnectFailed({ target: detail, cause: new Error(detail) }),
        new FluxError.ConnectionLost({ detail, cause: new Error(detail) })
      ]
      for (const content of [false, true]) {
        for (const reason of reasons) {
          const error = FluxError.make(reason, "open")
          const opening = yield* captured(FakeTransport.layerPeer(() => ({ accept: Effect.fail(error) })), speech, {}, { content })
          const streaming = yield* captured(FakeTransport.layerPeer(() => ({ opened: ({ fail }) => fail(reason) })), speech, {}, { content })
          assert.include(opening.file, `"what":"refused","reason":{"tag":"${reason._tag}"`)
          assert.include(streaming.file, `"what":"failed","reason":{"tag":"${reason._tag}"`)
          for (const secret of secrets) assert.notInclude(opening.file + streaming.file, secret)
          // and the call is told all of it
          assert.strictEqual(opening.outcome.error?.reason.message, reason.message)
        }
      }
    }))

  const writers: Readonly<Record<string, { readonly write: Capture.Write; readonly logs: number }>> = {
    "is slow": { write: () => Effect.sleep("1 second"), logs: 0 },
    fails: { write: () => Effect.fail("disk full"), logs: 1 },
    "fails later": { write: (lines) => (lines.includes("TurnInfo") ? Effect.fail("disk full") : Effect.void), logs: 1 },
    dies: { write: () => Effect.die("disk on fire"), logs: 1 },
    throws: {
      write: () => {
        throw new Error("disk on fire")
      },
      logs: 1
    },
    "is interrupted": { write: () => Effect.interrupt, logs: 1 },
    hangs: { write: () => Effect.never, logs: 1 },
    "hangs and cannot be interrupted": { write: () => Effect.uninterruptible(Effect.never), logs: 1 }
  }
  for (const [what, { logs, write }] of Object.entries(writers)) {
    for (const limit of [undefined, 1000]) {
      it.effect(`a writer that ${what} disturbs no call (${limit ?? "default"} characters may wait)`, () =>
        Effect.gen(function*() {
          const plain = yield* call(fake, speech)
          const under = yield* logsOf(call(Layer.provide(Capture.layer({ write, limit }), fake), speech))
          assert.deepStrictEqual(essence(under.value, true), essence(plain, true))
          // a small limit ends the capture of a slow one too
          assert.strictEqual(under.logs.length, limit === undefined ? logs : 1)
        }))
    }
  }

  it.effect("says why it could not be written, as the system does, without a stack", () =>
    Effect.gen(function*() {
      const full: unknown = new Error("FileSystem.writeAll", { cause: new Error("ENOSPC: no space left on device") })
      const write = () => Effect.fail(full)
      const { logs } = yield* logsOf(call(Layer.provide(Capture.layer({ write }), fake), speech))
      assert.deepStrictEqual(logs.flat(), ["The capture ends here: it could not be written: ENOSPC: no space left on device"])
    }))

  it.effect("closing waits for the last lines, but not for long", () =>
    Effect.gen(function*() {
      const close = (write: Capture.Write) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const transport = yield* Effect.provide(FluxTransport, fake)
          const { open } = yield* Scope.provide(Capture.wrap(transport, { write }), scope)
          yield* Effect.scoped(open(query))
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* TestClock.adjust(1999)
          const early = closing.pollUnsafe() !== undefined
          yield* TestClock.adjust(1)
          assert.isDefined(closing.pollUnsafe())
          return early
        })
      let file = ""
      const slow = (lines: string) => Effect.delay(Effect.sync(() => void (file += lines)), 800)
      assert.isTrue(yield* close(slow))
      assert.deepStrictEqual(entriesOf(file).map(({ what }) => what), ["open", "accepted", "closed"])
      assert.isFalse((yield* logsOf(close(() => Effect.uninterruptible(Effect.never)))).value)
    }))

  it.effect("while the writer is behind audio is counted, nothing else is lost, and memory is bounded", () =>
    Effect.gen(function*() {
      const limit = 4000
      const batches: Array<string> = []
      const write = (lines: string) => Effect.delay(Effect.sync(() => void batches.push(lines)), "900 millis")
      const plain = yield* captured(fake, speech, {})
      const { outcome } = yield* captured(fake, speech, {}, { write, limit })
      assert.isTrue(batches.every((lines) => lines.length <= 2 * limit), batches.map(({ length }) => length).join())
      const without = (file: string) =>
        entriesOf(file).flatMap((entry) => (entry.what === "audio" || entry.what === "gap" ? [] : [{ ...entry, at: 0 }]))
      const file = batches.join("")
      assert.deepStrictEqual(without(file), without(plain.file))
      const gaps = entriesOf(file).flatMap((entry) => (entry.what === "gap" ? [entry] : []))
      assert.isAbove(gaps.length, 0)
      const counted = entriesOf(file).flatMap((entry) => ("bytes" in entry && entry.what !== "received" ? [entry] : []))
      assert.strictEqual(counted.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0), speech.length)
      assert.strictEqual(
        counted.reduce((sum, entry) => sum + (entry.what === "gap" ? entry.messages : 1), 0),
        speech.length / 2560
      )
      // and it can be replayed: the server answers as before
      const again = yield* call(FakeTransport.layer({ replay: read(file) }), speech)
      assert.deepStrictEqual(essence({ ...again, times: [] }, false), essence({ ...outcome, times: [] }, false))
    }))

  it.effect("a writer that stays behind ends the capture, once and for all", () =>
    Effect.gen(function*() {
      const batches: Array<string> = []
      const write = (lines: string) => Effect.delay(Effect.sync(() => void batches.push(lines)), "3 seconds")
      const { logs } = yield* logsOf(captured(fake, speech, {}, { write, limit: 1000 }))
      assert.deepStrictEqual(logs, [["The capture ends here: it is not written as fast as it grows"]])
      assert.isTrue(batches.every((lines) => lines.length <= 2000))
      // what had come until then is there
      const [first, ...others] = entriesOf(batches.join(""))
      assert.strictEqual(first?.what, "open")
      assert.isAtLeast(others.length, 3)
    }))

  it.effect("is nothing but a window: what the transport gives is given", () =>
    Effect.gen(function*() {
      const error = FluxError.make(new FluxError.Rejected({ detail: "no" }), "open")
      const inner = yield* Effect.provide(FluxTransport, FakeTransport.layerPeer((_, session) => session === 0 ? {} : { accept: Effect.fail(error) }))
      const lines: Array<string> = []
      const outer = yield* Capture.wrap(inner, { write: (text) => Effect.sync(() => void lines.push(text)) })
      assert.strictEqual(outer.capabilities, inner.capabilities)
      const { requestId, variant } = yield* outer.open(query)
      assert.deepStrictEqual([requestId, variant], ["fake-0", "simulator"])
      assert.strictEqual(yield* Effect.flip(outer.open(query)), error)
    }))

  it.effect("a connection that is let go, or given up while it opens, is told so", () =>
    Effect.gen(function*() {
      const peers = FakeTransport.layerPeer((_, session) => (session === 0 ? { opened: ({ say }) => say("a") } : { accept: Effect.never }))
      let file = ""
      const write = (lines: string) => Effect.sync(() => void (file += lines))
      yield* Effect.gen(function*() {
        const transport = yield* FluxTransport
        yield* Effect.scoped(Effect.gen(function*() {
          const { messages } = yield* transport.open(query)
          // a consumer that stops early has not seen the end
          yield* Stream.runDrain(Stream.take(messages, 1))
        }))
        const opening = yield* Effect.forkChild(Effect.scoped(transport.open(query)), { startImmediately: true })
        yield* TestClock.adjust(700)
        yield* Fiber.interrupt(opening)
      }).pipe(Effect.provide(Layer.provide(Capture.layer({ write }), peers)))
      assert.deepStrictEqual(entriesOf(file).map(({ at, session, what }) => [session, at, what]), [
        [0, 0, "open"],
        [0, 0, "accepted"],
        [0, 0, "received"],
        [0, 0, "closed"],
        [1, 0, "open"],
        [1, 700, "closed"]
      ])
    }))

  it.effect("a message that met the end of its session may have left; one that waited for a second has not", () =>
    Effect.gen(function*() {
      // a server that ends while it still takes the message that made it do so
      const ends = FakeTransport.layerPeer(() => ({
        opened: ({ say }) => say(`{"type":"Connected","request_id":"r","sequence_id":0}`),
        received: (frame, { end }) => (frame.dataType === "UTF8" ? Effect.andThen(end, Effect.never) : Effect.void)
      }))
      const whats = (file: string) => entriesOf(file).map(({ what }) => what).filter((what) => what !== "audio")
      const met = yield* captured(ends, speech, {})
      assert.isUndefined(met.outcome.error)
      assert.deepStrictEqual(whats(met.file), ["open", "accepted", "received", "text", "ended", "body-ended", "closed"])
      const stalls = FakeTransport.layerPeer(() => ({
        opened: ({ say }) => say(`{"type":"Connected","request_id":"r","sequence_id":0}`),
        received: () => Effect.never
      }))
      const waited = yield* captured(stalls, speech, { sendTimeout: "1 second" })
      assert.strictEqual(waited.outcome.error?.reason._tag, "SendTimeout")
      assert.deepStrictEqual(whats(waited.file), ["open", "accepted", "received", "unsent", "closed"])
    }))

  it.effect("a response is told once, however often it is read", () =>
    Effect.gen(function*() {
      const connection = { requestId: "r", variant: undefined, messages: Stream.make("a", "b"), send: () => Effect.void, end: Effect.void }
      const inner = yield* Effect.provide(FluxTransport, fake)
      let file = ""
      const write = (lines: string) => Effect.sync(() => void (file += lines))
      yield* Effect.scoped(Effect.gen(function*() {
        const { open } = yield* Capture.wrap({ ...inner, open: () => Effect.succeed(connection) }, { write })
        const { messages } = yield* open(query)
        assert.deepStrictEqual(yield* Stream.runCollect(messages), ["a", "b"])
        assert.deepStrictEqual(yield* Stream.runCollect(messages), ["a", "b"])
      }))
      assert.deepStrictEqual(entriesOf(file).map(({ what }) => what), ["open", "accepted", "received", "received", "ended", "closed"])
    }))

  it.effect("wherever a crash cuts the file, the rest can be replayed", () =>
    Effect.gen(function*() {
      const { file } = yield* captured(fake, speech, {})
      const start = file.indexOf("\n", file.indexOf(`"what":"open"`)) + 1
      for (let length = start; length <= file.length; length += 97) {
        const recording = read(file.slice(0, length))
        assert.strictEqual(recording.sessions.length, 1)
        assert.isAtMost(recording.notes.length, 1)
      }
    }))

  it.effect("writes to a file as it happens, for its owner's eyes only", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/call.ndjson`
      const capture = Effect.gen(function*() {
        const transport = yield* FluxTransport
        yield* transport.open(query)
        // the writer is real, and so is its time
        yield* TestClock.withLive(Effect.repeat(fs.readFileString(path), { until: (text) => text.includes(`"what":"accepted"`) }))
        assert.notInclude(yield* fs.readFileString(path), `"what":"closed"`)
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(Capture.layerFile(path), fake)))
      const written = Effect.map(fs.readFileString(path), (text) => entriesOf(text).map(({ what }) => what))
      yield* capture
      assert.deepStrictEqual(yield* written, ["open", "accepted", "closed"])
      assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o600)
      // an older one is replaced
      yield* fs.writeFileString(path, "older\n".repeat(999))
      yield* capture
      assert.deepStrictEqual(yield* written, ["open", "accepted", "closed"])
      const missing = yield* Effect.flip(Effect.scoped(Capture.toFile(`${path}/no`)))
      assert.strictEqual(missing._tag, "PlatformError")
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})
