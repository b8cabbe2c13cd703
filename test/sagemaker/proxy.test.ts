/** Which proxy is in force, by what is given and by the environment. */
import { assert, describe, it } from "@effect/vitest"
import { inspect } from "node:util"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as NoProxy from "../../src/sagemaker/noProxy.ts"
import * as Proxy from "../../src/sagemaker/proxy.ts"

const endpoint = new URL("https://runtime.sagemaker.us-east-1.amazonaws.com:8443/")
const routeOf = (env: Record<string, string>, given?: string | false, target = endpoint) =>
  Proxy.route(given, target).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

describe("NO_PROXY", () => {
  const aws = "runtime.sagemaker.us-east-1.amazonaws.com"
  const cases: ReadonlyArray<readonly [list: string, host: string, entry: string | undefined, port?: number]> = [
    ["", aws, undefined],
    [" , ,,", aws, undefined],
    ["*", aws, "*"],
    ["localhost,*", aws, "*"],
    [aws, aws, aws],
    [`${aws}.`, aws, `${aws}.`],
    [aws, `${aws}.`, aws],
    [aws.toUpperCase(), aws, aws.toUpperCase()],
    ["amazonaws.com", aws, "amazonaws.com"],
    [".amazonaws.com", aws, ".amazonaws.com"],
    ["*.amazonaws.com", aws, "*.amazonaws.com"],
    ["localhost, 127.0.0.1 ,\t.amazonaws.com ,::1", aws, ".amazonaws.com"],
    ["localhost 127.0.0.1 .amazonaws.com", aws, ".amazonaws.com"],
    ["azonaws.com", aws, undefined],
    [".com.cn", aws, undefined],
    ["aws", aws, undefined],
    ["runtime.sagemaker", aws, undefined],
    [`x.${aws}`, aws, undefined],
    [".", aws, undefined],
    ["*.corp", "corp", undefined],
    [".corp", "corp", ".corp"],
    [`${aws}:8443`, aws, `${aws}:8443`],
    [".amazonaws.com:8443", aws, ".amazonaws.com:8443"],
    [`${aws}:443`, aws, undefined],
    [`${aws}:443`, aws, `${aws}:443`, 443],
    ["*:443", aws, undefined],
    ["10.1.2.3", "10.1.2.3", "10.1.2.3"],
    ["10.1.2.3:8443", "10.1.2.3", "10.1.2.3:8443"],
    ["10.1.2.3:443", "10.1.2.3", undefined],
    ["10.1.2", "10.1.2.3", undefined],
    [".2.3", "10.1.2.3", undefined],
    ["*.2.3", "10.1.2.3", undefined],
    ["10.0.0.0/8", "10.1.2.3", "10.0.0.0/8"],
    ["10.0.0.0/8", "11.1.2.3", undefined],
    ["10.1.2.3/32", "10.1.2.3", "10.1.2.3/32"],
    ["10.1.2.0/31", "10.1.2.3", undefined],
    ["0.0.0.0/0", "10.1.2.3", "0.0.0.0/0"],
    ["10.0.0.0/33,10.0.0.0/-1,10.0.0.0/x,10.0.0.0/,/8,10.0.0.0/8/8", "10.1.2.3", undefined],
    ["10.0.0.0/8", aws, undefined],
    ["10.0.0.0/8", "10.example.com", undefined],
    ["::1", "::1", "::1"],
    ["[::1]", "::1", "[::1]"],
    ["[::1]:8443", "::1", "[::1]:8443"],
    ["[::1]:443", "::1", undefined],
    ["0:0:0:0:0:0:0:1", "::1", "0:0:0:0:0:0:0:1"],
    ["2001:DB8::1", "2001:db8::1", "2001:DB8::1"],
    ["fd00::/8", "fd12::5", "fd00::/8"],
    ["fd00::/8", "fe80::5", undefined],
    ["fd00::/129", "fd00::", undefined],
    ["::1", "10.1.2.3", undefined],
    ["[", aws, undefined],
    ["(.*)+$", aws, undefined]
  ]
  for (const [list, host, entry, port = 8443] of cases) {
    it(`${JSON.stringify(list)} for ${host}:${port}`, () => {
      assert.strictEqual(NoProxy.match(list, host, port), entry)
    })
  }
})

