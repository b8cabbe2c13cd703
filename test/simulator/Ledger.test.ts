import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Format } from "../../src/Audio.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Ledger from "../../src/simulator/Ledger.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { pcm16 } from "../support/sound.ts"

const opening: Ledger.Opening = {
  session: 3,
  requestId: "request-3",
  endpoint: "my-flux",
  query: "model=flux-general-en&encoding=linear16&sample_rate=16000",
  openedAt: 1_000_000
}
const open = (format?: Format): Ledger.Recorder => {
  const recorder = Ledger.recorder(opening)
  if (format !== undefined) recorder.format(format)
  return recorder
}
const read = Schema.decodeUnknownSync(Ledger.SessionRecord)

describe("Ledger", () => {
  it("records a session", () => {
    const recorder = open(pcm16)
    recorder.said("Connected", 100)
    recorder.audio(Stamp.audio(0, 1280), 1_000_500)
    recorder.said("Update", 200)
    recorder.audio(Stamp.audio(1280, 1280), 1_000_580)
    // a second later
    recorder.audio(new Uint8Array(1280 * 2), 1_001_580)
    recorder.audio(Stamp.audio(2560, 1280), 1_001_660)
    recorder.said("Update", 201)
    // half a sample is none yet
    recorder.audio(Stamp.audio(2000, 1281).subarray(0, 2561), 1_001_660)
    recorder.text("Configure", 1_001_700)
    recorder.fault("mute", 1_001_800)
    recorder.text("CloseStream", 1_002_000)
    recorder.ended("flux-closed", 1_002_100)
    assert.deepStrictEqual(recorder.record(), {
      ...opening,
      endedAt: 1_002_100,
      ending: "flux-closed",
      // 5 x 1280 samples at 16 kHz
      faults: [{ fault: "mute", at: 1800, audioSeconds: 0.4 }],
      received: {
        audioBytes: 5 * 2560 + 1,
        audioSeconds: 0.4,
        audioMessages: 5,
        largestGapMillis: 1000,
        stamped: [{ from: 0, to: 3840 }, { from: 2000, to: 3280 }],
        otherSamples: 1280,
        texts: [
          { type: "Configure", at: 1700, audioSeconds: 0.4 },
          { type: "CloseStream", at: 2000, audioSeconds: 0.4 }
        ]
      },
      sent: { bytes: 501, messages: { Connected: 1, Update: 2 } }
    })
  })

  it("knows of a session that goes on what there is", () => {
    const recorder = open(pcm16)
    const empty = recorder.record()
    const nothing: Ledger.SessionRecord = {
      ...opening,
      ending: "open",
      faults: [],
      received: { audioBytes: 0, audioSeconds: 0, audioMessages: 0, largestGapMillis: 0, stamped: [], otherSamples: 0, texts: [] },
      sent: { bytes: 0, messages: {} }
    }
    assert.deepStrictEqual(empty, nothing)
    recorder.audio(Stamp.audio(0, 100), 1_000_100)
    recorder.text("CloseStream", 1_000_100)
    recorder.fault("end", 1_000_100)
    recorder.said("Connected", 1)
    const { faults, received, sent } = recorder.record()
    assert.deepStrictEqual([faults.length, received.audioMessages, received.stamped.length, received.texts.length, sent.bytes], [1, 1, 1, 1, 1])
    recorder.audio(Stamp.audio(100, 100), 1_000_200)
    recorder.text("CloseStream", 1_000_200)
    recorder.fault("end", 1_000_200)
    recorder.said("Connected", 1)
    // what was given out stays as it was
    assert.deepStrictEqual(empty, nothing)
    assert.deepStrictEqual([faults.length, received.stamped, received.texts.length, sent.messages], [1, [{ from: 0, to: 100 }], 1, { Connected: 1 }])
  })

  it("ends a session once, for the first reason", () => {
    const recorder = open()
    recorder.ended("refused", 1_000_010, "unknown parameter language")
    recorder.ended("lost", 1_000_020)
    const { endedAt, ending, reason } = recorder.record()
    assert.deepStrictEqual([ending, endedAt, reason], ["refused", 1_000_010, "unknown parameter language"])
  })

  it("counts samples as the format has them, and without a format only bytes", () => {
    const heard = (format: Format | undefined): ReadonlyArray<unknown> => {
      const recorder = open(format)
      recorder.audio(Stamp.audio(0, 8000), 1_000_000)
      const { audioBytes, audioSeconds, otherSamples, stamped } = recorder.record().received
      return [audioBytes, audioSeconds, otherSamples, stamped]
    }
    assert.deepStrictEqual(heard({ encoding: "linear16", sampleRate: 8000 }), [16_000, 1, 0, [{ from: 0, to: 8000 }]])
    assert.deepStrictEqual(heard({ encoding: "mulaw", sampleRate: 8000 }), [16_000, 2, 16_000, []])
    assert.deepStrictEqual(heard(undefined), [16_000, 0, 0, []])
  })

  it("keeps at most 10,000 entries of each list, the first and the latest, and counts the others", () => {
    const recorder = open(pcm16)
    const entries = Ledger.maxEntries
    for (let at = 0; at < entries; at++) {
      recorder.text(`text-${at}`, 1_000_000 + at)
      recorder.fault(`fault-${at}`, 1_000_000 + at)
      recorder.audio(Stamp.audio(at * 10, 5), 1_000_000 + at)
    }
    const full = recorder.record()
    assert.deepStrictEqual([full.faults.length, full.received.texts.length, full.received.stamped.length], [10_000, 10_000, 10_000])
    assert.notProperty(full, "omitted")
    for (let at = entries; at < entries + 5; at++) {
      if (at < entries + 3) recorder.text(`text-${at}`, 1_000_000 + at)
      if (at < entries + 4) recorder.fault(`fault-${at}`, 1_000_000 + at)
      recorder.audio(Stamp.audio(at * 10, 5), 1_000_000 + at)
    }
    const { faults, omitted, received: { stamped, texts } } = recorder.record()
    assert.deepStrictEqual(omitted, { texts: 3, faults: 4, stamped: 5 })
    assert.deepStrictEqual([faults.length, texts.length, stamped.length], [10_000, 10_000, 10_000])
    assert.deepStrictEqual([texts.at(-2)?.type, texts.at(-1)?.type], ["text-9998", "text-10002"])
    assert.deepStrictEqual([faults.at(-2)?.fault, faults.at(-1)?.fault], ["fault-9998", "fault-10003"])
    assert.deepStrictEqual(stamped.slice(-2), [{ from: 99_980, to: 99_985 }, { from: 100_040, to: 100_045 }])
  })

  it("bounds what a client calls its messages, and takes any name for what it is", () => {
    const recorder = open()
    recorder.text("x".repeat(1_000_000), 1_000_000)
    recorder.said("__proto__", 1)
    const { received, sent } = recorder.record()
    assert.deepStrictEqual(received.texts.map(({ type }) => type), ["x".repeat(100)])
    assert.deepStrictEqual(Object.entries(sent.messages), [["__proto__", 1]])
  })

  it.prop("a line is one line that reads back as the record", { record: Ledger.SessionRecord }, ({ record }) => {
    const line = Ledger.line(record)
    assert.notInclude(line, "\n")
    // as JSON has it: without -0
    assert.deepStrictEqual(read(JSON.parse(line)), JSON.parse(JSON.stringify(record)))
  }, { arbitrary: { runs: 100, seed: "ledger" } })

  it("publishes the shape of a line", () => {
    const Published = Schema.Struct({ type: Schema.Literal("object"), properties: Schema.Record(Schema.String, Schema.Unknown), required: Schema.Array(Schema.String) })
    const { properties, required } = Schema.decodeUnknownSync(Published)(Ledger.jsonSchema())
    const recorder = open()
    recorder.ended("refused", 1_000_000, "why")
    assert.includeMembers(Object.keys(properties), Object.keys(recorder.record()))
    assert.includeMembers(Object.keys(recorder.record()), [...required])
  })
})

describe("Ledger of a call", () => {
  const Fake = Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layer()),
    Layer.provide(FluxSettings.layer())
  )
  const frame = 1280

  it.effect("shows that each sample arrived once, in order, and what silence was put in between", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      yield* Effect.forkChild(Stream.runDrain(conversation.events), { startImmediately: true })
      // a turn that stops in the middle of a pair
      yield* conversation.send(Stamp.audio(0, 8 * frame + 1))
      yield* TestClock.adjust("5 seconds")
      yield* conversation.send(Stamp.audio(8 * frame + 1, 3000))
      yield* TestClock.adjust("5 seconds")
      yield* conversation.finish
      const [record, another] = yield* (yield* FakeTransport.FakeTransport).ledger
      assert.isUndefined(another)
      assert.strictEqual(record?.ending, "flux-closed")
      assert.deepStrictEqual(record?.received.stamped, [{ from: 0, to: 8 * frame + 3001 }])
      // twice a frame that the end of the stamps makes loud is filled up, and nine silent ones (0.72 s) end the turn
      assert.strictEqual(record?.received.otherSamples, 2 * (1 + 9) * frame)
    }).pipe(Effect.provide(Fake)))
})
