/** Runs a random user on TestClock, whatever is on the other side, and tells what came of it. Fails where a bound does not hold. */
import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import { FluxTransport } from "../../src/FluxTransport.ts"
import { fork } from "../support/session.ts"
import * as censuses from "./census.ts"
import type { Act, User } from "./script.ts"
import * as sounds from "./sound.ts"
import * as witnesses from "./witness.ts"

type SessionExit<A = unknown> = Exit.Exit<A, FluxError.FluxError>

/** From when to when; ms. */
export interface Interval {
  readonly from: number
  to: number
}

/** What came of a run. Times in ms. */
export interface Outcome {
  readonly user: User
  readonly witness: witnesses.Witness
  readonly entries: ReadonlyArray<FakeTransport.Entry>
  readonly events: ReadonlyArray<FluxEvent>
  /** How the events ended; undefined where nobody was there to hear it. */
  readonly ending: SessionExit<void> | undefined
  /** How `finish` ended; undefined where the Scope was closed instead. */
  readonly finished: SessionExit<void> | undefined
  readonly sound: sounds.Sound
  /** When audio was offered that was not muted. */
  readonly offeredAt: ReadonlyArray<number>
  readonly endTurns: ReadonlyArray<Interval>
  readonly updates: ReadonlyArray<SessionExit>
  /** What the last update that was asked for wants. */
  readonly wanted: FluxSettings.Settings | undefined
  readonly settings: FluxSettings.Settings
  /** When the user left, and where the session was. */
  readonly leftAt: number
  readonly leftStatus: FluxSession.Status
  readonly closedAt: number
}

/** What a run must know of the other side: the longest that it does not read, and whether a connection is freed. */
export interface OtherSide {
  readonly blocksMillis: number
  readonly frees: boolean
}

/** The session's settings: a small outbox, so that it fills up. */
export const settingsOf = ({ keepAlive, limit, policy, rate }: User) => ({
  sampleRate: rate,
  keepAliveInterval: Duration.millis(keepAlive),
  outboxLimit: limit * Audio.bytesOf({ encoding: "linear16", sampleRate: rate }, Audio.frameMillis),
  outboxPolicy: policy
})

/** The largest chunk. */
export const mostBytes = 30_001
/** Most events that wait: the limit and the few that end a session. */
const eventsBound = 4096 + 8
/** Control messages that stand on top of the outbox's limit. */
const controlBytes = 400
/** How long a session whose write has failed waits to hear why. */
const reasonMillis = 500
/** A Configure has 5 s from when it is sent, and a frame under way before it 5; so has the one before it, and opening has 25. */
const updateBound = Duration.seconds(46)

