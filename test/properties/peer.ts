/** The server of a random script, and a witness of what reached it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { Frame } from "../../src/FluxTransport.ts"
import { connected, requestId, turnInfo } from "../support/wire.ts"
import type { Saying, Script } from "./script.ts"

/** What the server has seen and done; times in ms. */
export interface Witness {
  /** Audio as it came, in order. */
  readonly audio: Array<{ readonly at: number; readonly bytes: Uint8Array }>
  readonly texts: Array<{ readonly at: number; readonly text: string; readonly audioBefore: number }>
  /** What it saw that may never be. */
  readonly wrong: Array<string>
  saidConnected: boolean
  /** The server has ended or broken the response. */
  over: boolean
  closeStreamAt: number | undefined
  bodyEnded: number
}

/** A server for one session. `drain` is how long its client waits after CloseStream, ms. */
export const make = (script: Script, drain: number): { readonly peer: FakeTransport.Peer; readonly witness: Witness } => {
  const witness: Witness = {
    audio: [],
    texts: [],
    wrong: [],
    saidConnected: false,
    over: false,
    closeStreamAt: undefined,
    bodyEnded: 0
  }
  let heard = 0
  let taken = 0
  let configures = 0
  let turn = 0
  let words = 0
  let sending = 0
  /** When an answer to the Configure that is out will have come, or have been given up. */
  let answered = 0
  let eot = { eot_threshold: 0.7, eot_timeout_ms: 5000 }

  const transcript = (): string => Array.from({ length: words }, (_, at) => `w${at}`).join(" ")
  const info = (event: string, text = transcript(), end = heard): string => turnInfo({ event, turn, transcript: text, end })
  const echo = (): string =>
    JSON.stringify({ type: "ConfigureSuccess", request_id: requestId, sequence_id: 9, thresholds: eot, keyterms: [] })
  const sentence = (saying: Saying): string | undefined => {
    switch (saying) {
      case "nothing":
        return undefined
      case "idle":
        words = 0
        return info("Update")
      case "start":
        words = 1
        return info("StartOfTurn")
      case "update":
        return info("Update")
      case "more":
        words += 1
        return info("Update")
      case "eager":
        return info("EagerEndOfTurn")
      case "resumed":
        return info("TurnResumed")
      case "end": {
        const said = info("EndOfTurn")
        turn += 1
        words = 0
        return said
      }
      case "empty-update":
        return info("Update", "")
      case "empty-end": {
        const said = info("EndOfTurn", "")
        turn += 1
        words = 0
        return said
      }
      case "jump":
        turn += 2
        words = 2
        return info("Update")
      case "back":
        return info("Update", transcript(), heard / 2)
      case "warning":
        return JSON.stringify({ type: "Warning", request_id: requestId, sequence_id: 1, code: "W", description: "w" })
      case "unknown":
        return `{"type":"Novelty","a":[1]}`
      case "unknown-event":
        return info("TurnPondered")
      case "no-json":
        return "}{"
      case "broken":
        return turnInfo({ event: "Update", turn, extra: { words: "many" } })
      case "stale-echo":
        return JSON.stringify({ type: "ConfigureSuccess", request_id: requestId, sequence_id: 9, thresholds: { eot_threshold: 0.55 }, keyterms: [] })
    }
  }
  const say = (server: FakeTransport.Server, sayings: ReadonlyArray<Saying>): Effect.Effect<void> =>
    Effect.forEach(sayings, (saying) => {
      const text = sentence(saying)
      return text === undefined ? Effect.void : server.say(text)
    }, { discard: true })
  const end = (server: FakeTransport.Server, how: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (how === "hang" || how === "no" || how === "send") return Effect.void
      if (how === "fatal") return server.say(JSON.stringify({ type: "Error", sequence_id: 1, code: "INTERNAL_SERVER_ERROR", description: "x" }))
      witness.over = true
      if (how === "end") return server.end
      return server.fail(how === "model" ? new FluxError.ModelStreamError({ detail: "m" }) : new FluxError.ConnectionLost({ detail: "r" }))
    })
  const later = (millis: number, effect: Effect.Effect<void>): Effect.Effect<void> =>
    millis === 0 ? effect : Effect.asVoid(Effect.forkDetach(Effect.delay(effect, millis)))

  const configure = (server: FakeTransport.Server, now: number, asked: { readonly thresholds?: object }): Effect.Effect<void> => {
    if (now < answered) witness.wrong.push("two Configures are out")
    const answer = script.answers[configures++ % script.answers.length]
    answered = now + (answer === "yes" || answer === "no" ? 0 : answer === "late" ? 700 : 5000)
    switch (answer) {
      case "no":
        return server.say(JSON.stringify({ type: "ConfigureFailure", request_id: requestId, sequence_id: 9, code: "X" }))
      case "never":
        return Effect.void
      default:
        eot = { ...eot, ...asked.thresholds }
        return later(answer === "late" ? 700 : 0, server.say(echo()))
    }
  }

  const take = Effect.fnUntraced(function*(frame: Frame, server: FakeTransport.Server): Effect.fn.Return<void, FluxError.FluxError> {
    const now = yield* Clock.currentTimeMillis
    if (sending > 0) witness.wrong.push("sends while a send is under way")
    if (!witness.saidConnected) witness.wrong.push("sends before Connected")
    if (witness.closeStreamAt !== undefined) witness.wrong.push("sends after CloseStream")
    if (witness.bodyEnded > 0) witness.wrong.push("sends after the body's end")
    sending += 1
      if (frame.dataType === "UTF8") {
        const text = new TextDecoder().decode(frame.bytes)
        witness.texts.push({ at: now, text, audioBefore: witness.audio.length })
        const message: { readonly type: string; readonly thresholds?: object } = JSON.parse(text)
        if (message.type === "CloseStream") {
          witness.closeStreamAt = now
          const { after, says, then } = script.closes
          yield* later(after, Effect.andThen(say(server, says), end(server, then)))
        } else if (message.type === "Configure") yield* configure(server, now, message)
        else if (message.type === "ForceEndTurn") yield* say(server, words > 0 ? ["end"] : ["warning"])
        else witness.wrong.push(`sends ${message.type}`)
        return
      }
      // a copy, as the client may use its buffer again
      witness.audio.push({ at: now, bytes: frame.bytes.slice() })
      heard += frame.bytes.length / 32_000
      if (frame.bytes.length <= 2) return
      const taking = script.takes[taken++ % script.takes.length]
      if (taking === undefined) return
      // what goes wrong does so once, and late enough for something to have happened
      const trouble = taken > 4
      if (trouble && taking.blocks !== 0) yield* taking.blocks < 0 ? Effect.never : Effect.sleep(taking.blocks)
      yield* say(server, taking.says)
      if (trouble) yield* end(server, taking.breaks)
      if (trouble && taking.breaks === "send") {
        return yield* FluxError.make(new FluxError.ConnectionLost({ detail: "s" }), "streaming")
      }
  })

  const peer: FakeTransport.Peer = {
    accept: script.accepts < 0 ? Effect.never : Effect.sleep(script.accepts),
    opened: (server) =>
      script.connects < 0
        ? Effect.never
        : Effect.delay(
          Effect.suspend(() => {
            witness.saidConnected = true
            return server.say(connected)
          }),
          script.connects
        ),
    received: (frame, server) =>
      Effect.ensuring(take(frame, server), Effect.sync(() => {
        sending -= 1
      })),
    ended: () =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        witness.bodyEnded += 1
        if (witness.bodyEnded > 1) witness.wrong.push("ends the body twice")
        const drained = witness.closeStreamAt !== undefined && now >= witness.closeStreamAt + drain
        if (!witness.over && !drained) witness.wrong.push("ends the body before the tail")
        return script.hangs.ended ? Effect.never : Effect.void
      }),
    released: script.hangs.released ? Effect.never : Effect.void
  }
  return { peer, witness }
}
