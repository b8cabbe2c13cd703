/**
 * What the simulator costs: CPU of its process for each second of each real-time session, beside that of a bare
 * node:http2 server under the same load, and whether every session got every message in time. The simulator, and
 * the load, are processes of their own.
 *
 * node scratch/bench/simulator/run.ts [--sessions 400,50] [--seconds 20] [--repeats 3] [--warm-up 3] [--per-connection 1] [--profile DIR]
 */
import { parseArgs } from "node:util"
import { median as medianOf } from "../support/percentile.ts"
import { runLoad, startServer } from "../support/processes.ts"
import { type Job, Outcome } from "./job.ts"

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "400,50" },
    seconds: { type: "string", default: "20" },
    repeats: { type: "string", default: "3" },
    "warm-up": { type: "string", default: "3" },
    "per-connection": { type: "string", default: "1" },
    /** Writes a CPU profile of the simulator into this directory; no bare server then. */
    profile: { type: "string" }
  }
})
const [seconds, repeats, warmUpSeconds, perConnection] = [values.seconds, values.repeats, values["warm-up"], values["per-connection"]].map(Number)
if (seconds === undefined || repeats === undefined || warmUpSeconds === undefined || perConnection === undefined) throw new Error("no number")

interface Run extends Outcome {
  /** CPU of the server, ms for each second of each session. */
  readonly cpu: number
  /** CPU of the server as part of one core. */
  readonly load: number
  readonly rssBytes: number
}

const run = async (kind: "simulator" | "bare", sessions: number, answerBytes?: number): Promise<Run> => {
  const execArgv = values.profile !== undefined && kind === "simulator" ? ["--cpu-prof", `--cpu-prof-dir=${values.profile}`] : []
  const server = await startServer([kind, String(answerBytes)], execArgv)
  const job: Job = { url: server.url, sessions, perConnection, warmUpSeconds, seconds, ...(answerBytes === undefined ? {} : { answerBytes }) }
  const { after, before, outcome } = await runLoad({ server, file: "simulator/load.ts", job, outcome: Outcome })
  server.stop()
  if (outcome === undefined || before === undefined || after === undefined) throw new Error("the load generator stopped before it was done")
  const cpu = after.cpu - before.cpu
  const millis = after.now - before.now
  return { ...outcome, cpu: cpu / sessions / (millis / 1000), load: cpu / millis, rssBytes: after.rssBytes }
}

const median = (runs: ReadonlyArray<Run>, of: (run: Run) => number): number => medianOf(runs.map(of))
const round = (value: number, digits = 2): number => Number(value.toFixed(digits))

const rows: Array<Record<string, string | number>> = []
for (const sessions of values.sessions.split(",").map(Number)) {
  const simulated: Array<Run> = []
  const bare: Array<Run> = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    const measured = await run("simulator", sessions)
    simulated.push(measured)
    for (const problem of measured.problems) console.error(problem)
    if (values.profile === undefined) bare.push(await run("bare", sessions, Math.round(measured.bytes / measured.slots)))
  }
  for (const [server, runs] of [["simulator", simulated], ["bare http2", bare]] as const) {
    if (runs.length === 0) continue
    const cpu = median(runs, (run) => run.cpu)
    rows.push({
      server,
      sessions,
      "cpu ms / session s": round(cpu, 3),
      "of bare": bare.length === 0 ? "" : round(cpu / median(bare, (run) => run.cpu)),
      "of a core": `${round(median(runs, (run) => run.load) * 100, 1)} %`,
      "rss MB": round(median(runs, (run) => run.rssBytes) / 1e6, 0),
      "wrong sessions": runs.reduce((sum, run) => sum + run.wrong, 0),
      "messages / session": round(median(runs, (run) => run.messages), 1),
      "lag ms": round(median(runs, (run) => run.lagMedian)),
      "lag p99 ms": round(median(runs, (run) => run.lagP99)),
      "sent late p99 ms": round(median(runs, (run) => run.lateP99))
    })
  }
}
console.table(rows)
console.log(JSON.stringify({ seconds, repeats, warmUpSeconds, perConnection, node: process.version, rows }))
