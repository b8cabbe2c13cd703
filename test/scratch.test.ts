/** The README's programs: they are the files of scratch/, and those that need no endpoint run here. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Result from "effect/Result"
import * as Duration from "effect/Duration"
import * as Audio from "../src/Audio.ts"
import * as FluxError from "../src/FluxError.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import { profiles } from "../src/FluxTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import { type Row, rows } from "./support/faultTable.ts"
import "../scratch/test-with-a-server.ts"
import "../scratch/test-your-agent.ts"

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")
const readme = read("README.md")

/** What the client makes of a fault, in a line. */
const outcome = ({ error, events }: Row): string => {
  const told = events.flatMap((event) => {
    const [, ending] = /^EndOfTurn \d (lost|closed)/.exec(event) ?? []
    if (ending !== undefined) return [`turn ${ending}`]
    if (event.includes("implied")) return ["turn opened, `implied`"]
    const [, type, what] = /^(Warning|Unrecognized) (\S+)/.exec(event) ?? []
    return type === undefined ? [] : [`\`${type}\` ${what}`]
  })
  const [reason, stage] = error ?? []
  const all = reason === undefined ? told : [...told, `\`${reason}\` at stage ${stage}`]
  return all.length === 0 ? "nothing: the call goes well" : all.join(", ")
}

const lasting = (millis: number): string =>
  millis < 1000 ? `${millis} ms` : millis < 60_000 ? `${millis / 1000} s` : `${millis / 60_000} min`

describe("README", () => {
  const snippets = [...readme.matchAll(/<!-- (scratch\/\S+) -->\n```ts\n([^]*?)```/g)]

  it("shows programs of scratch/ as they are", () => {
    assert.isAtLeast(snippets.length, 2)
    for (const [, path = "", shown = ""] of snippets) {
      const file = read(path).replace(/^\/\*\*.*\*\/\n/, "").replace("../src/index.ts", "effect-flux-sagemaker")
      assert.strictEqual(shown, file, path)
    }
  })

  it("shows the figures that the benchmark wrote", () => {
    const [, path = "", shown = ""] = /<!-- (scratch\/bench\/results\/\S+) -->\n((?:\|.*\n|\n(?=\|))+)/.exec(readme) ?? []
    assert.strictEqual(shown, read(path))
  })

  it("shows a script that is one", () => {
    const shown = [...readme.matchAll(/```json\n([^]*?)```/g)].map(([, text = ""]) => text).filter((text) => text.includes("turns"))
    assert.isAtLeast(shown.length, 1)
    for (const text of shown) assert.isTrue(Result.isSuccess(Script.parse(text)), JSON.stringify(Script.parse(text)))
  })

  it("shows a policy that allows the action which is asked for when it is missing, on the endpoint of its commands", () => {
    const [, text = ""] = /```json\n([^]*?"Statement"[^]*?)```/.exec(readme) ?? []
    const { Statement: [statement] } = JSON.parse(text)
    assert.deepStrictEqual([statement.Effect, statement.Action], ["Allow", FluxError.action])
    assert.match(statement.Resource, /^arn:aws:sagemaker:us-east-2:\d{12}:endpoint\/my-flux$/)
  })

  it("lists every setting with its default", () => {
    const table = /<!-- settings -->\n([^]*?)\n\n/.exec(readme)?.[1] ?? ""
    const rows = [...table.matchAll(/^\| `(\w+)` \| (.*?) ?\| /gm)].map(([, name, value]) => [name, value])
    const flux = { eotThreshold: FluxSettings.fluxEotThreshold, eotTimeoutMs: FluxSettings.fluxEotTimeoutMs }
    const shown = (value: unknown): string => {
      if (value === undefined) return ""
      if (Duration.isDuration(value)) return lasting(Duration.toMillis(value))
      if (Array.isArray(value)) return "none"
      return typeof value === "string" ? `\`${value}\`` : String(value)
    }
    const seconds = Audio.secondsOf(FluxSettings.format(FluxSettings.defaults), FluxSettings.outboxLimit(FluxSettings.defaults))
    const computed: Readonly<Record<string, string>> = { outboxLimit: `${seconds} s of the call's audio` }
    const defaults: Readonly<Record<string, unknown>> = FluxSettings.defaults
    assert.deepStrictEqual(rows, Object.keys(FluxSettings.Settings.fields).map((name) =>
      [name, name in flux ? `Flux's, ${flux[name as keyof typeof flux]}` : computed[name] ?? shown(defaults[name])]
    ))
  })

  it("says what each profile takes", () => {
    const shown = [...readme.matchAll(/^\| `[\w-]+` \| (?:yes|no) \|.* to .* to .*$/gm)].map(([row]) => row)
    const yes = (flag: boolean): string => (flag ? "yes" : "no")
    const range = (bounds: ReadonlyArray<number>): string => bounds.map((bound) => bound.toLocaleString("en")).join(" to ")
    assert.deepStrictEqual(shown, Object.values(profiles).map((profile) => {
      const features = yes(profile.numerals && profile.profanityFilter && profile.redact)
      const takes = `${yes(profile.configure)} | ${yes(profile.forceEndTurn)} | ${features}`
      return `| \`${profile.name}\` | ${takes} | ${range(profile.eotThreshold)} | ${range(profile.eotTimeoutMs)} |`
    }))
  })

  it("says of every reason whether it is retryable", () => {
    const rows = [...readme.matchAll(/^\| `(\w+)` \| (yes|no)(?:, unless [^|]*)? \|/gm)].map(([, tag, answer]) => [tag, answer === "yes"])
    assert.deepStrictEqual(rows, Object.entries(FluxError.retryable))
  })

  it("tells what the client makes of every fault, as the tests see it", () => {
    const section = /### Faults\n([^]*?)\n### /.exec(readme)?.[1] ?? ""
    const shown = [...section.matchAll(/^\| `(\S+)` \| (.*) \|$/gm)].map(([, flag, text]) => [flag, text])
    assert.deepStrictEqual(shown, rows.map((row) => [row.flag, outcome(row)]))
  })
})
