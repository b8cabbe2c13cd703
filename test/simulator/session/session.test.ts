import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { bytesOf, type Format } from "../../../src/Audio.ts"
import type { ProfileName } from "../../../src/FluxTransport.ts"
import * as Endpoint from "../../../src/simulator/Endpoint.ts"
import { Fault } from "../../../src/simulator/Fault.ts"
import type { SessionRecord } from "../../../src/simulator/Ledger.ts"
import * as Script from "../../../src/simulator/Script.ts"
import { maxHeldBytes } from "../../../src/simulator/session/session.ts"
import type { Player } from "../../../src/simulator/wire.ts"
import { baseQuery, closeStream, requestId } from "../../support/flux.ts"
import * as recordingWire from "../../support/recordingWire.ts"
import { cut, draw, pcm16 } from "../../support/sound.ts"

const script = Script.fromText("good morning\nhow are you today")
/** Two turns of 8 and 16 voiced frames with 15 silent ones after each: 54 frames, 4.32 s. */
const call = "vvvvvvvv............... vvvvvvvvvvvvvvvv..............."
const pcm = draw(call)

interface Sitting extends recordingWire.RecordingWire {
  readonly player: Player
  readonly record: () => SessionRecord
}
interface Setting extends Omit<Endpoint.Behaviour, "faults"> {
  readonly query?: string
  readonly profile?: ProfileName
}
/** Opens the first session of an endpoint with faults. */
const sit = (faults: ReadonlyArray<Fault>, { query = baseQuery, ...behaviour }: Setting = {}): Sitting => {
  const endpoint = Endpoint.make({ script, ...behaviour, faults })
  const wire = recordingWire.make()
  const player = endpoint.open(
    { query, requestId: "r", fluxRequestId: requestId, endpointName: "e", region: "us-east-1" },
    wire.wire,
    wire.surroundings
  )
  const record = (): SessionRecord => endpoint.ledger()[0] ?? assert.fail("no record")
  return { ...wire, player, record }
}
const play = (sitting: Sitting, audio: Uint8Array = pcm, sizes: ReadonlyArray<number> = [2560]): Sitting => {
  for (const piece of cut(audio, sizes)) sitting.player.audio(piece)
  return sitting
}
const close = (sitting: Sitting): Sitting => {
  sitting.player.text(closeStream)
  return sitting
}
/** The whole call, without faults. */
const whole = close(play(sit([]))).done()
/** What of it is said up to an audio time, ms. */
const upTo = (millis: number, done: ReadonlyArray<string> = whole): Array<string> =>
  done.filter((what) => what !== "end" && Number(what.split(" ")[1] ?? 0) <= millis)
const sequenceIds = (sitting: Sitting): Array<number> =>
  sitting.texts().flatMap((text) => (text.startsWith("{") ? [Number(JSON.parse(text).sequence_id)] : []))

