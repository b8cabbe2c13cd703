/**
 * The simulator's Flux: one session's turns, found in its audio. Pure, and driven by audio bytes alone: time is
 * bytes received over rate (protocol 4.3), so however slowly or fast audio comes, the same audio gives the same
 * messages.
 *
 * It recognises no words: a script says what is heard. Unless the script says otherwise a turn opens at the first 80 ms frame that is at least -40 dBFS
 * loud, a word is heard for every 320 ms of voice, and silence of 1 s is full confidence that the turn is over (1.25 s in
 * the first turn of a session, where the bundle has `endOfTurnMemory`).
 */
import * as Result from "effect/Result"
import type { Format } from "../Audio.ts"
import type { ProfileName } from "../FluxTransport.ts"
import * as clientMessage from "./model/clientMessage.ts"
import * as configuration from "./model/configuration.ts"
import type { Frame, Listener } from "./model/framing.ts"
import * as Profile from "./Profile.ts"
import * as query from "./model/query.ts"
import { type CloseMode, placeholders, type Script } from "./Script.ts"
import * as serverMessages from "./model/serverMessages.ts"
import type { Said } from "./model/serverMessages.ts"
import * as speech from "./model/speech.ts"
import * as stampClock from "./model/stampClock.ts"
import * as stampedVoice from "./model/stampedVoice.ts"
import type { Voice } from "./model/turn.ts"
import * as turnEngine from "./model/turnEngine.ts"
import * as voice from "./model/voice.ts"

export type { CloseMode } from "./Script.ts"
export type { Said } from "./model/serverMessages.ts"

/** What goes wrong with every Configure that is well formed. */
export interface ConfigureFault {
  /** Refused, or never answered; either way nothing changes. */
  readonly kind: "failure" | "lost"
  /** Default that of the bundle, else `INVALID_THRESHOLD`. */
  readonly code?: string | undefined
  /** Default the sentence of protocol 2.4. */
  readonly description?: string | undefined
}

/** One session. */
export interface Options {
  /** The `v2/listen` query string. */
  readonly query: string
  /** A UUID, in every message but Error. */
  readonly requestId: string
  /** What is said; default: placeholders. */
  readonly script?: Script | undefined
  /** Default the script's, else `update`: the last word on an open turn is an Update. */
  readonly closeMode?: CloseMode | undefined
  /** Which bundle is played; default: the narrowest that has the model asked for. */
  readonly profile?: ProfileName | Profile.Profile | undefined
  /** The line that is said first, where none is timed; asked for when there is something to say. Default the first one. */
  readonly firstLine?: (() => number) | undefined
  /** Default: Configure is answered as the bundle does. */
  readonly configureFault?: ConfigureFault | undefined
}

/** The answer to a text message. */
export interface Reply {
  /** In order. */
  readonly messages: ReadonlyArray<Said>
  /** The server closes the WebSocket after them; nothing more is said. */
  readonly closes: boolean
}

/** One session's Flux. */
export interface FluxModel {
  /** How its audio is read. */
  readonly format: Format
  /** The first message; ask for it once, before anything else. */
  readonly connected: () => Said
  /** Hears audio, cut anyhow, and gives the messages that it brings about. The bytes are not kept. */
  readonly audio: (bytes: Uint8Array) => ReadonlyArray<Said>
  /** Takes a text message, in order with the audio: CloseStream ends the session, one that the bundle does not understand is fatal to it. */
  readonly text: (message: string) => Reply
  /** Whole samples received, in seconds. */
  readonly audioSeconds: () => number
}

/** A session, or why its query string is refused: that belongs in the server's log, clients see an opaque 424. */
export const make = (options: Options): Result.Result<FluxModel, string> => {
  const profile = Profile.resolve(options.profile, query.modelOf(options.query))
  return Result.map(query.parse(options.query, profile), (asked) => session(asked, profile, options))
}

/** A session's audio and what is said to it, whatever it is listened to for. */
interface Hearing {
  readonly audio: (bytes: Uint8Array) => Array<Said>
  /** What the last, partial frame brings about. */
  readonly rest: () => Array<Said>
  readonly samples: () => number
  readonly force: () => Said
  readonly close: (mode: CloseMode) => Said | undefined
}

const session = (asked: query.Query, profile: Profile.Profile, options: Options): FluxModel => {
  const script = options.script ?? placeholders
  const closeMode = options.closeMode ?? script.closeMode ?? "update"
  const say = serverMessages.make({ requestId: options.requestId, model: asked.model, profile })
  let active: configuration.Configuration = asked
  let closed = false

  const hearing = <F extends Frame>(listener: Listener<F>, voice: Voice<F>): Hearing => {
    const engine = turnEngine.make({ voice, say, active: () => active, memory: profile.endOfTurnMemory === true })
    const heard = (frames: ReadonlyArray<F>): Array<Said> => {
      const messages: Array<Said> = []
      for (const frame of frames) {
        const message = engine.frame(frame)
        if (message !== undefined) messages.push(message)
      }
      return messages
    }
    return {
      audio: (bytes) => heard(listener.push(bytes)),
      rest: () => heard(listener.flush()),
      samples: listener.samples,
      force: engine.force,
      close: engine.close
    }
  }
  const ear = script.clock === "stamps"
    ? hearing(stampClock.make(asked), stampedVoice.make(script, asked))
    : hearing(speech.make(asked), voice.make(script, options.firstLine))

  const closing = (messages: ReadonlyArray<Said>): Reply => {
    closed = true
    return { messages, closes: true }
  }
  const close = (): Reply => {
    const messages = ear.rest()
    // an Update of the last frame has said it all
    const last = closeMode === "update" && messages.at(-1)?.kind === "Update" ? undefined : ear.close(closeMode)
    if (last !== undefined) messages.push(last)
    return closing(messages)
  }
  const configure = (change: clientMessage.Change): ReadonlyArray<Said> => {
    const { configureFault } = options
    if (configureFault?.kind === "lost") return []
    if (configureFault !== undefined) {
      const { code = profile.configureFailureCode ?? "INVALID_THRESHOLD", description = query.eagerAboveEot } = configureFault
      return [say.configureFailure(description, code)]
    }
    const next = configuration.apply(active, change, profile, asked.model)
    if (Result.isFailure(next)) return [say.configureFailure(next.failure, profile.configureFailureCode)]
    active = next.success
    return [say.configureSuccess(active)]
  }

  return {
    format: { encoding: asked.encoding, sampleRate: asked.sampleRate },
    connected: say.connected,
    audio: (bytes) => (closed ? [] : ear.audio(bytes)),
    text: (text) => {
      if (closed) return { messages: [], closes: true }
      const message = clientMessage.read(text, { messages: profile.messages, numerals: profile.limits.numerals })
      if (Result.isFailure(message)) return closing([say.fatal(message.failure)])
      switch (message.success.type) {
        case "CloseStream":
          return close()
        case "ForceEndTurn":
          return { messages: [ear.force()], closes: false }
        case "Configure":
          return { messages: configure(message.success.change), closes: false }
      }
    },
    audioSeconds: () => ear.samples() / asked.sampleRate
  }
}
