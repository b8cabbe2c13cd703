/**
 * A captured call, both directions with times: what `Capture` writes and `Replay` answers from. NDJSON: a header, then
 * a line for each thing that passed, in the order in which it did. Pure.
 *
 * A recording holds no credentials and no account numbers; audio and words only where `content` says so.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { publish } from "../internal/jsonSchema.ts"
import * as json from "../internal/json.ts"
import { fieldIssues } from "../internal/schemaIssues.ts"

/** Version of the format, in the header. Raised when a line changes meaning or goes. */
export const version = 1

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** The first line. */
export const Header = Schema.Struct({
  capture: Schema.Literal(version),
  /** Whether audio and words are in it. Without: audio is counted, words are stand-ins, keyterms and tags too. */
  content: Schema.Boolean,
  /** When the capture began, ms since 1970. */
  startedAt: Schema.Finite,
  /** Name of the capabilities that the endpoint was said to have. */
  capabilities: Schema.optionalKey(Schema.String)
})
export type Header = typeof Header.Type

/** Why a session failed: a `FluxError` reason by its tag, and what of it a server can bring about again. */
export const Reason = Schema.Struct({
  tag: Schema.String,
  status: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 }))),
  originalStatusCode: Schema.optionalKey(Schema.Int),
  errorType: Schema.optionalKey(Schema.String),
  errorCode: Schema.optionalKey(Schema.String),
  detail: Schema.String
})
export type Reason = typeof Reason.Type

/** AWS takes messages of 24 MB at most (protocol 5.7). */
const messageBytes = count.check(Schema.isLessThanOrEqualTo(24 * 1024 * 1024))

const entry = <const What extends string, const Fields extends Schema.Struct.Fields>(what: What, fields: Fields) =>
  Schema.Struct({
    /** Number of the session, from 0, in the order of opening. */
    session: count,
    /** Ms since the start of the capture. */
    at: millis,
    what: Schema.tag(what),
    ...fields
  })

/** One thing that passed. What this side sends is dated before it is sent, what it receives when it is read. */
export const Entry = Schema.Union([
  /** A connection is asked for. */
  entry("open", { query: Schema.String }),
  /** Response headers. */
  entry("accepted", { requestId: Schema.String, variant: Schema.optionalKey(Schema.String) }),
  /** Instead of them. */
  entry("refused", { reason: Reason }),
  /** A binary message of this side. */
  entry("audio", { bytes: messageBytes, base64: Schema.optionalKey(Schema.String) }),
  /** A text message of this side. */
  entry("text", { type: Schema.String, text: Schema.optionalKey(Schema.String) }),
  /** The message before did not leave: for a reason, or this side gave up waiting. */
  entry("unsent", { reason: Schema.optionalKey(Reason) }),
  /** Binary messages whose lines were left out, because the writer was behind. */
  entry("gap", { messages: count, bytes: count }),
  /** A text message of the server; `bytes` is the length of a message that `text` only stands in for. */
  entry("received", { text: Schema.String, bytes: Schema.optionalKey(count) }),
  /** The response ended cleanly. */
  entry("ended", {}),
  /** The response failed. */
  entry("failed", { reason: Reason }),
  /** This side ended the request body. */
  entry("body-ended", {}),
  /** This side let go of the connection, or gave up opening it. */
  entry("closed", {})
]).pipe(Schema.toTaggedUnion("what"))
export type Entry = typeof Entry.Type

/** A session of a recording; the first entry is its `open`. */
export interface RecordedSession {
  readonly session: number
  /** The `v2/listen` query string. */
  readonly query: string
  readonly entries: ReadonlyArray<Entry>
}

/** A recording that can be replayed. */
export interface Recording {
  readonly header: Header
  /** In the order of opening, at least one; those that never reached a network are left out. */
  readonly sessions: ReadonlyArray<RecordedSession>
  /** What somebody who replays it should know. */
  readonly notes: ReadonlyArray<string>
}

/** A header or an entry as a line, without its newline. */
export const line = (value: Header | Entry): string => JSON.stringify(value)

/** The JSON Schema (draft 2020-12) of a line: the header, or an entry. */
export const jsonSchema = (): object => publish(Schema.Union([Header, Entry]))

