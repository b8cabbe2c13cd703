/** Cost by number of streams, as an SVG. */
import * as echarts from "echarts"
import type { Name } from "./job.ts"
import type { Summary } from "./summary.ts"

const labels: Partial<Record<Name, string>> = {
  transcriber: "Transcriber",
  session: "FluxSession",
  sdk: "AWS SDK's event streams",
  raw: "node:http2 alone"
}

/** CPU per stream-second over streams, a line for each client; both axes are logarithmic. */
export const growth = (summaries: ReadonlyArray<Summary>): string => {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 720, height: 400 })
  const series = Object.entries(labels).map(([client, name]) => ({
    name,
    type: "line" as const,
    data: summaries
      .filter((one) => one.client === client && !one.tls && Number.isFinite(one.cpu))
      .map(({ cpu, streams }): [number, number] => [streams, Number(cpu.toFixed(3))])
      .toSorted(([a], [b]) => a - b)
  }))
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    legend: { top: 10 },
    grid: { left: 60, right: 30, top: 60, bottom: 50 },
    xAxis: { type: "log", name: "real-time streams in one process", nameLocation: "middle", nameGap: 30 },
    yAxis: { type: "log", name: "CPU, ms per stream-second", nameLocation: "middle", nameGap: 40, min: 0.1 },
    series
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
