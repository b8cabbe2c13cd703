import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as FluxError from "../../src/FluxError.ts"
import * as outboxes from "../../src/internal/outbox.ts"
import type { Taken } from "../../src/internal/outbox.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"
import type { Policy, Range } from "../../src/internal/replayBuffer.ts"
import * as audioOut from "../support/audioOut.ts"
import { pcm16 } from "../support/sound.ts"

const frame = 2560
const full = FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: 0 }), "streaming")
const make = (limit: number, policy: Policy = "suspend") =>
  Effect.map(Clock.Clock, (clock) =>
    audioOut.make({ format: pcm16, limit: () => limit, policy: () => policy, full: () => full, clock }))
const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("outbox", () => {
  /** A sender that finds the outbox full yields before it waits; what happens in between must not be missed. */
  const neverMissed = (what: string, happens: (outbox: audioOut.AudioOut) => Effect.Effect<unknown>) =>
    it.effect(`a waiting sender never misses ${what}`, () =>
      Effect.gen(function*() {
        for (const opsBeforeYield of [5, 6, 7, 8, 9, 11, 13]) {
          for (let delay = 0; delay < 25; delay++) {
            const outbox = yield* make(frame)
            yield* outbox.send(new Uint8Array(frame))
            const sender = yield* outbox.send(new Uint8Array(frame)).pipe(
              Effect.exit,
              Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield),
              Effect.forkChild
            )
            yield* turns(delay)
            yield* happens(outbox)
            yield* turns(200)
            const done = sender.pollUnsafe() !== undefined
            if (!done) yield* Fiber.interrupt(sender)
            assert.isTrue(done, `after ${delay} turns, yielding every ${opsBeforeYield} steps`)
          }
        }
      }))
  neverMissed("that there is room", (outbox) => outbox.take)
  neverMissed("a failure", (outbox) =>
    Effect.sync(() => outbox.fail(FluxError.make(new FluxError.Stalled({ seconds: 1 }), "streaming"))))

  it.effect("half a sample waits for its other half, and counts for nothing meanwhile", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* outbox.send(Uint8Array.of(0x34))
      assert.strictEqual(outbox.bytes(), 0)
      const taking = yield* fork(outbox.take)
      yield* turns(50)
      assert.isUndefined(taking.pollUnsafe())
      yield* outbox.send(Uint8Array.of(0x12))
      outbox.finish()
      assert.deepStrictEqual((yield* Fiber.join(taking))?.bytes, Uint8Array.of(0x34, 0x12))
      assert.isUndefined(yield* outbox.take)
    }))

  it.effect("a sender that is interrupted at the door leaves whole samples behind", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame + 1)
      const samples = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i % 2 === 0 ? 0x34 : 0x12))
      yield* Fiber.interrupt(yield* fork(outbox.send(samples(2 * frame))))
      yield* outbox.take
      yield* outbox.send(samples(frame))
      assert.deepStrictEqual((yield* outbox.take)?.bytes, samples(frame))
    }))

  it.effect("senders that wait come in one after the other, whole", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      const senders = yield* Effect.forEach([1, 2, 3], (mark) => fork(outbox.send(new Uint8Array(2 * frame).fill(mark))))
      const marks: Array<number | undefined> = []
      for (let i = 0; i < 6; i++) marks.push((yield* outbox.take)?.bytes[0])
      yield* Effect.forEach(senders, Fiber.join)
      assert.deepStrictEqual(marks, [1, 1, 2, 2, 3, 3])
    }))

  it.effect("audio that waits at the door when the end is said still goes out", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* fork(outbox.send(new Uint8Array(3 * frame)))
      outbox.finish()
      let frames = 0
      while ((yield* outbox.take) !== undefined) frames += 1
      assert.strictEqual(frames, 3)
      assert.isFalse(outbox.offerUnsafe(new Uint8Array(2)))
      assert.isFalse(outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(2) }))
    }))

  // --- policies, mute and holds

  /** Bytes that say where they are from. */
  const stamped = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => byteAt(from + at))
  const byteAt = (offset: number): number => (offset * 31 + (offset >> 8) * 17) & 0xff
  /** All that can be taken now, with the byte of the conversation at which each begins. */
  const takeAll = Effect.fnUntraced(function*(outbox: audioOut.AudioOut) {
    const taken: Array<{ readonly from: number; readonly bytes: Uint8Array }> = []
    while (outbox.bytesToTake() > 0) {
      const next = yield* outbox.take
      if (next?.position !== undefined) taken.push({ from: next.position * 2, bytes: next.bytes.slice() })
    }
    return taken
  })

  const Act = Schema.Union([
    Schema.Struct({ act: Schema.tag("send"), bytes: Schema.Literals([1, 2, 3, 1000, 2559, 2560, 2561, 7000]), unsafe: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("send"), bytes: Schema.Literals([1, 2, 3, 1000, 2559, 2560, 2561, 7000]), unsafe: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("take"), frames: Schema.Literals([1, 2, 3]) }),
    Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("hold"), on: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("inject"), first: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("interrupt"), which: Schema.Literals([0, 1]) }),
    Schema.Struct({ act: Schema.tag("linger") })
  ])
  interface Sent {
    readonly pcm: Uint8Array
    /** Bytes of it that came in, from the first one on; undefined while its sender waits. */
    entered: number | undefined
    readonly fiber: Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>> | undefined
  }

  /** Does as the acts say, keeps a list of all that came in, and in the end finds each sample of it somewhere. */
  const play = Effect.fnUntraced(function*(options: {
    readonly policy: Policy
    readonly format: Audio.Format
    readonly limit: number
    readonly acts: ReadonlyArray<typeof Act.Type>
    readonly finishHeld: boolean
  }) {
    const { acts, format, limit, policy } = options
    const clock = yield* Clock.Clock
    const outbox = audioOut.make({ format, limit: () => limit, policy: () => policy, full: () => full, clock })
    const sampleBytes = Audio.bytesPerSample(format.encoding)
    const [sent, taken, dropped]: [Array<Sent>, Array<{ readonly position: number; readonly bytes: Uint8Array }>, Array<Range>] = [[], [], []]
    /** Samples, from and to, that came in under mute; the first one, and that after the last, may be halves. */
    const muted: Array<readonly [number, number]> = []
    let [isMuted, injected, before, stamps] = [false, 0, 0, 0]

    const enteredBytes = (): number => sent.reduce((sum, { entered = 0 }) => sum + entered, 0)
    const settle = Effect.gen(function*() {
      yield* turns(20)
      for (const one of sent) {
        if (one.entered === undefined && one.fiber?.pollUnsafe() !== undefined) one.entered = one.pcm.length
      }
      const after = outbox.position()
      if (isMuted && after > before) muted.push([before, after])
      before = after
      dropped.push(...outbox.takeDropped())
      assert.isAtMost(outbox.bytes(), limit + injected, "the limit, and what nobody offered")
      assert.isAtMost(outbox.bytesToTake(), outbox.bytes() + 1)
      if (!outbox.isHeld()) assert.strictEqual(outbox.bytesToTake(), outbox.bytes())
      if (!sent.some(({ entered }) => entered === undefined)) {
        assert.strictEqual(outbox.position(), Math.floor(enteredBytes() / sampleBytes))
      }
    })
    const note = (next: Taken): void => {
      if (next === undefined) return
      assert.isAtMost(next.bytes.length, Audio.bytesOf(format, 80))
      if (next.position === undefined) injected -= next.bytes.length
      else taken.push({ position: next.position, bytes: next.bytes.slice() })
    }
    const takeOne = Effect.gen(function*() {
      const there = outbox.bytesToTake()
      const taking = yield* fork(outbox.take)
      yield* TestClock.adjust(80)
      if (there === 0) {
        assert.isUndefined(taking.pollUnsafe(), "there was nothing to take")
        yield* Fiber.interrupt(taking)
      } else note(yield* Fiber.join(taking))
      yield* settle
    })

    for (const step of acts) {
      switch (step.act) {
        case "send": {
          const pcm = stamped(stamps, step.bytes)
          stamps += 10_007
          const reused = pcm.slice()
          const waits = sent.some(({ entered }) => entered === undefined)
          const fits = isMuted || step.bytes <= limit - (limit % sampleBytes) - outbox.bytes() + injected - (enteredBytes() % sampleBytes)
          if (step.unsafe) {
            const inside = outbox.offerUnsafe(reused)
            if (waits) assert.isFalse(inside, "passes those who wait")
            else if (policy === "drop-oldest" || fits) assert.isTrue(inside, "there is room")
            if (inside) sent.push({ pcm, entered: pcm.length, fiber: undefined })
          } else {
            const fiber = yield* fork(Effect.exit(outbox.send(reused)))
            const exit = fiber.pollUnsafe()
            const failed = exit !== undefined && Exit.isSuccess(exit) && Exit.isFailure(exit.value)
            if (policy === "fail") assert.isTrue(exit !== undefined && (!failed || !fits), "fails only where there is no room")
            else assert.isFalse(failed)
            if (policy === "drop-oldest") assert.isDefined(exit)
            if (!failed) sent.push({ pcm, entered: exit === undefined ? undefined : pcm.length, fiber })
          }
          // the caller may use its buffer again
          if (sent.at(-1)?.entered !== undefined) reused.fill(0)
          break
        }
        case "take":
          for (let i = 0; i < step.frames; i++) yield* takeOne
          break
        case "mute":
          isMuted = step.on
          outbox.setMuted(step.on)
          break
        case "hold":
          if (step.on) outbox.hold()
          else outbox.letGo()
          assert.strictEqual(outbox.isHeld(), step.on)
          break
        case "inject": {
          const silence = { dataType: "BINARY", bytes: Audio.silence(format, 80) } as const
          injected += silence.bytes.length
          assert.isTrue(step.first ? outbox.injectFirst(silence) : outbox.inject(silence))
          break
        }
        case "interrupt": {
          const waiting = sent.filter(({ entered }) => entered === undefined)
          const one = waiting[step.which]
          if (one?.fiber === undefined) break
          yield* Fiber.interrupt(one.fiber)
          // what the others have is known, and whoever is not the first has nothing inside
          one.entered = step.which > 0 ? 0 : Math.max(0, outbox.position() * sampleBytes - enteredBytes())
          break
        }
        case "linger":
          yield* TestClock.adjust(80)
      }
      yield* settle
    }

    if (options.finishHeld) {
      outbox.finish()
      if (outbox.isHeld()) {
        while (outbox.bytesToTake() > 0) yield* takeOne
        yield* takeOne
      }
    }
    outbox.letGo()
    outbox.finish()
    for (let next = yield* outbox.take; next !== undefined; next = yield* outbox.take) {
      note(next)
      yield* settle
    }
    yield* settle
    assert.isFalse(sent.some(({ entered }) => entered === undefined), "a sender still waits")
    assert.strictEqual(outbox.bytes(), 0)
    assert.strictEqual(injected, 0, "all that nobody offered was taken")

    // --- every sample is somewhere

    const conversation = new Uint8Array(Buffer.concat(sent.map(({ entered, pcm }) => pcm.subarray(0, entered))))
    const samples = Math.floor(conversation.length / sampleBytes)
    const fate: Array<"taken" | "dropped" | undefined> = Array.from({ length: samples })
    const mark = (from: number, to: number, why: "taken" | "dropped"): void => {
      for (let at = from; at < to; at++) {
        assert.isUndefined(fate[at], `sample ${at} was ${fate[at]}, and ${why}`)
        fate[at] = why
      }
    }
    let last = 0
    for (const { bytes, position } of taken) {
      assert.isTrue(Number.isInteger(position), "a whole sample")
      assert.isAtLeast(position, last, "in order")
      last = position + bytes.length / sampleBytes
      mark(position, last, "taken")
      assert.deepStrictEqual(bytes, conversation.slice(position * sampleBytes, last * sampleBytes), `at ${position}`)
    }
    for (const { from, to } of dropped) mark(from, to, "dropped")
    if (policy !== "drop-oldest") assert.deepStrictEqual(dropped, [])
    // 1: muted; 2: maybe, as half of it is
    const mute = new Uint8Array(samples + 1)
    for (const [from, to] of muted) {
      if (sampleBytes > 1) mute[from] = mute[from] === 1 ? 1 : 2
      if (sampleBytes > 1) mute[to] = 2
      mute.fill(1, from + sampleBytes - 1, to)
    }
    fate.forEach((why, at) => {
      if (mute[at] === 1) assert.isUndefined(why, `sample ${at} was muted`)
      if (mute[at] === 0) assert.isDefined(why, `sample ${at} of ${samples} is gone`)
    })
  })

  for (const policy of ["suspend", "drop-oldest", "fail"] as const) {
    it.effect.prop(`${policy}: what is taken, dropped and muted is what came in, byte for byte and in its place, and nobody waits in vain`, {
      acts: Schema.Array(Act),
      limit: Schema.Literals([2560, 2561, 5121, 12_800]),
      encoding: Schema.Literals(["linear16", "linear16", "mulaw"]),
      finishHeld: Schema.Boolean
    }, ({ acts, encoding, finishHeld, limit }) =>
      play({ policy, limit, acts, finishHeld, format: { encoding, sampleRate: 16_000 } }), { arbitrary: { runs: 100, size: 40, seed: "flux" } })
  }

  it.effect("drop-oldest spares what is precious, and takes it all the same when there is nothing else", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const outbox = audioOut.make({
        format: pcm16,
        limit: () => 4 * frame,
        policy: () => "drop-oldest",
        full: () => full,
        clock,
        precious: ({ from }) => from < 2 * 1280
      })
      for (let i = 0; i < 6; i++) yield* outbox.send(stamped(i * frame, frame))
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 2 * 1280, to: 4 * 1280 }])
      for (let i = 6; i < 8; i++) yield* outbox.send(stamped(i * frame, frame))
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [0, 1, 6, 7])
    }))

  it.effect("drop-oldest tells what it dropped in the order of its place, also what is held, and what is precious", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const outbox = audioOut.make({
        format: pcm16,
        limit: () => 4 * frame,
        policy: () => "drop-oldest",
        full: () => full,
        clock,
        precious: ({ from, to }) => from < 2 * 1280 || to > 5 * 1280
      })
      yield* outbox.send(stamped(0, 2 * frame))
      outbox.hold()
      yield* outbox.send(stamped(2 * frame, 2 * frame))
      // held audio that is not precious goes before waiting audio that is
      yield* outbox.send(stamped(4 * frame, frame))
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 2 * 1280, to: 3 * 1280 }])
      assert.strictEqual(outbox.bytesToTake(), 2 * frame)
      yield* outbox.send(stamped(5 * frame, 3 * frame))
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 0, to: 1280 }, { from: 3 * 1280, to: 5 * 1280 }])
      assert.deepStrictEqual(outbox.takeDropped(), [])
      outbox.letGo()
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [1, 5, 6, 7])
    }))

  it.effect("a limit that is lowered holds from the next chunk on", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let [limit, policy]: [number, Policy] = [8 * frame, "suspend"]
      const outbox = audioOut.make({ format: pcm16, limit: () => limit, policy: () => policy, full: () => full, clock })
      yield* outbox.send(stamped(0, 8 * frame))
      limit = 2 * frame
      assert.isFalse(outbox.offerUnsafe(stamped(8 * frame, 2)))
      policy = "drop-oldest"
      assert.isTrue(outbox.offerUnsafe(stamped(8 * frame, frame)))
      assert.strictEqual(outbox.bytes(), 2 * frame)
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 0, to: 7 * 1280 }])
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [7, 8])
    }))

  it.effect("control messages are no audio, and are there to be taken", () =>
    Effect.gen(function*() {
      const outbox = yield* make(2 * frame)
      outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(101) })
      assert.deepStrictEqual([outbox.bytes(), outbox.bytesToTake()], [0, 101])
      // they do not take the room of audio
      assert.isTrue(outbox.offerUnsafe(stamped(0, 2 * frame)))
      assert.strictEqual(outbox.bytes(), 2 * frame)
      // before all audio, in their own order
      outbox.injectFirst({ dataType: "UTF8", bytes: new Uint8Array(7) })
      outbox.injectFirst({ dataType: "UTF8", bytes: new Uint8Array(8) })
      outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(9) })
      const lengths: Array<number | undefined> = []
      for (let i = 0; i < 3; i++) lengths.push((yield* outbox.take)?.bytes.length)
      assert.deepStrictEqual(lengths, [101, 7, 8])
      assert.deepStrictEqual([outbox.bytes(), outbox.bytesToTake()], [2 * frame, 2 * frame + 9])
    }))

  it.effect("a part of a frame goes at once when it cannot be completed any more: behind a hold, something injected, and mute", () =>
    Effect.gen(function*() {
      const ways: ReadonlyArray<(outbox: audioOut.AudioOut) => void> = [
        (outbox) => outbox.hold(),
        (outbox) => void outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(1) }),
        (outbox) => {
          outbox.setMuted(true)
          assert.isTrue(outbox.offerUnsafe(new Uint8Array(5)))
        },
        (outbox) => outbox.finish()
      ]
      for (const way of ways) {
        const outbox = yield* make(10 * frame)
        yield* outbox.send(stamped(0, 1001))
        const taking = yield* fork(outbox.take)
        yield* TestClock.adjust(79)
        assert.isUndefined(taking.pollUnsafe())
        way(outbox)
        yield* turns(20)
        assert.isDefined(taking.pollUnsafe())
        assert.deepInclude(yield* Fiber.join(taking), { position: 0, bytes: stamped(0, 1000) })
      }
    }))

  it.effect("what is mute begins and ends in mid-sample: whole samples go, in their place, and no half is put to another", () =>
    Effect.gen(function*() {
      const outbox = yield* make(10 * frame)
      yield* outbox.send(stamped(0, 7))
      outbox.setMuted(true)
      yield* outbox.send(stamped(7, 4))
      outbox.setMuted(false)
      // byte 11 is the second half of a sample that began under mute
      yield* outbox.send(stamped(11, 1))
      yield* outbox.send(stamped(12, 6))
      outbox.setMuted(true)
      yield* outbox.send(stamped(18, 3))
      outbox.setMuted(false)
      yield* outbox.send(stamped(21, 2))
      yield* outbox.send(stamped(23, 4))
      outbox.finish()
      assert.deepStrictEqual(yield* takeAll(outbox), [
        { from: 0, bytes: stamped(0, 6) },
        { from: 12, bytes: stamped(12, 6) },
        { from: 22, bytes: stamped(22, 4) }
      ])
      assert.strictEqual(outbox.position(), 13)
    }))

  it.effect("as many frames may be held as there is room for", () =>
    Effect.gen(function*() {
      const outbox = yield* make(1_048_576)
      outbox.hold()
      // frames of one sample, parted by muted ones
      for (let i = 0; i < 150_000; i++) {
        assert.isTrue(outbox.offerUnsafe(Uint8Array.of(1, 2)))
        outbox.setMuted(true)
        assert.isTrue(outbox.offerUnsafe(Uint8Array.of(3, 4)))
        outbox.setMuted(false)
      }
      outbox.letGo()
      assert.strictEqual(outbox.bytesToTake(), 300_000)
      assert.strictEqual((yield* outbox.take)?.position, 0)
      assert.strictEqual((yield* outbox.take)?.position, 2)
    }))

  it.effect("knows when audio was last offered, and how much: what waits at the door was, what was muted or injected was not", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust(1000)
      const outbox = yield* make(2 * frame)
      assert.deepStrictEqual([outbox.offeredAt(), outbox.lastChunkMillis()], [1000, 0])
      yield* TestClock.adjust(1000)
      const waiting = yield* fork(outbox.send(new Uint8Array(3 * frame)))
      assert.deepStrictEqual([outbox.offeredAt(), outbox.lastChunkMillis()], [2000, 240])
      yield* TestClock.adjust(1000)
      outbox.inject({ dataType: "BINARY", bytes: new Uint8Array(frame) })
      assert.isFalse(outbox.offerUnsafe(new Uint8Array(2)))
      yield* outbox.take
      yield* Fiber.join(waiting)
      assert.deepStrictEqual([outbox.offeredAt(), outbox.lastChunkMillis()], [2000, 240])
      outbox.setMuted(true)
      yield* outbox.send(new Uint8Array(frame))
      assert.deepStrictEqual([outbox.offeredAt(), outbox.lastChunkMillis()], [2000, 240])
      outbox.setMuted(false)
      yield* outbox.take
      yield* outbox.send(new Uint8Array(800))
      assert.deepStrictEqual([outbox.offeredAt(), outbox.lastChunkMillis()], [3000, 25])
    }))

  it.effect("a sender that is interrupted at the door when the end was said lets the end come", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      const waiting = yield* fork(outbox.send(stamped(0, 2 * frame)))
      outbox.finish()
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* outbox.take)?.bytes.length, frame)
      assert.isUndefined(yield* outbox.take)

      // also while the writer waits for it
      const other = yield* make(frame)
      other.hold()
      const late = yield* fork(other.send(stamped(0, 2 * frame)))
      other.finish()
      const taking = yield* fork(Effect.forEach([1, 2], () => other.take))
      yield* Fiber.interrupt(late)
      other.letGo()
      assert.deepStrictEqual((yield* Fiber.join(taking)).map((next) => next?.bytes.length), [frame, undefined])
    }))

  it.effect("a long queue comes out frame by frame, also where it is dropped from and added to behind what was taken", () =>
    Effect.gen(function*() {
      const outbox = yield* make(200 * frame, "drop-oldest")
      const positions: Array<number | undefined> = []
      const take = (count: number) =>
        Effect.repeat(Effect.tap(outbox.take, (next) => Effect.sync(() => void positions.push(next?.position))), { times: count - 1 })
      for (let i = 0; i < 200; i++) yield* outbox.send(stamped(i * frame, frame))
      yield* take(150)
      for (let i = 200; i < 380; i++) yield* outbox.send(stamped(i * frame, frame))
      yield* take(200)
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 150 * 1280, to: 180 * 1280 }])
      const expected = Array.from({ length: 380 }, (_, i) => i * 1280)
      assert.deepStrictEqual(positions, [...expected.slice(0, 150), ...expected.slice(180)])
      assert.strictEqual(outbox.bytes(), 0)
    }))

  it.effect("takes nothing after the end, nor after a failure, which is the first one", () =>
    Effect.gen(function*() {
      const ended = yield* make(2 * frame)
      yield* ended.send(stamped(0, 100))
      ended.finish()
      yield* ended.send(stamped(100, frame))
      assert.strictEqual(ended.position(), 50)
      assert.strictEqual((yield* ended.take)?.bytes.length, 100)
      assert.isUndefined(yield* ended.take)

      const failed = yield* make(frame)
      const senders = yield* Effect.forEach([2, 1], (frames) => fork(Effect.flip(failed.send(new Uint8Array(frames * frame)))))
      const first = FluxError.make(new FluxError.Stalled({ seconds: 1 }), "streaming")
      failed.fail(first)
      failed.fail(full)
      for (const sender of senders) assert.strictEqual(yield* Fiber.join(sender), first)
      assert.strictEqual(yield* Effect.flip(failed.send(new Uint8Array(2))), first)
      assert.isFalse(failed.offerUnsafe(new Uint8Array(2)))
      assert.isFalse(failed.inject({ dataType: "UTF8", bytes: new Uint8Array(2) }))
      assert.isFalse(failed.injectFirst({ dataType: "UTF8", bytes: new Uint8Array(2) }))
      assert.strictEqual(failed.position(), 1280)
    }))

  it.effect("drop-oldest takes the latest of a chunk that is larger than all room", () =>
    Effect.gen(function*() {
      const outbox = yield* make(2 * frame, "drop-oldest")
      yield* outbox.send(stamped(0, 5 * frame))
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [3, 4])
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 0, to: 3 * 1280 }])
    }))

  it.effect("what is held waits, also when nothing else is there, and what is injected passes it", () =>
    Effect.gen(function*() {
      const outbox = yield* make(10 * frame)
      yield* outbox.send(stamped(0, 1000))
      outbox.hold()
      yield* outbox.send(stamped(1000, 2 * frame))
      assert.strictEqual(outbox.bytesToTake(), 1000)
      assert.strictEqual(outbox.bytes(), 1000 + 2 * frame)
      assert.strictEqual((yield* outbox.take)?.bytes.length, 1000)
      const taking = yield* fork(outbox.take)
      yield* turns(50)
      assert.isUndefined(taking.pollUnsafe())
      outbox.inject({ dataType: "UTF8", bytes: Uint8Array.of(1) })
      assert.strictEqual((yield* Fiber.join(taking))?.dataType, "UTF8")
      const next = yield* fork(outbox.take)
      outbox.finish()
      yield* turns(50)
      assert.isUndefined(next.pollUnsafe(), "the end waits for what is held")
      outbox.letGo()
      assert.strictEqual((yield* Fiber.join(next))?.position, 500)
      assert.strictEqual((yield* takeAll(outbox)).length, 1)
      assert.isUndefined(yield* outbox.take)
    }))

  it.effect("what is held is cut neither by time nor by what is injected", () =>
    Effect.gen(function*() {
      const outbox = yield* make(10 * frame)
      outbox.hold()
      yield* outbox.send(stamped(0, 1000))
      const taking = yield* fork(outbox.take)
      yield* TestClock.adjust(200)
      outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(1) })
      assert.strictEqual((yield* Fiber.join(taking))?.dataType, "UTF8")
      yield* outbox.send(stamped(1000, frame))
      outbox.letGo()
      const taken: unknown = yield* outbox.take
      assert.deepStrictEqual(taken, { dataType: "BINARY", position: 0, bytes: stamped(0, frame), at: 200 })
    }))

  it.effect("a sender at the door lets go of its audio when it is muted, and those behind it keep their order", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* outbox.send(stamped(0, frame))
      const waiting = yield* fork(outbox.send(stamped(frame, 2 * frame)))
      outbox.setMuted(true)
      const behind = yield* fork(outbox.send(stamped(3 * frame, frame)))
      yield* outbox.take
      yield* turns(50)
      yield* Fiber.join(waiting)
      yield* Fiber.join(behind)
      assert.strictEqual(outbox.position(), 4 * 1280)
      assert.strictEqual(outbox.bytes(), 0)
      outbox.setMuted(false)
      yield* outbox.send(stamped(4 * frame, frame))
      assert.strictEqual((yield* outbox.take)?.position, 4 * 1280)
    }))
  neverMissed("that there is room again after a hold", (outbox) =>
    Effect.gen(function*() {
      outbox.hold()
      outbox.letGo()
      yield* outbox.take
    }))

  /** So many steps before something, so that the yield comes at each step of it in turn. */
  const after = (steps: number) => Effect.repeat(Effect.void, { times: steps })
  const hasty = Effect.provideService(Scheduler.MaxOpsBeforeYield, 8)

  /** The same for the writer. */
  const alwaysTaken = (what: string, happens: (outbox: audioOut.AudioOut) => Effect.Effect<unknown, FluxError.FluxError>, before: (outbox: audioOut.AudioOut) => void = () => {}) =>
    it.effect(`a waiting writer never misses ${what}`, () =>
      Effect.gen(function*() {
        for (let steps = 0; steps < 12; steps++) {
          for (let delay = 0; delay < 12; delay++) {
            const outbox = yield* make(10 * frame)
            before(outbox)
            const writer = yield* Effect.andThen(after(steps), outbox.take).pipe(hasty, Effect.forkChild)
            yield* turns(delay)
            yield* happens(outbox)
            yield* turns(200)
            const done = writer.pollUnsafe() !== undefined
            if (!done) yield* Fiber.interrupt(writer)
            assert.isTrue(done, `after ${delay} turns, ${steps} steps before`)
          }
        }
      }))
  const holding = (outbox: audioOut.AudioOut): void => {
    outbox.hold()
    outbox.offerUnsafe(new Uint8Array(frame))
  }
  const sync = (act: (outbox: audioOut.AudioOut) => unknown) => (outbox: audioOut.AudioOut) => Effect.sync(() => act(outbox))
  alwaysTaken("a frame", (outbox) => outbox.send(new Uint8Array(frame)))
  alwaysTaken("the end", sync((outbox) => outbox.finish()))
  alwaysTaken("what is injected", sync((outbox) => outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(1) })))
  alwaysTaken("what is injected before what is held", sync((outbox) => outbox.injectFirst({ dataType: "UTF8", bytes: new Uint8Array(1) })), holding)
  alwaysTaken("that audio is let go", sync((outbox) => outbox.letGo()), holding)
  alwaysTaken("the end after a hold", sync((outbox) => outbox.letGo()), (outbox) => {
    outbox.hold()
    outbox.finish()
  })

  it.effect("the end comes behind what waits at the door, and not later, wherever its sender is, and also if it is interrupted", () =>
    Effect.gen(function*() {
      for (const opsBeforeYield of [3, 4, 5, 8]) {
        for (let delay = 0; delay < 25; delay++) {
          for (const interrupted of [false, true]) {
            const outbox = yield* make(frame)
            const senders = yield* Effect.forEach([2, 1], (frames) =>
              fork(outbox.send(new Uint8Array(frames * frame)).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield))))
            yield* turns(50)
            outbox.finish()
            const lengths: Array<number | undefined> = []
            const taking = yield* fork(Effect.repeat(
              Effect.tap(outbox.take, (next) => Effect.sync(() => void lengths.push(next?.bytes.length))),
              { until: (next) => next === undefined }
            ))
            yield* turns(delay)
            if (interrupted) yield* Effect.forEach(senders, Fiber.interrupt)
            yield* turns(200)
            assert.isDefined(taking.pollUnsafe(), `after ${delay} turns, yielding every ${opsBeforeYield} steps`)
            if (!interrupted) assert.deepStrictEqual(lengths, [frame, frame, frame, undefined])
          }
        }
      }
    }))

  it.effect("a sender that is interrupted on its way to the door, wherever it is, leaves nobody waiting", () =>
    Effect.gen(function*() {
      for (let opsBeforeYield = 3; opsBeforeYield < 14; opsBeforeYield++) {
        for (let delay = 0; delay < 12; delay++) {
          const outbox = yield* make(frame)
          yield* outbox.send(new Uint8Array(frame))
          const sender = yield* outbox.send(new Uint8Array(frame)).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield),
            Effect.forkChild
          )
          yield* turns(delay)
          yield* Fiber.interrupt(sender)
          const where = `after ${delay} turns, yielding every ${opsBeforeYield} steps`
          yield* outbox.take
          assert.isTrue(outbox.offerUnsafe(new Uint8Array(frame)), where)
          outbox.finish()
          yield* outbox.take
          const taking = yield* fork(outbox.take)
          if (taking.pollUnsafe() === undefined) yield* Fiber.interrupt(taking)
          assert.isTrue(Exit.isSuccess(yield* Fiber.await(taking)), where)
        }
      }
    }))

  it.effect("what is offered under mute does not pass who waits at the door", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      const waiting = yield* fork(outbox.send(stamped(0, 2 * frame)))
      outbox.setMuted(true)
      const behind = yield* fork(outbox.send(stamped(2 * frame, frame)))
      assert.isFalse(outbox.offerUnsafe(stamped(3 * frame, frame)))
      assert.strictEqual(outbox.position(), 1280)
      outbox.setMuted(false)
      for (const from of [0, 1, 2]) {
        assert.deepInclude(yield* outbox.take, { position: from * 1280, bytes: stamped(from * frame, frame) })
        yield* turns(20)
      }
      yield* Fiber.join(waiting)
      yield* Fiber.join(behind)
    }))
  neverMissed("that it is muted", (outbox) => Effect.andThen(Effect.sync(() => outbox.setMuted(true)), outbox.take))
})

