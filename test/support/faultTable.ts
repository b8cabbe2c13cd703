/**
 * What the client makes of every fault, whichever door the simulated endpoint is behind: one row a fault, and a run of
 * it. Expected values are the protocol's and the client's own bounds.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type { SettingsPatch } from "../../src/FluxSettings.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { once } from "./session.ts"
import { cut, draw } from "./sound.ts"

/** What came of a call: its events but for Updates, and how it failed, if it did. */
export interface Outcome {
  readonly events: ReadonlyArray<string>
  /** With what was lost or malformed, in the client's words. */
  readonly error?: readonly [reason: FluxError.Reason["_tag"], stage: FluxError.Stage, detail?: string]
}

/** A call with a fault, and what comes of it. */
export interface Row extends Outcome {
  /** As on a command line. */
  readonly flag: string
  /** Where the caller hangs up: in a pause after both turns (the default), in the middle of the second, or not at all. */
  readonly hangsUp?: "in a turn" | "never"
  /** Where a server differs from the fake, and why. */
  readonly overHttp2?: Outcome & { readonly because: string }
}

/** The client's bounds in every row. */
export const settings = {
  openTimeout: "2 seconds",
  connectedTimeout: "2 seconds",
  drainTimeout: "2 seconds",
  disconnectTimeout: "1 second",
  sendTimeout: "2 seconds",
  // audio that had to wait goes in one go
  catchUpSpeed: 1_000_000
} as const satisfies SettingsPatch

/** What is said in every row; not all of it in ASCII, so that a message can be cut within a character. */
export const script = Script.fromText("good m\u{f6}rning\nhow are you today")

/** 8 and 16 voiced frames of 80 ms, each turn with 15 silent ones after it; a word has four voiced frames. */
const call = draw("vvvvvvvv............... vvvvvvvvvvvvvvvv...............")
/** The same up to the eighth voiced frame of the second turn. */
const cutOff = call.subarray(0, (23 + 8) * 2560)

const firstTurn = ["StartOfTurn 0: good", "EndOfTurn 0 confirmed: good m\u{f6}rning"]
const normal = [
  "Connected",
  ...firstTurn,
  "StartOfTurn 1: how",
  "EndOfTurn 1 confirmed: how are you today",
  "Disconnected"
]
/** Half a second, 6 frames, into the second turn: the last Update told of 7 voiced frames. */
const broken = ["Connected", ...firstTurn, "StartOfTurn 1: how", "EndOfTurn 1 lost: how are", "Disconnected"]
/** Hung up in the eighth voiced frame of the second turn, and its end was told. */
const hungUp = ["Connected", ...firstTurn, "StartOfTurn 1: how", "EndOfTurn 1 closed: how are", "Disconnected"]
/** Something more, told in the second turn. */
const withinTurn = (event: string): ReadonlyArray<string> => [...normal.slice(0, 4), event, ...normal.slice(4)]

/** Something more, told when the session is over. */
const atEnd = (event: string): ReadonlyArray<string> => [...normal.slice(0, -1), event, "Disconnected"]