/** Reads a recording. Fails with every fault: the number of the line, from 1, and the rule. A fault holds no content. */
export const parse = (text: string): Result.Result<Recording, ReadonlyArray<string>> => {
  const faults: Array<string> = []
  const notes: Array<string> = []
  const sessions = new Map<number, Session>()
  let header: Header | undefined
  let headerSeen = false
  // whoever has edited it may have written other line ends, and a mark before the first
  const lines = text.replace(/^\uFEFF/u, "").split(/\r\n|\r|\n/)
  for (const [at, raw] of lines.entries()) {
    if (raw.trim() === "") continue
    const place = `line ${at + 1}: `
    const fault = (rule: string): void => void faults.push(place + rule)
    const value = json.parse(raw)
    if (!headerSeen && !isHeader(value)) return Result.fail([`${place}this is no capture, which begins with {"capture":${version},...}`])
    if (value === undefined) {
      // a crash cuts off the last line
      if (at === lines.length - 1 && headerSeen) notes.push(`${place}cut off, left out`)
      else fault("must be JSON")
    } else if (!headerSeen) {
      header = checked(decodeHeader(value), fault)
    } else if (!isKind(value)) {
      fault(`what: must be one of ${kinds.join(", ")}`)
    } else {
      const entry = checked(decodeEntry(value), fault)
      const problem = entry === undefined ? undefined : follow(sessions, entry)
      if (problem !== undefined) fault(problem)
    }
    headerSeen = true
  }
  const reached = [...sessions.values()].flatMap(({ entries, query }) => {
    const [first] = entries
    const stopped = entries.find((entry) => entry.what === "refused")
    if (first === undefined) return []
    if (stopped === undefined || !local.has(stopped.reason.tag)) return [{ session: first.session, query, entries }]
    notes.push(`session ${first.session} never reached the network (${stopped.reason.tag}): left out`)
    return []
  })
  if (!headerSeen) faults.push("line 1: must be a header")
  else if (faults.length === 0 && reached.length === 0) faults.push("there is no session that reached the network")
  return header === undefined || faults.length > 0 ? Result.fail(faults) : Result.succeed({ header, sessions: reached, notes })
}

interface Session {
  readonly query: string
  readonly entries: Array<Entry>
  state: "opening" | "open" | "answered" | "closed"
}

/** Reasons that are found before anything is sent. */
const local: ReadonlySet<string> = new Set([
  "InvalidSettings",
  "CredentialsUnavailable",
  "SessionLimit",
  "UnsupportedByEndpoint",
  "UnsupportedAudio"
])

const decodeHeader = Schema.decodeUnknownResult(Header, { errors: "all" })
const decodeEntry = Schema.decodeUnknownResult(Entry, { errors: "all" })
const isHeader = Schema.is(Schema.Struct({ capture: Schema.Finite }))
const kinds = Object.keys(Entry.cases)
const isKind = Schema.is(Schema.Struct({ what: Schema.Literals(kinds) }))

const checked = <A>(decoded: Result.Result<A, Schema.SchemaError>, fault: (rule: string) => void): A | undefined => {
  if (Result.isSuccess(decoded)) return decoded.success
  for (const { message, path } of fieldIssues(decoded.failure)) fault(path === "" ? message : `${path}: ${message}`)
  return undefined
}

/** Adds an entry to its session, or says why it cannot come there. */
const follow = (sessions: Map<number, Session>, entry: Entry): string | undefined => {
  const session = sessions.get(entry.session)
  if (entry.what === "open") {
    if (session !== undefined) return `session ${entry.session} is opened twice`
    sessions.set(entry.session, { query: entry.query, entries: [entry], state: "opening" })
    return undefined
  }
  if (session === undefined) return `session ${entry.session} is not open`
  const problem = misplaced(session, entry)
  if (problem !== undefined) return problem
  session.entries.push(entry)
  if (entry.what === "accepted") session.state = "open"
  else if (entry.what === "refused" || entry.what === "closed") session.state = "closed"
  else if (entry.what === "ended" || entry.what === "failed") session.state = "answered"
  return undefined
}

const misplaced = ({ entries, state }: Session, { what }: Entry): string | undefined => {
  if (state === "closed") return `${what} after the end of its session`
  switch (what) {
    case "closed":
      return undefined
    case "accepted":
    case "refused":
      return state === "opening" ? undefined : `${what} in an open session`
    case "received":
    case "ended":
    case "failed":
      return state === "open" ? undefined : `${what} ${state === "opening" ? "before the session is accepted" : "after the end of the response"}`
    case "unsent":
      return entries.some((entry) => entry.what === "audio" || entry.what === "text" || entry.what === "gap")
        ? undefined
        : "unsent without a message before"
    default:
      return state === "opening" ? `${what} before the session is accepted` : undefined
  }
}
