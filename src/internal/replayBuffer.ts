/**
 * The audio of a conversation: what waits to be sent, and what was sent and may have to be sent again. Cut into frames of
 * 80 ms, in order, each knowing its place in the conversation. Buffers are copied at the door; what a full one does with
 * more audio is its policy. Sessions read it, each from a place of its own.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Audio from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import * as frameMemory from "./frameMemory.ts"
import * as monotonic from "./monotonic.ts"

/** A frame of audio, with the place in the conversation of its first sample. */
export interface AudioFrame {
  readonly dataType: "BINARY"
  readonly bytes: Uint8Array
  readonly position: number
  /** When it was complete, monotonic ms. */
  readonly at: number
}

/** Samples of the conversation, `from` to below `to`. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** What a full buffer does with more audio. */
export type Policy = "suspend" | "drop-oldest" | "fail"

/** Reads the audio from some place on. One fiber takes. */
export interface Reader {
  /**
   * The next frame, and moves on; undefined where there is none now. `taken` is called in the very moment in which it waits
   * no more: nobody finds it in neither place.
   */
  readonly next: (taken: (frame: AudioFrame) => void) => AudioFrame | undefined
  /** The frame that `next` gave has been sent: its bytes are not read any more. Else that is so once `next` gives another. */
  readonly done: () => void
  /** The next frame, without moving on. */
  readonly peek: () => AudioFrame | undefined
  /** How many frames lie behind: a place between frames. */
  readonly place: () => number
  /** Bytes of the frames ahead. */
  readonly bytes: () => number
  /** The same, as far as a place. */
  readonly bytesUntil: (place: number) => number
  readonly close: () => void
}

/** See the module. */
export interface ReplayBuffer {
  /**
   * Adds audio; completes when all of it is inside, in order. The caller may reuse the buffer then. Where it does not
   * fit: waits, makes room by dropping the oldest frames, or fails with `full`, by policy. A chunk may be larger than the
   * limit: then it waits by and by, or its own beginning is dropped, or it fails.
   */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError>
  /** Adds all of it or nothing; false when it does not fit and nothing may be dropped, after `finish` and after a failure. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** What `offerUnsafe` says no to for ever, as it is more than an empty buffer holds: `full`; else undefined. */
  readonly refusal: (pcm: Uint8Array) => FluxError | undefined
  /** While muted, audio moves the conversation's time on and is not sent. */
  readonly setMuted: (muted: boolean) => void
  readonly isMuted: () => boolean
  /** No more audio: what is offered from now on is ignored. */
  readonly finish: () => void
  readonly isFinishing: () => boolean
  /** Every `send`, waiting or to come, fails with this. */
  readonly fail: (error: FluxError) => void
  /** Whether all audio there will ever be is inside. */
  readonly complete: () => boolean
  /** Makes a frame of what is less than one; half a sample waits for its other half. */
  readonly flush: () => void
  /** Bytes that make no frame yet, in whole samples. */
  readonly partial: () => number
  /** When the first of them came, monotonic ms. */
  readonly partialSince: () => number
  /** Monotonic ms. */
  readonly now: () => number
  /** The place behind the last frame. */
  readonly end: () => number
  /** The place of the first frame that begins at a sample of the conversation, or after it. */
  readonly placeOf: (sample: number) => number
  /** Bytes of audio that nobody has read, in whole samples. */
  readonly bytes: () => number
  /**
   * Reads from a sample of the conversation on; without one, what nobody has read. `onChange` is called when there may be
   * something to read, or to end.
   */
  readonly reader: (onChange: () => void, from?: number) => Reader
  /** Audio from this sample on is kept when it has been read, within the bounds; before, none is. */
  readonly keep: (from: number) => void
  /** Up to this sample audio is gone that somebody has read: what is not there after it was muted, or dropped and told. */
  readonly goneTo: () => number
  /** Audio from a sample on that was not muted, nor dropped: what is here, and what is gone by now. */
  readonly rangesFrom: (sample: number) => ReadonlyArray<Range>
  /** Ranges that were dropped since the last call, in order of their place. */
  readonly takeDropped: () => ReadonlyArray<Range>
  /** Up to this sample some reader has come. */
  readonly readTo: () => number
  /** Samples offered so far, muted and dropped ones included. */
  readonly position: () => number
  /** When audio was last offered, monotonic ms; the making of the buffer at first. Muted audio does not count. */
  readonly offeredAt: () => number
  /** Length of the last chunk as it was offered, in ms; 0 at first. */
  readonly lastChunkMillis: () => number
}

