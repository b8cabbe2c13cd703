/**
 * What a client costs: this package's `Transcriber` and `FluxSession`, a plain loop on the AWS SDK's own event streams, and
 * the floor of node:http2 alone, one after another on the same simulator, each in a process of its own.
 *
 * node scratch/bench/clients/run.ts [--streams 50,400] [--clients transcriber,session,sdk,raw,idle] [--seconds 10]
 *   [--warm-up 5] [--repeats 3] [--tls] [--full] [--out DIR] [--profile DIR]
 *
 * Without any of them: 50 and 400 streams, three times, then 1,000 of `Transcriber`, and the start of the command; some ten
 * minutes. Writes `clients.json`, with every run, and `clients.md` into DIR. With `--full` once each: 1, 50, 200, 400, 1,000
 * and 2,000 streams, and TLS; writes `full.json`, `full.md` and `growth.svg`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { growth } from "./chart.ts"
import { type Name, names } from "./job.ts"
import { figureTable, targetTable } from "./markdown.ts"
import { type Measured, measure, type Plan } from "./measure.ts"
import { measureStartup } from "./startup.ts"
import { type Summary, summarize, targets } from "./summary.ts"

const { values } = parseArgs({
  options: {
    streams: { type: "string" },
    clients: { type: "string" },
    seconds: { type: "string", default: "10" },
    "warm-up": { type: "string", default: "5" },
    repeats: { type: "string" },
    tls: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    out: { type: "string", default: fileURLToPath(new URL("../results", import.meta.url)) },
    profile: { type: "string" }
  }
})
const repeats = Number(values.repeats ?? (values.full ? 1 : 3))
const wholeRun = values.streams === undefined && values.clients === undefined
const streams = values.streams?.split(",").map(Number) ?? (values.full ? [1, 50, 200, 400, 1000, 2000] : [50, 400])
const clients = values.clients === undefined ? names : names.filter((name) => values.clients?.split(",").includes(name))
const common = { warmUpSeconds: Number(values["warm-up"]), seconds: Number(values.seconds), profile: values.profile }
const one = (client: Name, streams: number, tls = values.tls): Plan => ({ ...common, client, streams, tls })

const round = Array.from(streams, (count) => clients.map((client) => one(client, count))).flat()
const plans: Array<Plan> = Array.from({ length: repeats }, () => round).flat()
if (wholeRun && !values.full) plans.push(...Array.from({ length: repeats }, () => one("transcriber", 1000)))
if (values.full) for (const count of [50, 400]) plans.push(...clients.filter((client) => client !== "idle").map((client) => one(client, count, true)))

const runs: Array<Measured> = []
for (const plan of plans) {
  const { client, streams, tls } = plan
  process.stderr.write(`${runs.length + 1} of ${plans.length}: ${client}, ${streams} streams${tls ? ", TLS" : ""}\n`)
  const measured = await measure(plan)
  for (const problem of measured.problems) console.error(`  ${problem}`)
  runs.push(measured)
}
const command = fileURLToPath(new URL("../../../dist/flux-stt.js", import.meta.url))
const startup = wholeRun && existsSync(command) ? await measureStartup(command, 9) : undefined

// --- what came of it

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))
const row = (of: Summary): Record<string, string | number> => ({
  client: of.client + (of.tls ? " (TLS)" : ""),
  streams: of.streams,
  "CPU ms / stream s": rounded(of.cpu, 3),
  "of a core": rounded(of.load, 2),
  "delay ms": rounded(of.delayMedian, 1),
  "p99": rounded(of.delayP99, 1),
  "connect ms": rounded(of.connectMedian, 0),
  "p99 ": rounded(of.connectP99, 0),
  "peak RSS MB": rounded(of.rssPeak / 1e6, 0),
  "heap KB / stream": rounded(of.heapPerStream / 1e3, 0),
  "loop delay p99 ms": rounded(of.loopDelayP99, 1),
  connections: of.connections,
  errors: of.errors,
  "simulator, of a core": rounded(of.serverLoad, 2)
})
const summaries = summarize(runs)
console.table(summaries.map(row))
if (startup !== undefined) console.log(`first event ${rounded(startup.command, 0)} ms, node -e 0 ${rounded(startup.node, 0)} ms`)
const reached = targets(summaries, startup)
if (reached.length > 0) {
  console.table(reached.map(({ target, value, what }) => ({ what, value: rounded(value, 2), target: `<= ${target}`, met: value <= target })))
}
const machine = { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version, date: new Date().toISOString().slice(0, 10) }
mkdirSync(values.out, { recursive: true })
const write = (name: string, text: string): void => writeFileSync(`${values.out}/${name}`, text)
write(values.full ? "full.json" : "clients.json", `${JSON.stringify({ machine, ...common, repeats, startup, targets: reached, summaries, runs }, undefined, 1)}\n`)
if (values.full) write("growth.svg", growth(summaries))
write(values.full ? "full.md" : "clients.md", `${[figureTable(summaries), ...(reached.length === 0 ? [] : [targetTable(reached)])].join("\n\n")}\n`)
console.log(`${JSON.stringify(machine)}; more in ${values.out}`)
