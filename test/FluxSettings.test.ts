import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FluxSettings from "../src/FluxSettings.ts"
import { profiles } from "../src/FluxTransport.ts"

const resolve = (patch: FluxSettings.SettingsPatch, capabilities?: (typeof profiles)[keyof typeof profiles]) =>
  FluxSettings.resolve(FluxSettings.defaults, patch, capabilities)
const issues = (patch: FluxSettings.SettingsPatch, capabilities?: (typeof profiles)[keyof typeof profiles]): Array<string> => {
  const result = resolve(patch, capabilities)
  if (Result.isSuccess(result)) return []
  const { reason } = result.failure
  return reason._tag === "InvalidSettings" ? reason.issues.map((issue) => `${issue.setting}: ${issue.problem}`) : [reason._tag]
}
const query = (patch: FluxSettings.SettingsPatch): string => FluxSettings.query(Result.getOrThrow(resolve(patch)))
/** Protocol 1.3, to the letter. */
const pair = "[a-zA-Z0-9][A-Za-z0-9_-]*=(?:[A-Za-z0-9._~\\-]|%[0-9A-Fa-f]{2})+"
const legal = new RegExp(`^${pair}(?:&${pair})*$`)

describe("FluxSettings.query", () => {
  it("is the protocol's example", () => {
    assert.strictEqual(
      query({ eotThreshold: 0.7, keyterm: ["customer service", "SageMaker"], tag: ["demo"] }),
      "model=flux-general-en&encoding=linear16&sample_rate=16000&eot_threshold=0.7&keyterm=customer%20service&keyterm=SageMaker&tag=demo"
    )
  })

  it("spells booleans in lower case, and takes locale tags back to their base, once", () => {
    assert.strictEqual(
      query({ model: "flux-general-multi", languageHints: ["de-CH", "de", "en_US"], mipOptOut: true }),
      "model=flux-general-multi&encoding=linear16&sample_rate=16000&language_hint=de&language_hint=en&mip_opt_out=true"
    )
  })

  /** What is special in a query string, in a pattern, in UTF-8 and in UTF-16. */
  const Piece = Schema.Union([
    Schema.Literals(["&", "=", "+", "%", "%41", "#", "?", "/", ";", "'", "(", ")", "*", "!", "~", "-", ".", "_", " ", "\u0000", "\n", "\u007f", "é", "ß", "日本", "👩‍🚀", "\ud83d\ude00", "\ud83d", "\ude00", "a", "Z", "0"]),
    Schema.String
  ])
  const Text = Schema.Array(Piece).check(Schema.isMaxLength(6))
  it.prop("is legal for any terms and tags, and gives them back; half a character is refused", {
    terms: Schema.Array(Text).check(Schema.isMaxLength(5)),
    tags: Schema.Array(Text).check(Schema.isMaxLength(5))
  }, ({ tags, terms }) => {
    const [keyterm, tag] = [terms, tags].map((texts) => texts.map((pieces) => pieces.join("")))
    const result = resolve({ keyterm, tag })
    // the rules, once more: no blank term, no empty tag, whole characters, at most 100 and 2048 of them
    const texts = [...(keyterm ?? []), ...(tag ?? [])]
    const sound = texts.every((text) => text.isWellFormed()) && (keyterm ?? []).every((text) => text.trim() !== "" && [...text].length <= 100) && !tag?.includes("")
    const bytes = (text: string): number => [...new TextEncoder().encode(text)].reduce((sum, byte) => sum + (/[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) ? 1 : 3), 0)
    const length = "model=flux-general-en&encoding=linear16&sample_rate=16000".length +
      (keyterm ?? []).reduce((sum, text) => sum + "&keyterm=".length + bytes(text), 0) +
      (tag ?? []).reduce((sum, text) => sum + "&tag=".length + bytes(text), 0)
    assert.strictEqual(Result.isSuccess(result), sound && length <= 2048)
    if (Result.isFailure(result)) return
    const text = FluxSettings.query(result.success)
    assert.match(text, legal)
    assert.strictEqual(text.length, length)
    assert.deepStrictEqual(new URLSearchParams(text).getAll("keyterm"), keyterm)
    assert.deepStrictEqual(new URLSearchParams(text).getAll("tag"), tag)
  }, { arbitrary: { runs: 500, size: 20, seed: "query" } })

  it("has terms of 100 characters, however many bytes or units of UTF-16 those are", () => {
    assert.deepStrictEqual(issues({ keyterm: ["😀".repeat(100)] }), [])
    assert.match(issues({ keyterm: ["😀".repeat(101)] }).join(), /^keyterm: term 1 is longer than 100/)
  })

  it("may be 2048 characters long, and not one more", () => {
    const rest = query({ keyterm: [] }).length
    // 21 terms of 90 characters with "&keyterm=", and one that fills it up
    const terms = Array.from({ length: 21 }, () => "x".repeat(81))
    const left = 2048 - rest - 21 * 90 - "&keyterm=".length
    assert.strictEqual(query({ keyterm: [...terms, "x".repeat(left)] }).length, 2048)
    assert.match(issues({ keyterm: [...terms, "x".repeat(left + 1)] }).join(), /^keyterm: .*2049 characters/)
  })

  it("has every parameter of protocol 1.1 that a setting stands for", () => {
    const all = resolve({
      model: "flux-general-multi",
      encoding: "alaw",
      sampleRate: 8000,
      eotThreshold: 0.8,
      eagerEotThreshold: 0.4,
      eotTimeoutMs: 3000,
      keyterm: ["a b", "c"],
      languageHints: ["pt-BR", "ja"],
      numerals: true,
      profanityFilter: true,
      redact: "aggressive_numbers",
      mipOptOut: false,
      tag: ["x", "y"]
    }, profiles["hosted-2026-09"])
    assert.strictEqual(
      FluxSettings.query(Result.getOrThrow(all)),
      "model=flux-general-multi&encoding=alaw&sample_rate=8000&eot_threshold=0.8&eager_eot_threshold=0.4&eot_timeout_ms=3000" +
        "&keyterm=a%20b&keyterm=c&language_hint=pt&language_hint=ja&numerals=true&profanity_filter=true" +
        "&redact=aggressive_numbers&mip_opt_out=false&tag=x&tag=y"
    )
  })

  it("leaves out what is false anyway and unknown to narrow bundles", () => {
    assert.strictEqual(
      query({ numerals: false, profanityFilter: false }),
      "model=flux-general-en&encoding=linear16&sample_rate=16000"
    )
  })

  it("encodes what encodeURIComponent leaves", () => {
    assert.match(query({ keyterm: ["O'Brien (CEO)!*"] }), /keyterm=O%27Brien%20%28CEO%29%21%2A$/)
  })
})

