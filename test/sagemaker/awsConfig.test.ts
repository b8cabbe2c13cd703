/** Addresses and certificates that AWS's variables and shared files name. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rootCertificates } from "node:tls"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { examine, type Options, resolve } from "../../src/sagemaker/endpoint.ts"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import { type Environment, withEnvironment } from "../support/awsEnvironment.ts"

const base: Options = {
  endpointName: "my-flux",
  region: "us-east-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "x" }
}
const aws = "https://runtime.sagemaker.us-east-1.amazonaws.com:8443/"

/** Where a call goes, and what says so. */
const addressOf = (environment: Environment, options: Options = base) =>
  examine(options).pipe(
    Effect.map(({ issues, url, urlSource }) => [url?.href, urlSource, issues.map(({ problem, setting }) => `${setting}: ${problem}`)] as const),
    withEnvironment(environment)
  )
/** What is refused, before any connection. */
const refusalsOf = (environment: Environment, options: Options = base) =>
  resolve(options).pipe(
    Effect.flip,
    Effect.map(({ reason }) => reason._tag === "InvalidSettings" ? reason.issues.map(({ problem, setting }) => `${setting}: ${problem}`) : [reason.message]),
    withEnvironment(environment)
  )

/** The places of an address, the one that goes first in front, as the reference guide of AWS's SDKs orders them. */
const places = ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_ENDPOINT_URL", "services", "endpoint_url"] as const
const sources: Readonly<Record<typeof places[number], string>> = {
  AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
  AWS_ENDPOINT_URL: "AWS_ENDPOINT_URL",
  services: "sagemaker_runtime.endpoint_url in [services local]",
  endpoint_url: "endpoint_url of the profile default"
}
/** A machine where the address stands in some of these places, in each another one. */
const machine = (some: ReadonlyArray<string>): Environment => {
  const has = (place: string, text: string): string => some.includes(place) ? text : ""
  return {
    env: Object.fromEntries(places.filter((place) => place.startsWith("AWS_") && some.includes(place)).map((place) => [place, `https://${place.toLowerCase().replaceAll("_", "-")}`])),
    config: [
      "[default]",
      has("services", "services = local"),
      has("endpoint_url", "endpoint_url = https://endpoint-url"),
      "[services local]",
      "s3 =",
      "  endpoint_url = https://of-another-service",
      "sagemaker_runtime =",
      "  endpoint_url = https://services"
    ].join("\n")
  }
}

