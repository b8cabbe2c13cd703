/** The command in the environment that people have: AWS's variables, their CA, their proxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Finding } from "../../src/cli/Finding.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { file, firstTurn, run, simulate, simulator, spoken } from "../support/command.ts"
import * as proxyServer from "../support/proxyServer.ts"

const keys = { AWS_ACCESS_KEY_ID: "AKIDPROXY", AWS_SECRET_ACCESS_KEY: "secret-of-aws", AWS_REGION: "us-east-2", FLUX_ENDPOINT_NAME: "my-flux" }

/** What `doctor` finds in an environment, by check, and all that it prints. */
const doctor = Effect.fnUntraced(function*(env: Record<string, string>, ...args: ReadonlyArray<string>) {
  const { stderr, stdout } = yield* Effect.promise(() => run(["doctor", "--json", ...args], { env: { ...keys, ...env } }))
  const found: ReadonlyArray<Finding> = stdout.trim().split("\n").map((line) => JSON.parse(line))
  return { of: (check: string) => found.find((finding) => finding.check === check), printed: `${stdout}${stderr}` }
})
const ofTls = Effect.gen(function*() {
  const server = yield* SimulatorServer.make({ tls: true })
  return { url: server.url, port: Number(new URL(server.url).port), ca: file(`${new URL(server.url).port}.pem`, server.certificate ?? "") }
})

