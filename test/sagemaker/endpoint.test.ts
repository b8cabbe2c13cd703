import { assert, describe, it } from "@effect/vitest"
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { profiles } from "../../src/FluxTransport.ts"
import { awsUrl } from "../../src/sagemaker/address.ts"
import { type Options, resolve } from "../../src/sagemaker/endpoint.ts"

const base: Options = {
  endpointName: "my-flux",
  region: "us-east-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "x" },
  useFips: false,
  useDualStack: false
}
const issuesOf = (options: Options) =>
  resolve(options).pipe(
    Effect.flip,
    Effect.map(({ reason, stage }) => {
      assert.strictEqual(stage, "settings")
      return reason._tag === "InvalidSettings" ? reason.issues : []
    })
  )
/** Runs as on a machine where nothing says what the AWS region is. */
const withoutRegion = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const saved = { ...process.env }
      delete process.env["AWS_REGION"]
      delete process.env["AWS_PROFILE"]
      process.env["AWS_CONFIG_FILE"] = "/nonexistent/config"
      process.env["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent/credentials"
      return saved
    }),
    () => effect,
    (saved) =>
      Effect.sync(() => {
        for (const name of ["AWS_REGION", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]) {
          const value = saved[name]
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )

/** Protocol 5.1, by the partitions' suffixes. */
const suffixes: ReadonlyArray<readonly [region: string, dns: string, dualStack: string]> = [
  ["us-east-1", "amazonaws.com", "api.aws"],
  ["eu-central-1", "amazonaws.com", "api.aws"],
  ["cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"],
  ["us-gov-west-1", "amazonaws.com", "api.aws"],
  ["us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"],
  ["us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"],
  ["us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"],
  ["eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"]
]

describe("sagemakerEndpoint", () => {
  it.each(suffixes)("is at protocol 5.1's hosts and port in %s", (region, dns, dualStack) => {
    const client = new SageMakerRuntimeClient({ region })
    const hosts = [[false, false], [false, true], [true, false], [true, true]].map(([fips, dual]) =>
      Option.getOrUndefined(awsUrl(client, region, fips === true, dual === true))?.href
    )
    assert.deepStrictEqual(hosts, [
      `https://runtime.sagemaker.${region}.${dns}:8443/`,
      `https://runtime.sagemaker.${region}.${dualStack}:8443/`,
      `https://runtime-fips.sagemaker.${region}.${dns}:8443/`,
      `https://runtime-fips.sagemaker.${region}.${dualStack}:8443/`
    ])
  })

  it.effect.each([
    [{}, "https://runtime.sagemaker.us-east-1.amazonaws.com:8443/"],
    [{ useFips: true }, "https://runtime-fips.sagemaker.us-east-1.amazonaws.com:8443/"],
    [{ useDualStack: true }, "https://runtime.sagemaker.us-east-1.api.aws:8443/"],
    [{ endpointUrl: "http://127.0.0.1:4000" }, "http://127.0.0.1:4000/"],
    [{ endpointUrl: "https://proxy.example" }, "https://proxy.example/"],
    [{ endpointUrl: "https://runtime.sagemaker.us-east-1.amazonaws.com" }, "https://runtime.sagemaker.us-east-1.amazonaws.com:8443/"],
    [{ endpointUrl: "https://vpce-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com:9000" }, "https://vpce-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com:9000/"]
  ] as const)("takes %j", ([options, href]) =>
    Effect.gen(function*() {
      const endpoint = yield* resolve({ ...base, ...options })
      assert.deepStrictEqual([endpoint.url.href, endpoint.region], [href, "us-east-1"])
    }))

  it.effect("takes the region from the URL, and from nowhere else if that says another", () =>
    Effect.gen(function*() {
      const { region: _, ...rest } = base
      const endpointUrl = "https://runtime-fips.sagemaker.ca-central-1.amazonaws.com:8443"
      assert.strictEqual((yield* resolve({ ...rest, endpointUrl })).region, "ca-central-1")
      assert.deepStrictEqual(yield* issuesOf({ ...base, endpointUrl }), [
        { setting: "region", problem: "is us-east-1, but endpointUrl is in ca-central-1" }
      ])
    }))

  it.effect("wants a region from somewhere", () =>
    Effect.gen(function*() {
      const { region: _, ...rest } = base
      const missing = [{ setting: "region", problem: "is required: give it, or set AWS_REGION" }]
      assert.deepStrictEqual(yield* issuesOf(rest), missing)
      assert.deepStrictEqual(yield* issuesOf({ ...rest, endpointUrl: "http://127.0.0.1:4000" }), missing)
    }).pipe(withoutRegion))

  it.effect("names every problem at once", () =>
    Effect.gen(function*() {
      const issues = yield* issuesOf({
        endpointName: "-flux",
        variant: "a_b",
        region: "US East!",
        endpointUrl: "ftp://host",
        caFile: "/nonexistent/ca.pem",
        useFips: true,
        useDualStack: true
      })
      assert.deepStrictEqual(issues.map((issue) => issue.setting).toSorted(),
        ["caFile", "endpointName", "endpointUrl", "region", "useDualStack", "useFips", "variant"])
    }))

  it.effect("takes certificates as a file or as text, not both, and nothing that is none", () =>
    Effect.gen(function*() {
      const issues = yield* Effect.all([
        issuesOf({ ...base, ca: "rubbish" }),
        issuesOf({ ...base, ca: "rubbish", caFile: "/nonexistent/ca.pem" })
      ])
      assert.deepStrictEqual(issues.map((some) => some.map((issue) => issue.setting)), [["ca"], ["ca", "caFile"]])
    }))

  it.effect("wants names as protocol 1.3 says", () =>
    Effect.gen(function*() {
      for (const name of ["a", "A9", "my--flux", "x".repeat(63)]) yield* resolve({ ...base, endpointName: name, variant: name })
      for (const name of ["", "-a", "a-", "a_b", "a.b", "a b", "ä", "a\n", "x".repeat(64)]) {
        assert.deepStrictEqual((yield* issuesOf({ ...base, endpointName: name })).map((issue) => issue.setting), ["endpointName"], name)
        assert.deepStrictEqual((yield* issuesOf({ ...base, variant: name })).map((issue) => issue.setting), ["variant"], name)
      }
      assert.include((yield* issuesOf({ ...base, endpointName: undefined }))[0]?.problem, "required")
    }))

  it.effect("wants a URL that is one, without secrets in it", () =>
    Effect.gen(function*() {
      for (const endpointUrl of ["", "localhost:8443", "ws://host", "//host", "https://user:hush@host", "https://host/?q=1", "https://host/#x"]) {
        const issues = yield* issuesOf({ ...base, endpointUrl })
        assert.deepStrictEqual(issues.map((issue) => issue.setting), ["endpointUrl"], endpointUrl)
        assert.notInclude(issues[0]?.problem, "hush")
      }
    }))

  it.effect("has the capabilities of a profile, or changes to one", () =>
    Effect.gen(function*() {
      const capabilitiesOf = (capabilities: Options["capabilities"]) =>
        Effect.map(resolve({ ...base, capabilities }), (endpoint) => endpoint.capabilities)
      const narrow = profiles["flux-english-20260311"]
      const multi = profiles["flux-multi-20260417"]
      assert.deepStrictEqual<unknown>(yield* capabilitiesOf(undefined), narrow)
      assert.deepStrictEqual<unknown>(yield* capabilitiesOf("flux-multi-20260417"), multi)
      assert.deepStrictEqual<unknown>(yield* capabilitiesOf({ numerals: true }), { ...narrow, numerals: true })
      assert.deepStrictEqual<unknown>(yield* capabilitiesOf({ name: "flux-multi-20260417", redact: true }), { ...multi, redact: true })
      assert.deepStrictEqual<unknown>(yield* capabilitiesOf({ name: "mine", configure: true }), { ...narrow, name: "mine", configure: true })
    }))
})
