import { assert, describe, it } from "@effect/vitest"
import type { Model } from "../../src/FluxSettings.ts"
import * as FluxTransport from "../../src/FluxTransport.ts"
import * as Profile from "../../src/simulator/Profile.ts"
import { baseQuery, closeStream, fatal, forceEndTurn, multiQuery, open, read, turnInfos } from "../support/flux.ts"
import { draw } from "../support/sound.ts"

const configure = `{"type":"Configure"}`

/** What a bundle says to a text message in a turn, by kind. */
const answer = (profile: FluxTransport.ProfileName, text: string): string => {
  const model = open(profile === "flux-multi-20260417" ? multiQuery : baseQuery, { profile })
  model.audio(draw("v"))
  const { closes, messages } = model.text(text)
  assert.strictEqual(closes, messages[0]?.kind === "Error" || text === closeStream)
  return messages[0]?.kind === "Error" ? fatal(messages[0]).description : messages.map(({ kind }) => kind).join(" ")
}

const unreadable = "Could not deserialize last text message:"

describe("Profile", () => {
  it("takes what the client's capabilities of the same name say", () => {
    for (const name of FluxTransport.profileNames) {
      const { configure, forceEndTurn } = FluxTransport.profiles[name]
      const { limits, messages, ...profile } = Profile.profiles[name]
      assert.strictEqual(profile.name, name)
      assert.strictEqual(limits, FluxTransport.profiles[name])
      assert.deepStrictEqual(
        [messages.includes("CloseStream"), messages.includes("Configure"), messages.includes("ForceEndTurn")],
        [true, configure, forceEndTurn]
      )
    }
  })

  it.each<readonly [model: Model | undefined, name: FluxTransport.ProfileName]>([
    [undefined, "flux-english-20260311"],
    ["flux-general-en", "flux-english-20260311"],
    ["flux-general-multi", "flux-multi-20260417"]
  ])("is the narrowest that has the model %s, unless one is given", (model, name) => {
    assert.strictEqual(Profile.resolve(undefined, model).name, name)
    assert.strictEqual(Profile.resolve("hosted-2026-09", model), Profile.profiles["hosted-2026-09"])
    const own = { ...Profile.profiles["hosted-2026-09"], name: "own" }
    assert.strictEqual(Profile.resolve(own, model), own)
  })

  // protocol 3: who understands what; protocol 2.6: the words, which serde chooses by the number of variants
  it.each<readonly [FluxTransport.ProfileName, text: string, answer: string]>([
    ["flux-english-20260311", closeStream, "Update"],
    ["flux-english-20260311", configure, `${unreadable} unknown variant \`Configure\`, expected \`CloseStream\``],
    ["flux-english-20260311", forceEndTurn, `${unreadable} unknown variant \`ForceEndTurn\`, expected \`CloseStream\``],
    ["flux-multi-20260417", closeStream, "Update"],
    ["flux-multi-20260417", configure, "ConfigureSuccess"],
    ["flux-multi-20260417", forceEndTurn, `${unreadable} unknown variant \`ForceEndTurn\`, expected \`CloseStream\` or \`Configure\``],
    ["hosted-2026-09", closeStream, "Update"],
    ["hosted-2026-09", configure, "ConfigureSuccess"],
    ["hosted-2026-09", forceEndTurn, "EndOfTurn"],
    [
      "hosted-2026-09",
      `{"type":"KeepAlive"}`,
      `${unreadable} unknown variant \`KeepAlive\`, expected one of \`CloseStream\`, \`Configure\`, \`ForceEndTurn\``
    ],
    ["hosted-2026-09", `{"type":"toString"}`, `${unreadable} unknown variant \`toString\`, expected one of \`CloseStream\`, \`Configure\`, \`ForceEndTurn\``]
  ])("%s answers %s with %s", (profile, text, expected) => {
    assert.strictEqual(answer(profile, text), expected)
  })

  it("tells a trigger and word times where its bundle does", () => {
    // 0.72 s are more than 0.7 of a second; in hosted Flux's first turn 0.88 s are, of 1.25
    const said = (profile: FluxTransport.ProfileName, query: string, silent = 9) => {
      const end = turnInfos(open(query, { profile }).audio(draw(`v${".".repeat(silent)}`))).at(-1)
      return [end?.event, end?.trigger, end?.words[0]?.start, end?.words[0]?.end]
    }
    assert.deepStrictEqual(said("flux-english-20260311", baseQuery), ["EndOfTurn", undefined, 0, 0.08])
    assert.deepStrictEqual(said("flux-multi-20260417", multiQuery), ["EndOfTurn", undefined, undefined, undefined])
    assert.deepStrictEqual(said("hosted-2026-09", baseQuery, 11), ["EndOfTurn", "model", 0, 0.08])
  })

  it("may be of one's own making", () => {
    const profile: Profile.Profile = {
      ...Profile.profiles["flux-multi-20260417"],
      models: ["flux-general-en"],
      messages: ["ForceEndTurn"],
      trigger: true
    }
    const model = open(baseQuery, { profile })
    assert.strictEqual(read(model.text(forceEndTurn).messages[0]).type, "Warning")
    assert.include(fatal(model.text(closeStream).messages[0]).description, "unknown variant `CloseStream`, expected `ForceEndTurn`")
  })
})
