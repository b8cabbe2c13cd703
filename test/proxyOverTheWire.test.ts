/** A conversation of the real client with the real simulator over TLS, through a proxy that cuts it off on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Audio from "../src/Audio.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import { FluxTransport } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { firstTurn, lines } from "./support/command.ts"
import * as proxyServer from "./support/proxyServer.ts"

const format = { encoding: "linear16", sampleRate: 16_000 } as const
const audio = new Uint8Array(firstTurn.subarray(44))

/** The conversation about the first turn of the sample, with what its proxy and simulator saw. */
const conversation = Effect.fnUntraced(function*(
  connections: SageMakerTransport.ConnectionMode,
  settings: FluxSettings.SettingsPatch,
  onEvent: (event: FluxEvent, proxy: proxyServer.ProxyServer) => void
) {
  const proxy = yield* proxyServer.serve()
  const server = yield* SimulatorServer.make({ tls: true, oneCall: true, script: Script.fromText(lines.join("\n")) })
  const scope = yield* Scope.make()
  const transport = yield* SageMakerTransport.make({
    endpointName: "my-flux",
    region: "us-east-1",
    endpointUrl: server.url,
    ca: server.certificate,
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    proxy: proxy.url,
    connections
  }).pipe(Scope.provide(scope))
  const events = yield* Stream.make(audio).pipe(
    Audio.frames(format),
    Audio.paced({ ...format, speed: 2 }),
    Transcriber.transcribe({ finish: "silence" }),
    Stream.tap((event) => Effect.sync(() => onEvent(event, proxy))),
    Stream.runCollect,
    Effect.provide(Transcriber.layer.pipe(
      Layer.provide(Layer.succeed(FluxTransport, transport)),
      Layer.provide(FluxSettings.layer(settings))
    ))
  )
  yield* Scope.close(scope, Exit.void)
  yield* proxy.vacant
  const said = events.flatMap((event) => event.type === "EndOfTurn" ? [event.transcript] : [])
  return { proxy, said, sessions: (yield* server.ledger).length, types: new Set(events.map(({ type }) => type)) }
})

describe.concurrent("a conversation through a proxy", { timeout: 60_000 }, () => {
  for (const connections of ["isolated", "shared"] as const) {
    it.live(`says what it says without: ${connections}`, () =>
      Effect.gen(function*() {
        const { proxy, said, sessions } = yield* conversation(connections, {}, () => undefined)
        assert.deepStrictEqual(said, [lines[0]])
        assert.deepStrictEqual([proxy.asked.length, sessions], [1, 1])
      }))

    it.live(`outlives its tunnel: ${connections}`, () =>
      Effect.gen(function*() {
        let isCut = false
        const { proxy, said, sessions, types } = yield* conversation(connections, {}, (event, { cut }) => {
          if (event.type !== "StartOfTurn" || isCut) return
          isCut = true
          cut()
        })
        assert.deepStrictEqual(said, [lines[0]])
        assert.deepStrictEqual([proxy.asked.length, sessions], [2, 2])
        assert.isTrue(types.has("Reconnecting") && types.has("Resumed"))
      }))
  }

  it.live("has a tunnel for each session that takes over", () =>
    Effect.gen(function*() {
      const { proxy, said, sessions } = yield* conversation("isolated", { maxSessionAge: "1 second" }, () => undefined)
      assert.deepStrictEqual(said, [lines[0]])
      assert.isAbove(sessions, 1)
      // one may be on its way when the call ends
      assert.isAtLeast(proxy.asked.length, sessions)
    }))
})
