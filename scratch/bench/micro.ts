/**
 * What single operations of the hot path take, one after another in one process, beside what the AWS SDK's codec and
 * signer, and JSON.parse, take for the same. `npm run bench:micro [-- --time MS]`; MS for each operation, default 500.
 */
import { parseArgs } from "node:util"
import { Bench } from "tinybench"
import * as FluxMessage from "../../src/FluxMessage.ts"
import { makeParser, makeSigner, payloadPart, signingKeys } from "../../src/internal/eventStream.ts"
import { defaults } from "../../src/internal/settings.ts"
import * as turns from "../../src/internal/turns.ts"
import { turnInfoOf } from "../../test/support/turnInfo.ts"
import { credentials, decodeAll, makeSealer, part, vectorMillis } from "../../test/support/rawClient.ts"

const { values } = parseArgs({ options: { time: { type: "string", default: "500" } } })

const audio = new Uint8Array(Int16Array.from({ length: 1280 }, (_, at) => 8000 * Math.sin(at / 5)).buffer)
const seed = "0".repeat(64)
const signer = makeSigner(signingKeys({ ...credentials, region: "us-east-1", service: "sagemaker" }), seed)
const seal = makeSealer(seed)
const inner = part(audio)
const words = Array.from({ length: 10 }, (_, at) => ({ word: `word${at}`, confidence: 0.9 + at / 200, start: at * 0.3, end: at * 0.3 + 0.2 }))
const update = turnInfoOf({
  sequence_id: 7,
  audio_window_end: 3.2,
  transcript: words.map(({ word }) => word).join(" "),
  words,
  end_of_turn_confidence: 0.31
})
const text = JSON.stringify(update)
const frame = payloadPart("UTF8", new TextEncoder().encode(text))
const reducer = turns.make({ id: "call", settings: () => defaults })
reducer.take({ ...update, event: "StartOfTurn" }, 0)

const chunk = "a chunk of 80 ms: frame and sign"
const message = `a message of ${frame.length} bytes: frame to text`
const read = "its JSON, 10 words"

const bench = new Bench({ time: Number(values.time), warmupTime: 200 })
bench
  .add(`${chunk}`, () => {
    signer.signPart("BINARY", audio, vectorMillis).left()
  })
  .add(`${chunk}, without using memory again`, () => void signer.signPart("BINARY", audio, vectorMillis))
  .add(`${chunk}, the SDK's codec and signer`, async () => {
    await seal(inner)
  })
  .add(`${message}, parser`, () => void makeParserOnce(frame))
  .add(`${message}, the SDK's codec`, () => void decodeAll(frame))
  .add(`${read}: JSON.parse alone`, () => void JSON.parse(text))
  .add(`${read}: parsed and checked`, () => void FluxMessage.parse(text))
  .add("an Update: message to event", () => void reducer.take(update, 0))

const parser = makeParser()
const makeParserOnce = (bytes: Uint8Array): unknown => parser.push(bytes)

await bench.run()
console.table(bench.table())
