/** The real client to a server of HTTP/2 over TLS, through a proxy: what it asks, what it says of refusals, what it leaves. */
import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import * as bare from "../support/bareServer.ts"
import * as proxyServer from "../support/proxyServer.ts"
import { credentials } from "../support/rawClient.ts"

const localhost = await Effect.runPromise(certificate.make("localhost"))
const ofProxy = await Effect.runPromise(certificate.make("127.0.0.1"))
const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"

/** A server of TLS that answers each request, and the transport to it. */
const server = bare.serve({ answer: (stream) => bare.accept(stream), tls: localhost })
const transportTo = (port: number, options: SageMakerTransport.Options) =>
  SageMakerTransport.make({
    endpointName: "my-flux",
    region: "us-east-1",
    endpointUrl: `https://localhost:${port}`,
    ca: localhost.cert,
    credentials,
    ...options
  })

describe("a tunnel", () => {
  for (const connections of ["isolated", "shared"] as const) {
    it.live(`leads to the endpoint: ${connections}`, () =>
      Effect.gen(function*() {
        const [proxy, { call, connections: made, port, vacant }] = yield* Effect.all([proxyServer.serve(), server])
        const scope = yield* Scope.make()
        const transport = yield* transportTo(port, { proxy: proxy.url, connections }).pipe(Scope.provide(scope))
        const opened = yield* Effect.forEach([1, 2, 3], () => transport.open(query), { concurrency: "unbounded" }).pipe(Scope.provide(scope))
        const tunnels = connections === "shared" ? 1 : 3
        assert.strictEqual(made(), tunnels)
        assert.deepStrictEqual(proxy.asked.map(({ headers, target }) => [target, headers.host]), Array.from({ length: tunnels }, () => [`localhost:${port}`, `localhost:${port}`]))
        assert.notProperty(proxy.asked[0]?.headers ?? {}, "proxy-authorization")
        yield* opened[0]?.send({ dataType: "BINARY", bytes: new Uint8Array(640) }) ?? Effect.void
        yield* Effect.flatMap(call, ({ frame }) => frame)
        yield* Scope.close(scope, Exit.void)
        yield* Effect.all([vacant, proxy.vacant])
      }))
  }
})
void [Cause, Fiber, TestClock, inspect, net, ofProxy]