describe("an outbox of one session", () => {
  const silence = { dataType: "BINARY", bytes: new Uint8Array(frame) } as const
  const fed = Effect.map(Clock.Clock, (clock) => {
    const buffer = replayBuffers.make({ format: pcm16, limit: () => 100 * frame, policy: () => "suspend", full: () => full, clock, keepLimit: () => 100 * frame })
    buffer.keep(0)
    return { buffer, outbox: outboxes.make(buffer) }
  })

  it.effect("whose taker waits already goes on with what is there when it is fed", () =>
    Effect.gen(function*() {
      const { buffer, outbox } = yield* fed
      yield* buffer.send(new Uint8Array(2 * frame))
      const taking = yield* fork(outbox.take)
      yield* turns(20)
      assert.isUndefined(taking.pollUnsafe())
      outbox.feed(640)
      assert.strictEqual((yield* Fiber.join(taking))?.position, 640)
    }))

  it.effect("that is stopped has no more audio, also none that was held, and lets go of the rest of its own", () =>
    Effect.gen(function*() {
      const { buffer, outbox } = yield* fed
      outbox.feed(0)
      yield* buffer.send(new Uint8Array(3 * frame))
      yield* outbox.take
      outbox.hold(0)
      const taking = yield* fork(outbox.take)
      yield* turns(20)
      assert.isUndefined(taking.pollUnsafe())
      outbox.stop()
      assert.isUndefined(yield* Fiber.join(taking))
      assert.isUndefined(yield* outbox.take)
      // it has no place in the audio any more, and holds none of it up
      buffer.keep(3 * frame)
      assert.strictEqual(buffer.goneTo(), frame / 2)
      outbox.feed(0)
      assert.isUndefined(yield* outbox.take)
    }))

  it.effect("that is closed takes nothing of its own, and has no place in the audio", () =>
    Effect.gen(function*() {
      const { buffer, outbox } = yield* fed
      outbox.feed(0)
      yield* buffer.send(new Uint8Array(2 * frame))
      const other = buffer.reader(() => {})
      while (other.next(() => {}) !== undefined);
      buffer.keep(2 * frame)
      assert.strictEqual(buffer.goneTo(), 0)
      outbox.close()
      assert.strictEqual(buffer.goneTo(), buffer.position())
      assert.deepStrictEqual([outbox.inject(silence), outbox.injectFirst(silence)], [false, false])
    }))

  it.effect("tells of each frame, offered or its own, as it is taken", () =>
    Effect.gen(function*() {
      const { buffer } = yield* fed
      const told: Array<number | undefined> = []
      const outbox = outboxes.make(buffer, ({ position }) => told.push(position))
      outbox.feed(0)
      yield* buffer.send(new Uint8Array(2 * frame))
      outbox.inject(silence)
      for (const expected of [[0], [0, 1280], [0, 1280, undefined]]) {
        yield* outbox.take
        assert.deepStrictEqual(told, expected)
      }
    }))
})
