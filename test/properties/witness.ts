/** A witness of one session, between it and its transport: what was sent and when, what was heard, and what may never be. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as FluxMessage from "../../src/FluxMessage.ts"
import type { FluxConnection, FluxTransport, Frame } from "../../src/FluxTransport.ts"
import * as ears from "./ear.ts"

/** Something that was sent: from when to when that took; `done` is undefined while it does. Times in ms. */
export interface Sent {
  readonly at: number
  done: number | undefined
  readonly bytes: Uint8Array
  /** Of a text message: its type. */
  readonly type: string | undefined
}

/** A message that the session has read. */
export interface Read {
  readonly at: number
  readonly message: ReturnType<typeof FluxMessage.parse>
}

/** See the module. */
export interface Witness {
  readonly ear: ears.Ear
  readonly sent: Array<Sent>
  readonly read: Array<Read>
  /** What it saw that may never be. */
  readonly wrong: Array<string>
  /** When a Configure was sent while another was out. */
  readonly configuresOut: Array<number>
  /** When a write failed: nothing is written from then on. */
  writeFailedAt: number | undefined
  connectedAt: number | undefined
  /** The response is over. */
  overAt: number | undefined
  closeStreamAt: number | undefined
  readonly bodyEnded: Array<number>
}

/** How long an answer to a Configure is waited for. */
const configureMillis = 5000

/** A witness of a session with so many samples a second, which waits so many ms for the tail. */
export const make = (sampleRate: number, drainMillis: number, isMuted: (sample: number) => boolean): {
  readonly witness: Witness
  readonly watch: (transport: FluxTransport["Service"], probe: Effect.Effect<void>) => FluxTransport["Service"]
} => {
  const witness: Witness = {
    ear: ears.make(sampleRate, isMuted),
    sent: [],
    read: [],
    wrong: [],
    configuresOut: [],
    writeFailedAt: undefined,
    connectedAt: undefined,
    overAt: undefined,
    closeStreamAt: undefined,
    bodyEnded: []
  }
  const wrong = (what: string, at: number): void => void witness.wrong.push(`${what} at ${at} ms`)
  let sending = 0
  /** When the Configure was sent that has no answer yet. */
  let configureAt: number | undefined

  const sends = (frame: Frame, at: number): Sent => {
    if (sending > 0) wrong("sends while a send is under way", at)
    if (witness.connectedAt === undefined) wrong("sends before Connected", at)
    if (witness.closeStreamAt !== undefined) wrong("sends after CloseStream", at)
    if (witness.bodyEnded.length > 0) wrong("sends after the body's end", at)
    sending += 1
    // a copy, as the client may use its buffer again
    const bytes = frame.bytes.slice()
    const text = frame.dataType === "UTF8" ? new TextDecoder().decode(bytes) : undefined
    const body: { readonly type: string } | undefined = text === undefined ? undefined : JSON.parse(text)
    const sent: Sent = { at, done: undefined, bytes, type: body?.type }
    witness.sent.push(sent)
    if (body === undefined) {
      if (!witness.ear.hear(bytes, at)) wrong(`sends ${bytes.length} bytes that belong elsewhere`, at)
    } else if (body.type === "CloseStream") witness.closeStreamAt = at
    else if (body.type === "Configure") {
      if (configureAt !== undefined && at < configureAt + configureMillis) witness.configuresOut.push(at)
      configureAt = at
    }
    return sent
  }

  const watch = (transport: FluxTransport["Service"], probe: Effect.Effect<void>): FluxTransport["Service"] => {
    const connection = (to: FluxConnection): FluxConnection => ({
      ...to,
      send: (frame) =>
        Effect.flatMap(Clock.currentTimeMillis, (at) => {
          const sent = sends(frame, at)
          return Effect.onExit(Effect.andThen(probe, to.send(frame)), (exit) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              sent.done = now
              sending -= 1
              if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) witness.writeFailedAt ??= now
            }))
        }),
      messages: to.messages.pipe(
        Stream.tap((text) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            const message = FluxMessage.parse(text)
            if (message.type === "Connected") witness.connectedAt ??= at
            if (message.type === "ConfigureSuccess" || message.type === "ConfigureFailure") configureAt = undefined
            witness.read.push({ at, message })
            return probe
          })
        ),
        Stream.onExit((exit) =>
          Effect.map(Clock.currentTimeMillis, (at) => {
            if (!Exit.hasInterrupts(exit)) witness.overAt ??= at
          })
        )
      ),
      end: Effect.flatMap(Clock.currentTimeMillis, (at) => {
        witness.bodyEnded.push(at)
        if (witness.bodyEnded.length > 1) wrong("ends the body twice", at)
        const drained = witness.closeStreamAt !== undefined && at >= witness.closeStreamAt + drainMillis
        if (witness.overAt === undefined && !drained) wrong("ends the body before the tail", at)
        return to.end
      })
    })
    return { ...transport, open: (query) => Effect.map(transport.open(query), connection) }
  }
  return { witness, watch }
}
