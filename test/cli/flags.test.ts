import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as CliOutput from "effect/cli/CliOutput"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { exitStatus } from "../../src/cli/Failure.ts"
import * as flags from "../../src/cli/flags.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"

const config = { settings: flags.settings, endpoint: flags.endpoint, capabilities: flags.capabilities }
type Input = Command.Command.Config.Infer<typeof config>

/** What a command line means, by the flags alone. */
const parse = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  let parsed: Input | undefined
  const command = Command.make("test", config, (input) =>
    Effect.sync(() => {
      parsed = input
    }))
  const exit = yield* Effect.exit(Command.runWith(command, { version: "0" })(args)).pipe(
    Effect.provide([NodeServices.layer, CliOutput.layerPresenter({ present: () => Effect.void })])
  )
  return { exit, parsed }
})

const given = (record: object | undefined): object =>
  Object.fromEntries(Object.entries(record ?? {}).filter(([, value]) => value !== undefined))

const withEnv = (env: Record<string, string>) => Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))

describe("flags", () => {
  it.effect("mirror the settings", () =>
    Effect.gen(function*() {
      const { parsed } = yield* parse(
        ..."--model flux-general-multi --encoding mulaw --sample-rate 8000 --eot-threshold 0.8".split(" "),
        ..."--eager-eot-threshold 0.5 --eot-timeout-ms 700 --keyterm SageMaker --keyterm".split(" "),
        "a phrase, with a comma",
        ..."--language-hint de --language-hint en --numerals --no-profanity-filter --redact numbers".split(" "),
        ..."--mip-opt-out --tag a --tag b --min-confidence 0.25 --capabilities hosted-2026-09".split(" ")
      )
      assert.deepStrictEqual(given(parsed?.settings), {
        model: "flux-general-multi",
        encoding: "mulaw",
        sampleRate: 8000,
        eotThreshold: 0.8,
        eagerEotThreshold: 0.5,
        eotTimeoutMs: 700,
        keyterm: ["SageMaker", "a phrase, with a comma"],
        languageHints: ["de", "en"],
        numerals: true,
        profanityFilter: false,
        redact: "numbers",
        mipOptOut: true,
        tag: ["a", "b"],
        minConfidence: 0.25
      })
      const faults = (profile: Parameters<typeof flags.checkSettings>[1]) =>
        Result.match(flags.checkSettings({ ...parsed?.settings }, profile), { onSuccess: () => [], onFailure: (found) => found })
      assert.deepStrictEqual(faults(parsed?.capabilities), [])
      assert.strictEqual(faults(undefined).length, 2)
    }))

  it.effect("that may be repeated take one value each time: commas are part of it, blanks around it are not", () =>
    Effect.gen(function*() {
      const { parsed } = yield* parse("--keyterm", " Smith, John ", "--keyterm", "my  order", "--tag", "a,b\r", "--language-hint", "en, es")
      assert.deepStrictEqual(given(parsed?.settings), { keyterm: ["Smith, John", "my  order"], tag: ["a,b"], languageHints: ["en, es"] })
      const checked = flags.checkSettings({ ...parsed?.settings, model: "flux-general-multi" }, "hosted-2026-09")
      assert.match(Result.isFailure(checked) ? checked.failure.join() : "", /^languageHints: unknown: "en, es"; known are en, es,/)
    }))

  it.effect("mirror the endpoint", () =>
    Effect.gen(function*() {
      const { parsed } = yield* parse(
        ..."--endpoint-name flux --region eu-west-1 --endpoint-url http://localhost:1 --target-variant blue".split(" "),
        ..."--ca-file ca.pem".split(" ")
      )
      assert.deepStrictEqual(parsed?.endpoint, {
        endpointName: "flux",
        region: "eu-west-1",
        endpointUrl: "http://localhost:1",
        variant: "blue",
        caFile: "ca.pem"
      })
    }))

  it.effect("that are left out say nothing", () =>
    Effect.gen(function*() {
      const { parsed } = yield* parse()
      assert.deepStrictEqual(given(parsed?.settings), {})
      assert.deepStrictEqual(given(parsed?.endpoint), {})
    }))

  for (const args of [["--eot-threshold", "high"], ["--sample-rate", "1.5"], ["--nonsense"]]) {
    it.effect(`${args.join(" ")} is a usage error`, () =>
      Effect.gen(function*() {
        const { exit, parsed } = yield* parse(...args)
        assert.isUndefined(parsed)
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(exitStatus(exit), 2)
      }))
  }

  it.effect("beat the environment, setting by setting", () =>
    Effect.gen(function*() {
      const env = Result.getOrThrow(yield* flags.read(FluxSettings.config).pipe(
        withEnv({ FLUX_EOT_THRESHOLD: "0.6", FLUX_KEYTERM: "one,two", FLUX_TAG: "env", FLUX_NUMERALS: "true" })
      ))
      const { parsed } = yield* parse("--eot-threshold", "0.8", "--tag", "flag", "--no-numerals")
      assert.deepStrictEqual(given(flags.overlay<object>(env, parsed?.settings ?? {})), {
        eotThreshold: 0.8,
        keyterm: ["one", "two"],
        tag: ["flag"],
        numerals: false
      })
    }))

  it.effect("name the variable that cannot be read", () =>
    Effect.gen(function*() {
      const read = yield* flags.read(FluxSettings.config).pipe(withEnv({ FLUX_SAMPLE_RATE: "fast" }))
      assert.isTrue(Result.isFailure(read))
      assert.match(Result.isFailure(read) ? read.failure.join() : "", /^FLUX_SAMPLE_RATE: Expected/)
    }))
})
