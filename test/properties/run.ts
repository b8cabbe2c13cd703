/** Runs a random script on TestClock, and tells what came of it. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import { type ProfileName, profiles } from "../../src/FluxTransport.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import { fork, settingsOf } from "../support/session.ts"
import * as peers from "./peer.ts"
import type { Act, Script } from "./script.ts"

/** Small, so that it fills up: eight frames. */
export const outboxLimit = 8 * 2560
export const drainMillis = 15_000
/** Each step of closing is bounded by `disconnectTimeout`; there are four of them. */
const closeBound = 4 * 2000

/** What came of a run. */
export interface Outcome {
  readonly witness: peers.Witness
  readonly entries: ReadonlyArray<FakeTransport.Entry>
  readonly events: ReadonlyArray<FluxEvent>
  /** How the events ended; undefined where nobody was there to hear it. */
  readonly ending: Exit.Exit<void, FluxError.FluxError> | undefined
  /** How `finish` ended. */
  readonly finished: Exit.Exit<void, FluxError.FluxError> | undefined
  /** Bytes of the conversation, and which of them were muted. */
  readonly offered: number
  /** So many more may have come, of a chunk that failed. */
  readonly partial: number
  readonly muted: ReadonlyArray<readonly [from: number, to: number]>
  readonly updates: ReadonlyArray<Exit.Exit<unknown, FluxError.FluxError> | undefined>
  readonly settings: FluxSettings.Settings
  /** The last threshold that was asked for. */
  readonly lastEot: number | undefined
}

/** Runs a script to its end; fails where a bound does not hold. */
export const run = Effect.fnUntraced(function*(script: Script) {
  const { peer, witness } = peers.make(script, drainMillis)
  const profile: ProfileName = script.profile
  return yield* Effect.provide(play(script, witness), FakeTransport.layerPeer(() => peer, { capabilities: profiles[profile] }))
})

const play = Effect.fnUntraced(function*(script: Script, witness: peers.Witness) {
  const settings = settingsOf({ outboxLimit, outboxPolicy: script.policy })
  const scope = yield* Scope.make()
  const session = yield* FluxSession.open(settings, { id: "call", finish: script.finish }).pipe(Scope.provide(scope))
  const fake = yield* FakeTransport.FakeTransport
  const events: Array<FluxEvent> = []
  const listen = Effect.exit(Stream.runForEach(session.events, (event) =>
    Effect.andThen(script.consumer === "slow" ? Effect.sleep("2 seconds") : Effect.void, Effect.sync(() => void events.push(event)))))
  const listening = script.consumer === "late" ? undefined : yield* fork(listen)

  let offered = 0
  let partial = 0
  const muted: Array<readonly [number, number]> = []
  let isMuted = false
  const updates: Array<Fiber.Fiber<Exit.Exit<unknown, FluxError.FluxError>>> = []
  let lastEot: number | undefined

  /** The conversation's next bytes, which say where they are from. */
  const next = (bytes: number): Uint8Array => {
    const from = Math.floor(offered / 2)
    return Stamp.audio(from, Math.ceil(bytes / 2) + 1).subarray(offered % 2, offered % 2 + bytes)
  }
  const account = (bytes: number): void => {
    if (isMuted) muted.push([offered, offered + bytes])
    offered += bytes
  }
  const send = (bytes: number) =>
    Effect.suspend(() => {
      const pcm = next(bytes)
      return Effect.map(Effect.exit(session.send(pcm)), (exit) => {
        pcm.fill(0x55)
        if (Exit.isSuccess(exit)) account(bytes)
        // a sender that was waiting when the session failed may have left a part of its chunk inside
        else partial = Math.max(partial, bytes)
        return Exit.isSuccess(exit)
      })
    })
  const act = Effect.fnUntraced(function*(step: Act) {
    switch (step.act) {
      case "send": {
        if (step.waits) {
          yield* send(step.bytes)
          break
        }
        const pcm = next(step.bytes)
        if (session.offerUnsafe(pcm)) account(step.bytes)
        pcm.fill(0x55)
        break
      }
      case "stream":
        for (let i = 0; i < step.frames; i++) {
          if (!(yield* send(2560))) break
          yield* Effect.sleep(80)
        }
        break
      case "pause":
        yield* Effect.sleep(step.millis)
        break
      case "mute":
        isMuted = step.on
        yield* session.setMuted(step.on)
        break
      case "update": {
        const current = yield* session.settings
        const { eotTimeoutMs: _, ...rest } = current
        const wanted = { ...rest, eotThreshold: step.eot, ...(step.timeout === 0 ? {} : { eotTimeoutMs: step.timeout }) }
        if (script.profile === "hosted-2026-09") lastEot = step.eot
        // within its bound, that of opening, and that of one before it; it outlives the user's own fiber
        const bounded = Effect.timeoutOrElse(Effect.exit(session.update(wanted)), {
          duration: "45 seconds",
          orElse: () => Effect.die("an update takes too long")
        })
        updates.push(yield* Effect.forkDetach(bounded, { startImmediately: true }))
        break
      }
      case "endTurn":
        yield* Effect.forkDetach(Effect.exit(session.endTurn), { startImmediately: true })
    }
    const { events: waiting, outboxBytes } = yield* session.buffered
    if (outboxBytes > outboxLimit + 2560) assert.fail(`${outboxBytes} bytes wait`)
    if (waiting > 4096) assert.fail(`${waiting} events wait`)
  })

  const user = yield* fork(Effect.forEach(script.acts, act, { discard: true }))
  // a sender may wait as long as a peer that takes a frame every four seconds makes it
  for (let minute = 0; minute < 20 && user.pollUnsafe() === undefined; minute++) yield* TestClock.adjust("1 minute")
  if (user.pollUnsafe() === undefined) assert.fail("the user hangs")
  yield* Fiber.join(user)

  let finished: Exit.Exit<void, FluxError.FluxError> | undefined
  if (script.leaves === "finish") {
    const finishing = yield* fork(Effect.exit(session.finish))
    yield* TestClock.adjust("5 minutes")
    if (finishing.pollUnsafe() === undefined) assert.fail("finish hangs")
    finished = yield* Fiber.join(finishing)
  }
  if (script.leaves === "interrupt" && listening !== undefined) yield* fork(Fiber.interrupt(listening))
  const closing = yield* fork(Scope.close(scope, Exit.void))
  yield* TestClock.adjust(closeBound)
  if (closing.pollUnsafe() === undefined) assert.fail("closing the scope hangs")

  // nobody is left behind
  const after = (yield* fake.entries).length
  yield* TestClock.adjust("1 hour")
  const entries = yield* fake.entries
  if (entries.length !== after) assert.fail(`goes on after it is closed: ${JSON.stringify(entries.slice(after, after + 3))}`)
  if (updates.some((update) => update.pollUnsafe() === undefined)) assert.fail("an update hangs")

  const hearing = listening ?? (yield* fork(listen))
  yield* TestClock.adjust("5 hours")
  const heard = hearing.pollUnsafe()
  if (heard === undefined) assert.fail("the events hang")
  const outcome: Outcome = {
    witness,
    entries,
    events,
    ending: heard !== undefined && Exit.isSuccess(heard) ? heard.value : undefined,
    finished,
    offered,
    partial,
    muted,
    updates: yield* Effect.forEach(updates, Fiber.join),
    settings: yield* session.settings,
    lastEot
  }
  return outcome
})
