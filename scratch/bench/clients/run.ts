/** draft */
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import { start, startServer } from "../support/processes.ts"
import type { Usage } from "../support/questions.ts"
import { FromClient, type Job, type Name, type Outcome } from "./job.ts"

const { values } = parseArgs({ options: { streams: { type: "string", default: "50,400" }, clients: { type: "string", default: "transcriber,session,sdk,raw,idle" }, seconds: { type: "string", default: "10" }, tls: { type: "boolean", default: false }, profile: { type: "string" }, "warm-up": { type: "string", default: "3" } } })

const run = async (client: Name, streams: number): Promise<Outcome & { server: number }> => {
  const server = await startServer([values.tls ? "tls" : "plain"])
  const job: Job = { client, url: server.url, streams, warmUpSeconds: Number(values["warm-up"]), seconds: Number(values.seconds), ...(server.certificate === undefined ? {} : { ca: server.certificate }) }
  const child = start("clients/load.ts", [JSON.stringify(job)], ["--expose-gc", ...(values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`])])
  const measured: Array<Promise<Usage>> = []
  const outcome = await new Promise<Outcome>((resolve, reject) => {
    child.on("message", (message) => {
      const said = Schema.decodeUnknownSync(FromClient)(message)
      if (said === "begin" || said === "end") measured.push(server.usage())
      else resolve(said)
    })
    child.on("exit", (code) => reject(new Error(`the client stopped with status ${code}`)))
  })
  const [a, b] = await Promise.all(measured)
  const records = await server.records()
  server.stop()
  if (records.audioBytes !== outcome.audioBytes || records.ended !== streams) console.error(client, streams, records, outcome.audioBytes)
  return { ...outcome, server: a && b ? (b.cpu - a.cpu) / (b.now - a.now) : 0 }
}
const rows = []
for (const streams of values.streams.split(",").map(Number)) {
  for (const client of values.clients.split(",") as Array<Name>) {
    const { problems, ...o } = await run(client, streams)
    for (const p of problems) console.error(p)
    rows.push({ client, streams, cpu: o.cpu.toFixed(3), load: o.load.toFixed(3), server: o.server.toFixed(2), d50: o.delayMedian.toFixed(1), d99: o.delayP99.toFixed(1), turns: o.turns, c50: o.connectMedian.toFixed(0), c99: o.connectP99.toFixed(0), rss: (o.rssPeak / 1e6).toFixed(0), heapKB: (o.heapPerStream / 1e3).toFixed(1), loop: o.loopDelayP99.toFixed(1), conn: o.connections, errors: o.errors })
  }
}
console.table(rows)
