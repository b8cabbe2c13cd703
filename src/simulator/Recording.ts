/** A captured call, both directions with times, as data: what `transcribe --capture` writes and `simulate --replay` reads. Pure. */
export interface Recording {
  readonly sessions: ReadonlyArray<unknown>
}