describe("the address of AWS's environment", () => {
  for (let set = 0; set < 16; set++) {
    const some = places.filter((_, at) => (set >> at) % 2 === 1)
    const [first] = some
    it.effect(`of ${some.join(", ") || "nothing"}`, () =>
      Effect.gen(function*() {
        const expected = first === undefined ? [aws, undefined, []] : [`https://${first.toLowerCase().replaceAll("_", "-")}:8443/`, sources[first], []]
        assert.deepStrictEqual<unknown>(yield* addressOf(machine(some)), expected)
        // what is given in code goes before, and is nobody's else
        assert.deepStrictEqual<unknown>(yield* addressOf(machine(some), { ...base, endpointUrl: "http://127.0.0.1:4000" }), ["http://127.0.0.1:4000/", undefined, []])
        // and all may be ignored
        const { config = "", env = {} } = machine(some)
        assert.deepStrictEqual<unknown>(yield* addressOf({ config, env: { ...env, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "True" } }), [aws, undefined, []])
        const ignoring = config.replace("[default]", "[default]\nignore_configured_endpoint_urls = true")
        assert.deepStrictEqual<unknown>(yield* addressOf({ config: ignoring, env }), [aws, undefined, []])
        assert.deepStrictEqual<unknown>(yield* addressOf({ config: ignoring, env: { ...env, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "false" } }), expected)
      }))
  }

  it.effect.each([
    ["https://flux.corp", "https://flux.corp:8443/"],
    ["http://localhost", "http://localhost:8443/"],
    ["https://flux.corp:443", "https://flux.corp/"],
    ["https://flux.corp:443/base", "https://flux.corp/base"],
    ["http://127.0.0.1:80", "http://127.0.0.1/"],
    ["https://[::1]", "https://[::1]:8443/"],
    ["https://[::1]:443", "https://[::1]/"],
    [" https://flux.corp:9000/\r", "https://flux.corp:9000/"],
    ["https://vpce-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com", "https://vpce-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com:8443/"],
    ["https://runtime.sagemaker.us-east-1.amazonaws.com:443", "https://runtime.sagemaker.us-east-1.amazonaws.com/"],
    ["", aws],
    ["  ", aws]
  ] as const)("has port 8443 where it names none: %j", ([AWS_ENDPOINT_URL, href]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* addressOf({ env: { AWS_ENDPOINT_URL } }))[0], href)
    }))

  it.effect("keeps a port 443 that endpointUrl names", () =>
    Effect.gen(function*() {
      const host = "runtime.sagemaker.us-east-1.amazonaws.com"
      assert.strictEqual((yield* addressOf({}, { ...base, endpointUrl: `https://${host}:443` }))[0], `https://${host}/`)
      assert.strictEqual((yield* addressOf({}, { ...base, endpointUrl: `https://${host}/` }))[0], `https://${host}:8443/`)
    }))

  it.effect("of the profile that AWS_PROFILE names, of either file", () =>
    Effect.gen(function*() {
      const config = "[default]\nendpoint_url = https://default\n[profile one]\nregion = us-east-1\n[profile two]\nservices = s\nendpoint_url = https://two\n[services s]\ndynamodb =\n  endpoint_url = https://db\n"
      const of = (AWS_PROFILE: string, credentials?: string) =>
        Effect.map(addressOf({ env: { AWS_PROFILE }, config, ...(credentials === undefined ? {} : { credentials }) }), ([href, source]) => [href, source])
      assert.deepStrictEqual(yield* of("one"), [aws, undefined])
      assert.deepStrictEqual(yield* of("two"), ["https://two:8443/", "endpoint_url of the profile two"])
      assert.deepStrictEqual(yield* of("one", "[one]\nendpoint_url = https://one"), ["https://one:8443/", "endpoint_url of the profile one"])
      assert.deepStrictEqual(yield* of("three"), [aws, undefined])
    }))

  it.effect("is read again for each transport", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* addressOf({ config: "[default]\nendpoint_url = https://one" }))[0], "https://one:8443/")
      assert.strictEqual((yield* addressOf({ config: "[default]\nendpoint_url = https://two" }))[0], "https://two:8443/")
    }))

  it.effect("is refused by the name of the place it stands in, and never repeated", () =>
    Effect.gen(function*() {
      for (const url of ["localhost:8443", "ftp://hush", "hush", "https://", "https://user:hush@host", "https://host/?hush", "https://host/#hush"]) {
        for (const place of places) {
          const broken = (text: string): string => text.replace(`https://${place.toLowerCase().replaceAll("_", "-")}`, url)
          const { config = "", env = {} } = machine([place])
          const refusals = yield* refusalsOf({ config: broken(config), env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, broken(value)])) })
          // a comment begins in a shared file, and a section ends a value
          if (place === "endpoint_url" && refusals[0] === undefined) continue
          assert.lengthOf(refusals, 1, `${place} ${url}`)
          assert.isTrue(refusals[0]?.startsWith(`${sources[place]}: must `), refusals[0])
          assert.notInclude(refusals[0], "hush")
        }
      }
      assert.deepStrictEqual(yield* refusalsOf({ config: "[default]\nservices = gone" }), ["services of the profile default: the shared config file has no section [services gone]"])
      assert.deepStrictEqual(yield* refusalsOf({ env: { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "yes" } }), ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: must be true or false"])
      assert.deepStrictEqual(yield* refusalsOf({ env: { AWS_ENDPOINT_URL: "https://host", AWS_USE_FIPS_ENDPOINT: "true", AWS_USE_DUALSTACK_ENDPOINT: "true" } }), [
        "useFips: cannot be combined with AWS_ENDPOINT_URL: give a FIPS host there",
        "useDualStack: cannot be combined with AWS_ENDPOINT_URL: give a dual-stack host there"
      ])
    }))

  it.effect("gives its region, unless another one is given", () =>
    Effect.gen(function*() {
      const AWS_ENDPOINT_URL = "https://vpce-1.runtime.sagemaker.us-west-2.vpce.amazonaws.com"
      const { region: _, ...rest } = base
      const regionOf = (env: Readonly<Record<string, string>>) => Effect.map(resolve(rest), ({ region }) => region).pipe(withEnvironment({ env }))
      assert.strictEqual(yield* regionOf({ AWS_ENDPOINT_URL }), "us-west-2")
      assert.strictEqual(yield* regionOf({ AWS_ENDPOINT_URL, AWS_REGION: "eu-central-1" }), "us-west-2")
      assert.deepStrictEqual(yield* refusalsOf({ env: { AWS_ENDPOINT_URL } }), ["region: is us-east-1, but AWS_ENDPOINT_URL is in us-west-2"])
      // of the environment's region nothing is wanted where an address names one, in whichever place that stands
      const read = (variables: Readonly<Record<string, string>>, config = "") =>
        SageMakerTransport.config.parse(ConfigProvider.fromEnvRecord({ FLUX_ENDPOINT_NAME: "my-flux", ...variables })).pipe(
          Effect.flatMap(resolve),
          Effect.map(({ region }) => region),
          withEnvironment({ env: variables, config })
        )
      const AWS_REGION = "eu-central-1"
      const inProfile = `[default]\nregion = eu-west-1\nendpoint_url = ${AWS_ENDPOINT_URL}\n`
      const ignoring = "ignore_configured_endpoint_urls = true\n"
      const rows: ReadonlyArray<readonly [variables: Readonly<Record<string, string>>, config: string, region: string]> = [
        [{ AWS_REGION, AWS_ENDPOINT_URL }, "", "us-west-2"],
        [{ AWS_REGION, AWS_ENDPOINT_URL: "https://host", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: AWS_ENDPOINT_URL }, "", "us-west-2"],
        [{ AWS_REGION, AWS_ENDPOINT_URL: "", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: "https://host" }, "", AWS_REGION],
        [{ AWS_REGION, AWS_ENDPOINT_URL, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" }, "", AWS_REGION],
        [{ AWS_REGION, AWS_ENDPOINT_URL, FLUX_ENDPOINT_URL: "https://host" }, "", AWS_REGION],
        [{ AWS_REGION }, inProfile, "us-west-2"],
        [{ AWS_DEFAULT_REGION: AWS_REGION }, inProfile, "us-west-2"],
        [{ AWS_REGION }, `[default]\nservices = s\n[services s]\nsagemaker_runtime =\n  endpoint_url = ${AWS_ENDPOINT_URL}\n`, "us-west-2"],
        [{ AWS_REGION, FLUX_ENDPOINT_URL: "https://host" }, inProfile, AWS_REGION],
        [{ AWS_REGION, AWS_ENDPOINT_URL: "https://host" }, inProfile, AWS_REGION],
        [{ AWS_REGION, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" }, inProfile, AWS_REGION],
        [{ AWS_DEFAULT_REGION: AWS_REGION, AWS_ENDPOINT_URL }, `[default]\n${ignoring}`, AWS_REGION],
        [{ AWS_REGION }, `${inProfile}${ignoring}`, AWS_REGION],
        [{ AWS_REGION, AWS_ENDPOINT_URL }, `[default]\n${ignoring}`, AWS_REGION],
        [{}, `[default]\nregion = eu-west-1\n`, "eu-west-1"],
        [{ AWS_DEFAULT_REGION: AWS_REGION }, `[default]\nregion = eu-west-1\n`, AWS_REGION]
      ]
      for (const [variables, config, region] of rows) assert.strictEqual(yield* read(variables, config), region, JSON.stringify([variables, config]))
    }))
})

describe("the certificates of AWS's environment", () => {
  const withFolder = <A, E, R>(use: (file: (name: string, content: string | Uint8Array) => string) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "flux-ca-"))),
      (folder) =>
        use((name, content) => {
          writeFileSync(join(folder, name), content)
          return join(folder, name)
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
  const trustOf = (environment: Environment, options: Partial<Options> = {}) =>
    examine({ ...base, ...options }).pipe(Effect.map(({ issues, trust }) => [issues.map(({ setting }) => setting), trust?.from] as const), withEnvironment(environment))

  it.effect("are those of AWS_CA_BUNDLE, then of the profile; what is given goes before", () =>
    withFolder((file) =>
      Effect.gen(function*() {
        const { cert } = yield* certificate.make("localhost")
        const [one, two, three] = [file("one.pem", cert), file("two.pem", cert), file("three.pem", cert)]
        const config = `[default]\nca_bundle = ${two}\n`
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: one }, config }), [[], `${one} (AWS_CA_BUNDLE)`])
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: "" }, config }), [[], `${two} (ca_bundle of the profile default)`])
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: one }, config }, { caFile: three }), [[], `${three} (caFile)`])
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: one }, config }, { ca: cert }), [[], "ca"])
        assert.deepStrictEqual(yield* trustOf({}), [[], undefined])
        // without TLS nobody is trusted
        const plain = { endpointUrl: "http://127.0.0.1:1" }
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: "/missing" } }, plain), [[], undefined])
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: "/missing" } }, { ...plain, proxy: "http://proxy:1" }), [[], undefined])
        // and with it somebody is: here a proxy before an endpoint that has none
        assert.deepStrictEqual(yield* trustOf({ env: { AWS_CA_BUNDLE: one } }, { ...plain, proxy: "https://proxy:1" }), [[], `${one} (AWS_CA_BUNDLE)`])
        assert.deepStrictEqual(yield* trustOf({ config }, { ...plain, proxy: "https://proxy:1" }), [[], `${two} (ca_bundle of the profile default)`])
      })))

  it.effect("are refused by the variable's name", () =>
    withFolder((file) =>
      Effect.gen(function*() {
        const { cert } = yield* certificate.make("localhost")
        for (const [AWS_CA_BUNDLE, problem] of [
          ["/missing/ca.pem", "cannot be read"],
          [tmpdir(), "cannot be read"],
          [file("empty.pem", ""), "holds no certificate in PEM form"],
          [file("comment.pem", "# nothing yet\n"), "holds no certificate in PEM form"],
          [file("der.crt", Buffer.from(cert.replaceAll(/-----.*-----|\s/g, ""), "base64")), "holds no certificate in PEM form: it is binary, and no text"],
          [file("cut.pem", cert.slice(0, -100)), "holds no certificate in PEM form"]
        ] as const) {
          assert.deepStrictEqual(yield* refusalsOf({ env: { AWS_CA_BUNDLE } }), [`AWS_CA_BUNDLE: ${AWS_CA_BUNDLE} ${problem}`])
        }
        assert.deepStrictEqual(yield* refusalsOf({ config: "[default]\nca_bundle = /missing" }), ["ca_bundle of the profile default: /missing cannot be read"])
      })))

  it.effect("may be many, with comments between them, and with a mark in front", () =>
    withFolder((file) =>
      Effect.gen(function*() {
        const { cert } = yield* certificate.make("localhost")
        const many = [...rootCertificates.map((root, at) => `# Root ${at}\n# ===\n${root}\n`), `\r\n# ours\r\n${cert.replaceAll("\n", "\r\n")}`].join("\n")
        const bundle = file("many.pem", `\uFEFF${many}`)
        const { ca } = yield* resolve(base).pipe(withEnvironment({ env: { AWS_CA_BUNDLE: bundle } }))
        assert.strictEqual(ca, many)
        const latin = file("latin.pem", Buffer.from(`# Gr\u00fc\u00dfe\n${cert}`, "latin1"))
        assert.include((yield* resolve(base).pipe(withEnvironment({ env: { AWS_CA_BUNDLE: latin } }))).ca, cert)
      })))
})
