/**
 * Audio on its way out: cut into frames of 80 ms, in order, bounded by bytes, each frame knowing its place in the
 * conversation. Buffers are copied at the door. One fiber takes; what a full outbox does is its policy.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Audio from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"

/** One message to Flux: audio as BINARY, a control message as UTF8. */
export interface Frame {
  readonly dataType: "UTF8" | "BINARY"
  readonly bytes: Uint8Array
}

/** A frame with the place in the conversation of its first sample; without one nobody offered it. */
export interface Placed extends Frame {
  readonly position?: number
}

/** Samples of the conversation, `from` to below `to`. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** What a full outbox does with more audio. */
export type Policy = "suspend" | "drop-oldest" | "fail"

/** What the writer takes next; `undefined` when all audio has been taken and no more will come. */
export type Taken = Placed | undefined

/** See the module. */
export interface Outbox {
  /**
   * Adds audio; completes when all of it is inside, in order. The caller may reuse the buffer then. Where it does not
   * fit: waits, makes room by dropping the oldest frames, or fails with `full`, by policy.
   */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError>
  /** Adds all of it or nothing; false when it does not fit and nothing may be dropped, after `finish` and after a failure. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** While muted, audio moves the conversation's time on and is not sent. */
  readonly setMuted: (muted: boolean) => void
  /** Adds a frame that nobody offered, silence or a control message, behind all audio so far; false when it comes too late. */
  readonly inject: (frame: Frame) => boolean
  /** The same, to be taken before all audio. */
  readonly injectFirst: (frame: Frame) => boolean
  /** From now on what is offered waits, also when `take` has nothing else, until it is let go. */
  readonly hold: () => void
  readonly letGo: () => void
  readonly isHeld: () => boolean
  /** The next frame; suspends while there is none. A part of a frame is let go after 80 ms. */
  readonly take: Effect.Effect<Taken>
  /** Ranges that were dropped since the last call, in order of their place. */
  readonly takeDropped: () => ReadonlyArray<Range>
  /** No more audio: what is offered from now on is ignored. */
  readonly finish: () => void
  /** Every `send`, waiting or to come, fails with this. */
  readonly fail: (error: FluxError) => void
  /** Bytes of audio waiting, in whole samples; what nobody offered comes on top of the limit. */
  readonly bytes: () => number
  /** The same without what is held, and with control messages: 0 where there is nothing to take. */
  readonly bytesToTake: () => number
  /** Samples offered so far, muted and dropped ones included. */
  readonly position: () => number
  /** When audio was last offered, ms on the Clock; the making of the outbox at first. Muted audio does not count. */
  readonly offeredAt: () => number
  /** Length of the last chunk as it was offered, in ms; 0 at first. */
  readonly lastChunkMillis: () => number
}

