/** Settings that an endpoint has taken of late. */
import { assert, describe, it } from "@effect/vitest"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import * as acceptedSettings from "../../src/internal/acceptedSettings.ts"
import { settingsOf } from "../support/session.ts"

const minutes = 60_000
const make = () => {
  const time = { now: 5 * minutes }
  return { time, accepted: acceptedSettings.make(() => time.now) }
}
/** As many as one likes, all of them different. */
const others = (count: number): ReadonlyArray<FluxSettings.Settings> =>
  Array.from({ length: count }, (_, i) => settingsOf({ eotTimeoutMs: 1000 + i }))
const one = settingsOf({ model: "flux-general-multi", languageHints: ["de", "en"], eotThreshold: 0.8, eagerEotThreshold: 0.5, keyterm: ["a"], tag: ["x"] })

describe("settings", () => {
  it("are not known at first, and are for ten minutes from when they were last taken", () => {
    const { accepted, time } = make()
    assert.isFalse(accepted.has(one))
    accepted.note(one)
    time.now += 10 * minutes - 1
    assert.isTrue(accepted.has(one))
    time.now += 1
    assert.isFalse(accepted.has(one))
    accepted.note(one)
    time.now += 6 * minutes
    accepted.note(one)
    time.now += 6 * minutes
    assert.isTrue(accepted.has(one))
  })

  const base = { model: "flux-general-multi", languageHints: ["de", "en"], eotThreshold: 0.8, eagerEotThreshold: 0.5, keyterm: ["a"], tag: ["x"] } as const
  const same: Readonly<Record<string, FluxSettings.SettingsPatch>> = {
    "other keyterms": { keyterm: ["b", "c"] },
    "no keyterms": { keyterm: [] },
    "other tags": { tag: ["y"] },
    "no tags": { tag: [] },
    "what only this client does": { minConfidence: 0.5, openTimeout: "3 seconds", outboxLimit: 100_000, replayWindow: "5 seconds" },
    "hints that Flux takes for the same": { languageHints: ["de-CH", "EN"] },
    "a flag that is off, which is not sent": { numerals: false, profanityFilter: false }
  }
  const different: Readonly<Record<string, FluxSettings.SettingsPatch>> = {
    "another model": { model: "flux-general-en", languageHints: [] },
    "another encoding": { encoding: "mulaw" },
    "another sample rate": { sampleRate: 8000 },
    "another threshold": { eotThreshold: 0.81 },
    "no eager threshold": { eagerEotThreshold: null },
    "a timeout where none was": { eotTimeoutMs: 5000 },
    "another language hint": { languageHints: ["de", "fr"] },
    "one hint less": { languageHints: ["de"] },
    "numerals": { numerals: true },
    "a filter": { profanityFilter: true },
    "another way out of the improvement programme": { mipOptOut: true }
  }
  for (const [isSame, patches] of [[true, same], [false, different]] as const) {
    for (const [what, patch] of Object.entries(patches)) {
      it(`are ${isSame ? "known" : "others"} with ${what}`, () => {
        const { accepted } = make()
        accepted.note(settingsOf(base))
        assert.strictEqual(accepted.has(settingsOf({ ...base, ...patch })), isSame)
      })
    }
  }

  it("do not pass for others whose keyterm or tag is written as a parameter", () => {
    const { accepted } = make()
    accepted.note(settingsOf({ keyterm: ["x&numerals=true"], tag: ["y&eot_threshold=0.8"] }))
    assert.isFalse(accepted.has(settingsOf({ numerals: true })))
    assert.isFalse(accepted.has(settingsOf({ eotThreshold: 0.8 })))
    assert.isTrue(accepted.has(settingsOf()))
  })

  it("are 256 at most: those go that were taken the longest ago", () => {
    const { accepted, time } = make()
    accepted.note(one)
    for (const other of others(255)) {
      time.now++
      accepted.note(other)
    }
    assert.isTrue(accepted.has(one))
    // taken again, it is the newest
    accepted.note(one)
    const [oldest, next] = others(255)
    accepted.note(settingsOf({ eotTimeoutMs: 9000 }))
    assert.isTrue(accepted.has(one))
    assert.deepStrictEqual([oldest, next].map((settings) => settings !== undefined && accepted.has(settings)), [false, true])
    // asking is no taking: with 254 more there are 256, of which it is the oldest
    for (let i = 0; i < 254; i++) accepted.note(settingsOf({ eotTimeoutMs: 2000 + i }))
    assert.isTrue(accepted.has(one))
    accepted.note(settingsOf({ eotTimeoutMs: 9001 }))
    assert.isFalse(accepted.has(one))
  })
})
