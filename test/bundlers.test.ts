/**
 * Programs that use the package, made into one file or a few by the bundlers that people have. Each takes the modules of
 * a package in its own way: webpack and rollup by the `module` field, esbuild by `main` where it builds for Node.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { firstTurn, lines as spokenLines, root, simulator } from "./support/command.ts"
import { packedApp } from "./support/packedApp.ts"

const { good, write } = packedApp(
  "webpack@5.113.0", "webpack-cli@7.3.1", "esbuild@0.28.2",
  "rollup@4.68.8", "@rollup/plugin-node-resolve@16.0.3", "@rollup/plugin-commonjs@29.0.3", "@rollup/plugin-json@6.1.0"
)

/** What each makes of `main.js`, and how. */
const bundlers = {
  webpack: { made: "webpack/main.mjs", command: ["webpack", "--config", "webpack.config.js"] },
  rollup: { made: "rollup/main.mjs", command: ["rollup", "--config", "rollup.config.js", "--silent"] },
  "esbuild, to CommonJS": {
    made: "esbuild/main.cjs",
    command: ["esbuild", "main.js", "--bundle", "--platform=node", "--log-level=error", "--outfile=esbuild/main.cjs"]
  },
  "esbuild, to ES modules": {
    made: "esbuild/main.mjs",
    command: ["esbuild", "main.js", "--bundle", "--platform=node", "--format=esm", "--main-fields=module,main", "--log-level=error", "--outfile=esbuild/main.mjs"]
  }
}

describe("bundled by", { timeout: 120_000 }, () => {
  beforeAll(() => {
    write("stereo.wav", readFileSync(join(root, "test/fixtures/audio/float-48k-stereo.wav")))
    write("call.wav", firstTurn)
    write("main.js", `
      import { AudioFile, createTranscriber } from "effect-flux-sagemaker"
      import { Effect, Stream } from "effect"
      const read = (path) => Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const { audio, format } = yield* AudioFile.open(path)
        return { chunks: yield* Stream.runCollect(audio), format }
      })))
      // CommonJS has no await at the top level
      const main = async () => {
        const [, , stereo, call, endpointUrl] = process.argv
        const { chunks, format } = await read(stereo)
        console.log(format.encoding, format.sampleRate, chunks.reduce((sum, { length }) => sum + length, 0))
        const transcriber = createTranscriber({ endpointName: "any", region: "us-east-1", endpointUrl, credentials: { accessKeyId: "any", secretAccessKey: "any" } })
        for await (const event of transcriber.transcribe((await read(call)).chunks)) if (event.type === "EndOfTurn") console.log(event.transcript)
        await transcriber.close()
      }
      main().catch((error) => {
        console.error(error)
        process.exitCode = 1
      })
    `)
    write("webpack.config.js", `
      export default {
        mode: "production", target: "node22", entry: "./main.js", experiments: { outputModule: true }, optimization: { minimize: false },
        output: { path: process.cwd() + "/webpack", filename: "main.mjs", module: true, chunkFormat: "module", library: { type: "module" } }
      }
    `)
    write("rollup.config.js", `
      import resolve from "@rollup/plugin-node-resolve"
      import commonjs from "@rollup/plugin-commonjs"
      import json from "@rollup/plugin-json"
      export default {
        input: "main.js", external: [/^node:/], plugins: [resolve({ preferBuiltins: true, exportConditions: ["node"] }), commonjs(), json()],
        output: { dir: "rollup", format: "es", entryFileNames: "main.mjs", chunkFileNames: "[name]-[hash].mjs" }, onwarn() {}
      }
    `)
  })

  for (const [name, { command, made }] of Object.entries(bundlers)) {
    it(`${name}, a program converts a file and transcribes a call`, async () => {
      const { stop, url } = await simulator()
      const [bundler = "", ...args] = command
      await good("npx", ["--no", "--", bundler, ...args])
      // 2,400 frames of two floats become as many samples of 16 bits
      assert.strictEqual(await good(process.execPath, [made, "stereo.wav", "call.wav", url]), `linear16 48000 4800\n${spokenLines[0]}\n`)
      await stop()
    })
  }
})
