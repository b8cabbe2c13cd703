/** The command tells a collector of its calls, where the environment names one. */
import { assert, describe, it } from "@effect/vitest"
import { createServer } from "node:http"
import { run, simulate } from "../support/command.ts"

describe.concurrent("flux-stt and OTLP", { timeout: 30_000 }, () => {
  it("exports spans and metrics of its call before it leaves", async () => {
    const bodies = new Map<string, string>()
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (chunk) => {
        body += chunk
      }).on("end", () => {
        const path = request.url ?? ""
        bodies.set(path, (bodies.get(path) ?? "") + body)
        response.setHeader("content-type", "application/json").end("{}")
      })
    })
    await new Promise<void>((resume) => server.listen(0, "127.0.0.1", resume))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const { status, stderr } = await run(simulate, {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
    })
    server.close()
    assert.strictEqual(status, 0, stderr)
    assert.include(bodies.get("/v1/traces") ?? "", `"flux.turn"`)
    assert.include(bodies.get("/v1/metrics") ?? "", `"flux.audio.seconds"`)
  })

  it("a collector that is not there disturbs no call", async () => {
    const { status, stdout } = await run(simulate, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" } })
    assert.strictEqual(status, 0)
    assert.strictEqual(stdout.trim().split("\n").length, 3)
  })

  it("a protocol that is not spoken here is told, and disturbs no call", async () => {
    const { status, stderr, stdout } = await run(simulate, {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }
    })
    assert.strictEqual(status, 0)
    assert.match(stderr, /^flux-stt: warning: nothing is exported, OTEL_EXPORTER_OTLP_PROTOCOL: /m)
    assert.strictEqual(stdout.trim().split("\n").length, 3)
  })
})