/** What does not fit: the limit, in bytes, and the bytes of a chunk that is larger than it. */
export interface Overflow {
  readonly limit: number
  readonly chunk?: number
}

/** How a reader is kept: `bytes` are those of the frames ahead; who reads may still send the frame in hand. */
interface Place {
  index: number
  bytes: number
  inHand: AudioFrame | undefined
  open: boolean
  readonly changed: () => void
}

/** Ranges in a row are one. */
const append = (ranges: Array<Range>, range: Range): void => {
  const last = ranges.at(-1)
  if (last?.to === range.from) ranges[ranges.length - 1] = { from: last.from, to: range.to }
  else ranges.push(range)
}

/** A new one, which keeps nothing that has been read until it is told to. */
export const make = (options: {
  readonly format: Audio.Format
  readonly clock: Clock.Clock
  /** Bytes that may wait; at least a frame. */
  readonly limit: () => number
  readonly policy: () => Policy
  /** What `fail` fails with, and what can never go in. */
  readonly full: (overflow: Overflow) => FluxError
  /** Bytes that may be kept; default none. */
  readonly keepLimit?: (() => number) | undefined
  /** Audio that goes last when something must be dropped. */
  readonly precious?: ((range: Range) => boolean) | undefined
}): ReplayBuffer => {
  const { clock, format, keepLimit = () => 0, precious = () => false } = options
  const memory = frameMemory.make(Audio.bytesOf(format, Audio.frameMillis))
  const framer = Audio.makeFramer(format, memory.allocate)
  const sampleBytes = Audio.bytesPerSample(format.encoding)
  const turnstile = Semaphore.makeUnsafe(1)
  /** The first one is that of place `base`; undefined where it was dropped or forgotten. */
  let frames: Array<AudioFrame | undefined> = []
  let base = 0
  /** Before this place all is forgotten. */
  let first = 0
  /** Up to this place somebody has read. */
  let read = 0
  let readTo = 0
  /** Since somebody last read, nothing before this place could be dropped but what is precious. */
  let sought = 0
  /** Bytes of the frames on both sides of it. */
  let kept = 0
  let waiting = 0
  let keepFrom = Number.POSITIVE_INFINITY
  let goneTo = 0
  let readers: ReadonlyArray<Place> = []
  /** Bytes that were offered, in conversation order; what the framer holds are the last of them. */
  let offset = 0
  let dropped: Array<Range> = []
  let muted = false
  let sendersWaiting = 0
  let finishing = false
  let failure: FluxError | undefined
  let offeredAt = monotonic.millis(clock)
  let lastChunkMillis = 0
  let partialSince = 0
  let wakeSender: (() => void) | undefined

  const changed = (): void => {
    for (const reader of readers) reader.changed()
  }
  const endPlace = (): number => base + frames.length
  const frameAt = (place: number): AudioFrame | undefined => frames[place - base]
  const endOf = ({ bytes, position }: AudioFrame): number => position + bytes.length / sampleBytes

  /** Half a sample waits for its other half, however long that takes. */
  const partial = (): number => framer.pending() - (framer.pending() % sampleBytes)
  const limit = (): number => {
    const bytes = options.limit()
    return bytes - (bytes % sampleBytes)
  }
  /** In whole samples: a sender that is interrupted at the door must not shift the audio after it by half of one. */
  const space = (): number => limit() - waiting - framer.pending()

  /** Half a sample does not go before its other half has come. */
  const capacity = (): number => limit() - (framer.pending() % sampleBytes)
  const isTooLarge = (pcm: Uint8Array): boolean => pcm.length > capacity()
  const overflow = (pcm: Uint8Array): FluxError =>
    options.full(isTooLarge(pcm) ? { limit: capacity(), chunk: pcm.length } : { limit: options.limit() })

  // --- frames in, frames out

  const isInHand = (frame: AudioFrame): boolean => {
    for (const { inHand } of readers) if (inHand === frame) return true
    return false
  }
  /** In the place of the one before, which has been sent. */
  const takeInHand = (reader: Place, frame: AudioFrame | undefined): void => {
    const before = reader.inHand
    reader.inHand = frame
    // forgotten while it was in hand
    if (before !== undefined && endOf(before) <= goneTo && !isInHand(before)) memory.release(before.bytes)
  }
  /** Forgets what lies behind every reader and is not kept, or is more than may be. */
  const forget = (): void => {
    let needed = read
    for (const { index } of readers) needed = Math.min(needed, index)
    while (first < needed) {
      const frame = frameAt(first)
      if (frame !== undefined) {
        if (endOf(frame) > keepFrom && kept <= keepLimit()) break
        kept -= frame.bytes.length
        goneTo = endOf(frame)
        frames[first - base] = undefined
        if (!isInHand(frame)) memory.release(frame.bytes)
      }
      first++
    }
    const gone = first - base
    if (gone > 64 && gone * 2 > frames.length) {
      frames = frames.slice(gone)
      base = first
    }
  }
  /** The byte of the conversation with which the next frame of the framer begins. */
  let frameFrom = 0
  const enqueue = (bytes: Uint8Array): void => {
    frames.push({ dataType: "BINARY", bytes, position: frameFrom / sampleBytes, at: monotonic.millis(clock) })
    waiting += bytes.length
    for (const reader of readers) reader.bytes += bytes.length
    frameFrom += bytes.length
  }
  /** Moves a reader over what was dropped; the frame it comes to. */
  const settle = (reader: Place): AudioFrame | undefined => {
    while (reader.index < endPlace()) {
      const frame = frameAt(reader.index)
      if (frame !== undefined) return frame
      reader.index++
    }
    return undefined
  }
  /** A frame without what lies before a sample. */
  const since = (frame: AudioFrame, sample: number): AudioFrame =>
    frame.position >= sample
      ? frame
      : { ...frame, position: sample, bytes: frame.bytes.subarray((sample - frame.position) * sampleBytes) }
  const next = (reader: Place, begin: number, taken: (frame: AudioFrame) => void): AudioFrame | undefined => {
    const found = settle(reader)
    if (found === undefined) return undefined
    const frame = since(found, begin)
    reader.index++
    reader.bytes -= found.bytes.length
    takeInHand(reader, found)
    taken(frame)
    if (reader.index > read) {
      read = reader.index
      readTo = endOf(found)
      sought = read
      waiting -= found.bytes.length
      kept += found.bytes.length
      forget()
      // last, as the sender goes on right here
      wakeSender?.()
    }
    return frame
  }
  const bytesOf = (frame: AudioFrame | undefined): number => frame?.bytes.length ?? 0
  const reader = (onChange: () => void, from?: number): Reader => {
    const self: Place = { index: read, bytes: waiting, inHand: undefined, open: true, changed: onChange }
    if (from !== undefined) {
      self.index = first
      while (self.index < endPlace()) {
        const frame = frameAt(self.index)
        if (frame !== undefined && endOf(frame) > from) break
        self.index++
      }
      self.bytes = 0
      for (let at = self.index; at < endPlace(); at++) self.bytes += bytesOf(frameAt(at))
    }
    const begin = from ?? 0
    const shown = (frame: AudioFrame | undefined): AudioFrame | undefined => frame === undefined ? undefined : since(frame, begin)
    readers = [...readers, self]
    return {
      next: (taken) => (self.open ? next(self, begin, taken) : undefined),
      done: () => takeInHand(self, undefined),
      peek: () => (self.open ? shown(settle(self)) : undefined),
      place: () => {
        settle(self)
        return self.index
      },
      bytes: () => {
        const head = settle(self)
        return head === undefined ? 0 : self.bytes - bytesOf(head) + bytesOf(since(head, begin))
      },
      bytesUntil: (place) => {
        let bytes = 0
        for (let at = self.index; at < Math.min(place, endPlace()); at++) {
          const frame = frameAt(at)
          if (frame !== undefined) bytes += bytesOf(since(frame, begin))
        }
        return bytes
      },
      close: () => {
        self.open = false
        readers = readers.filter((other) => other !== self)
        if (self.inHand !== undefined) memory.abandon(self.inHand.bytes)
        forget()
      }
    }
  }

  const offered = (length: number): void => {
    if (muted) return
    offeredAt = monotonic.millis(clock)
    lastChunkMillis = Audio.millisOf(format, length)
  }
  /** Lets go of what is less than a frame. */
  const flush = (): void => {
    frameFrom = offset - framer.pending()
    framer.flush(enqueue)
  }
  const put = (pcm: Uint8Array): void => {
    // the second half of a sample whose first half was not sent
    const orphan = framer.pending() === 0 ? (sampleBytes - (offset % sampleBytes)) % sampleBytes : 0
    const before = frames.length
    const partialBefore = partial()
    frameFrom = offset - framer.pending() + orphan
    offset += pcm.length
    framer.push(orphan === 0 ? pcm : pcm.subarray(orphan), enqueue)
    if (frames.length > before || partialBefore === 0) partialSince = monotonic.millis(clock)
    changed()
  }
  /** Audio that is not sent, and moves time on all the same: what follows does not follow on what is here. */
  const passOver = (length: number): void => {
    flush()
    framer.clear()
    offset += length
    changed()
  }

  // --- policies

  const drop = (place: number): void => {
    const frame = frameAt(place)
    if (frame === undefined) return
    frames[place - base] = undefined
    memory.release(frame.bytes)
    waiting -= frame.bytes.length
    for (const reader of readers) if (reader.index <= place) reader.bytes -= frame.bytes.length
    // a long outage would leave ever more holes to look through
    while (read < endPlace() && frameAt(read) === undefined) read++
    append(dropped, { from: frame.position, to: endOf(frame) })
  }
  const oldest = (any: boolean): number => {
    for (let place = any ? read : Math.max(read, sought); place < endPlace(); place++) {
      const frame = frameAt(place)
      if (!any) sought = place
      if (frame !== undefined && (any || !precious({ from: frame.position, to: endOf(frame) }))) return place
    }
    return -1
  }
  const dropOldest = (): void => {
    const place = oldest(false)
    drop(place < 0 ? oldest(true) : place)
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
    const wake = (): void => {
      if (failure === undefined && space() <= 0) return
      if (wakeSender === wake) wakeSender = undefined
      resume(Effect.void)
    }
    wakeSender = wake
    // there may be room by now
    wake()
    return Effect.sync(() => {
      if (wakeSender === wake) wakeSender = undefined
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

  return {
    send: (pcm) =>
      // a sender that is counted and interrupted before it waits would be waited for for ever
      Effect.uninterruptibleMask((restore) => {
        if (failure !== undefined) return Effect.fail(failure)
        if (finishing || pcm.length === 0) return Effect.void
        offered(pcm.length)
        if (sendersWaiting === 0 && enter(pcm)) return Effect.void
        if (sendersWaiting === 0 && options.policy() === "fail") return Effect.fail(overflow(pcm))
        sendersWaiting += 1
        return Effect.ensuring(
          restore(turnstile.withPermit(squeezeIn(pcm))),
          Effect.sync(() => {
            sendersWaiting -= 1
            changed()
          })
        )
      }),
    offerUnsafe: (pcm) => {
      if (finishing || failure !== undefined || sendersWaiting > 0) return false
      if (pcm.length === 0) return true
      if (!enter(pcm)) return false
      offered(pcm.length)
      return true
    },
    refusal: (pcm) => {
      const isTaken = muted || options.policy() === "drop-oldest" || !isTooLarge(pcm)
      return finishing || failure !== undefined || isTaken ? undefined : overflow(pcm)
    },
    setMuted: (value) => {
      muted = value
    },
    isMuted: () => muted,
    finish: () => {
      finishing = true
      changed()
    },
    isFinishing: () => finishing,
    fail: (error) => {
      failure ??= error
      wakeSender?.()
    },
    // audio whose sender still waits at the door was offered before the end
    complete: () => finishing && sendersWaiting === 0,
    flush,
    partial,
    partialSince: () => partialSince,
    now: () => monotonic.millis(clock),
    end: endPlace,
    placeOf: (sample) => {
      let place = endPlace()
      // most often it is the end that is asked for
      while (place > first && (frameAt(place - 1)?.position ?? sample) >= sample) place--
      return place
    },
    bytes: () => waiting + partial(),
    reader,
    keep: (from) => {
      keepFrom = from
      forget()
    },
    goneTo: () => goneTo,
    readTo: () => readTo,
    rangesFrom: (sample) => {
      flush()
      const ranges: Array<Range> = goneTo > sample ? [{ from: sample, to: goneTo }] : []
      for (let place = first; place < endPlace(); place++) {
        const frame = frameAt(place)
        if (frame !== undefined && endOf(frame) > sample) append(ranges, { from: Math.max(sample, frame.position), to: endOf(frame) })
      }
      return ranges
    },
    takeDropped: () => {
      const ranges = dropped
      if (ranges.length === 0) return ranges
      dropped = []
      // what is precious goes last, and may lie before the rest
      return ranges.toSorted((a, b) => a.from - b.from)
    },
    position: () => Math.floor(offset / sampleBytes),
    offeredAt: () => offeredAt,
    lastChunkMillis: () => lastChunkMillis
  }
}
