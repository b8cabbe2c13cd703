/** An hour of audio as fast as it goes: every turn in order, every sample once, and memory that does not grow. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Stamp from "../src/simulator/Stamp.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { file, spoken, start } from "./support/command.ts"
import { kept } from "./support/memory.ts"
import { credentials } from "./support/rawClient.ts"

const rate = 16_000
const frame = 1280
const hour = 3600 * rate
/** A turn every ten seconds, each with its number in words of its own. */
const turns = Array.from({ length: 359 }, (_, at) => ({ at: at * 10 + 1, words: `turn number ${at} is said` }))
const expected = turns.map(({ words }) => words)

describe("an hour of audio", { timeout: 60_000 }, () => {
  it.live("over HTTP/2: every turn in order, every sample once; heap at a tenth and at the end within 10 %", () =>
    Effect.gen(function*() {
      const simulator = yield* Effect.provideService(
        SimulatorServer.make({ script: Script.make({ turns }) }),
        References.MinimumLogLevel,
        "None"
      )
      const layer = Transcriber.layer.pipe(
        Layer.provide(SageMakerTransport.layer({ endpointName: "e", region: "us-east-1", endpointUrl: simulator.url, credentials })),
        Layer.provide(FluxSettings.layer())
      )
      const heard: Array<string> = []
      const memory: Array<number> = []
      // the stamps are made as they are needed
      const audio = Stream.mapEffect(Stream.range(0, hour / frame - 1), (at) =>
        Effect.gen(function*() {
          const share = at / (hour / frame)
          if (memory.length === 0 && share >= 0.1) memory.push(yield* kept)
          if (memory.length === 1 && share >= 0.999) memory.push(yield* kept)
          return Stamp.audio(at * frame, frame)
        }))
      yield* audio.pipe(
        Transcriber.transcribe({ settings: { eotThreshold: 0.7 } }),
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event.type === "EndOfTurn") heard.push(event.transcript)
          })),
        Effect.provide(layer)
      )
      assert.deepStrictEqual(heard, expected)
      const [record] = yield* simulator.ledger
      assert.deepStrictEqual(record?.received.stamped, [{ from: 0, to: hour }])
      const [early = 0, late = 0] = memory
      assert.isBelow(Math.abs(late - early) / early, 0.1, `${early} and ${late} bytes`)
    }))

  it("by the command, on standard input", async () => {
    const script = file("hour.json", JSON.stringify({ turns }))
    const command = start(["transcribe", "-", "--raw", "--simulate", "--pace", "fast", "--script", script], { stdin: "open" })
    const { stdin } = command.child
    if (stdin === null) return assert.fail("no standard input")
    const second = new Uint8Array(2 * rate)
    for (let at = 0; at < 3600; at++) {
      if (!stdin.write(second)) await new Promise((resume) => stdin.once("drain", resume))
    }
    stdin.end()
    assert.strictEqual(await command.status, 0, command.stderr())
    assert.deepStrictEqual(command.stdout().trim().split("\n").map(spoken), expected)
  })
})