/** Rows by the life of a session; every fault has at least one. */
export const rows: ReadonlyArray<Row> = [
  { flag: "accept-and-hang", events: [], error: ["ConnectTimeout", "open"] },
  { flag: "no-headers", events: [], error: ["ConnectTimeout", "open"] },
  { flag: "late-headers,delay=200", events: normal },
  { flag: "late-headers,delay=3000", events: [], error: ["ConnectTimeout", "open"] },
  { flag: "not-found-400", events: [], error: ["InvalidRequest", "open"] },
  { flag: "reject-424", events: [], error: ["Rejected", "open"] },
  { flag: "reject-424,delay=400", events: [], error: ["Rejected", "open"] },
  { flag: "deny-403", events: [], error: ["Unauthorized", "open"] },
  // keys that cannot be refreshed
  { flag: "expired-token-403", events: [], error: ["Unauthorized", "open"] },
  { flag: "throttle-400", events: [], error: ["Throttled", "open"] },
  { flag: "throttle-429", events: [], error: ["Throttled", "open"] },
  { flag: "error-500", events: [], error: ["ServiceUnavailable", "open"] },
  { flag: "error-500,as=typed", events: [], error: ["ServiceUnavailable", "open"] },
  { flag: "unavailable-503", events: [], error: ["ServiceUnavailable", "open"] },
  { flag: "no-connected", events: [], error: ["ConnectTimeout", "connected"] },
  { flag: "late-connected,delay=200", events: normal },
  { flag: "throttle,turn=1,after=0.5", hangsUp: "never", events: broken, error: ["Throttled", "streaming"] },
  { flag: "throttle,at=close", hangsUp: "in a turn", events: broken, error: ["Throttled", "closing"] },
  {
    flag: "model-stream-error,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ModelStreamError", "streaming"]
  },
  {
    flag: "model-stream-error,as=event,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ModelStreamError", "streaming"]
  },
  // a container that closes after CloseStream may look like this (protocol 5.8)
  { flag: "model-stream-error,at=end", events: normal },
  { flag: "model-stream-error,at=close", hangsUp: "in a turn", events: hungUp },
  {
    flag: "internal-stream-failure,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["StreamFailure", "streaming"]
  },
  { flag: "error-frame,turn=1,after=0.5", hangsUp: "never", events: broken, error: ["StreamFailure", "streaming"] },
  {
    flag: "error-frame,code=ExpiredTokenException,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["Unauthorized", "streaming"]
  },
  { flag: "flux-error,turn=1,after=0.5", hangsUp: "never", events: broken, error: ["FluxFatal", "streaming"] },
  {
    flag: "end,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "the server ended the stream in mid-session"]
  },
  { flag: "end,at=close", hangsUp: "in a turn", events: hungUp },
  {
    flag: "reset,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "Stream closed with error code NGHTTP2_INTERNAL_ERROR"]
  },
  {
    flag: "reset,code=8,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "the server reset the stream (CANCEL)"]
  },
  // NO_ERROR is no more to Node than an end
  {
    flag: "reset,code=0,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "the server ended the stream in mid-session"]
  },
  {
    flag: "reset,at=close",
    hangsUp: "in a turn",
    events: broken,
    error: ["ConnectionLost", "closing", "Stream closed with error code NGHTTP2_INTERNAL_ERROR"]
  },
  // all of the audio was told of
  { flag: "reset,at=end", events: normal },
  { flag: "go-away,turn=1,after=0.5", events: normal },
  {
    flag: "go-away,code=11,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "Session closed with error code 11"]
  },
  {
    flag: "drop-socket,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["ConnectionLost", "streaming", "the server closed the connection"]
  },
  { flag: "stop-reading", hangsUp: "never", events: ["Connected", "Disconnected"], error: ["SendTimeout", "streaming"] },
  {
    flag: "corrupt-crc,turn=1,after=0.5",
    hangsUp: "never",
    events: broken,
    error: ["MalformedFrame", "streaming", "the checksum of a message is wrong"]
  },
  { flag: "mute,turn=1,after=0.5", events: broken, error: ["Stalled", "closing"] },
  { flag: "say,turn=1,after=0.5,text=rubbish", events: withinTurn("Warning UNREADABLE_MESSAGE") },
  { flag: `say,turn=1,after=0.5,text={"type":"TurnInfo"}`, events: withinTurn("Warning UNREADABLE_MESSAGE") },
  { flag: `say,turn=1,after=0.5,text={"type":"Novel","a":1}`, events: withinTurn("Unrecognized Novel") },
  // the next turn's first message ends the one before
  { flag: "omit,event=EndOfTurn,turn=1", events: normal.map((event) => event.replace("1 confirmed", "1 closed")) },
  { flag: "omit,event=StartOfTurn,turn=1", events: normal.map((event) => event.replace("StartOfTurn 1", "StartOfTurn 1 implied")) },
  { flag: "lag,delay=300", events: normal },
  { flag: "stay-open", events: atEnd("Warning DRAIN_TIMEOUT") },
  { flag: "split-parts", events: normal },
  { flag: "split-parts,bytes=1", events: normal },
  { flag: "chop-data", events: normal },
  // the client sends no Configure
  { flag: "configure-failure", events: normal },
  { flag: "configure-lost", events: normal },
  { flag: "lifetime,seconds=1", hangsUp: "never", events: normal, error: ["ModelStreamError", "streaming"] },
  {
    flag: "lifetime,seconds=1,as=end",
    hangsUp: "never",
    events: normal,
    error: ["ConnectionLost", "streaming", "the server ended the stream in mid-session"]
  },
  {
    flag: "lifetime,seconds=1,as=reset",
    hangsUp: "never",
    events: normal,
    error: ["ConnectionLost", "streaming", "Stream closed with error code NGHTTP2_INTERNAL_ERROR"]
  },
  { flag: "max-streams,streams=0", events: [], error: ["Rejected", "open"] },
  { flag: "max-streams,streams=0,as=flux-error", events: [], error: ["FluxFatal", "connected"] }
]

/** The fault of a row. */
export const faultOf = ({ flag }: Row): Fault.Fault => Result.getOrElse(Fault.fromFlag(flag), (problem) => assert.fail(problem))

const short = (event: FluxEvent): Array<string> => {
  switch (event.type) {
    case "Update":
    // how much of it the session had not taken is a matter of the moment
    case "AudioDropped":
      return []
    case "StartOfTurn":
      return [`StartOfTurn ${event.turn}${event.implied ? " implied" : ""}: ${event.transcript}`]
    case "EndOfTurn":
      return [`EndOfTurn ${event.turn} ${event.ending}: ${event.transcript}`]
    case "Warning":
      return [`Warning ${event.code}`]
    case "Unrecognized":
      return [`Unrecognized ${event.messageType}`]
    default:
      return [event.type]
  }
}

/** Makes the row's call on whatever transport the transcriber has. A defect is a defect of this effect, too. */
export const run = Effect.fnUntraced(function*(row: Row): Effect.fn.Return<Outcome, never, Transcriber.Transcriber> {
  const events: Array<string> = []
  const spoken = Stream.fromIterable(cut(row.hangsUp === "in a turn" ? cutOff : call, [2560]))
  const exit = yield* (row.hangsUp === "never" ? Stream.concat(spoken, Stream.never) : spoken).pipe(
    Transcriber.transcribe({ settings, retry: once }),
    Stream.runForEach((event) => Effect.sync(() => events.push(...short(event)))),
    Effect.exit
  )
  if (Exit.isSuccess(exit)) return { events }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error === undefined) return yield* Effect.die(Cause.squash(exit.cause))
  const { reason, stage } = error
  return {
    events,
    error: reason._tag === "ConnectionLost" || reason._tag === "MalformedFrame"
      ? [reason._tag, stage, reason.detail]
      : [reason._tag, stage]
  }
})
