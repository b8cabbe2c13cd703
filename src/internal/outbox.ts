/**
 * What one session has to send, in order: the audio of its conversation from some place on, and among it what nobody
 * offered, silence and control messages. One fiber takes.
 */
import * as Effect from "effect/Effect"
import * as Audio from "../Audio.ts"
import * as monotonic from "./monotonic.ts"
import type { AudioFrame, Reader, ReplayBuffer } from "./replayBuffer.ts"

/** One message to Flux: audio as BINARY, a control message as UTF8. */
export interface Frame {
  readonly dataType: "UTF8" | "BINARY"
  readonly bytes: Uint8Array
}

/** A frame with the place in the conversation of its first sample; without one nobody offered it. */
export interface Placed extends Frame {
  readonly position?: number
}

/** What the writer takes next; `undefined` when all there will ever be has been taken. */
export type Taken = Placed | undefined

/** See the module. */
export interface Outbox {
  /** Begins with the audio at this sample of the conversation; without one, with what nobody has read. */
  readonly feed: (from?: number) => void
  /** No audio after what has been taken, and then the end. */
  readonly stop: () => void
  /** Nobody takes any more. */
  readonly close: () => void
  /**
   * Adds a frame that nobody offered, silence or a control message, behind all audio so far, or all of it before a sample
   * of the conversation; false when it comes too late.
   */
  readonly inject: (frame: Frame, before?: number) => boolean
  /** The same, to be taken before all audio. */
  readonly injectFirst: (frame: Frame) => boolean
  /** Audio from this sample of the conversation on waits, also when `take` has nothing else, until it is let go. */
  readonly hold: (from: number) => void
  readonly letGo: () => void
  readonly isHeld: () => boolean
  /**
   * The next frame; suspends while there is none. A part of a frame is let go after 80 ms. The bytes of audio are written
   * over once the frame after it is taken.
   */
  readonly take: Effect.Effect<Taken>
  /** When the audio that comes next was complete, ms; undefined without any. */
  readonly nextAt: () => number | undefined
  /** Bytes of audio waiting, in whole samples; what nobody offered is among them. */
  readonly bytes: () => number
  /** The same, without the audio from a sample of the conversation on. */
  readonly bytesBefore: (sample: number) => number
  /** The same without what is held, and with control messages: 0 where there is nothing to take. */
  readonly bytesToTake: () => number
}

/** A frame of its own, before the audio frame of a place. */
interface Own {
  readonly frame: Frame
  readonly before: number
}

/** Sends frames in the place of whoever waits for one, where that can be done at once. */
export interface Express {
  readonly isClear: () => boolean
  readonly send: (frame: Placed) => void
}

/**
 * A new outbox, without audio until it is fed. `taken` is told of each frame in the very moment in which it waits no more.
 * A frame that comes while `take` waits goes by `express`, as long as that is clear.
 */
