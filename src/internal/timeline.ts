/**
 * Conversation time: which moments of the caller's audio a session's own audio time stands for. A conversation counts
 * the samples that were offered to it; a session also hears silence that nobody offered, which has no width, and does
 * not hear what was muted or dropped. Flux tells times of the session. Pure.
 */

/** What was sent to Flux, in seconds. Both are billed. */
export interface Usage {
  /** Audio of the caller. */
  readonly audioSeconds: number
  /** Silence of this client: watchdog, keep-alive, mute, trailing. */
  readonly injectedSeconds: number
  /** Of the audio of the caller, what another session had been sent before; absent where there is none. */
  readonly replayedSeconds?: number
}

/** See the module. Positions are samples of the conversation, seconds are of the session unless said otherwise. */
export interface Timeline {
  /** Audio of the caller was sent: its first sample's position, how many, and when, in ms. */
  readonly offered: (position: number, samples: number, now: number) => void
  /** Audio that nobody offered was sent. */
  readonly injected: (samples: number, now: number) => void
  /** Length of what was sent. */
  readonly seconds: () => number
  /** Seconds of the conversation up to which its audio was sent. */
  readonly reached: () => number
  /** Of all that was sent, or of what lies before these seconds. */
  readonly usage: (before?: number) => Usage
  /** Whether both times have been the same so far. */
  readonly isIdentity: () => boolean
  /** Seconds of the conversation at which something that begins at these seconds begins. */
  readonly start: (seconds: number) => number
  /** The same for the end of something: the two differ where the conversation goes on after a gap. */
  readonly end: (seconds: number) => number
  /** When the audio up to these seconds had been sent, ms; undefined where it was not, or was forgotten. */
  readonly sentAt: (seconds: number) => number | undefined
  /** No times before `start` will be asked for again, and no `sentAt` before `told`. */
  readonly forget: (start: number, told: number) => void
}

/** Audio in a row: session samples from `from` to `to`; of the conversation from `position` on, or all at it. */
interface Segment {
  readonly from: number
  to: number
  /** Undefined before all audio of the caller, where it is not known yet with which the session begins. */
  readonly position: number | undefined
  readonly wide: boolean
}

/** Windows are 32-bit floats on the wire (protocol 2.2): half an hour in seconds is told to 0.1 ms. */
const tolerance = 0.001
/** Most that is remembered where a server never tells how far it is: some hours of stops and starts; 80 s of frames. */
const maxSegments = 8192
const maxSends = 1024
/** Fewer than so many are not worth the moving. */
const minForgotten = 64

/**
 * A new timeline. `sampleRate` in Hz; `begin` is the sample of the conversation that a session begins with, and up to
 * `heardTo` other sessions have been sent its audio.
 */
export const make = (sampleRate: number, begin: () => number = () => 0, heardTo: () => number = () => 0): Timeline => {
  let segments: Array<Segment> = []
  /** Ends of what was sent, and when that was: two lists of one length, of which the first so many do not count any more. */
  let sentTo: Array<number> = []
  let sentTimes: Array<number> = []
  let gone = 0
  /** Up to here it is not known any more. */
  let forgotten = 0
  let samples = 0
  let offeredSamples = 0
  let replayedSamples = 0
  /** Where the caller's audio has come to, once there is any. */
  let reached: number | undefined

  const positionOf = ({ position }: Segment): number => position ?? begin()
  const add = (count: number, position: number | undefined, wide: boolean, now: number): void => {
    const last = segments.at(-1)
    const goesOn = last !== undefined && last.wide === wide && position === (wide ? positionOf(last) + last.to - last.from : last.position)
    samples += count
    if (goesOn) last.to = samples
    else segments.push({ from: samples - count, to: samples, position, wide })
    if (segments.length > maxSegments) segments = segments.slice(maxSegments / 2)
    sentTo.push(samples)
    sentTimes.push(now)
    if (sentTo.length - gone > maxSends) forgetSends(gone + maxSends / 2)
  }
  const forgetSends = (before: number): void => {
    forgotten = sentTo[before - 1] ?? forgotten
    gone = before
    // not for a few of them each time
    if (gone < minForgotten || gone * 2 < sentTo.length) return
    sentTo = sentTo.slice(gone)
    sentTimes = sentTimes.slice(gone)
    gone = 0
  }
  /** The first that ends at a sample or after it; -1 where none does. */
  const sendAt = (sample: number): number => {
    for (let at = gone; at < sentTo.length; at++) if ((sentTo[at] ?? 0) >= sample) return at
    return -1
  }

  /** Of audio that begins at a place, so many samples are not heard for the first time. */
  const replayedOf = (position: number, count: number): number => Math.min(count, Math.max(0, heardTo() - position))

  /** The first segment that ends after a sample, else the last one. */
  const segmentAt = (sample: number): Segment | undefined => {
    for (let at = segments.length - 1; at > 0; at--) {
      const before = segments[at - 1]
      if (before === undefined || before.to <= sample) return segments[at]
    }
    return segments[0]
  }
  const within = (segment: Segment | undefined, sample: number): number => {
    if (segment === undefined) return begin() + sample
    // a server that tells of more than was sent is taken at its word
    const beyond = Math.max(0, sample - samples)
    const inside = Math.min(Math.max(sample, segment.from), segment.to) - segment.from
    return positionOf(segment) + (segment.wide ? inside : 0) + beyond
  }

  return {
    offered: (position, count, now) => {
      add(count, position, true, now)
      offeredSamples += count
      replayedSamples += replayedOf(position, count)
      reached = position + count
    },
    injected: (count, now) => add(count, reached, false, now),
    seconds: () => samples / sampleRate,
    reached: () => (reached ?? begin()) / sampleRate,
    usage: (before = Number.POSITIVE_INFINITY) => {
      const end = Math.min(samples, Math.max(0, Math.round(before * sampleRate)))
      let wide = offeredSamples
      let replayed = replayedSamples
      for (let at = segments.length - 1; at >= 0; at--) {
        const segment = segments[at]
        if (segment === undefined || segment.to <= end) break
        if (!segment.wide) continue
        const from = Math.max(segment.from, end)
        wide -= segment.to - from
        replayed -= replayedOf(positionOf(segment) + from - segment.from, segment.to - from)
      }
      // of what is not remembered it is not known which it was
      const known = Math.min(wide, end)
      return {
        audioSeconds: known / sampleRate,
        injectedSeconds: (end - known) / sampleRate,
        ...(replayed > 0 ? { replayedSeconds: Math.min(replayed, known) / sampleRate } : {})
      }
    },
    isIdentity: () => segments.length === 0 ? begin() === 0 : (segments.length === 1 && segments[0]?.wide === true && segments[0].from === segments[0].position),
    start: (seconds) => {
      const sample = seconds * sampleRate
      return within(segmentAt(sample + tolerance * sampleRate), sample) / sampleRate
    },
    end: (seconds) => {
      const sample = seconds * sampleRate
      return within(segmentAt(sample - tolerance * sampleRate), sample) / sampleRate
    },
    sentAt: (seconds) => {
      const sample = (seconds - tolerance) * sampleRate
      const at = sample > forgotten || forgotten === 0 ? sendAt(sample) : -1
      return at < 0 ? undefined : sentTimes[at]
    },
    forget: (start, told) => {
      const keep = sendAt((told - tolerance) * sampleRate)
      if (keep > gone) forgetSends(keep)
      // most often there is but one
      const first = segments.length < 2 ? 0 : segments.findIndex(({ to }) => to >= (start - tolerance) * sampleRate)
      if (first > 0) segments = segments.slice(first)
    }
  }
}
