/**
 * One client under load, in a process of its own: a burst of calls, then each one speaks and falls silent in real time,
 * by a schedule that does not drift.
 */
import * as Schema from "effect/Schema"
import { percentile } from "../support/percentile.ts"
import { frameMillis as chunkMillis, frameSamples } from "../support/timing.ts"
import type { Call, MakeClient } from "./client.ts"
import { Job, type Name, type Outcome } from "./job.ts"

const job = Schema.decodeSync(Schema.fromJsonString(Job))(process.argv[2] ?? "")
const { seconds, streams, warmUpSeconds } = job

/** Only what is measured is loaded. */
const clients: Record<Name, () => Promise<MakeClient>> = {
  transcriber: async () => (await import("./effect.ts")).transcriber,
  session: async () => (await import("./effect.ts")).session,
  sdk: async () => (await import("./sdk.ts")).sdk,
  raw: async () => (await import("./raw.ts")).raw,
  idle: async () => (await import("./raw.ts")).idle
}
const client = await (await clients[job.client]())(job)

const voice = new Uint8Array(Int16Array.from({ length: frameSamples }, (_, at) => 8000 * Math.sin(at / 5)).buffer)
const silence = new Uint8Array(voice.length)
const sampleRate = 16_000
/** Three seconds of a voice, then one and a half of silence: a turn. No two calls take turns together. */
const period = 56
const voiced = 37
const chunkOf = (stream: number, chunk: number): Uint8Array => ((chunk + stream * 23) % period < voiced ? voice : silence)
/** Calls speak in so many groups, one after another: as many timers in the time of a chunk. */
const groups = Math.min(streams, 16)
const chunks = Math.ceil(((warmUpSeconds + seconds) * 1000) / chunkMillis)

const problems: Array<string> = []
const delays: Array<number> = []
const late: Array<number> = []
const connects: Array<number> = []
let measuring = false
let turns = 0
/** Silence of the clients' own, seconds. */
let injected = 0

/** After a second collection: what has a finalizer survives the first. */
const memory = async (): Promise<number> => {
  globalThis.gc?.()
  await new Promise((resolve) => setTimeout(resolve, 50))
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}
const within = <A>(millis: number, what: string, promise: Promise<A>): Promise<A> =>
  Promise.race([promise, new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} took more than ${millis} ms`)), millis).unref())])

// --- a burst

const memoryBefore = await memory()
const sent = Array.from({ length: streams }, () => new Float64Array(chunks))
const calls: Array<Call> = []
const connecting: Array<Promise<void>> = []
for (let at = 0; at < streams; at++) {
  const opened = performance.now()
  const connected = Promise.withResolvers<void>()
  const call = client.call({
    connected: () => {
      connects.push(performance.now() - opened)
      connected.resolve()
    },
    injected: (seconds) => {
      injected += seconds
    },
    endOfTurn: (end) => {
      turns++
      const when = sent[at]?.[Math.ceil((end * 1000) / chunkMillis - 0.01) - 1]
      if (measuring && when !== undefined) delays.push(performance.now() - when)
    }
  })
  call.failed.catch((error: unknown) => {
    problems.push(`stream ${at}: ${error instanceof Error ? error.message : String(error)}`)
    connected.resolve()
  })
  calls.push(call)
  connecting.push(connected.promise)
}
await within(120_000, "a burst", Promise.all(connecting))
const connections = process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length

// --- real time

const begin = performance.now() + 100
const measuredFrom = begin + warmUpSeconds * 1000
const before = { cpu: process.cpuUsage(), now: performance.now() }
await new Promise<void>((done) => {
  let next = 0
  const tick = (): void => {
    const now = performance.now()
    if (!measuring && now >= measuredFrom) {
      measuring = true
      before.cpu = process.cpuUsage()
      before.now = now
      process.send?.("begin")
    }
    while (next < chunks * groups) {
      const due = begin + (next * chunkMillis) / groups
      if (due > now) break
      const chunk = Math.floor(next / groups)
      if (measuring) late.push(now - due)
      for (let at = next % groups; at < streams; at += groups) {
        const times = sent[at]
        if (times !== undefined) times[chunk] = performance.now()
        try {
          calls[at]?.push(chunkOf(at, chunk))
        } catch (error) {
          problems.push(`stream ${at}: ${error instanceof Error ? error.message : String(error)}`)
        }
      }
      next++
    }
    if (next < chunks * groups) setTimeout(tick, Math.max(0, begin + (next * chunkMillis) / groups - performance.now()))
    else done()
  }
  tick()
})
const { system, user } = process.cpuUsage(before.cpu)
const elapsed = performance.now() - before.now
measuring = false
process.send?.("end")
const rssPeak = process.resourceUsage().maxRSS * 1024
const heapPerStream = (await memory() - memoryBefore) / streams

// --- the end

await within(60_000, "the end", Promise.allSettled(calls.map((call) => call.finish())))
const cpu = (user + system) / 1000
const outcome: Outcome = {
  cpu: cpu / streams / (elapsed / 1000),
  load: cpu / elapsed,
  delayMedian: percentile(delays, 0.5),
  delayP99: percentile(delays, 0.99),
  turns,
  connectMedian: percentile(connects, 0.5),
  connectP99: percentile(connects, 0.99),
  rssPeak,
  heapPerStream,
  loopDelayP99: percentile(late, 0.99),
  connections,
  audioBytes: chunks * voice.length * streams + Math.round(injected * sampleRate) * 2,
  errors: problems.length,
  problems: problems.slice(0, 5)
}
process.send?.(outcome, () => process.exit())