describe.concurrent("the environment that people have", { timeout: 120_000 }, () => {
  it.live("AWS_ENDPOINT_URL and AWS_CA_BUNDLE lead to the endpoint, and doctor says so", () =>
    Effect.gen(function*() {
      const { ca, url } = yield* ofTls
      const { of } = yield* doctor({ AWS_ENDPOINT_URL: "http://other.invalid", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: url, AWS_CA_BUNDLE: ca }, "--connect")
      assert.strictEqual(of("address")?.found, `${url} (AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME), trusting ${ca} (AWS_CA_BUNDLE)`)
      assert.deepStrictEqual([of("tls")?.state, of("proxy")?.found, of("close")?.state], ["ok", "none", "ok"])
      const untrusted = yield* doctor({ AWS_ENDPOINT_URL: url })
      assert.deepStrictEqual([untrusted.of("address")?.found, untrusted.of("tls")?.state], [`${url} (AWS_ENDPOINT_URL)`, "failed"])
    }))

  it.live("a profile's services section does", () =>
    Effect.gen(function*() {
      const config = file("config", "[profile local]\nservices = flux\n[services flux]\nsagemaker_runtime =\n  endpoint_url = http://127.0.0.1\n")
      const { of } = yield* doctor({ AWS_CONFIG_FILE: config, AWS_PROFILE: "local" })
      assert.strictEqual(of("address")?.found, "http://127.0.0.1:8443 (sagemaker_runtime.endpoint_url in [services flux])")
    }))

  it.live("what is broken is refused by its name, by transcribe too", () =>
    Effect.gen(function*() {
      const broken = { AWS_ENDPOINT_URL: "https://user:hush@host", AWS_CA_BUNDLE: "/missing.pem", HTTPS_PROXY: "socks5://jane:hush@proxy:1" }
      const { of, printed } = yield* doctor(broken)
      const fault = of("address")?.found ?? ""
      for (const name of ["AWS_ENDPOINT_URL: must have no user", "AWS_CA_BUNDLE: /missing.pem cannot be read", "HTTPS_PROXY: a proxy of socks5:// is not supported"]) assert.include(fault, name)
      assert.deepStrictEqual([of("address")?.state, of("proxy")?.state], ["failed", "skipped"])
      assert.notInclude(printed, "hush")
      const transcribed = yield* Effect.promise(() => run(["transcribe", file("any.wav", firstTurn)], { env: { ...keys, ...broken } }))
      assert.strictEqual(transcribed.status, 2)
      for (const name of Object.keys(broken)) assert.include(transcribed.stderr, `${name}: `)
      assert.notInclude(transcribed.stderr, "hush")
    }))

  it.live("what is broken beside a sound address is why nothing is reached for", () =>
    Effect.gen(function*() {
      const reasonOf = (env: Record<string, string>) => Effect.map(doctor(env), ({ of }) => [of("address")?.state, of("name")?.found])
      const named = ["failed", "what is named above is wrong"]
      assert.deepStrictEqual(yield* reasonOf({ HTTPS_PROXY: "socks5://proxy:1" }), named)
      assert.deepStrictEqual(yield* reasonOf({ AWS_CA_BUNDLE: "/missing.pem" }), named)
      assert.deepStrictEqual(yield* reasonOf({ AWS_ENDPOINT_URL: "rubbish" }), ["failed", "there is no address that could be used"])
      assert.deepStrictEqual(yield* reasonOf({ AWS_REGION: "" }), ["skipped", "there is no address that could be used"])
    }))

  it.live("nothing of it reaches the simulator within, nor what an address of its own leads to", () =>
    Effect.gen(function*() {
      const config = file("hostile", "[default]\nendpoint_url = http://127.0.0.1:1\nca_bundle = /missing\nservices = gone\n")
      const proxy = yield* proxyServer.serve()
      const hostile = {
        AWS_ENDPOINT_URL: "rubbish", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: "http://127.0.0.1:1", AWS_CA_BUNDLE: "/missing", AWS_CONFIG_FILE: config,
        HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url, http_proxy: proxy.url, ALL_PROXY: proxy.url
      }
      const within = yield* Effect.promise(() => run(simulate, { env: hostile }))
      assert.deepStrictEqual([within.status, within.lines.length], [0, 3], within.stderr)
      const other = yield* Effect.promise(() => simulator())
      const transcribed = yield* Effect.promise(() => run(["transcribe", file("first.wav", firstTurn), "--pace", "fast"], { env: { ...other.env, ...hostile } }))
      assert.deepStrictEqual([transcribed.status, transcribed.lines.map(spoken)], [0, ["Hello, I would like to check the status of my order."]], transcribed.stderr)
      assert.deepStrictEqual(proxy.asked, [])
      yield* Effect.promise(() => other.stop())
    }))

  it.live("a call goes through HTTPS_PROXY, and its doctor step by step", () =>
    Effect.gen(function*() {
      const { ca, port, url } = yield* ofTls
      const proxy = yield* proxyServer.serve()
      const env = { HTTPS_PROXY: proxy.url.replace("//", "//jane:s3cr3t-of-jane@"), FLUX_ENDPOINT_URL: url, FLUX_CA_FILE: ca }
      const { of, printed } = yield* doctor(env, "--connect")
      const name = `127.0.0.1:${proxy.port}`
      assert.strictEqual(of("name")?.found, `127.0.0.1 (of the proxy, ${name})`)
      assert.strictEqual(of("tcp")?.found, `port ${proxy.port} is open (of the proxy, ${name})`)
      assert.strictEqual(of("proxy")?.found, `http://${name} (HTTPS_PROXY) leads to ${new URL(url).hostname}:${port}`)
      for (const check of ["address", "name", "tcp", "proxy", "tls", "http2", "clock", "session", "close"]) assert.strictEqual(of(check)?.state, "ok", check)
      const asText = yield* Effect.promise(() => run(["doctor"], { env: { ...keys, ...env } }))
      assert.match(asText.stdout, /^ok {4}proxy {8}http:/m)
      assert.notMatch(`${printed}${asText.stdout}${asText.stderr}`, /jane|s3cr3t/)
      assert.isTrue(proxy.asked.every(({ headers, target }) => target === `${new URL(url).hostname}:${port}` && headers["proxy-authorization"] !== undefined))
      // one for the steps and one for the session, and one for the steps alone
      assert.strictEqual(proxy.asked.length, 3)
      const direct = yield* doctor({ ...env, NO_PROXY: "localhost, 127.0.0.0/8" })
      assert.match(direct.of("proxy")?.found ?? "", /^none: NO_PROXY has (localhost|127\.0\.0\.0\/8), and so HTTPS_PROXY does not hold$/)
      assert.strictEqual(direct.of("http2")?.state, "ok")
      assert.strictEqual(proxy.asked.length, 3)
      yield* proxy.vacant
    }))

  it.live("the proxy looks up the endpoint's name", () =>
    Effect.gen(function*() {
      const { ca, port } = yield* ofTls
      const proxy = yield* proxyServer.serve()
      const { of } = yield* doctor({ https_proxy: proxy.url, AWS_ENDPOINT_URL: `https://flux.invalid:${port}`, AWS_CA_BUNDLE: ca })
      // the test's proxy leads all names to this machine, where the certificate is another one's
      assert.deepStrictEqual([of("name")?.state, of("proxy")?.state, of("tls")?.state], ["ok", "ok", "failed"])
      assert.match(of("tls")?.found ?? "", /altnames/)
    }))

  const refusals: ReadonlyArray<readonly [name: string, answer: string, check: string, says: RegExp, todo: RegExp]> = [
    ["does not allow port 8443", "HTTP/1.1 403 Forbidden\r\n\r\n", "proxy", /ConnectFailed: .*through the proxy 127\.0\.0\.1:\d+: the proxy answered 403 Forbidden/, /port 8443.*SSL_ports.*NO_PROXY/],
    ["wants credentials", "HTTP/1.1 407 Authenticate\r\n\r\n", "proxy", /the proxy answered 407 Proxy Authentication Required/, /user:password/],
    ["does not reach the endpoint", "HTTP/1.1 503 x\r\n\r\n", "proxy", /the proxy answered 503/, /8443/],
    ["is no proxy", "SSH-2.0-OpenSSH_9.6\r\n", "proxy", /the proxy does not speak HTTP/, /HTTPS_PROXY/]
  ]
  for (const [name, answer, check, says, todo] of refusals) {
    it.live(`a proxy that ${name}`, () =>
      Effect.gen(function*() {
        const proxy = yield* proxyServer.serve({ answer: (socket) => socket.resume().end(answer) })
        const env = { HTTPS_PROXY: proxy.url.replace("//", "//jane:s3cr3t-of-jane@") }
        const { of, printed } = yield* doctor(env)
        assert.deepStrictEqual([of("tcp")?.state, of(check)?.state, of("tls")?.state, of("clock")?.state], ["ok", "failed", "skipped", "skipped"])
        assert.match(of(check)?.found ?? "", says)
        assert.match(of(check)?.todo ?? "", todo)
        assert.deepStrictEqual(new Set(proxy.asked.map(({ target }) => target)), new Set(["runtime.sagemaker.us-east-2.amazonaws.com:8443"]))
        const transcribed = yield* Effect.promise(() => run(["transcribe", file("refused.wav", firstTurn)], { env: { ...keys, ...env } }))
        assert.strictEqual(transcribed.status, 1)
        assert.match(transcribed.stderr, says.source.includes("ConnectFailed") ? /the proxy answered 403/ : says)
        assert.notMatch(`${printed}${transcribed.stdout}${transcribed.stderr}`, /jane|s3cr3t/)
      }))
  }

  it.live("a proxy that is not there, or hangs", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(proxyServer.serve())
      const refused = yield* doctor({ HTTPS_PROXY: gone.url })
      assert.match(refused.of("tcp")?.found ?? "", /through the proxy 127\.0\.0\.1:\d+: the proxy cannot be reached: connect ECONNREFUSED/)
      assert.match(refused.of("tcp")?.todo ?? "", /HTTPS_PROXY/)
      const nameless = yield* doctor({ HTTPS_PROXY: "proxy.invalid:3128" })
      assert.match(nameless.of("name")?.found ?? "", /through the proxy proxy\.invalid:3128: the proxy cannot be reached: getaddrinfo/)
      const hanging = yield* proxyServer.serve({ answer: (socket) => socket.resume() })
      const hung = yield* doctor({ HTTPS_PROXY: hanging.url })
      assert.match(hung.of("proxy")?.found ?? "", /the proxy gave no answer within 5 s/)
      assert.match(hung.of("proxy")?.todo ?? "", /8443/)
    }))
})