describe("FluxSettings.resolve", () => {
  it("names every broken rule", () => {
    const found = issues({ eotThreshold: 0.4, eagerEotThreshold: 0.95, eotTimeoutMs: 20, keyterm: [" "], sampleRate: 11_025 })
    assert.deepStrictEqual(found.map((issue) => issue.split(":")[0]), [
      "sampleRate",
      "eotThreshold",
      "eagerEotThreshold",
      "eotTimeoutMs",
      "eagerEotThreshold",
      "keyterm"
    ])
  })

  const refused: ReadonlyArray<readonly [string, FluxSettings.SettingsPatch, RegExp]> = [
    ["eager above eot", { eotThreshold: 0.6, eagerEotThreshold: 0.7 }, /^eagerEotThreshold: .*above eotThreshold/],
    ["eager above Flux's default eot", { eagerEotThreshold: 0.75 }, /^eagerEotThreshold: .*0\.7, Flux's default/],
    ["300 keyterms", { keyterm: Array.from({ length: 300 }, (_, i) => `t${i}`) }, /^keyterm: at most 100 terms, got 300/],
    ["a keyterm of 101 characters", { keyterm: ["x".repeat(101)] }, /^keyterm: term 1 is longer than 100/],
    ["a query that is too long", { keyterm: Array.from({ length: 40 }, () => "x".repeat(60)) }, /^keyterm: .*2048/],
    ["language hints on the English model", { languageHints: ["en"] }, /^languageHints: only flux-general-multi/],
    ["an unknown language", { model: "flux-general-multi", languageHints: ["xx"] }, /^languageHints: unknown: xx/],
    ["numerals on a bundle without them", { numerals: true }, /^numerals: .*flux-english-20260311/],
    ["half a surrogate pair", { keyterm: ["\ud800"] }, /surrogate/],
    ["an empty tag", { tag: [""] }, /^tag: /],
    ["a negative duration", { openTimeout: "-1 seconds" }, /^openTimeout: must be a positive/],
    ["an outbox too small for a frame at its rate", { sampleRate: 48_000, outboxLimit: 2560 }, /^outboxLimit: .*7680/],
    ["minConfidence above 1", { minConfidence: 1.5 }, /^minConfidence: must be between 0 and 1/]
  ]
  for (const [name, patch, expected] of refused) {
    it(`refuses ${name}`, () => {
      const found = issues(patch)
      assert.isTrue(found.some((issue) => expected.test(issue)), found.join(" | "))
    })
  }

  it("refuses what types would forbid, by name", () => {
    assert.match(issues(JSON.parse(`{"encoding":"opus"}`)).join(), /^encoding: /)
    assert.match(issues(JSON.parse(`{"colour":"red"}`)).join(), /^colour: /)
    assert.match(issues(JSON.parse(`{"colour":null}`)).join(), /^colour: /)
    for (const openTimeout of [[1n], Symbol("x"), "soon", {}.toString]) {
      const refused = FluxSettings.resolveUnknown(FluxSettings.defaults, { openTimeout })
      assert.isTrue(Result.isFailure(refused))
    }
  })

  it("names broken shapes and broken rules together", () => {
    const found = FluxSettings.resolveUnknown(FluxSettings.defaults, { encoding: "opus", eotThreshold: 2, tag: [""] })
    assert.isTrue(Result.isFailure(found))
    if (Result.isSuccess(found) || found.failure.reason._tag !== "InvalidSettings") return
    assert.deepStrictEqual(found.failure.reason.issues.map((issue) => issue.setting), ["encoding", "eotThreshold", "tag"])
  })

  it("takes what a wider profile allows", () => {
    const patch: FluxSettings.SettingsPatch = { eotThreshold: 1, eotTimeoutMs: 60_000, numerals: true, redact: "numbers" }
    assert.strictEqual(issues(patch).length, 4)
    assert.deepStrictEqual(issues(patch, profiles["hosted-2026-09"]), [])
  })

  it("a patch: absent means unchanged, null means the default", () => {
    const base = Result.getOrThrow(resolve({ eotThreshold: 0.8, keyterm: ["a"], openTimeout: "1 second" }))
    const next = Result.getOrThrow(FluxSettings.resolve(base, { eotThreshold: null, openTimeout: null, tag: ["x"] }))
    assert.isFalse("eotThreshold" in next)
    assert.deepStrictEqual(next.keyterm, ["a"])
    assert.strictEqual(Duration.toMillis(next.openTimeout), 15_000)
  })
})

/** Every setting of design 8 and of sections 5 and 6, as the environment spells it, and what that is. */
const environment: Record<keyof FluxSettings.Settings, readonly [name: string, text: string, value: unknown]> = {
  model: ["FLUX_MODEL", "flux-general-multi", "flux-general-multi"],
  encoding: ["FLUX_ENCODING", "alaw", "alaw"],
  sampleRate: ["FLUX_SAMPLE_RATE", "8000", 8000],
  eotThreshold: ["FLUX_EOT_THRESHOLD", "0.8", 0.8],
  eagerEotThreshold: ["FLUX_EAGER_EOT_THRESHOLD", "0.4", 0.4],
  eotTimeoutMs: ["FLUX_EOT_TIMEOUT_MS", "3000", 3000],
  keyterm: ["FLUX_KEYTERM", "customer service,SageMaker", ["customer service", "SageMaker"]],
  languageHints: ["FLUX_LANGUAGE_HINTS", "de-CH,en", ["de-CH", "en"]],
  numerals: ["FLUX_NUMERALS", "true", true],
  profanityFilter: ["FLUX_PROFANITY_FILTER", "true", true],
  redact: ["FLUX_REDACT", "numbers", "numbers"],
  mipOptOut: ["FLUX_MIP_OPT_OUT", "true", true],
  tag: ["FLUX_TAG", "demo", ["demo"]],
  minConfidence: ["FLUX_MIN_CONFIDENCE", "0.5", 0.5],
  shouldInterrupt: ["FLUX_SHOULD_INTERRUPT", "false", false],
  watchdogMinTimeout: ["FLUX_WATCHDOG_MIN_TIMEOUT", "250 millis", Duration.millis(250)],
  openTimeout: ["FLUX_OPEN_TIMEOUT", "1 second", Duration.seconds(1)],
  connectedTimeout: ["FLUX_CONNECTED_TIMEOUT", "2 seconds", Duration.seconds(2)],
  drainTimeout: ["FLUX_DRAIN_TIMEOUT", "3 seconds", Duration.seconds(3)],
  disconnectTimeout: ["FLUX_DISCONNECT_TIMEOUT", "4 seconds", Duration.seconds(4)],
  sendTimeout: ["FLUX_SEND_TIMEOUT", "6 seconds", Duration.seconds(6)],
  stallTimeout: ["FLUX_STALL_TIMEOUT", "7 seconds", Duration.seconds(7)],
  keepAliveInterval: ["FLUX_KEEP_ALIVE_INTERVAL", "8 seconds", Duration.seconds(8)],
  configureTimeout: ["FLUX_CONFIGURE_TIMEOUT", "9 seconds", Duration.seconds(9)],
  outboxLimit: ["FLUX_OUTBOX_LIMIT", "65536", 65_536],
  outboxPolicy: ["FLUX_OUTBOX_POLICY", "drop-oldest", "drop-oldest"],
  replayWindow: ["FLUX_REPLAY_WINDOW", "10 seconds", Duration.seconds(10)],
  catchUpSpeed: ["FLUX_CATCH_UP_SPEED", "1.5", 1.5],
  maxSessionAge: ["FLUX_MAX_SESSION_AGE", "20 minutes", Duration.minutes(20)]
}

describe("FluxSettings from the environment", () => {
  const from = (env: Record<string, string>) =>
    Effect.flatMap(FluxSettings.FluxSettings, (settings) => settings.get).pipe(
      Effect.provide(Layer.provide(FluxSettings.layerConfig(), ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))))
    )

  it.effect("are the defaults where it says nothing: those of Pipecat's service, design 8 and design 5", () =>
    Effect.gen(function*() {
      const second = Duration.seconds
      assert.deepStrictEqual(yield* from({}), {
        model: "flux-general-en",
        encoding: "linear16",
        sampleRate: 16_000,
        keyterm: [],
        languageHints: [],
        tag: [],
        minConfidence: 0,
        shouldInterrupt: true,
        watchdogMinTimeout: Duration.millis(500),
        openTimeout: second(15),
        connectedTimeout: second(10),
        drainTimeout: second(15),
        disconnectTimeout: second(2),
        sendTimeout: second(5),
        stallTimeout: second(10),
        keepAliveInterval: second(10),
        configureTimeout: second(5),
        outboxPolicy: "suspend",
        replayWindow: second(15),
        catchUpSpeed: 2,
        maxSessionAge: Duration.minutes(25)
      })
    }))

  it.effect("each has a name there, and all of them go together", () =>
    Effect.gen(function*() {
      assert.sameMembers(Object.keys(environment), Object.keys(FluxSettings.Settings.fields))
      const values = Object.fromEntries(Object.entries(environment).map(([key, [, , value]]) => [key, value]))
      assert.deepStrictEqual({ ...(yield* from(Object.fromEntries(Object.values(environment)))) }, values)
    }))

  for (const [key, [name, text]] of Object.entries(environment)) {
    it.effect(`${name} sets ${key}, and a wrong value is an error that names it`, () =>
      Effect.gen(function*() {
        const model: Record<string, string> = key === "languageHints" ? { FLUX_MODEL: "flux-general-multi" } : {}
        const base: Readonly<Record<string, unknown>> = yield* from(model)
        const set: Readonly<Record<string, unknown>> = yield* from({ ...model, [name]: text })
        const changed = Object.keys(set).filter((one) => !Equal.equals(set[one], base[one]))
        assert.deepStrictEqual(changed, [key])
        // anything is a term or a tag that a query string can hold
        const wrong = key === "keyterm" || key === "tag" ? "x".repeat(2049) : "-1 wrong"
        const error = yield* Effect.flip(from({ ...model, [name]: wrong }))
        assert.include(String(error), error instanceof Config.ConfigError ? name.slice("FLUX_".length) : key)
        // a file of Windows, or a shell that keeps what is quoted
        for (const around of [`${text}\r`, `  ${text} `, `\t${text}\r\n`]) {
          assert.deepStrictEqual({ ...(yield* from({ ...model, [name]: around })) }, { ...set }, JSON.stringify(around))
        }
        for (const blank of ["", " ", "\r", " \t\r\n"]) {
          assert.deepStrictEqual({ ...(yield* from({ ...model, [name]: blank })) }, { ...base }, JSON.stringify(blank))
        }
      }))
  }

  const lists: ReadonlyArray<readonly [text: string, values: ReadonlyArray<string>]> = [
    ["en, es", ["en", "es"]],
    ["en,es", ["en", "es"]],
    [" en ,\tes\r", ["en", "es"]],
    ["en,,es", ["en", "es"]],
    ["en, ,es,", ["en", "es"]],
    [",en", ["en"]],
    [" , ,", []],
    ["en", ["en"]]
  ]
  for (const [text, values] of lists) {
    it.effect(`${JSON.stringify(text)} is a list of ${values.length}, of languages, terms and tags`, () =>
      Effect.gen(function*() {
        const set = yield* from({ FLUX_MODEL: "flux-general-multi", FLUX_LANGUAGE_HINTS: text, FLUX_KEYTERM: text, FLUX_TAG: text })
        assert.deepStrictEqual([set.languageHints, set.keyterm, set.tag], [values, values, values])
      }))
  }

  it.effect("yes and no are the words of Effect's own Config", () =>
    Effect.gen(function*() {
      for (const word of ["true", "yes", "on", "1", "y", "false", "no", "off", "0", "n", "TRUE", "Yes", "t", "f", "2", "ja"]) {
        const set = yield* Effect.option(from({ FLUX_NUMERALS: word }))
        const own = yield* Effect.option(Config.Boolean("it").parse(ConfigProvider.fromEnvRecord({ it: word })))
        assert.deepStrictEqual(Option.map(set, ({ numerals }) => numerals), own, word)
      }
    }))

  it.effect("what is blank within a value is part of it", () =>
    Effect.gen(function*() {
      const set = yield* from({ FLUX_KEYTERM: "customer  service , my order", FLUX_TAG: "a b" })
      assert.deepStrictEqual([set.keyterm, set.tag], [["customer  service", "my order"], ["a b"]])
    }))

  it.effect("a list that a file has as such is taken as such: commas are part of its values", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.fromUnknown({ FLUX: { KEYTERM: ["Smith, John ", "alpha"] } })
      assert.deepStrictEqual((yield* FluxSettings.config.parse(provider)).keyterm, ["Smith, John", "alpha"])
    }))
})

