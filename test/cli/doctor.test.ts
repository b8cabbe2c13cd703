/** `flux-stt doctor` against every fault of the simulator, over the wire, and against what can be wrong on this side. */
import { assert, describe, it } from "@effect/vitest"
import * as http1 from "node:http"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { credentials } from "../../src/cli/credentials.ts"
import { examine, type Input } from "../../src/cli/examination.ts"
import { type Finding, text } from "../../src/cli/Finding.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { file, run, simulator, start } from "../support/command.ts"

// the SDK's chain reads the process's own
Object.assign(process.env, { AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret-of-the-doctor", AWS_REGION: "" })
delete process.env["AWS_SESSION_TOKEN"]
delete process.env["AWS_PROFILE"]

/** The client's bounds, by its environment. */
const env = {
  FLUX_OPEN_TIMEOUT: "2 seconds",
  FLUX_CONNECTED_TIMEOUT: "2 seconds",
  FLUX_DRAIN_TIMEOUT: "2 seconds",
  FLUX_DISCONNECT_TIMEOUT: "1 second",
  FLUX_CONFIGURE_TIMEOUT: "1 second",
  FLUX_SEND_TIMEOUT: "2 seconds"
}

/** What the doctor finds at an endpoint. */
const findings = Effect.fnUntraced(function*(url: string, input: Partial<Input> = {}) {
  const found: Array<Finding> = []
  yield* examine({
    connect: true,
    capabilities: undefined,
    settings: {},
    ...input,
    endpoint: { endpointName: "My-Flux", region: "us-east-2", endpointUrl: url, ...input.endpoint }
  }, (finding) => Effect.sync(() => found.push(finding))).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  return found
})

/** A server as long as a Scope, and its URL. */
const listening = (server: net.Server, scheme: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => server.close())
  ).pipe(Effect.map(() => {
    const address = server.address()
    return `${scheme}://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  }))

const all = ["node", "settings", "endpoint", "region", "credentials", "address", "name", "tcp", "proxy", "tls", "http2", "clock", "session", "audio", "configure", "close"]

/** What is wrong, and no more. */
const troubles = (found: ReadonlyArray<Finding>): ReadonlyArray<Finding> => found.filter(({ state }) => state === "failed" || state === "warning")

/** What the doctor must say of a fault: the check, the cause, and what to do. */
interface Row {
  readonly flag: string
  readonly capabilities?: Input["capabilities"]
  readonly check: string
  readonly says: RegExp
  readonly todo: RegExp
  /** Only worth knowing. */
  readonly warns?: true
}
const logs = /CloudWatch log group \(?\/aws\/sagemaker\/Endpoints\/My-Flux/
const port = /8443/
const again = /Try again|Reconnect/

/** By fault; those that a session without words cannot meet are in `unseen`. */
const rows: ReadonlyArray<Row> = [
  { flag: "accept-and-hang", check: "http2", says: /ConnectFailed: .*nothing came within 5 s/, todo: /port is open.*443 takes connections and hangs/ },
  { flag: "no-headers", check: "session", says: /ConnectTimeout: No response headers within 2 s/, todo: port },
  { flag: "late-headers,delay=30000", check: "session", says: /ConnectTimeout: No response headers within 2 s/, todo: port },
  { flag: "not-found-400", check: "session", says: /InvalidRequest: .*400.*ValidationError.*Endpoint my-flux of account/i, todo: /no such endpoint.*endpoint name.*region/ },
  { flag: "reject-424", check: "session", says: /Rejected: .*424/, todo: logs },
  { flag: "deny-403", check: "session", says: /Unauthorized: .*403/, todo: /sagemaker:InvokeEndpointWithBidirectionalStream on arn:\*:sagemaker:us-east-2:\*:endpoint\/my-flux/ },
  { flag: "expired-token-403", check: "session", says: /Unauthorized: .*ExpiredToken/, todo: /session token has expired/ },
  { flag: "throttle-400", check: "session", says: /Throttled: /, todo: /quota/ },
  { flag: "throttle-429", check: "session", says: /Throttled: /, todo: /quota/ },
  { flag: "error-500", check: "session", says: /ServiceUnavailable: .*500/, todo: again },
  { flag: "error-500,as=typed", check: "session", says: /ServiceUnavailable: .*500/, todo: again },
  { flag: "unavailable-503", check: "session", says: /ServiceUnavailable: .*503/, todo: again },
  { flag: "no-connected", check: "session", says: /ConnectTimeout: Flux did not say Connected within 2 s/, todo: logs },
  { flag: "late-connected,delay=30000", check: "session", says: /ConnectTimeout: Flux did not say Connected/, todo: logs },
  { flag: "throttle,at=0.3", check: "audio", says: /Throttled: /, todo: /quota/ },
  { flag: "model-stream-error,at=0.3", check: "audio", says: /ModelStreamError: /, todo: logs },
  { flag: "internal-stream-failure,at=0.3", check: "audio", says: /StreamFailure: /, todo: again },
  { flag: "error-frame,at=0.3", check: "audio", says: /StreamFailure: .*InternalFailure/, todo: again },
  { flag: "flux-error,at=0.3", check: "audio", says: /FluxFatal: .*INTERNAL_SERVER_ERROR/, todo: logs },
  { flag: "end,at=0.3", check: "audio", says: /ConnectionLost: /, todo: again },
  { flag: "reset,at=0.3", check: "audio", says: /ConnectionLost: .*INTERNAL_ERROR/, todo: again },
  { flag: "go-away,code=11,at=0.3", check: "audio", says: /ConnectionLost: .*error code 11/, todo: again },
  { flag: "drop-socket,at=0.3", check: "audio", says: /ConnectionLost: /, todo: again },
  { flag: "stop-reading", check: "close", says: /Stalled: |SendTimeout: /, todo: /reconnect/i },
  { flag: "corrupt-crc,at=0.3", check: "audio", says: /MalformedFrame: /, todo: /changes the bytes/ },
  { flag: "mute,at=0.3", check: "close", says: /Stalled: /, todo: /mute/ },
  { flag: "say,at=0.3,text=rubbish", check: "close", says: /UNREADABLE_MESSAGE/, todo: /capture/, warns: true },
  { flag: "say,at=0.3,text={\"type\":\"Novel\"}", check: "close", says: /Novel/, todo: /capture/, warns: true },
  { flag: "stay-open", check: "close", says: /DRAIN_TIMEOUT/, todo: /capture/, warns: true },
  { flag: "configure-failure", capabilities: "hosted-2026-09", check: "configure", says: /SettingsRefused: .*eotTimeoutMs/, todo: /goes on/ },
  { flag: "configure-lost", capabilities: "hosted-2026-09", check: "configure", says: /ConfigureUnanswered: .*within 1 s/, todo: /may be in force or not/ },
  { flag: "lifetime,seconds=0.5", check: "audio", says: /ModelStreamError: /, todo: logs },
  { flag: "max-streams,streams=0", check: "session", says: /Rejected: /, todo: logs }
]
/** Faults that leave a session without words as it is: all is well. */
const unseen = ["late-headers,delay=100", "late-connected,delay=100", "omit,event=EndOfTurn", "lag,delay=50", "split-parts", "chop-data", "go-away"]

describe.concurrent("flux-stt doctor", { timeout: 60_000 }, () => {
  it("has a row for every fault that there is", () => {
    const known = new Set([...rows.map(({ flag }) => flag), ...unseen].map((flag) => flag.split(",", 1)[0]))
    assert.deepStrictEqual(Fault.menu.map(({ name }) => name).filter((name) => !known.has(name)), [])
  })

  for (const { capabilities, check, flag, says, todo, warns } of rows) {
    it.live(`${flag}: ${check} names the cause, and what to do`, () =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* SimulatorServer.make({ faults: [Result.getOrThrow(Fault.fromFlag(flag))], profile: capabilities })
        const found = yield* findings(server.url, { capabilities })
        assert.deepStrictEqual(found.map((finding) => finding.check), all)
        const [trouble, ...others] = troubles(found)
        assert.deepStrictEqual(others, [])
        assert.strictEqual(trouble?.check, check)
        assert.strictEqual(trouble?.state, warns === true ? "warning" : "failed")
        assert.match(trouble?.found ?? "", says)
        assert.match(trouble?.todo ?? "", todo)
        // what depends on it is not made; a change of settings that is refused ends no session
        const after = found.slice(all.indexOf(check) + 1).map(({ state }) => state)
        assert.deepStrictEqual(after, after.map(() => check === "configure" ? "ok" : "skipped"))
      })))
  }

  for (const flag of unseen) {
    it.live(`${flag}: all is well`, () =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* SimulatorServer.make({ faults: [Result.getOrThrow(Fault.fromFlag(flag))] })
        assert.deepStrictEqual(troubles(yield* findings(server.url)), [])
      })))
  }

  it.live("all is well at an endpoint that is, over TLS, with Configure; nothing counts as a session but the session", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* SimulatorServer.make({ tls: true, profile: "hosted-2026-09" })
      const ca = file("ca.pem", server.certificate ?? "")
      const found = yield* findings(server.url, { capabilities: "hosted-2026-09", endpoint: { caFile: ca } })
      assert.deepStrictEqual(found.map(({ check, state }) => `${check} ${state}`), all.map((check) => `${check} ok`))
      assert.match(found.find(({ check }) => check === "tls")?.found ?? "", /^TLSv1\.3; certificate .*valid until/)
      assert.deepStrictEqual((yield* server.ledger).map(({ ending }) => ending), ["flux-closed"])
    })))

  it.live("a bundle that knows less than its profile says is found out", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* SimulatorServer.make({ profile: "flux-english-20260311" })
      const [trouble] = troubles(yield* findings(server.url, { capabilities: "flux-multi-20260417" }))
      assert.strictEqual(trouble?.check, "configure")
      assert.match(`${trouble?.found} ${trouble?.todo}`, /UNPARSABLE_CLIENT_MESSAGE.*capabilities/)
    })))

  describe("what is wrong on the way", () => {
    const cases: ReadonlyArray<readonly [name: string, open: Effect.Effect<string, unknown, Scope.Scope>, check: string, says: RegExp, todo: RegExp]> = [
      ["a name that is none", Effect.succeed("https://flux.invalid:8443"), "name", /ConnectFailed: .*flux\.invalid/, /DNS/],
      ["a port where nothing listens", Effect.succeed("http://127.0.0.1:1"), "tcp", /ConnectFailed: .*ECONNREFUSED/, /8443/],
      ["TLS where there is none", Effect.map(SimulatorServer.make(), ({ url }) => url.replace("http:", "https:")), "tls", /ConnectFailed: /, /simulator without TLS is reached by http:/],
      ["a certificate that is not trusted", Effect.map(SimulatorServer.make({ tls: true }), ({ url }) => url), "tls", /ConnectFailed: .*self.signed/, /caFile/],
      ["a server that takes TCP and says nothing", listening(net.createServer(), "https"), "tls", /ConnectFailed: .*nothing came within 5 s/, /port is open/],
      ["a server of HTTP/1.1", listening(http1.createServer(), "http"), "http2", /ConnectFailed: /, /port is open/]
    ]
    for (const [name, open, check, says, todo] of cases) {
      it.live(name, () =>
        Effect.scoped(Effect.gen(function*() {
          const found = yield* findings(yield* open)
          const [trouble, ...others] = troubles(found)
          assert.deepStrictEqual(others, [])
          assert.strictEqual(trouble?.check, check)
          assert.match(trouble?.found ?? "", says)
          assert.match(trouble?.todo ?? "", todo)
          const at = all.indexOf(check)
          assert.deepStrictEqual(found.slice(at + 1).map(({ state }) => state), all.slice(at + 1).map(() => "skipped"))
        })))
    }

    for (const ALPNProtocols of [undefined, ["http/1.1"]]) it.live(`a TLS server that does not offer HTTP/2, but ${ALPNProtocols}`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { cert, key } = yield* certificate.make("127.0.0.1")
        const url = yield* listening(tls.createServer({ cert, key, ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }) }), "https")
        const found = yield* findings(url, { endpoint: { caFile: file(`no-h2-${ALPNProtocols?.length}.pem`, cert) } })
        const [trouble, ...others] = troubles(found)
        assert.deepStrictEqual(others, [])
        assert.strictEqual(trouble?.check, "tls")
        assert.match(trouble?.found ?? "", /does not offer HTTP\/2|no application protocol/)
        assert.match(trouble?.todo ?? "", /does not speak HTTP\/2/)
      })))

    for (const [seconds, state, says] of [[5, "ok", /within seconds/], [-100, "warning", /^(99|100|101) s ahead of/], [1000, "warning", /^(999|1000|1001) s behind/]] as const) {
      it.live(`a clock that is ${seconds} s behind`, () =>
        Effect.scoped(Effect.gen(function*() {
          const server = http2.createServer()
          server.on("stream", (stream) => {
            stream.respond({ ":status": 404, date: new Date(Date.now() + seconds * 1000).toUTCString() }, { endStream: true })
          })
          const found = yield* findings(yield* listening(server, "http"), { connect: false })
          const clock = found.find(({ check }) => check === "clock")
          assert.strictEqual(clock?.state, state)
          assert.match(clock?.found ?? "", says)
        })))
    }
  })

  describe("credentials", () => {
    const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000)
    const keys = { accessKeyId: "AKIDDOCTOR", secretAccessKey: "secret-of-the-doctor" }
    const cases = [
      ["of a profile", { ...keys, $source: { CREDENTIALS_PROFILE: "n" } }, "ok", /^from a profile in the shared files; do not expire$/],
      ["of a role by SSO", { ...keys, sessionToken: "t", expiration: inMinutes(42.5), $source: { CREDENTIALS_SSO: "s", CREDENTIALS_PROFILE_SSO: "r" } }, "ok", /^from SSO by a profile; expire in 42 min \(20\d\d-/],
      ["of an instance", { ...keys, sessionToken: "t", expiration: inMinutes(350) }, "ok", /^from the instance's role; expire in 5 h \(/],
      ["with a token alone", { ...keys, sessionToken: "t", $source: { CREDENTIALS_ENV_VARS: "g" } }, "ok", /^from environment variables; temporary, until when is not told$/],
      ["that have expired", { ...keys, sessionToken: "t", expiration: inMinutes(-1) }, "failed", /expired at 20\d\d-/],
      ["that are empty", { accessKeyId: "", secretAccessKey: "" }, "failed", /CredentialsUnavailable: .*the keys are empty/]
    ] as const
    for (const [name, identity, state, says] of cases) {
      it.live(name, () =>
        Effect.gen(function*() {
          const finding = yield* credentials(() => Promise.resolve(identity), { name: "My-Flux", region: "us-east-2" })
          assert.strictEqual(finding.state, state)
          assert.match(finding.found, says)
          assert.notInclude(JSON.stringify(finding), "DOCTOR")
        }))
    }

    it.effect("that never come", () =>
      Effect.gen(function*() {
        const asking = yield* Effect.forkChild(credentials(() => new Promise(() => undefined), { name: undefined, region: undefined }), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        assert.match((yield* Fiber.join(asking)).found, /CredentialsUnavailable: .*nothing came within 10 s/)
      }))
  })

  describe("as a process", () => {
    it("a machine with nothing set up: every check has its line, and what to do", async () => {
      const { lines, status, stderr } = await run(["doctor"])
      assert.strictEqual(status, 1)
      assert.strictEqual(stderr, "flux-stt: 3 checks failed\n")
      assert.match(lines[0] ?? "", /^ok {4}node {9}\d+\.\d+\.\d+$/)
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("FAIL")).map((line) => line.split(/ +/)[1]), ["endpoint", "region", "credentials"])
      const todo = lines.filter((line) => line.includes("-> "))
      assert.deepStrictEqual(todo.map((line) => /--endpoint-name|AWS_REGION|AWS_PROFILE/.exec(line)?.[0]), ["--endpoint-name", "AWS_REGION", "AWS_PROFILE"])
    })

    it("settings that the profile does not take, and options that cannot be, each in its place", async () => {
      const { status, stdout } = await run(["doctor", "--json", "--endpoint-name", "my flux", "--region", "nowhere!", "--numerals", "--eot-threshold", "0.2", "--ca-file", "/missing"], {
        env: { AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret-of-the-doctor" }
      })
      assert.strictEqual(status, 1)
      const found: ReadonlyArray<Finding> = stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(found.filter(({ state }) => state === "failed").map(({ check }) => check), ["settings", "endpoint", "region", "address"])
      assert.match(found[1]?.found ?? "", /eotThreshold: .*; numerals: /)
      assert.notMatch(stdout, /DOCTOR|secret-of/)
    })

    it("variables that cannot be read are told, and nothing is said to be missing because of them", async () => {
      const { status, stdout } = await run(["doctor", "--json"], {
        env: { FLUX_CONNECTIONS: "some", FLUX_EOT_THRESHOLD: "high", FLUX_ENDPOINT_NAME: "my-flux", AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret" }
      })
      assert.strictEqual(status, 1)
      const found: ReadonlyArray<Finding> = stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(found.filter(({ state }) => state === "failed").map(({ check, found }) => [check, found.slice(0, 16)]), [["settings", "FLUX_EOT_THRESHO"], ["address", "FLUX_CONNECTIONS"]])
      assert.strictEqual(found.find(({ check }) => check === "endpoint")?.state, "skipped")
      const profile = await run(["doctor", "--json"], { env: { FLUX_CAPABILITIES: "some", FLUX_ENDPOINT_NAME: "my-flux", AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret" } })
      assert.strictEqual(profile.stderr, "flux-stt: one check failed\n")
    })

    it("a variant that cannot be is told with the endpoint, and the way there is gone all the same", async () => {
      const { stdout } = await run(["doctor", "--json", "--endpoint-name", "my-flux", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:1", "--target-variant", "bad_one"], {
        env: { AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret", AWS_CREDENTIAL_EXPIRATION: "tomorrow" }
      })
      const found: ReadonlyArray<Finding> = stdout.trim().split("\n").map((line) => JSON.parse(line))
      const states = Object.fromEntries(found.map(({ check, state }) => [check, state]))
      assert.deepInclude(states, { endpoint: "failed", region: "ok", credentials: "warning", address: "ok", name: "ok", tcp: "failed" })
      assert.match(found.find(({ check }) => check === "region")?.found ?? "", /^us-east-1 \(--region\)$/)
    })

    it("checks all although nobody reads, for the sake of its status", async () => {
      const running = start(["doctor", "--endpoint-name", "any", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:1"], {
        env: { AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret" }
      })
      running.child.stdout?.destroy()
      assert.strictEqual(await running.status, 1)
      assert.strictEqual(running.stderr(), "flux-stt: one check failed\n")
    })

    it("lets nothing that a server says do anything to a terminal", () => {
      const shown = text({ check: "tls", state: "failed", found: "of Evil\u001b[31m\nok    all", todo: "do\u0007" }, false)
      assert.strictEqual(shown, "FAIL  tls          of Evil ok    all\n                   -> do ")
    })

    it("an endpoint that is well: status 0, and no colour where it is no terminal", async () => {
      const { stop, url } = await simulator()
      const { status, stderr, stdout } = await run(["doctor", "--endpoint-name", "any", "--region", "us-east-1", "--endpoint-url", url, "--connect"], {
        env: { AWS_ACCESS_KEY_ID: "AKIDDOCTOR", AWS_SECRET_ACCESS_KEY: "secret-of-the-doctor" }
      })
      assert.strictEqual(stderr, "")
      assert.strictEqual(status, 0)
      assert.match(stdout, /^ok {4}session {6}Connected from variant simulator after \d+ ms \(request [\w-]+\)$/m)
      assert.match(stdout, /^ok {4}close {8}Flux ended the session \d+ ms after CloseStream$/m)
      assert.notInclude(stdout, "\u001b")
      assert.strictEqual(await stop(), 0)
    })
  })
})