describe("the proxy", () => {
  const through = (source: string, url: string) => [source, `${url}/`]
  const cases: ReadonlyArray<readonly [name: string, env: Record<string, string>, given: string | false | undefined, found: ReadonlyArray<string> | undefined]> = [
    ["none", {}, undefined, undefined],
    ["HTTPS_PROXY", { HTTPS_PROXY: "http://proxy:3128" }, undefined, through("HTTPS_PROXY", "http://proxy:3128")],
    ["https_proxy before HTTPS_PROXY", { HTTPS_PROXY: "http://upper:1", https_proxy: "http://lower:1" }, undefined, through("https_proxy", "http://lower:1")],
    ["an empty one is none", { https_proxy: "", HTTPS_PROXY: " ", ALL_PROXY: "" }, undefined, undefined],
    ["what is empty hides nothing", { https_proxy: "", HTTPS_PROXY: "http://upper:1" }, undefined, through("HTTPS_PROXY", "http://upper:1")],
    ["ALL_PROXY", { ALL_PROXY: "http://all:1" }, undefined, through("ALL_PROXY", "http://all:1")],
    ["HTTPS_PROXY before all_proxy", { all_proxy: "http://all:1", HTTPS_PROXY: "http://proxy:1" }, undefined, through("HTTPS_PROXY", "http://proxy:1")],
    ["HTTP_PROXY is for http://", { HTTP_PROXY: "http://proxy:1", http_proxy: "http://proxy:1" }, undefined, undefined],
    ["bare", { HTTPS_PROXY: "proxy.corp:3128" }, undefined, through("HTTPS_PROXY", "http://proxy.corp:3128")],
    ["a bare address", { HTTPS_PROXY: "10.0.0.1:3128" }, undefined, through("HTTPS_PROXY", "http://10.0.0.1:3128")],
    ["bare, of IPv6", { HTTPS_PROXY: "[::1]:3128" }, undefined, through("HTTPS_PROXY", "http://[::1]:3128")],
    ["bare, with a user", { HTTPS_PROXY: "user:hush@proxy:3128" }, undefined, through("HTTPS_PROXY", "http://proxy:3128")],
    ["with blanks around it", { HTTPS_PROXY: " http://proxy:3128\r" }, undefined, through("HTTPS_PROXY", "http://proxy:3128")],
    ["https://", { HTTPS_PROXY: "HTTPS://proxy" }, undefined, through("HTTPS_PROXY", "https://proxy")],
    ["NO_PROXY", { HTTPS_PROXY: "http://proxy:1", NO_PROXY: "localhost, .amazonaws.com" }, undefined, undefined],
    ["no_proxy before NO_PROXY", { HTTPS_PROXY: "http://proxy:1", no_proxy: "localhost", NO_PROXY: "*" }, undefined, through("HTTPS_PROXY", "http://proxy:1")],
    ["NO_PROXY before a value that is broken", { HTTPS_PROXY: "socks5://proxy:1", NO_PROXY: "*" }, undefined, undefined],
    ["given, whatever the environment says", { HTTPS_PROXY: "http://proxy:1", NO_PROXY: "*" }, "given:1", through("proxy", "http://given:1")],
    ["none is given, whatever the environment says", { HTTPS_PROXY: "http://proxy:1" }, false, undefined]
  ]
  it.effect.each(cases)("%s", ([, env, given, found]) =>
    Effect.gen(function*() {
      const { proxy, why } = yield* Effect.fromResult(yield* routeOf(env, given))
      assert.deepStrictEqual(proxy && [proxy.source, proxy.url.href], found)
      assert.notInclude(why, "hush")
      if (found === undefined) assert.match(why, /^none/)
    }))

  it.effect("is never asked for http:// by the environment, and is by who gives one", () =>
    Effect.gen(function*() {
      const http = new URL("http://127.0.0.1:8443")
      const env = { HTTPS_PROXY: "http://proxy:1", HTTP_PROXY: "http://proxy:1", ALL_PROXY: "http://proxy:1" }
      assert.isUndefined((yield* Effect.fromResult(yield* routeOf(env, undefined, http))).proxy)
      assert.isDefined((yield* Effect.fromResult(yield* routeOf(env, "given:1", http))).proxy)
    }))

  it.effect("says which entry of NO_PROXY holds", () =>
    Effect.gen(function*() {
      const { why } = yield* Effect.fromResult(yield* routeOf({ https_proxy: "http://user:hush@proxy:1", NO_PROXY: "a, .amazonaws.com" }))
      assert.strictEqual(why, "none: NO_PROXY has .amazonaws.com, and so https_proxy does not hold")
    }))

  it.effect.each([
    ["http://user:password@proxy:1", "user:password"],
    ["http://user@proxy:1", "user:"],
    ["http://user:p%40ss%3Aw%2Frd%25@proxy:1", "user:p@ss:w/rd%"],
    ["http://user:p@ss@proxy:1", "user:p@ss"],
    ["http://user:100%@proxy:1", "user:100%"],
    ["http://DOMAIN%5Cuser:gr%C3%BCn@proxy:1", "DOMAIN\\user:grün"],
    ["http://proxy:1", undefined],
    ["http://:@proxy:1", undefined]
  ] as const)("signs in as %s says, and keeps it to itself", ([HTTPS_PROXY, expected]) =>
    Effect.gen(function*() {
      const { proxy } = yield* Effect.fromResult(yield* routeOf({ HTTPS_PROXY }))
      const sent = proxy?.authorization && Redacted.value(proxy.authorization)
      assert.strictEqual(sent, expected && `Basic ${Buffer.from(expected).toString("base64")}`)
      // the parts of a URL have such names themselves
      const shown = `${inspect(proxy, { depth: 9 })}${JSON.stringify(proxy)}`.replaceAll(/(username|password): ''/g, "")
      if (sent !== undefined) for (const secret of [/user/i, /pass/, /p@/, /p%/, /100/, /gr/, sent]) assert.notMatch(shown, new RegExp(secret))
    }))

  it.effect.each([
    "socks5://user:hush@proxy:1080",
    "socks://hush",
    "ftp://user:hush@proxy",
    "http://",
    "http://user:hush@",
    "http://user:hush@proxy:99999",
    "http://user:pa#hush@proxy:1",
    "http://user:12/hush@proxy:1",
    "user:1?hush@proxy",
    "http://proxy:1/hush",
    "://hush",
    "hush hush"
  ])("refuses %j by the variable's name, without repeating it", (text) =>
    Effect.gen(function*() {
      for (const name of ["HTTPS_PROXY", "all_proxy"]) {
        const refused = yield* routeOf({ [name]: text })
        assert.strictEqual(Result.isFailure(refused) ? refused.failure.setting : undefined, name)
        assert.notInclude(JSON.stringify(refused), "hush")
      }
      const refused = yield* routeOf({}, text)
      assert.strictEqual(Result.isFailure(refused) ? refused.failure.setting : undefined, "proxy")
    }))

  it.effect("refuses what is no URL from callers without types, and takes null for nothing given", () =>
    Effect.gen(function*() {
      for (const given of JSON.parse(`[true, 8080, { "host": "proxy" }]`)) {
        const refused = yield* routeOf({}, given)
        assert.deepStrictEqual(refused, Result.fail({ setting: "proxy", problem: "must be a URL, or false for none" }))
      }
      const { proxy } = yield* Effect.fromResult(yield* routeOf({ HTTPS_PROXY: "proxy:1" }, JSON.parse("null")))
      assert.strictEqual(proxy?.source, "HTTPS_PROXY")
    }))
})
