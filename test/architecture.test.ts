import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { posix } from "node:path"

const root = new URL("../src/", import.meta.url)
const files = globSync("**/*.ts", { cwd: root.pathname }).toSorted()
const textOf = (file: string): string => readFileSync(new URL(file, root), "utf8")

/** The house from the ground up: a file imports from its own line and those above, never from one below. */
const lines: ReadonlyArray<{ readonly name: string; readonly files: RegExp; readonly packages: RegExp }> = [
  { name: "pure", files: /^(FluxMessage|FluxEvent|FluxError|Audio|internal\/(?!replies|session\.|conversation|relay|opener|rotation|wantedSettings|sessionShape|openSession|callSettings|wav|eventStream|eventEncoding|chunkSigning|requestSignature)\w+)\.ts$/, packages: /^effect\// },
  { name: "replies", files: /^(EagerReply|internal\/replies)\.ts$/, packages: /^effect\// },
  { name: "chunk signing", files: /^internal\/(eventStream|eventEncoding|chunkSigning|requestSignature)\.ts$/, packages: /^node:(crypto|zlib|buffer)$|^effect\// },
  { name: "service interfaces", files: /^(FluxTransport|FluxSettings)\.ts$/, packages: /^effect\// },
  { name: "session", files: /^(FluxSession|internal\/(session|conversation|relay|opener|rotation|wantedSettings|sessionShape|openSession|callSettings))\.ts$/, packages: /^effect\// },
  { name: "conversations", files: /^Transcriber\.ts$/, packages: /^effect\// },
  { name: "simulator's model", files: /^simulator\/(?!SimulatorServer|server\/)[\w/]+\.ts$/, packages: /^effect\// },
  { name: "transports", files: /^(Capture|FakeTransport|SageMakerTransport|TransportContract|sagemaker\/\w+)\.ts$/, packages: /^effect\/|^@aws-sdk\/|^@smithy\/|^node:/ },
  { name: "Node", files: /^(AudioFile|Observability|simulator\/(SimulatorServer|server\/\w+)|internal\/wav\w+)\.ts$/, packages: /^effect\/|^node:|^wavefile$|^selfsigned$|^@effect\/platform-node\// },
  { name: "promises", files: /^PromiseTranscriber\.ts$/, packages: /^effect\// },
  { name: "command", files: /^cli\/\w+\.ts$/, packages: /^effect\/|^node:|^@effect\/platform-node\/|^cli-truncate$/ },
  { name: "entry points", files: /^(bin|flux-stt|index)\.ts$/, packages: /^effect\/|^node:module$|^@effect\/platform-node\// }
]
/** Lines that a file may not use although they lie above it. */
const forbidden: ReadonlyArray<readonly [from: string, to: string, why: string]> = [
  ["transports", "session", "transports know nothing of sessions"],
  ["transports", "conversations", "transports know nothing of sessions"],
  ["simulator's model", "session", "the model is the other side"],
  ["simulator's model", "conversations", "the model is the other side"]
]
const lineOf = (file: string): number => lines.findIndex((line) => line.files.test(file))

const importsOf = (file: string): Array<string> =>
  [...textOf(file).matchAll(/(?:^|\n)(?:import|export)\s[^"'`]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? "")

describe("architecture", () => {
  it("knows every file of src", () => {
    assert.isAbove(files.length, 10)
    assert.deepStrictEqual(files.filter((file) => lineOf(file) < 0), [])
  })

  it("imports point one way", () => {
    const wrong: Array<string> = []
    for (const file of files) {
      const from = lineOf(file)
      for (const target of importsOf(file)) {
        if (!target.startsWith(".")) {
          if (!lines[from]?.packages.test(target)) wrong.push(`${file} (${lines[from]?.name}) imports ${target}`)
          continue
        }
        const to = posix.normalize(posix.join(posix.dirname(file), target))
        if (lineOf(to) > from) wrong.push(`${file} (${lines[from]?.name}) imports ${to} (${lines[lineOf(to)]?.name})`)
        for (const [source, aim, why] of forbidden) {
          if (lines[from]?.name === source && lines[lineOf(to)]?.name === aim) wrong.push(`${file} imports ${to}: ${why}`)
        }
      }
    }
    assert.deepStrictEqual(wrong, [])
  })

  it("only SageMakerTransport and its parts import AWS", () => {
    const importers = files.filter((file) => importsOf(file).some((target) => /^@(aws-sdk|smithy)\//.test(target)))
    assert.isAbove(importers.length, 0)
    assert.deepStrictEqual(importers.filter((file) => !/^(SageMakerTransport|sagemaker\/\w+)\.ts$/.test(file)), [])
  })

  it("every export says what it is for", () => {
    const silent = files.flatMap((file) => {
      const text = textOf(file).split("\n")
      return text.flatMap((line, at) => {
        const [, kind, name] = /^export (?:abstract )?(const|class|interface|type|function) (\w+)/.exec(line) ?? []
        // the type of a schema that has said it
        const isCompanion = kind === "type" && text.some((other) => other.startsWith(`export const ${name} =`))
        return name === undefined || isCompanion || text[at - 1]?.trim().endsWith("*/") ? [] : [`${file}:${at + 1}: ${name}`]
      })
    })
    assert.deepStrictEqual(silent, [])
  })

  it("time, console and process belong to the Clock and the edges", () => {
    const edges = /^(bin|cli\/\w+)\.ts$/
    const foreign = /\b(Date\.now|new Date\(|setTimeout|setInterval|setImmediate|performance\.now|console\.(log|error|warn|info|debug)|process\.(env|exit|hrtime))/
    const wrong = files.filter((file) => !edges.test(file)).flatMap((file) =>
      textOf(file).split("\n").flatMap((text, at) => {
        const code = text.replace(/^\s*(\/?\*|\/\/).*/, "")
        return foreign.test(code) ? [`${file}:${at + 1}: ${text.trim()}`] : []
      })
    )
    assert.deepStrictEqual(wrong, [])
  })
})
