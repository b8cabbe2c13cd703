/**
 * Audio on its way out: cut into frames of 80 ms, in order, bounded by bytes. Buffers are copied at the door. One
 * fiber takes; a full outbox suspends whoever sends.
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

/** What the writer takes next; `undefined` when all audio has been taken and no more will come. */
export type Taken = Frame | undefined

/** See the module. */
export interface Outbox {
  /** Adds audio; completes when all of it is inside, in order. The caller may reuse the buffer then. */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError>
  /** Adds all of it or nothing; false when it does not fit, after `finish` and after a failure. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** Adds a frame that nobody offered, silence or a control message, behind all audio so far; false when it comes too late. */
  readonly inject: (frame: Frame) => boolean
  /** The next frame; suspends while there is none. A part of a frame is let go after 80 ms. */
  readonly take: Effect.Effect<Taken>
  /** No more audio: what is offered from now on is ignored. */
  readonly finish: () => void
  /** Every `send`, waiting or to come, fails with this. */
  readonly fail: (error: FluxError) => void
  /** Bytes waiting, in whole samples. */
  readonly bytes: () => number
  /** When audio was last offered, ms on the Clock; the making of the outbox at first. */
  readonly offeredAt: () => number
  /** Length of the last chunk as it was offered, in ms; 0 at first. */
  readonly lastChunkMillis: () => number
}

/** A new outbox. `limit` is in bytes. */
export const make = (options: {
  readonly format: Audio.Format
  readonly limit: number
  readonly clock: Clock.Clock
}): Outbox => {
  const { clock, format, limit } = options
  const framer = Audio.makeFramer(format)
  const sampleBytes = Audio.bytesPerSample(format.encoding)
  const turnstile = Semaphore.makeUnsafe(1)
  let frames: Array<Frame> = []
  let head = 0
  let queued = 0
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
  const bytes = (): number => queued + partial()
  /** In whole samples: a sender that is interrupted at the door must not shift the audio after it by half of one. */
  const space = (): number => limit - (limit % sampleBytes) - queued - framer.pending()
  const hasFrame = (): boolean => head < frames.length
  /** Audio whose sender still waits at the door was offered before the end. */
  const finished = (): boolean => finishing && waiting === 0

  const enqueue = (frame: Frame): void => {
    frames.push(frame)
    queued += frame.bytes.length
  }
  const enqueueAudio = (all: Array<Uint8Array>): void => {
    for (const bytes of all) enqueue({ dataType: "BINARY", bytes })
  }
  const dequeue = (): Frame | undefined => {
    const frame = frames[head]
    if (frame === undefined) return undefined
    head += 1
    if (head > 64 && head * 2 > frames.length) {
      frames = frames.slice(head)
      head = 0
    }
    queued -= frame.bytes.length
    wakeSender?.()
    return frame
  }

  const offered = (length: number): void => {
    offeredAt = clock.currentTimeMillisUnsafe()
    lastChunkMillis = Audio.millisOf(format, length)
  }
  const put = (pcm: Uint8Array): void => {
    enqueueAudio(framer.push(pcm))
    wakeWriter?.()
  }

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
      const free = space()
      if (free > 0) {
        put(pcm.subarray(0, free))
        if (free >= pcm.length) return Effect.void
      }
      return Effect.andThen(room, squeezeIn(free > 0 ? pcm.subarray(free) : pcm))
    })

  const letGo = (): void => enqueueAudio(framer.flush())
  /** Suspends until there is a whole frame, or the end; with `anyAudio` until there is any audio. */
  const change = (anyAudio: boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      wakeWriter = () => {
        if (!(hasFrame() || finished() || (anyAudio && partial() > 0))) return
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
    orElse: () => Effect.sync(letGo)
  })
  const take: Effect.Effect<Taken> = Effect.suspend(() => {
    if (hasFrame()) return Effect.succeed(dequeue())
    if (finished()) {
      letGo()
      drained = !hasFrame()
      return Effect.succeed(dequeue())
    }
    return Effect.andThen(partial() > 0 ? linger : change(true), take)
  })

  return {
    send: (pcm) =>
      Effect.suspend(() => {
        if (failure !== undefined) return Effect.fail(failure)
        if (finishing || pcm.length === 0) return Effect.void
        offered(pcm.length)
        if (waiting === 0 && space() >= pcm.length) {
          put(pcm)
          return Effect.void
        }
        waiting += 1
        return Effect.ensuring(
          turnstile.withPermit(squeezeIn(pcm)),
          Effect.sync(() => {
            waiting -= 1
            wakeWriter?.()
          })
        )
      }),
    offerUnsafe: (pcm) => {
      if (finishing || failure !== undefined || waiting > 0 || space() < pcm.length) return false
      if (pcm.length === 0) return true
      offered(pcm.length)
      put(pcm)
      return true
    },
    inject: (frame) => {
      if (drained || failure !== undefined) return false
      letGo()
      enqueue(frame)
      wakeWriter?.()
      return true
    },
    take,
    finish: () => {
      finishing = true
      wakeWriter?.()
    },
    fail: (error) => {
      failure ??= error
      wakeSender?.()
    },
    bytes,
    offeredAt: () => offeredAt,
    lastChunkMillis: () => lastChunkMillis
  }
}
