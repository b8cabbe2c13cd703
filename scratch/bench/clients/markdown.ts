/** The figures as the README shows them. */
import type { Summary, Target } from "./summary.ts"

const names: Readonly<Record<Summary["client"], string>> = {
  transcriber: "`Transcriber`",
  session: "`FluxSession`",
  sdk: "AWS SDK's event streams",
  raw: "`node:http2` alone",
  idle: "the load alone"
}

const digits = (value: number, count: number): string => (Number.isFinite(value) ? value.toFixed(count) : "")
const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const figures = (of: Summary): ReadonlyArray<string> => [
  String(of.streams),
  names[of.client] + (of.tls ? ", TLS" : ""),
  digits(of.cpu, 2),
  `${digits(of.delayMedian, 1)} / ${digits(of.delayP99, 0)}`,
  `${digits(of.connectMedian, 0)} / ${digits(of.connectP99, 0)}`,
  digits(of.rssPeak / 1e6, 0),
  digits(of.heapPerStream / 1e3, 0),
  digits(of.loopDelayP99, 0),
  String(of.errors)
]
const columns = ["streams", "client", "CPU, ms per stream-second", "event delay p50 / p99, ms", "burst to Connected p50 / p99, ms", "peak RSS, MB", "heap per stream, KB", "loop delay p99, ms", "errors"]

/** All that was measured, without the load alone. */
export const figureTable = (summaries: ReadonlyArray<Summary>): string =>
  [columns, columns.map(() => "---"), ...summaries.filter(({ client }) => client !== "idle").map(figures)].map(row).join("\n")

/** What is reached, and what is not. */
export const targetTable = (targets: ReadonlyArray<Target>): string =>
  [
    ["what", "measured", "aim"],
    ["---", "---", "---"],
    ...targets.map(({ target, value, what }) => [what, `${digits(value, 2)}${value <= target ? "" : ", missed"}`, `at most ${target}`])
  ].map(row).join("\n")
