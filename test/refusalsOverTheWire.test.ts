/** What a reader at 3 a.m. is told when a call cannot begin: over the wire, as SageMaker says it (protocol 5.9). */
import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as net from "node:net"
import { CredentialsProviderError } from "@smithy/core/config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as FluxError from "../src/FluxError.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import * as bare from "./support/bareServer.ts"
import { once } from "./support/session.ts"
import { credentials } from "./support/rawClient.ts"

/** How a call to a server fails. */
const failureAt = (
  endpointUrl: string,
  options: Partial<SageMakerTransport.Options> = {},
  bounds: FluxSettings.SettingsPatch
): Effect.Effect<FluxError.FluxError, unknown> =>
  Stream.never.pipe(
    Transcriber.transcribe({ retry: once }),
    Stream.runDrain,
    Effect.flip,
    Effect.provide(Transcriber.layer.pipe(
      Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-2", endpointUrl, credentials, ...options })),
      Layer.provide(FluxSettings.layer(bounds))
    ))
  )
/** A server that answers every request so. */
const answering = (status: number, errorType: string, body: object) =>
  Effect.map(bare.serve({
    answer: (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": status, "x-amzn-errortype": errorType, "x-amzn-requestid": "request-9" })
      stream.end(JSON.stringify(body))
    }
  }), ({ port }) => `http://127.0.0.1:${port}`)
const simulating = (fault: NonNullable<SimulatorServer.Options["faults"]>[number]) =>
  Effect.map(
    Effect.provideService(SimulatorServer.make({ faults: [fault] }), References.MinimumLogLevel, "None"),
    ({ url }) => url
  )

interface Case {
  readonly what: string
  readonly at: Effect.Effect<string, unknown, Scope.Scope>
  readonly options?: Partial<SageMakerTransport.Options>
  readonly reason: FluxError.Reason["_tag"]
  readonly stage: FluxError.Stage
  /** What its message must say, and must not. */
  readonly says: ReadonlyArray<RegExp>
  readonly notSays?: RegExp
}

const cases: ReadonlyArray<Case> = [
  {
    what: "200 and then nothing",
    at: simulating({ fault: "no-connected" }),
    reason: "ConnectTimeout",
    stage: "connected",
    says: [/did not say Connected within 0.3 s/, /settings that the deployed bundle refuses/, /CloudWatch/]
  },
  {
    what: "a port that accepts and hangs",
    at: Effect.map(
      Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const sockets = new Set<net.Socket>()
          const server = net.createServer((socket) => sockets.add(socket.on("error", () => undefined)))
          server.on("close", () => sockets.clear())
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      ),
      (server) => {
        const address = server.address()
        return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
      }
    ),
    reason: "ConnectTimeout",
    stage: "open",
    says: [/No response headers within 0.3 s/, /port 8443/, /443 accepts and hangs/]
  },
  {
    what: "424, the container refuses",
    at: simulating({ fault: "reject-424" }),
    reason: "Rejected",
    stage: "open",
    says: [
      /\/aws\/sagemaker\/Endpoints\/my-flux/,
      /model that the endpoint does not run/,
      /language hints on flux-general-en/,
      /numerals/,
      /threshold out of range/,
      /overloaded/
    ]
  },
  {
    what: "the address of another region",
    at: answering(403, "InvalidSignatureException", { message: "Credential should be scoped to a valid region, not 'us-east-2'. " }),
    reason: "Unauthorized",
    stage: "open",
    says: [/region is wrong/, /Set the region/],
    notSays: /secret key|IAM|InvokeEndpointWith/
  },
  {
    what: "a region, or account, without this endpoint",
    at: answering(400, "ValidationError", { message: "Endpoint my-flux of account 123456789012 not found." }),
    reason: "InvalidRequest",
    stage: "open",
    says: [/no such endpoint in this account and region/, /region it is deployed in/]
  },
  {
    what: "a name that the simulator is told of as missing",
    at: simulating({ fault: "not-found-400" }),
    reason: "InvalidRequest",
    stage: "open",
    says: [/400, ValidationError/, /Endpoint my-flux of account 000000000000 not found/, /check the endpoint name, the region it is deployed in/]
  },
  {
    what: "500 of the service itself",
    at: simulating({ fault: "error-500", as: "typed" }),
    reason: "ServiceUnavailable",
    stage: "open",
    says: [/SageMaker failed \(500\): The request processing has failed/, /Try again/]
  },
  {
    what: "a clock that is behind",
    at: answering(403, "InvalidSignatureException", {
      message: "Signature expired: 20260102T030405Z is now earlier than 20260102T040405Z (20260102T040905Z - 5 min.)"
    }),
    reason: "Unauthorized",
    stage: "open",
    says: [/clock of this machine is off/, /Synchronise/],
    notSays: /secret key/
  },
  {
    what: "a clock that is ahead",
    at: answering(403, "InvalidSignatureException", {
      message: "Signature not yet current: 20260102T050405Z is still later than 20260102T040905Z (20260102T040405Z + 5 min.)"
    }),
    reason: "Unauthorized",
    stage: "open",
    says: [/clock of this machine is off/]
  },
  {
    what: "a role without the permission",
    at: answering(403, "AccessDeniedException", {
      Message: "User: arn:aws:sts::123456789012:assumed-role/agent is not authorized to perform: sagemaker:InvokeEndpointWithBidirectionalStream"
    }),
    reason: "Unauthorized",
    stage: "open",
    says: [/needs sagemaker:InvokeEndpointWithBidirectionalStream/, /sagemaker:InvokeEndpoint does not cover it/]
  },
  {
    what: "a session token that has expired",
    at: answering(403, "ExpiredTokenException", { message: "The security token included in the request is expired" }),
    reason: "Unauthorized",
    stage: "open",
    says: [/token has expired, and a refresh gave no other.*renew/]
  },
  {
    what: "no credentials",
    at: Effect.succeed("http://127.0.0.1:1"),
    options: { credentials: () => Promise.reject(new CredentialsProviderError("Could not load credentials from any providers")) },
    reason: "CredentialsUnavailable",
    stage: "open",
    says: [/Could not load credentials from any providers/, /AWS_ACCESS_KEY_ID/, /AWS_PROFILE/, /role/]
  },
  {
    what: "a provider that fails for now",
    at: Effect.succeed("http://127.0.0.1:1"),
    options: { credentials: () => Promise.reject(new Error("the vault is away")) },
    reason: "CredentialsUnavailable",
    stage: "open",
    says: [/the vault is away/, /may give some when it is asked again/]
  },
  {
    what: "nothing that listens",
    at: Effect.succeed("http://127.0.0.1:1"),
    reason: "ConnectFailed",
    stage: "open",
    says: [/ECONNREFUSED/, /port 8443/]
  }
]

describe("a call that cannot begin", () => {
  for (const { at, notSays, options, reason, says, stage, what } of cases) {
    it.live(what, () =>
      Effect.gen(function*() {
        // only who waits for a bound to pass wants a short one
        const bound = reason === "ConnectTimeout" ? "300 millis" : "10 seconds"
        const error = yield* failureAt(yield* at, options, { openTimeout: bound, connectedTimeout: bound })
        assert.deepStrictEqual([error.reason._tag, error.stage], [reason, stage])
        for (const part of says) assert.match(error.message, part)
        if (notSays !== undefined) assert.notMatch(error.message, notSays)
        assert.notInclude(error.message, credentials.secretAccessKey)
      }))
  }
})
