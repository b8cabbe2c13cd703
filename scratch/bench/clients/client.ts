/** What is measured of a client: calls that take chunks of audio as they come, and tell of Connected and of ends of turns. */
import type { Job } from "./job.ts"

/** Who makes a call. */
export interface Caller {
  readonly connected: () => void
  /** A turn has ended at these seconds of the audio. */
  readonly endOfTurn: (seconds: number) => void
  /** So many seconds of silence were sent that nobody offered. */
  readonly injected: (seconds: number) => void
}

/** A call under way. */
export interface Call {
  /** A chunk has come; the buffer is not written to again. */
  readonly push: (chunk: Uint8Array) => void
  /** No more comes; resolves when the call has ended well. */
  readonly finish: () => Promise<void>
  /** Rejects when the call fails. */
  readonly failed: Promise<never>
}

/** Makes calls. */
export interface Client {
  readonly call: (caller: Caller) => Call
}

export type MakeClient = (job: Job) => Promise<Client>
