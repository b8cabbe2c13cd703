/**
 * One sample of silence outside a turn, ten seconds after whatever was sent last: without it Flux, or something on the
 * way to it, takes the session for dead (protocol 3.4). A duty of the session's watch.
 */
import type { Duty } from "./watch.ts"

/** What keep-alive looks at, and what it does. Times in ms. */
export interface KeepAliveOptions {
  readonly now: () => number
  readonly interval: () => number
  /** When something was last sent. */
  readonly sentAt: () => number
  /** Whether nothing is about to be sent, and no turn is open: an open turn has the watchdog. */
  readonly idle: () => boolean
  /** Sends one sample of silence. */
  readonly send: () => void
}

/** A new one. */
export const make = (options: KeepAliveOptions): Duty<never> => {
  /** When there was something else to send. */
  let busyAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = options.now()
    const interval = options.interval()
    const left = Math.max(options.sentAt(), busyAt) + interval - now
    if (left > 0) return left
    if (options.idle()) options.send()
    busyAt = now
    return interval
  }
}
