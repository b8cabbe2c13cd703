/** A random user of the simulated endpoint, whose ledger is the oracle of what reached it. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as FakeTransport from "../../src/FakeTransport.ts"
import { profiles } from "../../src/FluxTransport.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import type { Range, SessionRecord } from "../../src/simulator/Ledger.ts"
import * as SaidScript from "../../src/simulator/Script.ts"
import { audio } from "./invariants/audio.ts"
import { ending } from "./invariants/ending.ts"
import { silence } from "./invariants/silence.ts"
import { time } from "./invariants/time.ts"
import { turns } from "./invariants/turns.ts"
import { wire } from "./invariants/wire.ts"
import { type OtherSide, type Outcome, play } from "./run.ts"
import { oneOf, User } from "./script.ts"

/** What goes wrong, as on the command line. */
const Wrong = oneOf([
  "lag,delay=300", "late-connected,delay=3000", "late-headers,delay=2000", "stay-open", "mute,at=1", "mute,at=0.5,for=1",
  "omit,event=EndOfTurn", "omit,event=StartOfTurn", "omit,event=Update", "say,at=0.5,text=}{", "go-away", "no-connected",
  "no-headers", "reject-424", "reset,at=1.5", "reset,at=close", "reset,at=end", "model-stream-error,at=close",
  "model-stream-error,at=end", "throttle,at=1", "flux-error,at=1", "end,at=2", "drop-socket,at=2", "stop-reading,at=1",
  "corrupt-crc,at=1", "configure-failure", "configure-lost", "lifetime,seconds=5"
])

/** One session with the simulated endpoint. */
export const Simulated = Schema.Struct({
  user: User,
  endpoint: Schema.Struct({
    profile: oneOf(["flux-english-20260311", "hosted-2026-09"]),
    closeMode: oneOf(["update", "end-of-turn"]),
    /** Lines that follow speech; or turns at their times; or placeholders. */
    says: oneOf(["lines", "timed", "placeholders"]),
    faults: Schema.Array(Wrong).check(Schema.isMaxLength(2))
  })
})
export type Simulated = typeof Simulated.Type

const scripts: Readonly<Record<Simulated["endpoint"]["says"], SaidScript.Script>> = {
  lines: SaidScript.fromText("a1 a2\nb1 b2 b3\nc1\nd1 d2"),
  timed: SaidScript.make({
    turns: [
      { at: 0.1, words: ["a1", { word: "a2", start: 0.4, end: 0.42 }, "a3"] },
      { at: 2.5, words: ["b1", { pause: 0.7 }, "b2"] },
      { at: 6, words: ["c1", "c2", "c3", "c4"] },
      { at: 11, words: "d1" }
    ]
  }),
  placeholders: SaidScript.placeholders
}

/** What reached it is what was sent. */
const ledger = ({ finished, witness }: Outcome, record: SessionRecord | undefined, isWell: boolean): void => {
  const { pieces } = witness.ear
  const sum = (offered: boolean): number => pieces.reduce((all, piece) => all + (piece.offered === offered ? piece.to - piece.from : 0), 0)
  const { audioBytes = 0, otherSamples = 0, stamped = [], texts = [] } = record?.received ?? {}
  assert.isAtMost(audioBytes, 2 * (sum(true) + sum(false)))
  if (!isWell || finished === undefined || Exit.isFailure(finished)) return
  assert.strictEqual(audioBytes, 2 * (sum(true) + sum(false)), "audio that reached the endpoint")
  assert.deepStrictEqual(texts.map(({ type }) => type), witness.sent.flatMap(({ type }) => (type === undefined ? [] : [type])))
  const ranges: Array<{ from: number; to: number }> = []
  for (const { from, offered, position, to } of pieces) {
    if (!offered) continue
    const last = ranges.at(-1)
    if (last?.to === position) last.to += to - from
    else ranges.push({ from: position, to: position + to - from })
  }
  // it takes no few samples for stamped ones
  if (pieces.some(({ from, offered, to }) => offered && to - from < 5)) return
  const told: ReadonlyArray<Range> = stamped
  assert.deepStrictEqual(told, ranges, "where it is from")
  assert.strictEqual(otherSamples, sum(false), "silence that reached the endpoint")
}

/** An endpoint that does nothing wrong confirms the turns of one who waits for that; audio of less than a frame may open one at CloseStream. */
const confirmed = ({ events, finished, user, witness: { closeStreamAt = 0 } }: Outcome): void => {
  if (finished === undefined || Exit.isFailure(finished) || user.finish !== "silence") return
  let beganAt = 0
  for (const event of events) {
    if (event.type === "StartOfTurn") beganAt = event.receivedAt
    if (event.type === "EndOfTurn" && beganAt < closeStreamAt) assert.strictEqual(event.ending, "confirmed", `a turn that began at ${beganAt} ms`)
  }
}

/** Fails where an invariant does not hold. */
export const check = Effect.fnUntraced(function*({ endpoint, user }: Simulated) {
  const faults = endpoint.faults.map((flag) => Result.getOrThrow(Fault.fromFlag(flag)))
  const capabilities = profiles[endpoint.profile]
  const reads = faults.every(({ fault }) => fault !== "stop-reading")
  const other: OtherSide = { blocksMillis: reads ? 0 : 5000, frees: true }
  const { outcome, record } = yield* Effect.gen(function*() {
    const outcome = yield* play(user, other)
    const fake = yield* FakeTransport.FakeTransport
    return { outcome, record: (yield* fake.ledger)[0] }
  }).pipe(Effect.provide(FakeTransport.layer({ script: scripts[endpoint.says], profile: endpoint.profile, closeMode: endpoint.closeMode, faults })))
  wire(outcome, capabilities, other)
  turns(outcome, false)
  audio(outcome)
  time(outcome)
  silence(outcome, reads)
  ending(outcome, faults.length === 0)
  assert.deepStrictEqual(outcome.witness.configuresOut, [], "two Configures are out")
  ledger(outcome, record, faults.length === 0)
  if (faults.length === 0 && endpoint.says !== "timed") confirmed(outcome)
  return outcome
})
