import { startServer, start } from "./support/processes.ts"
const [client, streams, warm, seconds, ...exec] = process.argv.slice(2)
const server = await startServer(["plain"])
const child = start("clients/load.ts", [JSON.stringify({ client, url: server.url, streams: Number(streams), warmUpSeconds: Number(warm), seconds: Number(seconds) })], ["--expose-gc", ...exec])
child.on("message", (m) => { if (typeof m === "object") { const { problems: _, ...o } = m as any; console.log(JSON.stringify(o, (_k, v) => typeof v === "number" ? Number(v.toPrecision(4)) : v)); server.stop(); process.exit() } else { console.log(m) } })
