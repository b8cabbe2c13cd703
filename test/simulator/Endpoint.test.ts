import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "../../src/simulator/Endpoint.ts"
import * as refusals from "../../src/simulator/session/refusals.ts"
import * as Script from "../../src/simulator/Script.ts"
import type { Player } from "../../src/simulator/wire.ts"
import { baseQuery, closeStream, requestId } from "../support/flux.ts"
import * as recordingWire from "../support/recordingWire.ts"
import { draw } from "../support/sound.ts"

const request: Endpoint.Request = {
  query: baseQuery,
  requestId: "r",
  fluxRequestId: requestId,
  endpointName: "e",
  region: "us-east-1"
}
interface Opened extends recordingWire.RecordingWire {
  readonly player: Player
}
const open = (endpoint: Endpoint.Endpoint): Opened => {
  const wire = recordingWire.make()
  return { ...wire, player: endpoint.open(request, wire.wire, wire.surroundings) }
}
const faultsOf = (endpoint: Endpoint.Endpoint): Array<string> =>
  endpoint.ledger().map(({ faults }) => faults.map(({ fault }) => fault).join(" "))

describe("Endpoint", () => {
  it("numbers its sessions, and faults find theirs", () => {
    const endpoint = Endpoint.make({ faults: [{ fault: "end", session: 1 }] })
    for (let count = 0; count < 3; count++) open(endpoint)
    assert.deepStrictEqual(endpoint.ledger().map(({ session }) => session), [0, 1, 2])
    assert.deepStrictEqual(faultsOf(endpoint), ["", "end", ""])
  })

  it("faults of the script and of the endpoint both happen, chance by the endpoint's seed or else the script's", () => {
    const script = Script.parse(`{"turns":[],"seed":5,"faults":[{"fault":"say","text":"s"}]}`)
    if (script._tag === "Failure") return assert.fail(script.failure.join())
    const chancy = { fault: "end", chance: 0.5 } as const
    const fates = (behaviour: Endpoint.Behaviour): Array<string> => {
      const endpoint = Endpoint.make({ ...behaviour, faults: [chancy] })
      for (let count = 0; count < 64; count++) open(endpoint)
      return faultsOf(endpoint)
    }
    const ofScript = fates({ script: script.success })
    assert.deepStrictEqual([...new Set(ofScript)].toSorted(), ["say", "say end"])
    assert.deepStrictEqual(fates({ script: script.success, seed: 5 }), ofScript)
    assert.notDeepEqual(fates({ script: script.success, seed: 6 }), ofScript)
    assert.deepStrictEqual(fates({}), fates({ seed: 1 }))
  })

  it("counts the sessions that are open: from their headers until nothing more will be said", () => {
    const endpoint = Endpoint.make({ faults: [{ fault: "late-headers", delay: 10, session: 1 }, { fault: "lag", delay: 5, session: 2 }] })
    const first = open(endpoint)
    endpoint.refused({}, refusals.unavailable(), 0)
    assert.strictEqual(endpoint.sessions(), 1)
    const second = open(endpoint)
    assert.strictEqual(endpoint.sessions(), 1)
    second.advance(10)
    assert.strictEqual(endpoint.sessions(), 2)
    first.player.text(closeStream)
    assert.strictEqual(endpoint.sessions(), 1)
    first.player.gone()
    second.player.gone()
    second.player.gone()
    assert.strictEqual(endpoint.sessions(), 0)
    const third = open(endpoint)
    third.player.text(closeStream)
    assert.strictEqual(endpoint.sessions(), 1)
    third.advance(5)
    assert.strictEqual(endpoint.sessions(), 0)
  })

  it("max-streams: of sessions that open late, too, no more are let in than there is room for", () => {
    const endpoint = Endpoint.make({ faults: [{ fault: "max-streams", streams: 2, as: "flux-error" }, { fault: "late-headers", delay: 10 }] })
    const sessions = [open(endpoint), open(endpoint), open(endpoint)]
    for (const session of sessions) session.advance(10)
    assert.deepStrictEqual(sessions.map((session) => session.done()), [
      ["accept", "Connected"],
      ["accept", "Connected"],
      ["accept", "Error", "end"]
    ])
    assert.deepInclude(JSON.parse(sessions[2]?.texts()[0] ?? ""), { sequence_id: 0, code: "INTERNAL_SERVER_ERROR" })
    assert.strictEqual(endpoint.sessions(), 2)
  })

  it("tells what happens to each session, once", () => {
    const happenings: Array<string> = []
    const endpoint = Endpoint.make(
      { faults: [{ fault: "reject-424", session: 1 }, { fault: "no-headers", session: 2 }] },
      ({ record, refusal, what }) =>
        happenings.push(`${what} ${record.session} ${record.ending}${refusal === undefined ? "" : ` ${refusal.status}`}`)
    )
    const first = open(endpoint)
    open(endpoint)
    endpoint.refused({ endpointName: "e" }, refusals.forbidden("InvalidSignatureException", "m"), 7)
    const hung = open(endpoint)
    first.player.audio(draw("vvv"))
    first.player.bodyEnded()
    first.player.gone()
    hung.player.gone()
    assert.deepStrictEqual(happenings, [
      "opened 0 open",
      "refused 1 refused 424",
      "refused undefined refused 403",
      "ended 0 client-ended",
      "ended 2 lost"
    ])
  })

  it("a request that the door refused has its record, too", () => {
    const endpoint = Endpoint.make({})
    endpoint.refused({ endpointName: "e", requestId: "q" }, refusals.forbidden("InvalidSignatureException", "m"), 7)
    const [record] = endpoint.ledger()
    // a health check is no session, and shifts the number of none
    assert.notProperty(record, "session")
    assert.deepInclude(record, { endpoint: "e", requestId: "q", query: "", openedAt: 7, endedAt: 7, ending: "refused", reason: "m" })
    open(endpoint)
    assert.strictEqual(endpoint.ledger()[1]?.session, 0)
  })

  it("tells of faults whose moment never came", () => {
    const unmet: Array<unknown> = []
    const endpoint = Endpoint.make({
      faults: [{ fault: "say", turn: 0, text: "x" }, { fault: "reset", turn: 9 }, { fault: "end", at: 60 }, { fault: "mute", at: 1, session: 1 }]
    }, (happening) => happening.what === "ended" && unmet.push(happening.unmet))
    const session = open(endpoint)
    session.player.audio(draw("vvv"))
    session.player.text(closeStream)
    assert.deepStrictEqual(unmet, [["reset", "end"]])
  })

  it("hangs: a connection that is left alone takes the number of its session", () => {
    const endpoint = Endpoint.make({ faults: [{ fault: "accept-and-hang", session: 1 }] })
    assert.isFalse(endpoint.hangs())
    // one that never asks for anything changes nothing
    assert.isFalse(endpoint.hangs())
    open(endpoint)
    assert.isTrue(endpoint.hangs())
    assert.isFalse(endpoint.hangs())
    assert.deepStrictEqual(open(endpoint).done(), ["accept", "Connected"])
    assert.deepStrictEqual(endpoint.ledger().map(({ session }) => session), [0, 2])
  })

  it("keeps the records of all that are open, and of the newest that have ended", () => {
    const endpoint = Endpoint.make({})
    const first = open(endpoint)
    for (let count = 1; count <= Endpoint.maxRecords + 10; count++) endpoint.refused({}, refusals.unavailable(), count)
    const times = endpoint.ledger().map(({ openedAt }) => openedAt)
    assert.strictEqual(times.length, 1 + Endpoint.maxRecords)
    assert.deepStrictEqual([times[0], times[1], times.at(-1)], [0, 11, Endpoint.maxRecords + 10])
    first.player.gone()
    assert.strictEqual(endpoint.ledger().length, Endpoint.maxRecords)
    assert.deepInclude(endpoint.ledger()[0], { session: 0, ending: "lost" })
  })
})

describe("the request id of a session", () => {
  const idOf = (profile: "hosted-2026-09" | undefined): string => {
    const wire = recordingWire.make()
    wire.advance(1_767_323_045_000)
    Endpoint.make({ profile }).open(
      { query: baseQuery, requestId: "r", fluxRequestId: "ad12514a-0d38-4f7e-8fba-cce10d8f174c", endpointName: "e", region: "us-east-1" },
      wire.wire,
      wire.surroundings
    )
    return String(JSON.parse(wire.texts()[0] ?? "{}").request_id)
  }
  it("is a UUID of version 7 on hosted Flux, and begins with the time there", () => {
    // 1,767,323,045,000 ms are 19b7ca98c88 in hexadecimal
    assert.strictEqual(idOf("hosted-2026-09"), "019b7ca9-8c88-7f7e-8fba-cce10d8f174c")
    assert.strictEqual(idOf(undefined), "ad12514a-0d38-4f7e-8fba-cce10d8f174c")
  })
})