/** A new outbox. */
export const make = (options: {
  readonly format: Audio.Format
  readonly clock: Clock.Clock
  /** Bytes that may wait; at least a frame. */
  readonly limit: () => number
  readonly policy: () => Policy
  /** What `fail` fails with. */
  readonly full: () => FluxError
  /** A frame is taken, in the very moment in which it waits no more: nobody finds it in neither place. */
  readonly taken?: ((frame: Placed) => void) | undefined
  /** Audio that goes last when something must be dropped. */
  readonly precious?: ((range: Range) => boolean) | undefined
}): Outbox => {
  const { clock, format, precious = () => false, taken } = options
  const framer = Audio.makeFramer(format)
  const sampleBytes = Audio.bytesPerSample(format.encoding)
  const turnstile = Semaphore.makeUnsafe(1)
  let frames: Array<Placed> = []
  let head = 0
  /** Frames behind a hold; undefined where nothing is held. */
  let held: Array<Placed> | undefined
  let heldBytes = 0
  /** Bytes of frames: all of them, those that are audio, and those that somebody offered, which the limit is about. */
  let queued = 0
  let queuedAudio = 0
  let queuedOffers = 0
  /** Bytes that were offered, in conversation order; what the framer holds are the last of them. */
  let offset = 0
  let dropped: Array<Range> = []
  let muted = false
  let waiting = 0
  let finishing = false
  let drained = false
  let failure: FluxError | undefined
  let offeredAt = clock.currentTimeMillisUnsafe()
  let lastChunkMillis = 0
  let wakeWriter: (() => void) | undefined
  let wakeSender: (() => void) | undefined

  /** Half a sample waits for its other half, however long that takes. */
  const partial = (): number => framer.pending() - (framer.pending() % sampleBytes)
  const limit = (): number => options.limit() - (options.limit() % sampleBytes)
  /** In whole samples: a sender that is interrupted at the door must not shift the audio after it by half of one. */
  const space = (): number => limit() - queuedOffers - framer.pending()
  const hasFrame = (): boolean => head < frames.length
  /** Audio whose sender still waits at the door was offered before the end. */
  const finished = (): boolean => finishing && waiting === 0

  /** A frame more, or with -1 one less. */
  const count = ({ bytes, dataType, position }: Placed, sign: 1 | -1): void => {
    queued += sign * bytes.length
    if (dataType === "BINARY") queuedAudio += sign * bytes.length
    if (position !== undefined) queuedOffers += sign * bytes.length
  }
  const enqueue = (frame: Placed, to: Array<Placed>): void => {
    to.push(frame)
    count(frame, 1)
    if (to === held) heldBytes += frame.bytes.length
  }
  /** Frames that the framer has completed; the first one begins at a byte of the conversation. */
  const enqueueAudio = (all: ReadonlyArray<Uint8Array>, from: number): void => {
    let at = from
    for (const bytes of all) {
      enqueue({ dataType: "BINARY", bytes, position: at / sampleBytes }, held ?? frames)
      at += bytes.length
    }
  }
  const dequeue = (): Placed | undefined => {
    const frame = frames[head]
    if (frame === undefined) return undefined
    head += 1
    if (head > 64 && head * 2 > frames.length) {
      frames = frames.slice(head)
      head = 0
    }
    count(frame, -1)
    taken?.(frame)
    // last, as the sender goes on right here
    wakeSender?.()
    return frame
  }

  const offered = (length: number): void => {
    if (muted) return
    offeredAt = clock.currentTimeMillisUnsafe()
    lastChunkMillis = Audio.millisOf(format, length)
  }
  /** Lets go of what is less than a frame. */
  const flush = (): void => {
    const from = offset - framer.pending()
    enqueueAudio(framer.flush(), from)
  }
  /** What follows does not follow on what is here. */
  const breakOff = (): void => {
    flush()
    framer.clear()
  }
  const put = (pcm: Uint8Array): void => {
    // the second half of a sample whose first half was not sent
    const orphan = framer.pending() === 0 ? (sampleBytes - (offset % sampleBytes)) % sampleBytes : 0
    const from = offset - framer.pending() + orphan
    offset += pcm.length
    enqueueAudio(framer.push(pcm.subarray(orphan)), from)
    wakeWriter?.()
  }
  /** Audio that is not sent, and moves time on all the same. */
  const passOver = (length: number): void => {
    breakOff()
    offset += length
    wakeWriter?.()
  }

  // --- policies

  const drop = ({ bytes, position = 0 }: Placed): void => {
    const range = { from: position, to: position + bytes.length / sampleBytes }
    const last = dropped.at(-1)
    if (last?.to === range.from) dropped[dropped.length - 1] = { from: last.from, to: range.to }
    else dropped.push(range)
  }
  const oldest = (among: ReadonlyArray<Placed>, from: number, any: boolean): number =>
    among.findIndex(({ bytes, position }, at) =>
      at >= from && position !== undefined && (any || !precious({ from: position, to: position + bytes.length / sampleBytes })))
  const dropFrom = (list: Array<Placed>, at: number): void => {
    for (const frame of list.splice(at, 1)) {
      count(frame, -1)
      if (list === held) heldBytes -= frame.bytes.length
      drop(frame)
    }
  }
  const dropOldest = (): void => {
    for (const any of [false, true]) {
      const at = oldest(frames, head, any)
      if (at >= 0) return dropFrom(frames, at)
      const behind = held === undefined ? -1 : oldest(held, 0, any)
      if (held !== undefined && behind >= 0) return dropFrom(held, behind)
    }
  }
  const pushIn = (pcm: Uint8Array): void => {
    let rest = pcm
    while (rest.length > 0) {
      // the limit holds a frame, so without one to drop there is room
      if (space() <= 0) dropOldest()
      const fits = Math.max(0, space())
      put(rest.subarray(0, fits))
      rest = rest.subarray(fits)
    }
  }
  /** Room there is, or is made; a chunk that is larger than all room goes in by and by. */
  const enter = (pcm: Uint8Array): boolean => {
    if (muted) passOver(pcm.length)
    else if (space() >= pcm.length) put(pcm)
    else if (options.policy() === "drop-oldest") pushIn(pcm)
    else return false
    return true
  }

  // --- waiting for room

  const room = Effect.callback<void>((resume) => {
    wakeSender = () => {
      if (failure === undefined && space() <= 0) return
      wakeSender = undefined
      resume(Effect.void)
    }
    // there may be room by now
    wakeSender()
    return Effect.sync(() => {
      wakeSender = undefined
    })
  })
  const squeezeIn = (pcm: Uint8Array): Effect.Effect<void, FluxError> =>
    Effect.suspend(() => {
      if (failure !== undefined) return Effect.fail(failure)
      if (muted) {
        passOver(pcm.length)
        return Effect.void
      }
      const free = space()
      if (free > 0) {
        put(pcm.subarray(0, free))
        if (free >= pcm.length) return Effect.void
      }
      return Effect.andThen(room, squeezeIn(free > 0 ? pcm.subarray(free) : pcm))
    })

  // --- the writer's side

  /** Suspends until there is a whole frame, or the end; with `anyAudio` until there is any audio. */
  const change = (anyAudio: boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      wakeWriter = () => {
        if (!(hasFrame() || (held === undefined && (finished() || (anyAudio && partial() > 0))))) return
        wakeWriter = undefined
        resume(Effect.void)
      }
      wakeWriter()
      return Effect.sync(() => {
        wakeWriter = undefined
      })
    })
  const linger = Effect.timeoutOrElse(change(false), {
    duration: Audio.frameMillis,
    orElse: () => Effect.sync(flush)
  })
  const take: Effect.Effect<Taken> = Effect.suspend(() => {
    if (hasFrame()) return Effect.succeed(dequeue())
    if (held === undefined && finished()) {
      flush()
      drained = !hasFrame()
      return Effect.succeed(dequeue())
    }
    return Effect.andThen(held === undefined && partial() > 0 ? linger : change(true), take)
  })

  return {
    send: (pcm) =>
      // a sender that is counted and interrupted before it waits would be waited for for ever
      Effect.uninterruptibleMask((restore) => {
        if (failure !== undefined) return Effect.fail(failure)
        if (finishing || pcm.length === 0) return Effect.void
        offered(pcm.length)
        if (waiting === 0 && enter(pcm)) return Effect.void
        if (waiting === 0 && options.policy() === "fail") return Effect.fail(options.full())
        waiting += 1
        return Effect.ensuring(
          restore(turnstile.withPermit(squeezeIn(pcm))),
          Effect.sync(() => {
            waiting -= 1
            wakeWriter?.()
          })
        )
      }),
    offerUnsafe: (pcm) => {
      if (finishing || failure !== undefined || waiting > 0) return false
      if (pcm.length === 0) return true
      if (!enter(pcm)) return false
      offered(pcm.length)
      return true
    },
    setMuted: (value) => {
      muted = value
    },
    inject: (frame) => {
      if (drained || failure !== undefined) return false
      if (held === undefined) flush()
      enqueue(frame, frames)
      wakeWriter?.()
      return true
    },
    injectFirst: (frame) => {
      if (drained || failure !== undefined) return false
      const rest = frames.slice(head)
      // behind the messages that stand there already: what is asked for last is in force in the end
      const audio = rest.findIndex(({ dataType }) => dataType === "BINARY")
      frames = rest.toSpliced(audio < 0 ? rest.length : audio, 0, frame)
      head = 0
      count(frame, 1)
      wakeWriter?.()
      return true
    },
    hold: () => {
      if (held !== undefined) return
      flush()
      held = []
      wakeWriter?.()
    },
    letGo: () => {
      if (held === undefined) return
      frames = [...frames.slice(head), ...held]
      head = 0
      held = undefined
      heldBytes = 0
      wakeWriter?.()
    },
    isHeld: () => held !== undefined,
    take,
    takeDropped: () => {
      const ranges = dropped
      if (ranges.length === 0) return ranges
      dropped = []
      // what is precious goes last, and may lie before the rest
      return ranges.toSorted((a, b) => a.from - b.from)
    },
    finish: () => {
      finishing = true
      wakeWriter?.()
    },
    fail: (error) => {
      failure ??= error
      wakeSender?.()
    },
    bytes: () => queuedAudio + partial(),
    bytesToTake: () => queued - heldBytes + (held === undefined ? partial() : 0),
    position: () => Math.floor(offset / sampleBytes),
    offeredAt: () => offeredAt,
    lastChunkMillis: () => lastChunkMillis
  }
}
