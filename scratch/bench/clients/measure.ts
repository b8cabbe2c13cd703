/** One client measured once, each side in a process of its own. */
import { runLoad, startServer } from "../support/processes.ts"
import { type Job, type Name, Outcome } from "./job.ts"

/** What is measured. */
export interface Plan {
  readonly client: Name
  readonly streams: number
  readonly tls: boolean
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Writes a CPU profile of the client into this directory. */
  readonly profile: string | undefined
}

/** What came of it. */
export interface Measured extends Outcome, Pick<Plan, "client" | "streams" | "tls"> {
  /** CPU of the simulator as part of one core: near 1 it is the simulator that is measured. */
  readonly serverLoad: number
}

/** Longest time that opening and closing may take beside the audio. */
const reserveSeconds = 240

/** Never rejects: what goes wrong is counted. */
export const measure = async ({ client, profile, seconds, streams, tls, warmUpSeconds }: Plan): Promise<Measured> => {
  const server = await startServer([tls ? "tls" : "plain"])
  const job: Job = {
    client,
    url: server.url,
    streams,
    warmUpSeconds,
    seconds,
    ...(server.certificate === undefined ? {} : { ca: server.certificate })
  }
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
  const { after, before, outcome = stopped } = await runLoad({
    server,
    file: "clients/load.ts",
    job,
    outcome: Outcome,
    execArgv: ["--expose-gc", ...profiling],
    boundSeconds: warmUpSeconds + seconds + reserveSeconds
  })
  const heard = await server.records()
  server.stop()
  const problems = [...outcome.problems]
  if (client !== "idle" && heard.audioBytes !== outcome.audioBytes) {
    problems.push(`the server has ${heard.audioBytes} bytes of audio, ${outcome.audioBytes} were sent`)
  }
  if (client !== "idle" && heard.ended !== streams) problems.push(`${heard.ended} of ${streams} sessions ended as they should`)
  return {
    ...outcome,
    client,
    streams,
    tls,
    errors: outcome.errors + problems.length - outcome.problems.length,
    problems,
    serverLoad: before === undefined || after === undefined ? Number.NaN : (after.cpu - before.cpu) / (after.now - before.now)
  }
}

const stopped: Outcome = {
  cpu: Number.NaN,
  load: Number.NaN,
  delayMedian: Number.NaN,
  delayP99: Number.NaN,
  turns: 0,
  connectMedian: Number.NaN,
  connectP99: Number.NaN,
  rssPeak: Number.NaN,
  heapPerStream: Number.NaN,
  loopDelayP99: Number.NaN,
  connections: 0,
  audioBytes: 0,
  errors: 1,
  problems: ["the client stopped before it was done"]
}
