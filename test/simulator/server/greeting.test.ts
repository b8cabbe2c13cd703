import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as greeting from "../../../src/simulator/server/greeting.ts"

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")
const read = (text: string) => greeting.read(bytes(text))

describe("greeting", () => {
  it.each<readonly [said: string, is: greeting.Greeting | undefined]>([
    ["", undefined],
    [preface, "http2"],
    [`${preface}\0\0\0\x04\0\0\0\0\0`, "http2"],
    ["PRI * HTTP/2.0\r\n\r\n", undefined],
    ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "http1"],
    ["PRI * HTTP/1.1\r\n", "http1"],
    ["PRI / ", "http1"],
    ["P", undefined],
    ["POST", undefined],
    ["POST ", "http1"],
    ["GET / HTTP/1.1\r\n\r\n", "http1"],
    ["get /", "http1"],
    ["OPTIONS * HTTP/1.0\r\n", "http1"],
    ["PROPFIND / HTTP/1.1\r\n", "http1"],
    ["CONNECT h:1 HTTP/1.1\r\n", "http1"],
    ["x".repeat(20), undefined],
    ["x".repeat(21), "other"],
    ["\x16", undefined],
    ["\x16\x03\x01\x02\0\x01\0", "tls"],
    ["\x16\x02", "other"],
    ["\x80\x2e\x01\x03", "other"],
    [" GET / HTTP/1.1", "other"],
    ["\r\nGET / HTTP/1.1", "other"],
    ["SSH-2.0-x\r\n", "other"],
    ["\0", "other"],
    ["1", "other"]
  ])("%j is %s", (said, is) => assert.strictEqual(read(said), is))

  it.prop("24 bytes are enough, what is told of fewer stays so, and more change nothing", {
    start: Schema.Literals(["", "P", "PRI * HT", preface, "GET ", "\x16", "\x16\x03"]),
    rest: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(Schema.isMaxLength(40))
  }, ({ rest, start }) => {
    const all = Uint8Array.from([...bytes(start), ...rest])
    const told = Array.from({ length: all.length + 1 }, (_, length) => greeting.read(all.subarray(0, length)))
    const first = told.findIndex((is) => is !== undefined)
    if (all.length >= 24) assert.isAtMost(first < 0 ? Infinity : first, 24)
    if (first >= 0) assert.deepStrictEqual(new Set(told.slice(first)), new Set([told[first]]))
  }, { arbitrary: { runs: 300, seed: "greeting" } })
})