export const make = (buffer: ReplayBuffer, taken: (frame: Placed) => void = () => {}, express?: Express): Outbox => {
  let reader: Reader | undefined
  let own: Array<Own> = []
  let ownBytes = 0
  let ownAudio = 0
  /** The place of the first frame that is held. */
  let heldFrom: number | undefined
  let stopped = false
  let drained = false
  let dispatching = false
  /** When audio was last let in, or let go. */
  let freeSince = 0
  let wake: (() => void) | undefined

  const changed = (): void => wake?.()
  /** What is left of its own goes once no audio comes any more. */
  const place = (): number => (stopped ? Number.POSITIVE_INFINITY : reader?.place() ?? 0)
  const partial = (): number => (reader === undefined ? 0 : buffer.partial())
  const hasOwn = (): boolean => own[0] !== undefined && own[0].before <= place()
  const audioAhead = (): AudioFrame | undefined => {
    const frame = reader?.peek()
    return heldFrom !== undefined && place() >= heldFrom ? undefined : frame
  }
  /** Most often there is nothing but audio. */
  const isPlain = (): boolean => own.length === 0 && heldFrom === undefined
  const hasFrame = (): boolean => isPlain() ? reader?.peek() !== undefined : hasOwn() || audioAhead() !== undefined
  const finished = (): boolean => stopped || (reader !== undefined && buffer.complete())
  const behindAll = (): number => (reader === undefined ? 0 : buffer.end())
  const placeOf = (sample: number): number => (reader === undefined ? 0 : buffer.placeOf(sample))
  const flush = (): void => {
    if (reader !== undefined) buffer.flush()
  }

  const count = ({ bytes, dataType }: Frame, sign: 1 | -1): void => {
    ownBytes += sign * bytes.length
    if (dataType === "BINARY") ownAudio += sign * bytes.length
  }
  const dequeueAudio = (): Placed | undefined => reader?.next(taken)
  const dequeue = (): Placed | undefined => {
    if (isPlain()) return dequeueAudio()
    const first = own[0]
    if (first !== undefined && hasOwn()) {
      own.shift()
      count(first.frame, -1)
      taken(first.frame)
      return first.frame
    }
    return audioAhead() === undefined ? undefined : dequeueAudio()
  }

  const dispatch = ({ isClear, send }: Express): void => {
    dispatching = true
    while (isClear()) {
      const frame = dequeue()
      if (frame === undefined) break
      send(frame)
      reader?.done()
    }
    dispatching = false
  }

  /** Suspends until there is a whole frame, or the end; with `anyAudio` until there is any audio. */
  const change = (anyAudio: boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const mine = (): void => {
        // a sender that finds room goes on within it
        if (dispatching) return
        if (express !== undefined) dispatch(express)
        if (!(hasFrame() || (heldFrom === undefined && (finished() || (anyAudio && partial() > 0))))) return
        if (wake === mine) wake = undefined
        resume(Effect.void)
      }
      wake = mine
      mine()
      return Effect.sync(() => {
        if (wake === mine) wake = undefined
      })
    })
  /**
   * Lets go of a part of a frame after its time. Audio that comes in smaller pieces than frames begins another part as soon
   * as one has become whole, and gone: that is waited for without beginning anew.
   */
  const lingering: Effect.Effect<void> = Effect.suspend(() => {
    if (heldFrom !== undefined) return Effect.void
    if (partial() === 0) {
      return Effect.andThen(Effect.sleep(Audio.frameMillis), Effect.suspend(() => partial() > 0 ? lingering : Effect.void))
    }
    const left = Math.max(buffer.partialSince(), freeSince) + Audio.frameMillis - buffer.now()
    return left > 0 ? Effect.andThen(monotonic.sleep(left), lingering) : Effect.sync(flush)
  })
  const linger = Effect.raceFirst(change(false), lingering)
  const take: Effect.Effect<Taken> = Effect.suspend(() => {
    if (hasFrame()) return Effect.succeed(dequeue())
    if (heldFrom === undefined && finished()) {
      flush()
      drained = !hasFrame()
      return Effect.succeed(dequeue())
    }
    return Effect.andThen(heldFrom === undefined && partial() > 0 ? linger : change(true), take)
  })

  /** Bytes ahead of the reader, up to what is held. */
  const audioBytes = (): number => {
    if (reader === undefined) return 0
    return heldFrom === undefined ? reader.bytes() : reader.bytesUntil(heldFrom)
  }

  return {
    feed: (from) => {
      if (stopped) return
      reader?.close()
      reader = buffer.reader(changed, from)
      freeSince = buffer.now()
      changed()
    },
    stop: () => {
      stopped = true
      reader?.close()
      reader = undefined
      heldFrom = undefined
      changed()
    },
    close: () => {
      drained = true
      reader?.close()
      reader = undefined
    },
    inject: (frame, before) => {
      if (drained) return false
      if (heldFrom === undefined) flush()
      const wanted = before === undefined ? behindAll() : placeOf(before)
      const at = Math.min(heldFrom ?? wanted, wanted)
      const behind = own.findIndex((other) => other.before > at)
      own = own.toSpliced(behind < 0 ? own.length : behind, 0, { frame, before: at })
      count(frame, 1)
      changed()
      return true
    },
    injectFirst: (frame) => {
      if (drained) return false
      // behind the messages that stand there already: what is asked for last is in force in the end
      const at = own.findIndex((other) => other.before > place() || other.frame.dataType === "BINARY")
      own = own.toSpliced(at < 0 ? own.length : at, 0, { frame, before: place() })
      count(frame, 1)
      changed()
      return true
    },
    hold: (from) => {
      if (heldFrom !== undefined) return
      flush()
      heldFrom = placeOf(from)
      changed()
    },
    letGo: () => {
      heldFrom = undefined
      freeSince = buffer.now()
      changed()
    },
    isHeld: () => heldFrom !== undefined,
    take,
    nextAt: () => audioAhead()?.at,
    bytes: () => (reader?.bytes() ?? 0) + ownAudio + partial(),
    bytesBefore: (sample) =>
      (reader?.bytesUntil(placeOf(sample)) ?? 0) + ownAudio + (sample >= buffer.position() ? partial() : 0),
    bytesToTake: () => audioBytes() + ownBytes + (heldFrom === undefined ? partial() : 0)
  }
}
