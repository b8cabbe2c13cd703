/** A group of calls over HTTP/2, by the real client at a simulator in this process, in real time or faster. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { credentials } from "../support/rawClient.ts"
import { faultsOf, type Group, run } from "./run.ts"

/** How the client connects. */
export interface Way {
  /** Audio comes so many times faster than in real time. */
  readonly speed: number
  readonly connections: SageMakerTransport.ConnectionMode
}

/** Makes the calls of a group; when the client is gone, nothing of them may be left at the server. */
export const runOverTheWire = Effect.fnUntraced(
  function*(group: Group, { connections, speed }: Way) {
    const server = yield* SimulatorServer.make({
      script: group.speech.script,
      faults: faultsOf(group, { speed, wire: true }),
      seed: group.seed,
      profile: "hosted-2026-09"
    })
    const transport = SageMakerTransport.layer({
      endpointName: "my-flux",
      region: "us-east-1",
      endpointUrl: server.url,
      capabilities: "hosted-2026-09",
      connections,
      credentials
    })
    const layer = Transcriber.layer.pipe(Layer.provide(transport), Layer.provide(FluxSettings.layer(bounds(speed))), Layer.orDie)
    const open = Effect.map(server.ledger, (records) => records.filter(({ ending }) => ending === "open").length)
    // the server hears of the last streams a moment later than the client
    const ledger = Effect.andThen(settled(open), server.ledger)
    const reports = yield* Effect.provide(run(group, speed, ledger), layer, { local: true })
    const left = yield* settled(server.sessions)
    if (left > 0) return yield* Effect.die(new Error(`${left} sessions are left at the server`))
    return reports
  },
  Effect.scoped,
  Effect.orDie,
  Effect.provideService(References.MinimumLogLevel, "None")
)

/** Looks until there are none, for three seconds at the most; how many there are then. */
const settled = (open: Effect.Effect<number>): Effect.Effect<number> =>
  Effect.repeat(open, {
    until: (some) => some === 0,
    schedule: Schedule.upTo(Schedule.spaced("10 millis"), { times: 300 })
  }).pipe(Effect.andThen(open))

/** The client's bounds on what comes faster too; a busy process needs a second all the same. */
const bounds = (speed: number): FluxSettings.SettingsPatch => {
  const { configureTimeout, connectedTimeout, disconnectTimeout, drainTimeout, openTimeout, replayWindow, sendTimeout, stallTimeout } = FluxSettings.defaults
  const shorter = (bound: Duration.Duration): Duration.Duration =>
    Duration.max(Duration.min(bound, Duration.seconds(1)), Duration.millis(Duration.toMillis(bound) / speed))
  return {
    openTimeout: shorter(openTimeout),
    connectedTimeout: shorter(connectedTimeout),
    drainTimeout: shorter(drainTimeout),
    disconnectTimeout: shorter(disconnectTimeout),
    sendTimeout: shorter(sendTimeout),
    stallTimeout: shorter(stallTimeout),
    configureTimeout: shorter(configureTimeout),
    // an outage lasts as long as ever, and more is said in it
    replayWindow: Duration.times(replayWindow, speed),
    // of the audio, not of time
    catchUpSpeed: 10 * speed
  }
}