describe("FluxSettings", () => {
  it("begins where Pipecat's service does: nothing is asked of Flux but its English model", () => {
    assert.strictEqual(FluxSettings.query(FluxSettings.defaults), "model=flux-general-en&encoding=linear16&sample_rate=16000")
    assert.deepInclude(FluxSettings.defaults, { shouldInterrupt: true, minConfidence: 0, keyterm: [], languageHints: [], tag: [] })
  })

  it.effect("reads FLUX_*, and a wrong value is an error", () =>
    Effect.gen(function*() {
      const layer = (env: Record<string, string>) =>
        Layer.provide(FluxSettings.layerConfig(), ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
      const read = Effect.flatMap(FluxSettings.FluxSettings, (settings) => settings.get)
      const settings = yield* read.pipe(
        Effect.provide(layer({
          FLUX_EOT_THRESHOLD: "0.8",
          FLUX_KEYTERM: "customer service,SageMaker",
          FLUX_OPEN_TIMEOUT: "3 seconds",
          FLUX_MIP_OPT_OUT: "true"
        }))
      )
      assert.strictEqual(settings.eotThreshold, 0.8)
      assert.deepStrictEqual(settings.keyterm, ["customer service", "SageMaker"])
      assert.strictEqual(Duration.toMillis(settings.openTimeout), 3000)
      assert.strictEqual(settings.mipOptOut, true)
      const error = yield* Effect.flip(
        Effect.provide(read, layer({ FLUX_EOT_THRESHOLD: "high" }))
      )
      assert.instanceOf(error, Config.ConfigError)
      assert.include(String(error), "EOT_THRESHOLD")
    }))

  it.effect("an update reaches those who watch; a bad one changes nothing", () =>
    Effect.gen(function*() {
      const settings = yield* FluxSettings.FluxSettings
      const watching = yield* Effect.forkChild(Stream.runCollect(Stream.take(settings.changes, 2)), { startImmediately: true })
      yield* Effect.flip(settings.update({ eotThreshold: 7 }))
      yield* settings.update({ eotThreshold: 0.6 })
      const seen = yield* Fiber.join(watching)
      assert.deepStrictEqual(seen.map((one) => one.eotThreshold), [undefined, 0.6])
    }).pipe(Effect.provide(FluxSettings.layer())))
})
