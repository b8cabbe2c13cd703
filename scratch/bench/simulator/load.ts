/**
 * The load generator: sessions that speak and fall silent in real time, by a schedule that does not drift. Each
 * reads what it is told and checks that nothing is missing.
 */
import * as http2 from "node:http2"
import * as Schema from "effect/Schema"
import { part, signedHeaders, unsignedFrame } from "../../../test/support/rawClient.ts"
import { percentile } from "../support/percentile.ts"
import { frameMillis, frameSamples, framesPerSlot } from "../support/timing.ts"
import { Job, type Outcome } from "./job.ts"

const job = Schema.decodeSync(Schema.fromJsonString(Job))(process.argv[2] ?? "")
const { answerBytes, sessions: count } = job

// three seconds of a voice, then one and a half of silence
const period = 56
const voicedFrames = 37
const voice = new Uint8Array(Int16Array.from({ length: frameSamples }, (_, at) => 8000 * Math.sin(at / 5)).buffer)
const voiced = unsignedFrame(part(voice))
const silent = unsignedFrame(part(new Uint8Array(voice.length)))
const frameOf = (index: number): Uint8Array => (index % period < voicedFrames ? voiced : silent)

/** Whole slots, so that the last frame is answered too. */
const slots = Math.ceil(((job.warmUpSeconds + job.seconds) * 1000) / frameMillis / framesPerSlot)
const frames = slots * framesPerSlot

const Message = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  request_id: Schema.String,
  sequence_id: Schema.Int,
  audio_window_end: Schema.optionalKey(Schema.Finite)
}))
const read = Schema.decodeUnknownSync(Message)

interface Session {
  readonly stream: http2.ClientHttp2Stream
  /** When each frame was sent. */
  readonly sent: Float64Array
  /** Messages without the session's id. */
  readonly texts: Array<string>
  readonly answered: Set<number>
  readonly problems: Array<string>
  readonly ended: Promise<void>
  readonly ready: Promise<void>
  bytes: number
}

const lags: Array<number> = []
const late: Array<number> = []
let measuring = false

const open = (connection: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Session => {
  const stream = connection.request(headers, { endStream: false })
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const session: Session = {
    stream,
    sent: new Float64Array(frames),
    texts: [],
    answered: new Set(),
    problems: [],
    ready: ready.promise,
    ended: ended.promise,
    bytes: 0
  }
  const answer = (frame: number): void => {
    session.answered.add(Math.floor(frame / framesPerSlot))
    if (measuring) lags.push(performance.now() - (session.sent[frame] ?? Number.NaN))
  }
  const hear = (text: string): void => {
    const { audio_window_end, request_id, sequence_id, type } = read(text)
    if (sequence_id !== next) session.problems.push(`sequence_id ${sequence_id} where ${next} was due`)
    next = sequence_id + 1
    session.texts.push(text.replace(request_id, ""))
    if (type === "Connected") ready.resolve()
    else if (audio_window_end !== undefined) answer(Math.round((audio_window_end * 1000) / frameMillis) - 1)
  }
  let next = 0
  let held: Buffer = Buffer.alloc(0)
  stream.on("data", (chunk: Buffer) => {
    session.bytes += chunk.length
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (answerBytes !== undefined) {
      for (; held.length >= answerBytes; held = held.subarray(answerBytes)) {
        session.texts.push("")
        answer(session.texts.length * framesPerSlot - 1)
      }
      return
    }
    while (held.length >= 12 && held.length >= held.readUInt32BE(0)) {
      const length = held.readUInt32BE(0)
      hear(held.toString("utf8", 12 + held.readUInt32BE(4), length - 4))
      held = held.subarray(length)
    }
  })
  stream.on("response", ({ ":status": status }) => {
    if (status !== 200) session.problems.push(`status ${status}`)
    if (status !== 200 || answerBytes !== undefined) ready.resolve()
  })
  stream.on("error", (error) => session.problems.push(error.message))
  stream.on("end", () => stream.end())
  stream.on("close", () => {
    ready.resolve()
    ended.resolve()
  })
  return session
}

const wait = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const connections: Array<http2.ClientHttp2Session> = []
const sessions: Array<Session> = []
const headers = await signedHeaders()
for (let at = 0; at < count; at++) {
  if (at % job.perConnection === 0) connections.push(http2.connect(job.url))
  const connection = connections.at(-1)
  if (connection === undefined) throw new Error("no connection")
  sessions.push(open(connection, headers))
  if (at % 20 === 19) await Promise.all(sessions.map(({ ready }) => ready))
}
await Promise.all(sessions.map(({ ready }) => ready))

// frame after frame, each session in its turn, evenly over the time of a frame
const begin = performance.now() + 100
const measuredFrom = begin + job.warmUpSeconds * 1000
await new Promise<void>((done) => {
  let next = 0
  const tick = (): void => {
    const now = performance.now()
    if (!measuring && now >= measuredFrom) {
      measuring = true
      process.send?.("begin")
    }
    while (next < frames * count) {
      const due = begin + (next * frameMillis) / count
      if (due > now) break
      const session = sessions[next % count]
      const frame = Math.floor(next / count)
      if (session !== undefined && !session.stream.destroyed) {
        session.sent[frame] = performance.now()
        session.stream.write(frameOf(frame))
      }
      if (measuring) late.push(performance.now() - due)
      next++
    }
    if (next < frames * count) setTimeout(tick, 1)
    else done()
  }
  tick()
})
// let the last answers come
await wait(frameMillis)
measuring = false
process.send?.("end")

const closing = unsignedFrame(part(`{"type":"CloseStream"}`))
for (const { stream } of sessions) {
  if (answerBytes === undefined) stream.write(closing)
  else stream.end()
}
const giveUp = new Promise<void>((resolve) => setTimeout(resolve, 30_000).unref())
await Promise.race([Promise.all(sessions.map(({ ended }) => ended)), giveUp])

const [first] = sessions
for (const session of sessions) {
  const { answered, problems, stream, texts } = session
  if (!stream.destroyed) problems.push("did not end")
  const missing = Array.from({ length: slots }, (_, slot) => slot).filter((slot) => !answered.has(slot))
  if (missing.length > 0) problems.push(`slots without a message: ${missing.join(" ")}`)
  const same = texts.length === first?.texts.length && texts.every((text, at) => text === first.texts[at])
  if (!same) problems.push("other messages than the first session")
}
for (const connection of connections) connection.destroy()

const problems = sessions.flatMap(({ problems }, at) => problems.map((problem) => `session ${at}: ${problem}`))
const outcome: Outcome = {
  messages: sessions.reduce((sum, { texts }) => sum + texts.length, 0) / count,
  bytes: sessions.reduce((sum, { bytes }) => sum + bytes, 0) / count,
  slots,
  wrong: sessions.filter(({ problems }) => problems.length > 0).length,
  problems: problems.slice(0, 5),
  lagMedian: percentile(lags, 0.5),
  lagP99: percentile(lags, 0.99),
  lateP99: percentile(late, 0.99)
}
process.send?.(outcome, () => process.disconnect())