/** Plays the user. */
export const play = Effect.fnUntraced(function*(user: User, other: OtherSide) {
  const clock = yield* Clock.Clock
  const now = (): number => clock.currentTimeMillisUnsafe()
  const transport = yield* FluxTransport
  const fake = yield* FakeTransport.FakeTransport
  const settings = yield* Effect.fromResult(FluxSettings.resolve(FluxSettings.defaults, settingsOf(user), transport.capabilities))
  const frameBytes = Audio.bytesOf(settings, Audio.frameMillis)
  const drainMillis = Duration.toMillis(settings.drainTimeout)
  const sound = sounds.make()
  const { watch, witness } = witnesses.make(user.rate, drainMillis, sound.isMuted)
  const census = yield* censuses.make
  const scope = yield* Scope.make()

  let probe: Effect.Effect<void> = Effect.void
  const session = yield* census.count(
    FluxSession.open(settings, { id: "call", finish: user.finish, raw: true }).pipe(
      Effect.provideService(FluxTransport, watch(transport, Effect.suspend(() => probe))),
      Scope.provide(scope)
    )
  )
  probe = Effect.map(session.buffered, ({ behindSeconds, events, outboxBytes }) => {
    const most = FluxSettings.outboxLimit(settings) + frameBytes + controlBytes
    if (outboxBytes > most) witness.wrong.push(`${outboxBytes} bytes wait at ${now()} ms`)
    if (events > eventsBound) witness.wrong.push(`${events} events wait at ${now()} ms`)
    if (!(behindSeconds >= 0)) witness.wrong.push(`is ${behindSeconds} s behind`)
  })

  // --- who listens

  const events: Array<FluxEvent> = []
  const heard = user.consumer === "stops" ? Stream.take(session.events, 2) : session.events
  const listen = Effect.exit(Stream.runForEach(heard, (event) =>
    Effect.andThen(user.consumer === "slow" ? Effect.sleep("2 seconds") : Effect.void, Effect.sync(() => void events.push(event)))))
  const listening = user.consumer === "late" ? undefined : yield* fork(listen)

  // --- who speaks

  const offeredAt: Array<number> = []
  const endTurns: Array<Interval> = []
  const updates: Array<Fiber.Fiber<SessionExit>> = []
  let wanted: FluxSettings.Settings | undefined
  let isMuted = false
  /** Chunks whose senders wait in fibers of their own, in order. */
  const behind = new Set<sounds.Chunk>()
  const unsettle = (): void => {
    for (const chunk of behind) chunk.fate = "unknown"
  }
  const fate = (): sounds.Chunk["fate"] => behind.size > 0 ? "unknown" : isMuted ? "muted" : "due"
  const offers = (): void => {
    if (!isMuted) offeredAt.push(now())
  }
  const offer = (pcm: Uint8Array): Effect.Effect<SessionExit<void>> =>
    Effect.ensuring(Effect.exit(session.send(pcm)), Effect.sync(() => void pcm.fill(0x55)))
  const isRefusal = (exit: SessionExit): boolean => {
    const error = Exit.findErrorOption(exit)
    return error._tag === "Some" && error.value.reason._tag === "BufferOverflow" && error.value.reason.buffer === "audio"
  }

  const send = (bytes: number): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const before = fate()
      offers()
      return Effect.map(offer(sound.next(bytes)), (exit) => {
        // one that was waiting when the session failed may have left a part inside
        if (Exit.isSuccess(exit)) sound.account(bytes, before)
        else if (!isRefusal(exit)) sound.account(bytes, "unknown")
        return Exit.isSuccess(exit)
      })
    })
  const sendBehind = (bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const pcm = sound.next(bytes)
      const chunk = sound.account(bytes, fate())
      offers()
      behind.add(chunk)
      const waiting = Effect.map(offer(pcm), (exit) => {
        behind.delete(chunk)
        if (Exit.isFailure(exit)) chunk.fate = "unknown"
      })
      return Effect.asVoid(Effect.forkDetach(waiting, { startImmediately: true }))
    })
  const sendOrGiveUp = (bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const chunk = sound.next(bytes)
      const before = fate()
      offers()
      return Effect.map(Effect.timeoutOption(offer(chunk), 100), (done) => {
        const sent = sound.account(bytes, before)
        if (done._tag === "None" || Exit.isFailure(done.value)) sound.giveUp(sent)
      })
    })
  /** More than may ever wait is no case of false. */
  const offered = (pcm: Uint8Array): boolean => {
    const taken = Result.try(() => session.offerUnsafe(pcm))
    if (Result.isSuccess(taken)) return taken.success
    const error = taken.failure instanceof FluxError.FluxError ? taken.failure : assert.fail(String(taken.failure))
    assert.deepInclude(error.reason, { _tag: "BufferOverflow", buffer: "audio", chunk: pcm.length })
    assert.isTrue(pcm.length >= FluxSettings.outboxLimit(settings) && user.policy !== "drop-oldest" && !isMuted, "it may fit by and by")
    return false
  }
  const offerUnsafe = (bytes: number): void => {
    const pcm = sound.next(bytes)
    const before = fate()
    if (offered(pcm)) {
      offers()
      sound.account(bytes, before)
    }
    pcm.fill(0x55)
  }
  const update = Effect.fnUntraced(function*({ eager, eot, keyterm, timeout }: Extract<Act, { readonly act: "update" }>) {
    const next = FluxSettings.resolve(yield* session.settings, {
      eotThreshold: eot,
      ...(timeout === 0 ? { eotTimeoutMs: null } : { eotTimeoutMs: timeout }),
      ...(keyterm === "" ? {} : { keyterm: [keyterm] }),
      ...(eager === 0 ? {} : { eagerEotThreshold: eager })
    }, transport.capabilities)
    // such as an eager threshold above the other
    if (Result.isFailure(next)) return
    if (transport.capabilities.configure) wanted = next.success
    const bounded = Effect.timeoutOrElse(Effect.exit(session.update(next.success)), {
      duration: updateBound,
      orElse: () => Effect.die("an update takes too long")
    })
    updates.push(yield* Effect.forkDetach(bounded, { startImmediately: true }))
  })
  const endTurn = Effect.suspend(() => {
    const interval: Interval = { from: now(), to: Number.POSITIVE_INFINITY }
    endTurns.push(interval)
    const ending = Effect.map(Effect.exit(session.endTurn), () => {
      interval.to = now()
    })
    return Effect.asVoid(Effect.forkDetach(ending, { startImmediately: true }))
  })
  /** Whatever waits goes out by itself, a part of a frame after 80 ms; but for what comes after a write that failed, until that ends the session. */
  const drains = Effect.gen(function*() {
    const idle = other.blocksMillis === 0 && other.frees && (yield* session.status) === "ready" && behind.size === 0 &&
      // what they held may end with a part of a frame
      endTurns.every(({ to }) => to + Audio.frameMillis < now())
    const { outboxBytes } = yield* session.buffered
    const failing = witness.writeFailedAt !== undefined && now() < witness.writeFailedAt + reasonMillis
    if (idle && !failing && outboxBytes > 0) witness.wrong.push(`${outboxBytes} bytes still wait at ${now()} ms`)
  })
  const mute = (on: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      unsettle()
      isMuted = on
      return session.setMuted(on)
    })
  /** In real time. */
  const speak = Effect.fnUntraced(function*(frames: number) {
    for (let i = 0; i < frames && (yield* send(frameBytes)); i++) yield* Effect.sleep(Audio.frameMillis)
  })
  const act = Effect.fnUntraced(function*(step: Act) {
    switch (step.act) {
      case "send":
        if (step.how === "unsafe") offerUnsafe(step.bytes)
        else if (user.policy !== "suspend" || step.how === "waits") yield* send(step.bytes)
        else if (step.how === "behind") yield* sendBehind(step.bytes)
        else if (behind.size > 0 || sound.bytes() % 2 !== 0 || isMuted) yield* send(step.bytes)
        else yield* sendOrGiveUp(step.bytes)
        break
      case "stream":
        yield* speak(step.frames)
        break
      case "aside": {
        const was = isMuted
        yield* mute(true)
        yield* speak(step.frames)
        yield* mute(was)
        break
      }
      case "pause": {
        const quiet = (yield* session.status) === "ready"
        yield* Effect.sleep(step.millis)
        if (quiet && step.millis >= 1500) yield* drains
        break
      }
      case "mute":
        yield* mute(step.on)
        break
      case "update":
        yield* update(step)
        break
      case "endTurn":
        yield* endTurn
    }
    yield* probe
  })

  // --- how it goes

  const speaking = yield* fork(Effect.forEach(user.acts, act, { discard: true }))
  if (user.leaves.after >= 0) {
    yield* TestClock.adjust(user.leaves.after)
    // whoever is sending gives that up, and sends no more
    if (speaking.pollUnsafe() === undefined) {
      yield* Fiber.interrupt(speaking)
      sound.account(mostBytes, "unknown")
    }
  } else {
    // a sender may wait as long as a server that takes a frame every four seconds makes it
    for (let minute = 0; minute < 30 && speaking.pollUnsafe() === undefined; minute++) yield* TestClock.adjust("1 minute")
    if (speaking.pollUnsafe() === undefined) assert.fail("the user hangs")
  }
  const failed = speaking.pollUnsafe()
  if (failed !== undefined && Exit.isFailure(failed) && !Exit.hasInterrupts(failed)) return yield* Effect.failCause(failed.cause)

  const leftAt = now()
  const leftStatus = yield* session.status
  let finished: SessionExit<void> | undefined
  if (user.leaves.how === "finish") {
    const waiting = (yield* session.buffered).outboxBytes + [...behind].reduce((sum, { from, to }) => sum + to - from, 0)
    const frames = Math.ceil(waiting / frameBytes) + behind.size + 4
    const { connectedTimeout, openTimeout } = settings
    const bound = Duration.toMillis(openTimeout) + Duration.toMillis(connectedTimeout) + frames * other.blocksMillis +
      // trailing silence, and an end of turn before it
      2 * (5000 + 2000) + drainMillis + closeBound
    const finishing = yield* fork(Effect.exit(session.finish))
    yield* TestClock.adjust(bound)
    if (finishing.pollUnsafe() === undefined) assert.fail("finish hangs")
    finished = yield* Fiber.join(finishing)
  }
  const closing = yield* fork(Scope.close(scope, Exit.void))
  // a session that has ended has freed its connection
  yield* TestClock.adjust(finished === undefined ? closeBound : 0)
  if (closing.pollUnsafe() === undefined) assert.fail("closing the scope hangs")
  const closedAt = now()

  // --- what is left behind

  if (other.frees) {
    assert.strictEqual(census.timers(), 0, "timers that are left behind")
    assert.strictEqual(census.fibers(), 0, "fibers that are left behind")
  }
  const after = (yield* fake.entries).length
  const late = yield* fork(Effect.exit(Effect.all([
    Effect.exit(session.send(new Uint8Array(2))),
    Effect.exit(session.update(settings)),
    Effect.exit(session.endTurn),
    Effect.exit(session.finish),
    Effect.exit(session.connected)
  ])))
  assert.isFalse(session.offerUnsafe(new Uint8Array(2)), "takes audio after its end")
  yield* TestClock.adjust(0)
  if (late.pollUnsafe() === undefined) assert.fail("hangs after its end")
  assert.strictEqual(yield* session.status, "ended")
  if (updates.some((update) => update.pollUnsafe() === undefined)) assert.fail("an update hangs")
  if (endTurns.some(({ to }) => to === Number.POSITIVE_INFINITY)) assert.fail("an endTurn hangs")
  if (behind.size > 0) assert.fail("a sender hangs")
  yield* TestClock.adjust("1 hour")
  const entries = yield* fake.entries
  if (entries.length !== after) assert.fail(`goes on after it is closed: ${JSON.stringify(entries.slice(after, after + 3))}`)

  const hearing = listening ?? (yield* fork(listen))
  yield* TestClock.adjust("5 hours")
  const exit = hearing.pollUnsafe()
  if (exit === undefined) assert.fail("the events hang")
  const outcome: Outcome = {
    user,
    witness,
    entries,
    events,
    ending: user.consumer === "stops" || exit === undefined || Exit.isFailure(exit) ? undefined : exit.value,
    finished,
    sound,
    offeredAt,
    endTurns,
    updates: yield* Effect.forEach(updates, Fiber.join),
    wanted,
    settings: yield* session.settings,
    leftAt,
    leftStatus,
    closedAt
  }
  return outcome
})

/** Each step of closing is bounded by `disconnectTimeout`, 2 s; there are four of them. A failed write waits 500 ms for its reason. */
const closeBound = 4 * 2000 + 500
