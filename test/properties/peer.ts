/** The server of a random script. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { Configure } from "../../src/FluxMessage.ts"
import type { Frame } from "../../src/FluxTransport.ts"
import { connected, requestId, turnInfo } from "../support/wire.ts"
import { apart } from "./census.ts"
import type { Break, Saying, Server } from "./script.ts"

/** A Configure that came, and what became of it. */
export interface Configured {
  readonly at: number
  readonly change: Configure
  readonly answer: Server["answers"][number]
}

/** A server, and what it has to do with settings. */
export interface Made {
  readonly peer: FakeTransport.Peer
  readonly configures: ReadonlyArray<Configured>
  /** What is in force. */
  readonly active: () => { readonly eot: number; readonly timeout: number; readonly keyterms: ReadonlyArray<string> }
  /** What it saw that may never be. */
  readonly wrong: ReadonlyArray<string>
}

interface Word {
  readonly word: string
  readonly start: number
  readonly end: number
}

/** A server for one session with so many samples a second; it sleeps on a clock of its own. */
export const make = (script: Server, sampleRate: number, clock: Clock.Clock): Made => {
  const wrong: Array<string> = []
  const configures: Array<Configured> = []
  let heard = 0
  let taken = 0
  let turn = 0
  let windowStart = 0
  let words: Array<Word> = []
  let wordsEver = 0
  let ended: string | undefined
  let eot = 0.7
  let timeout = 5000
  let eager: number | undefined
  let keyterms: ReadonlyArray<string> = []

  const info = (event: string, said: ReadonlyArray<Word> = words, end = heard): string =>
    turnInfo({
      event,
      turn,
      transcript: said.map(({ word }) => word).join(" "),
      start: Math.fround(windowStart),
      end: Math.fround(end),
      extra: {
        words: said.map(({ end, start, word }) => ({ word, confidence: 0.9, start: Math.fround(start), end: Math.fround(end) }))
      }
    })
  const hear = (): void => {
    const start = Math.max(words.at(-1)?.end ?? windowStart, heard - 0.3)
    words.push({ word: `w${wordsEver++}`, start, end: heard })
  }
  const end = (said: string): string => {
    ended = info("Update")
    turn += 1
    words = []
    windowStart = heard
    return said
  }
  const echo = (threshold = eot): string =>
    JSON.stringify({
      type: "ConfigureSuccess",
      request_id: requestId,
      sequence_id: 9,
      thresholds: { eot_threshold: threshold, eot_timeout_ms: timeout, ...(eager === undefined ? {} : { eager_eot_threshold: eager }) },
      keyterms
    })
  const failure = JSON.stringify({ type: "ConfigureFailure", request_id: requestId, sequence_id: 9, code: "X" })
  const sentence = (saying: Saying): string | undefined => {
    switch (saying) {
      case "nothing":
        return undefined
      case "idle":
        return info("Update", [])
      case "start":
        if (words.length === 0) hear()
        return info("StartOfTurn")
      case "update":
        return info("Update")
      case "more":
        hear()
        return info("Update")
      case "eager":
        return info("EagerEndOfTurn")
      case "resumed":
        return info("TurnResumed")
      case "end":
        return end(info("EndOfTurn"))
      case "empty-update":
        return info("Update", [])
      case "empty-end":
        return end(info("EndOfTurn", []))
      case "again":
        return ended
      case "fewer":
        words = words.slice(0, -1)
        return info("Update")
      case "jump":
        turn += 2
        words = []
        hear()
        return info("Update")
      case "back":
        return info("Update", words, (windowStart + heard) / 2)
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
        return echo(0.55)
      case "failure":
        return failure
    }
  }
  const say = (server: FakeTransport.Server, sayings: ReadonlyArray<Saying>): Effect.Effect<void> =>
    Effect.forEach(sayings, (saying) => {
      const text = sentence(saying)
      return text === undefined ? Effect.void : server.say(text)
    }, { discard: true })
  const breakOff = (server: FakeTransport.Server, how: Break | "hang"): Effect.Effect<void> => {
    switch (how) {
      case "hang":
        return Effect.void
      case "end":
        return server.end
      case "fatal":
        return server.say(JSON.stringify({ type: "Error", sequence_id: 1, code: "INTERNAL_SERVER_ERROR", description: "x" }))
      case "model":
        return server.fail(new FluxError.ModelStreamError({ detail: "m" }))
      case "reset":
        return server.fail(new FluxError.ConnectionLost({ detail: "r" }))
    }
  }
  const own = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => apart(effect, clock)
  const later = (millis: number, effect: Effect.Effect<void>): Effect.Effect<void> =>
    millis === 0 ? effect : Effect.asVoid(own(Effect.forkDetach(Effect.delay(effect, millis))))

  const configure = (server: FakeTransport.Server, now: number, change: Configure): Effect.Effect<void> => {
    const answer = script.answers[configures.length % script.answers.length] ?? "yes"
    configures.push({ at: now, change, answer })
    if (answer === "no") return server.say(failure)
    if (answer === "never") return Effect.void
    eot = change.thresholds?.eot_threshold ?? eot
    timeout = change.thresholds?.eot_timeout_ms ?? timeout
    eager = change.thresholds?.eager_eot_threshold ?? eager
    keyterms = change.keyterms ?? keyterms
    return later(answer === "late" ? 700 : 0, server.say(echo()))
  }

  const takeText = (server: FakeTransport.Server, now: number, bytes: Uint8Array): Effect.Effect<void> => {
    const message: { readonly type: string } & Configure = JSON.parse(new TextDecoder().decode(bytes))
    switch (message.type) {
      case "CloseStream": {
        const { after, says, then } = script.closes
        return later(after, Effect.andThen(say(server, says), breakOff(server, then)))
      }
      case "Configure":
        return configure(server, now, message)
      case "ForceEndTurn":
        return words.length > 0
          ? say(server, ["end"])
          : server.say(JSON.stringify({ type: "Warning", request_id: requestId, sequence_id: 1, code: "FORCE_END_TURN_NO_ACTIVE_TURN", description: "w" }))
      default:
        wrong.push(`is sent ${message.type}`)
        return Effect.void
    }
  }
  const trouble = (server: FakeTransport.Server): Effect.Effect<void, FluxError.FluxError> => {
    switch (script.trouble) {
      case "none":
        return Effect.void
      case "slow":
        return own(Effect.sleep(90))
      case "slower":
        return own(Effect.sleep(4000))
      case "stops-reading":
        return Effect.never
      case "fails":
        return Effect.fail(FluxError.make(new FluxError.ConnectionLost({ detail: "s" }), "streaming"))
      default:
        return taken === script.troubleAt ? breakOff(server, script.trouble) : Effect.void
    }
  }
  const take = Effect.fnUntraced(function*({ bytes, dataType }: Frame, server: FakeTransport.Server): Effect.fn.Return<void, FluxError.FluxError> {
    if (dataType === "UTF8") return yield* takeText(server, clock.currentTimeMillisUnsafe(), bytes)
    heard += bytes.length / 2 / sampleRate
    if (bytes.length <= 2) return
    yield* say(server, script.says[taken++ % script.says.length] ?? [])
    if (taken >= script.troubleAt) yield* trouble(server)
  })

  const connect = (server: FakeTransport.Server): Effect.Effect<void> => {
    switch (script.opening) {
      case "twice":
        return Effect.andThen(server.say(connected), server.say(connected))
      case "turn-first":
        return Effect.andThen(say(server, ["start", "more"]), server.say(connected))
      case "broken":
        return server.say(`{"type":"Connected"}`)
      case "end":
      case "reset":
      case "fatal":
        return breakOff(server, script.opening)
      case "no-connected":
        return Effect.never
      case "slow-connected":
        return own(Effect.delay(server.say(connected), 100))
      case "late-connected":
        return own(Effect.delay(server.say(connected), 9000))
      default:
        return server.say(connected)
    }
  }
  const accept = (): Effect.Effect<void, FluxError.FluxError> => {
    switch (script.opening) {
      case "no-headers":
        return Effect.never
      case "refused":
        return Effect.fail(FluxError.make(new FluxError.ServiceUnavailable({ status: 503, detail: "x" }), "open"))
      case "slow-headers":
        return own(Effect.sleep(100))
      case "late-headers":
        return own(Effect.sleep(14_000))
      default:
        return Effect.void
    }
  }
  const peer: FakeTransport.Peer = {
    accept: accept(),
    opened: (server) =>
      Effect.andThen(
        connect(server),
        Effect.forEach(script.speaks, ({ after, says }) => later(after, say(server, says)), { discard: true })
      ),
    received: take,
    ended: () => script.hangs === "ended" ? Effect.never : Effect.void,
    released: script.hangs === "released" ? Effect.never : Effect.void
  }
  return { peer, configures, active: () => ({ eot, timeout, keyterms }), wrong }
}
