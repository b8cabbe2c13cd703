/** Every fault, as the real client meets it at the real server: the same outcome as on the fake transport. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { becomes } from "./support/becomes.ts"
import * as faultTable from "./support/faultTable.ts"
import { credentials } from "./support/rawClient.ts"

const transcriberAt = (endpointUrl: string) =>
  Transcriber.layer.pipe(
    Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-1", endpointUrl, credentials })),
    Layer.provide(FluxSettings.layer())
  )

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

describe.concurrent("every fault over HTTP/2 is an event or a typed error, within the client's bounds", () => {
  const defects: Array<unknown> = []
  const note = (error: unknown): void => void defects.push(error)
  process.on("unhandledRejection", note)
  afterAll(async () => {
    process.off("unhandledRejection", note)
    assert.deepStrictEqual(defects, [])
    await Effect.runPromise(becomes("sockets", Effect.sync(sockets), 0))
  })

  it.live.each(faultTable.rows)("$flag", (row) =>
    Effect.gen(function*() {
      const fault = faultTable.faultOf(row)
      const server = yield* SimulatorServer.make({ script: faultTable.script, faults: [fault] }).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      const { error, events } = yield* faultTable.run(row).pipe(
        Effect.provide(transcriberAt(server.url)),
        Effect.timeout("12 seconds")
      )
      const expected = row.overHttp2 ?? row
      assert.deepStrictEqual({ events, error }, { events: expected.events, error: expected.error })
      yield* becomes("sessions", server.sessions, 0)
      yield* becomes("records that have not ended", openRecords(server), 0)
      const happened = new Set((yield* server.ledger).flatMap(({ faults }) => faults.map(({ fault }) => fault)))
      // a connection that is left alone has no session; the client sends no Configure
      const silent = fault.fault === "accept-and-hang" || fault.fault.startsWith("configure")
      assert.deepStrictEqual([...happened], silent ? [] : [fault.fault])
    }))
})

const openRecords = ({ ledger }: SimulatorServer.SimulatorServer["Service"]) =>
  Effect.map(ledger, (records) => records.filter(({ ending }) => ending === "open").length)
