/** Many runs in a few figures: medians, ratios, and what they should be. Pure. */
import { median } from "../support/percentile.ts"
import type { Name } from "./job.ts"
import type { Measured } from "./measure.ts"
import type { Startup } from "./startup.ts"

/** Medians of the runs of one client with as many streams. */
export type Summary = Omit<Measured, "problems">

const medianOf = (runs: ReadonlyArray<Measured>, [first]: readonly [Measured, ...Array<Measured>]): Summary => {
  const of = (figure: (run: Measured) => number): number => median(runs.map(figure))
  return {
    client: first.client,
    streams: first.streams,
    tls: first.tls,
    cpu: of((run) => run.cpu),
    load: of((run) => run.load),
    delayMedian: of((run) => run.delayMedian),
    delayP99: of((run) => run.delayP99),
    turns: of((run) => run.turns),
    connectMedian: of((run) => run.connectMedian),
    connectP99: of((run) => run.connectP99),
    rssPeak: of((run) => run.rssPeak),
    heapPerStream: of((run) => run.heapPerStream),
    loopDelayP99: of((run) => run.loopDelayP99),
    connections: of((run) => run.connections),
    audioBytes: of((run) => run.audioBytes),
    serverLoad: of((run) => run.serverLoad),
    // one run that goes wrong is one too many
    errors: runs.reduce((sum, run) => sum + run.errors, 0)
  }
}

/** In the order of the first run of each. */
export const summarize = (runs: ReadonlyArray<Measured>): ReadonlyArray<Summary> =>
  Object.values(Object.groupBy(runs, ({ client, streams, tls }) => `${client} ${streams} ${tls}`)).flatMap((group = []) => {
    const [first, ...rest] = group
    return first === undefined ? [] : [medianOf(group, [first, ...rest])]
  })

/** A figure that has a target: at most so much. */
export interface Target {
  readonly what: string
  readonly value: number
  readonly target: number
}

/** Those of what was measured. */
export const targets = (summaries: ReadonlyArray<Summary>, startup: Startup | undefined): ReadonlyArray<Target> => {
  const at = (client: Name, streams: number): Summary | undefined =>
    summaries.find((one) => one.client === client && one.streams === streams && !one.tls)
  const ratio = (what: string, of: Name, to: Name, figure: (summary: Summary) => number, target: number): ReadonlyArray<Target> => {
    const [one, other] = [at(of, 400), at(to, 400)]
    return one === undefined || other === undefined ? [] : [{ what, value: figure(one) / figure(other), target }]
  }
  const thousand = at("transcriber", 1000)
  return [
    ...ratio("CPU per stream-second at 400, Transcriber / SDK", "transcriber", "sdk", ({ cpu }) => cpu, 0.45),
    ...ratio("CPU per stream-second at 400, FluxSession / raw", "session", "raw", ({ cpu }) => cpu, 1.6),
    ...ratio("event delay p99 at 400, Transcriber / SDK", "transcriber", "sdk", ({ delayP99 }) => delayP99, 0.5),
    ...ratio("peak RSS at 400, Transcriber / SDK", "transcriber", "sdk", ({ rssPeak }) => rssPeak, 0.7),
    ...ratio("open to Connected p99 in a burst of 400, Transcriber / SDK", "transcriber", "sdk", ({ connectP99 }) => connectP99, 0.6),
    ...(thousand === undefined
      ? []
      : [
        { what: "errors with 1,000 streams", value: thousand.errors, target: 0 },
        { what: "event-loop delay p99 with 1,000 streams, ms", value: thousand.loopDelayP99, target: 50 }
      ]),
    ...(startup === undefined ? [] : [{ what: "the command's first event / node -e 0", value: startup.command / startup.node, target: 8 }])
  ]
}