describe("session", () => {
  it("without faults: headers, Connected, the turns, and a clean end", () => {
    const sitting = close(play(sit([])))
    // 8 voiced frames and 9 silent ones (0.72 s, the first at or above 0.7); the second turn begins at frame 23
    assert.deepStrictEqual(sitting.changes(), [
      "accept",
      "Connected",
      `StartOfTurn ${1 * 80}`,
      `EndOfTurn ${17 * 80}`,
      `StartOfTurn ${24 * 80}`,
      `EndOfTurn ${48 * 80}`,
      "end"
    ])
    assert.deepStrictEqual(sequenceIds(sitting), sequenceIds(sitting).map((_, at) => at))
    assert.deepInclude(sitting.record(), { ending: "flux-closed", faults: [] })
    assert.deepInclude(sitting.record().received, { audioBytes: pcm.length, audioSeconds: 54 * 0.08 })
    assert.deepInclude(sitting.record().sent.messages, { Connected: 1, StartOfTurn: 2, EndOfTurn: 2 })
    assert.strictEqual(sitting.record().sent.bytes, sitting.texts().reduce((sum, text) => sum + text.length, 0))
  })

  describe("a fault at seconds of audio", () => {
    const formats: ReadonlyArray<Format> = [pcm16, { encoding: "mulaw", sampleRate: 8000 }]
    const sizes: ReadonlyArray<ReadonlyArray<number>> = [[2560], [1], [777, 5000, 3], [1_000_000]]
    for (const format of formats) {
      for (const size of sizes) {
        it(`${format.encoding} in chunks of ${size.join(", ")}: what is said up to there is said, and nothing after`, () => {
          const audio = draw(call, format)
          const query = `model=flux-general-en&encoding=${format.encoding}&sample_rate=${format.sampleRate}`
          // short of, on and past a frame's end
          for (const millis of [0, 79, 80, 81, 1359, 1360, 1360.4, 1361, 3000]) {
            const sitting = play(sit([{ fault: "reset", at: millis / 1000 }], { query }), audio, size)
            assert.deepStrictEqual(sitting.done(), [...upTo(millis), "reset 2"], `${millis} ms`)
            assert.deepInclude(sitting.record(), { ending: "fault" })
          }
        })
      }
    }
    it("never happens in a session that is shorter", () => {
      assert.deepStrictEqual(close(play(sit([{ fault: "reset", at: 60 }]))).done(), whole)
    })
    it("sooner than the first sample is right after Connected", () => {
      for (const at of [0, 1e-6]) {
        assert.deepStrictEqual(sit([{ fault: "say", at, text: "now" }]).done(), ["accept", "Connected", "now"])
      }
    })
    it("is a moment of its own for each, in order of time", () => {
      const sitting = play(sit([
        { fault: "say", at: 2, text: "third" },
        { fault: "say", at: 1, text: "first" },
        { fault: "say", at: 1, text: "second" }
      ]), pcm, [100_000])
      assert.deepStrictEqual(sitting.done(), [
        ...upTo(1000),
        "first",
        "second",
        ...upTo(2000).slice(upTo(1000).length),
        "third",
        ...whole.slice(upTo(2000).length, -1)
      ])
    })
  })

  describe("a fault in a turn", () => {
    for (const size of [[2560], [1000], [1_000_000]]) {
      it(`in chunks of ${size[0]}: so many seconds after its StartOfTurn`, () => {
        const start = 24 * 80
        for (const millis of [0, 40, 80, 500]) {
          const sitting = play(sit([{ fault: "end", turn: 1, ...(millis === 0 ? {} : { after: millis / 1000 }) }]), pcm, size)
          assert.deepStrictEqual(sitting.done(), [...upTo(start + millis), "end"], `${millis} ms`)
        }
      })
    }
    it("also where the StartOfTurn itself is left out", () => {
      const sitting = play(sit([{ fault: "omit", event: "StartOfTurn" }, { fault: "drop-socket", turn: 0 }]))
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", "drop"])
    })
    it("never in a turn that does not come", () => {
      assert.deepStrictEqual(close(play(sit([{ fault: "end", turn: 2 }]))).done(), whole)
    })
  })

  describe("a fault around CloseStream", () => {
    const openTurn = pcm.subarray(0, 2560 * 5)
    const before = upTo(400)
    it("at close: its answer is not said", () => {
      const sitting = close(play(sit([{ fault: "model-stream-error", at: "close" }]), openTurn))
      assert.deepStrictEqual(sitting.done(), [...before, "fail ModelStreamError exception", "end"])
    })
    it("at end: it is said, and the fault takes the place of the clean end", () => {
      const sitting = close(play(sit([{ fault: "model-stream-error", at: "end", as: "event", errorCode: "1005" }]), openTurn))
      assert.deepStrictEqual(sitting.done(), [...before, "Update 400", "fail ModelStreamError event 1005", "end"])
    })
    it("what does not end the session leaves the end in its place", () => {
      const faults = [
        { fault: "say", at: "close", text: "before" },
        { fault: "say", at: "end", text: "after" },
        { fault: "go-away", at: "end" }
      ] as const
      assert.deepStrictEqual(close(play(sit(faults), openTurn)).done(), [...before, "before", "Update 400", "after", "goAway 0", "end"])
    })
    it("does not happen on a message that is no CloseStream", () => {
      const sitting = play(sit([{ fault: "reset", at: "close" }, { fault: "reset", at: "end" }]), openTurn)
      sitting.player.text(`{"type":"KeepAlive"}`)
      assert.deepStrictEqual(sitting.done(), [...before, "Error", "end"])
      assert.deepInclude(sitting.record(), { ending: "flux-error" })
    })
  })

  describe("each way to end a running session", () => {
    const endings: ReadonlyArray<readonly [fault: Fault, calls: ReadonlyArray<string>]> = [
      [{ fault: "throttle" }, ["fail ThrottlingException exception", "end"]],
      [{ fault: "model-stream-error" }, ["fail ModelStreamError exception", "end"]],
      [{ fault: "model-stream-error", as: "event" }, ["fail ModelStreamError event", "end"]],
      [{ fault: "internal-stream-failure" }, ["fail InternalStreamFailure exception", "end"]],
      [{ fault: "error-frame" }, ["fail InternalFailure error", "end"]],
      [{ fault: "error-frame", code: "X" }, ["fail X error", "end"]],
      [{ fault: "flux-error" }, ["Error", "end"]],
      [{ fault: "end" }, ["end"]],
      [{ fault: "reset" }, ["reset 2"]],
      [{ fault: "reset", code: 8 }, ["reset 8"]],
      [{ fault: "go-away", code: 11 }, ["goAway 11"]],
      [{ fault: "drop-socket" }, ["drop"]]
    ]
    it.each(endings)("%o", (fault, calls) => {
      const sitting = close(play(sit([fault])))
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", ...calls])
      assert.deepInclude(sitting.record(), { ending: "fault" })
      assert.deepStrictEqual(sitting.record().faults.map((happened) => happened.fault), [fault.fault])
    })
    it("flux-error has the next sequence id, also of what was not said, and no request id (protocol 2.6)", () => {
      const fault = { fault: "flux-error", at: 2, code: "C", description: "d" } as const
      for (const before of [[], [{ fault: "mute", at: 1 }], [{ fault: "omit", event: "Update" }]] as const) {
        const last = JSON.parse(play(sit([...before, fault])).texts().at(-1) ?? "")
        // Connected and all that followed it
        assert.deepStrictEqual(last, { type: "Error", sequence_id: upTo(2000).length - 1, code: "C", description: "d" })
      }
    })
  })

  describe("what a session goes on after", () => {
    const going: ReadonlyArray<readonly [fault: Fault, call: string]> = [
      [{ fault: "go-away", at: 1 }, "goAway 0"],
      [{ fault: "corrupt-crc", at: 1 }, "corrupt"],
      [{ fault: "stop-reading", at: 1 }, "stopReading"],
      [{ fault: "say", at: 1, text: "\u{1F600} no JSON" }, "\u{1F600} no JSON"]
    ]
    it.each(going)("%o", (fault, call) => {
      const said = upTo(1000)
      assert.deepStrictEqual(close(play(sit([fault]))).done(), [...said, call, ...whole.slice(said.length)])
    })
    it("omit leaves out an event, everywhere or in one turn; sequence ids go on", () => {
      const everywhere = close(play(sit([{ fault: "omit", event: "EndOfTurn" }])))
      assert.deepStrictEqual(everywhere.done(), whole.filter((what) => !what.startsWith("EndOfTurn")))
      const once = close(play(sit([{ fault: "omit", event: "EndOfTurn", turn: 1 }])))
      assert.deepStrictEqual(once.done(), whole.filter((what) => what !== `EndOfTurn ${48 * 80}`))
      const gap = whole.indexOf(`EndOfTurn ${48 * 80}`) - 1
      assert.isFalse(sequenceIds(once).includes(gap))
      assert.isTrue(sequenceIds(once).includes(gap + 1))
      // told once, though it happened twice
      assert.strictEqual(everywhere.record().faults.length, 1)
    })
    it("mute: what would have been said in its time is lost, and no more; sequence ids go on", () => {
      const sitting = close(play(sit([{ fault: "mute", at: 1, for: 2 }]), pcm, [1_000_000]))
      const silent = upTo(3000).slice(upTo(1000).length)
      assert.isAbove(silent.length, 5)
      assert.deepStrictEqual(sitting.done(), whole.filter((what) => !silent.includes(what)))
      const before = upTo(1000).length - 1
      assert.deepStrictEqual(sequenceIds(sitting).slice(before, before + 1), [before + silent.length])
    })
    it("mute for ever: CloseStream is not answered, and the session does not end", () => {
      const sitting = close(play(sit([{ fault: "mute", turn: 0 }])))
      assert.deepStrictEqual(sitting.done(), upTo(80))
      assert.deepInclude(sitting.record(), { ending: "open" })
      sitting.player.bodyEnded()
      assert.strictEqual(sitting.done().at(-1), "end")
    })
    it("stay-open: CloseStream is answered, and the session does not end", () => {
      const openTurn = pcm.subarray(0, 2560 * 5)
      const sitting = close(play(sit([{ fault: "stay-open" }]), openTurn))
      assert.deepStrictEqual(sitting.done(), [...upTo(400), "Update 400"])
      assert.deepInclude(sitting.record(), { ending: "open" })
      assert.strictEqual(sitting.record().faults.length, 1)
    })
    it("after CloseStream nothing is answered, and no fault happens", () => {
      const sitting = close(sit([{ fault: "stay-open" }, { fault: "reset", at: 1 }]))
      close(play(sitting))
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected"])
      assert.deepStrictEqual(sitting.record().faults.map(({ fault }) => fault), ["stay-open"])
    })
    it("split-parts and chop-data cut what is sent", () => {
      assert.deepStrictEqual(sit([{ fault: "split-parts" }]).done(), ["accept", "cut 7", "Connected"])
      assert.deepStrictEqual(sit([{ fault: "chop-data" }, { fault: "split-parts", bytes: 3 }]).done(), [
        "accept",
        "cut 3 chop",
        "Connected"
      ])
    })
  })

  describe("lag", () => {
    const lagging = (...faults: ReadonlyArray<Fault>): Sitting => {
      const sitting = sit([{ fault: "lag", delay: 700 }, ...faults])
      for (const piece of cut(pcm, [2560])) {
        sitting.player.audio(piece)
        sitting.advance(80)
      }
      return close(sitting)
    }
    it("everything is said in its order, each so much later", () => {
      const sitting = lagging()
      sitting.advance(10_000)
      assert.deepStrictEqual(sitting.done(), whole)
      // audio is played in real time: what ends at a frame is known when that frame has come, 80 ms early
      const said = sitting.calls.filter(({ what }) => what.includes("Turn"))
      assert.isAbove(said.length, 3)
      for (const { at, what } of said) assert.strictEqual(at, Number(what.split(" ")[1]) - 80 + 700)
      assert.strictEqual(sitting.record().endedAt, 54 * 80 + 700)
    })
    it("also a fault, behind what was said before it", () => {
      const sitting = lagging({ fault: "reset", at: 1 })
      sitting.advance(10_000)
      assert.deepStrictEqual(sitting.done(), [...upTo(1000), "reset 2"])
    })
    it("and what comes in the meantime is too late", () => {
      const sitting = lagging({ fault: "end", at: 1 }, { fault: "say", at: 1.5, text: "never" })
      sitting.advance(10_000)
      assert.deepStrictEqual(sitting.record().faults.map(({ fault }) => fault), ["lag", "end"])
    })
    it("of several faults adds up", () => {
      const sitting = lagging({ fault: "lag", delay: 100 })
      sitting.advance(10_000)
      assert.strictEqual(sitting.record().endedAt, 54 * 80 + 800)
    })
    it("but nothing once the client has ended its body", () => {
      const sitting = lagging()
      const said = sitting.done()
      sitting.player.bodyEnded()
      sitting.advance(10_000)
      assert.deepStrictEqual(sitting.done(), [...said, "end"])
      assert.deepInclude(sitting.record(), { ending: "client-ended" })
    })
  })

  describe("late-connected", () => {
    it("what arrives before waits, and is answered after it", () => {
      const sitting = close(play(sit([{ fault: "late-connected", delay: 3000 }])))
      assert.deepStrictEqual(sitting.done(), ["accept"])
      sitting.advance(2999)
      assert.deepStrictEqual(sitting.done(), ["accept"])
      sitting.advance(1)
      assert.deepStrictEqual(sitting.done(), whole)
    })
    it("nothing waits for a client that has ended its body by then", () => {
      const sitting = play(sit([{ fault: "late-connected", delay: 3000 }]))
      sitting.player.bodyEnded()
      sitting.advance(3000)
      assert.deepStrictEqual(sitting.done(), ["accept", "end"])
    })
    it("the caller may reuse its buffer", () => {
      const sitting = sit([{ fault: "late-connected", delay: 3000 }])
      const buffer = new Uint8Array(2560)
      for (const piece of cut(pcm, [2560])) {
        buffer.set(piece)
        sitting.player.audio(buffer)
        buffer.fill(0)
      }
      sitting.advance(3000)
      assert.deepStrictEqual(close(sitting).done(), whole)
    })
    it("no more waits than fits: the rest of the audio is lost, not the session", () => {
      const sitting = sit([{ fault: "late-connected", delay: 3000 }])
      const second = bytesOf(pcm16, 1000)
      const seconds = Math.floor(maxHeldBytes / second)
      for (let count = 0; count < seconds + 5; count++) sitting.player.audio(new Uint8Array(second))
      close(sitting).advance(3000)
      // an Update each 240 ms of what was kept
      assert.deepStrictEqual(sitting.done().slice(-2), [`Update ${Math.floor((seconds * 1000) / 240) * 240}`, "end"])
    })
  })

  describe("no-connected", () => {
    it("audio and CloseStream are taken, and nothing is ever said", () => {
      const sitting = close(play(sit([{ fault: "no-connected" }])))
      sitting.advance(60_000)
      assert.deepStrictEqual(sitting.done(), ["accept"])
      assert.deepInclude(sitting.record().received, { audioBytes: pcm.length, audioSeconds: 54 * 0.08 })
      sitting.player.bodyEnded()
      assert.deepStrictEqual(sitting.done(), ["accept", "end"])
    })
  })

  describe("Configure", () => {
    const configure = `{"type":"Configure","thresholds":{"eot_threshold":0.9}}`
    const asked = (fault: Fault): Sitting => {
      const sitting = sit([fault], { profile: "hosted-2026-09" })
      sitting.player.text(configure)
      return sitting
    }
    it("configure-failure: refused, as it was told to", () => {
      const sitting = asked({ fault: "configure-failure", code: "C", description: "d" })
      assert.deepInclude(JSON.parse(sitting.texts().at(-1) ?? ""), { type: "ConfigureFailure", code: "C", description: "d" })
      assert.deepStrictEqual(sitting.record().faults.map(({ fault }) => fault), ["configure-failure"])
    })
    it("configure-lost: taken, never answered", () => {
      const sitting = asked({ fault: "configure-lost" })
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected"])
      assert.deepStrictEqual(sitting.record().faults.map(({ fault }) => fault), ["configure-lost"])
      assert.deepStrictEqual(sitting.record().received.texts.map(({ type }) => type), ["Configure"])
    })
  })

  describe("before the response headers", () => {
    const refusals: ReadonlyArray<readonly [fault: Fault["fault"] & `${string}-${400 | 403 | 424 | 429 | 500 | 503}`, call: string]> = [
      ["not-found-400", "refuse 400 ValidationError"],
      ["reject-424", "refuse 424 ModelError"],
      ["deny-403", "refuse 403 AccessDeniedException"],
      ["expired-token-403", "refuse 403 ExpiredTokenException"],
      ["throttle-400", "refuse 400 ThrottlingException"],
      ["throttle-429", "refuse 429 ThrottlingException"],
      ["error-500", "refuse 500 undefined"],
      ["unavailable-503", "refuse 503 ServiceUnavailableError"]
    ]
    it.each(refusals)("%s, at once or later", (fault, call) => {
      const atOnce = sit([{ fault }])
      assert.deepStrictEqual(atOnce.done(), [call])
      assert.strictEqual(atOnce.record().ending, "refused")
      const later = sit([{ fault, delay: 400 }, { fault: "late-headers", delay: 100 }])
      later.advance(499)
      assert.deepStrictEqual(later.done(), [])
      later.advance(1)
      assert.deepStrictEqual(later.done(), [call])
    })
    it.each(["accept-and-hang", "no-headers"] as const)("%s: never answered", (fault) => {
      const sitting = close(play(sit([{ fault }])))
      sitting.player.bodyEnded()
      sitting.advance(3_600_000)
      assert.deepStrictEqual(sitting.done(), [])
      assert.deepInclude(sitting.record(), { ending: "open" })
      sitting.leave(sitting.player)
      assert.deepInclude(sitting.record(), { ending: "lost", endedAt: 3_600_000 })
    })
    it("late-headers: after that, all is normal", () => {
      const sitting = sit([{ fault: "late-headers", delay: 400 }])
      play(sitting)
      sitting.advance(399)
      assert.deepStrictEqual(sitting.done(), [])
      sitting.advance(1)
      assert.deepStrictEqual(close(sitting).done(), whole)
    })
    it("the first of several decides", () => {
      assert.deepStrictEqual(sit([{ fault: "error-500" }, { fault: "reject-424" }]).done(), ["refuse 500 undefined"])
    })
    it("a query against the pattern comes before faults, these before one that the bundle refuses", () => {
      const illegal = "model=flux general"
      const refused = `${baseQuery}&numerals=true`
      assert.deepStrictEqual(sit([{ fault: "error-500" }], { query: illegal }).done(), ["refuse 400 InputValidationError"])
      assert.deepStrictEqual(sit([{ fault: "error-500" }], { query: refused }).done(), ["refuse 500 undefined"])
      const bundle = sit([{ fault: "late-headers", delay: 5 }], { query: refused })
      assert.deepStrictEqual(bundle.done(), [])
      bundle.advance(5)
      assert.deepStrictEqual(bundle.done(), ["refuse 424 ModelError"])
      assert.deepInclude(bundle.record(), { ending: "refused", reason: "unknown parameter numerals" })
      // without one there is nothing for SageMaker to check
      assert.deepStrictEqual(sit([], { query: "" }).done(), ["refuse 424 ModelError"])
    })
  })

  describe("lifetime", () => {
    it("is 30 minutes from the response headers (protocol 5.7)", () => {
      const sitting = sit([{ fault: "late-headers", delay: 500 }])
      sitting.advance(500 + 30 * 60_000 - 1)
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected"])
      sitting.advance(1)
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", "fail ModelStreamError exception", "end"])
      assert.deepInclude(sitting.record(), { ending: "fault" })
    })
    const cuts: ReadonlyArray<readonly [as: "model-stream-error" | "end" | "reset", calls: ReadonlyArray<string>]> = [
      ["model-stream-error", ["fail ModelStreamError exception", "end"]],
      ["end", ["end"]],
      ["reset", ["reset 2"]]
    ]
    it.each(cuts)("may be shorter, cut as %s", (as, calls) => {
      const sitting = sit([{ fault: "lifetime", seconds: 2, as }, { fault: "no-connected" }])
      sitting.advance(1999)
      assert.deepStrictEqual(sitting.done(), ["accept"])
      sitting.advance(1)
      assert.deepStrictEqual(sitting.done(), ["accept", ...calls])
      assert.deepStrictEqual(sitting.record().faults.at(-1), { fault: "lifetime", at: 2000, audioSeconds: 0 })
    })
    it("does not touch a session that has ended", () => {
      const sitting = close(sit([]))
      sitting.advance(3_600_000)
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", "end"])
      assert.deepInclude(sitting.record(), { ending: "flux-closed", faults: [] })
    })
  })

  describe("the client", () => {
    const frame = { name: "InvalidSignatureException", message: "m", as: "exception" } as const
    it("that ends its body cuts the output at once (protocol 5.8)", () => {
      const sitting = play(sit([]), pcm.subarray(0, 2560 * 5))
      sitting.player.bodyEnded()
      play(sitting)
      assert.deepStrictEqual(close(sitting).done(), [...upTo(400), "end"])
      assert.deepInclude(sitting.record(), { ending: "client-ended" })
    })
    it("whose frame is not acceptable is told so", () => {
      const sitting = sit([])
      sitting.player.refused(frame)
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", "fail InvalidSignatureException exception", "end"])
      assert.deepInclude(sitting.record(), { ending: "frame-refused", reason: "m" })
    })
    it("that does either before the response headers hears of it after them", () => {
      const ended = sit([{ fault: "late-headers", delay: 5 }])
      ended.player.bodyEnded()
      assert.deepStrictEqual(ended.done(), [])
      ended.advance(5)
      assert.deepStrictEqual(ended.done(), ["accept", "end"])
      const refused = sit([{ fault: "late-headers", delay: 5 }])
      refused.player.refused(frame)
      refused.advance(5)
      assert.deepStrictEqual(refused.done(), ["accept", "fail InvalidSignatureException exception", "end"])
    })
    it("whose messages make no sense has them in the ledger all the same", () => {
      const sitting = sit([])
      sitting.player.text("\u0000 no JSON")
      assert.deepStrictEqual(sitting.record().received.texts.map(({ type }) => type), ["?"])
      assert.deepStrictEqual(sitting.done(), ["accept", "Connected", "Error", "end"])
    })
  })

  describe("whatever befalls it and whatever the client does", () => {
    const Step = Schema.Literals(["audio", "odd", "close", "rubbish", "body", "refused", "wait", "gone"])
    const over = /^(refuse|end|reset|drop|goAway [^0])/
    it.prop("the wire's rules hold", { faults: Schema.Array(Fault), steps: Schema.Array(Step) }, ({ faults, steps }) => {
      const sitting = sit(faults, { query: baseQuery })
      let left = false
      for (const step of ["audio", ...steps, "close", "wait", "body"] as const) {
        if (left) break
        const { player } = sitting
        switch (step) {
          case "audio":
            player.audio(pcm.subarray(0, 2560 * 20))
            break
          case "odd":
            player.audio(pcm.subarray(0, 777))
            break
          case "close":
            player.text(closeStream)
            break
          case "rubbish":
            player.text("rubbish")
            break
          case "body":
            player.bodyEnded()
            break
          case "refused":
            player.refused({ name: "n", message: "m", as: "exception" })
            break
          case "wait":
            sitting.advance(5000)
            break
          case "gone":
            sitting.leave(player)
            left = true
        }
      }
      const done = sitting.done()
      const [first] = done
      if (first !== undefined) assert.match(first, /^(accept|refuse)/)
      assert.isAtMost(done.filter((what) => /^(accept|refuse)/.test(what)).length, 1)
      // nothing follows the end
      const last = done.findIndex((what) => over.test(what))
      if (last >= 0) {
        assert.strictEqual(last, done.length - 1)
        assert.notStrictEqual(sitting.record().ending, "open")
      }
      if (left) assert.notStrictEqual(sitting.record().ending, "open")
    }, { arbitrary: { runs: 300, seed: "sessions" } })
  })

  it("records what arrives while a lagging end is on its way", () => {
    const sitting = sit([{ fault: "lag", delay: 1000 }, { fault: "end", at: 0.08 }])
    sitting.player.audio(draw("v"))
    sitting.player.audio(draw("v"))
    assert.strictEqual(sitting.record().ending, "open")
    assert.strictEqual(sitting.record().received.audioBytes, 2 * 2560)
  })

  it("of two lifetimes the shorter one counts", () => {
    const sitting = sit([{ fault: "lifetime", seconds: 60 }, { fault: "lifetime", seconds: 5, as: "end" }])
    sitting.advance(4999)
    assert.strictEqual(sitting.record().ending, "open")
    sitting.advance(1)
    assert.strictEqual(sitting.record().ending, "fault")
  })

  it("notes of two answers to Configure the one that was given", () => {
    const sitting = sit([{ fault: "configure-lost" }, { fault: "configure-failure" }], { profile: "hosted-2026-09" })
    sitting.player.text(`{"type":"Configure","keyterms":["x"]}`)
    assert.deepStrictEqual(sitting.record().faults.map(({ fault }) => fault), ["configure-lost"])
  })

  it("keeps a bounded number of messages before Connected, however small they are", () => {
    const sitting = sit([{ fault: "late-connected", delay: 1000 }])
    const sent = maxHeldBytes / 50
    for (let count = 0; count < sent; count++) sitting.player.audio(new Uint8Array(2))
    sitting.advance(1000)
    close(sitting)
    // what was kept is less than what came: each costs more than its bytes
    const [, window] = /.*"audio_window_end":([\d.]+)/s.exec(sitting.texts().join("")) ?? []
    assert.isBelow(Number(window), (sent / 2) / 16_000)
  })
})
