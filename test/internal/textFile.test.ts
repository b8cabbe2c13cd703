/** Text files as people have them: what is read of them, and what is said of those that are something else. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { decode, decodePem, oddIn } from "../../src/internal/textFile.ts"

const read = (bytes: Uint8Array): string => Result.match(decode(bytes), { onSuccess: (text) => `text ${text}`, onFailure: (problem) => problem })
const bigEndian = (text: string): Buffer => Buffer.from(text, "utf16le").swap16()
const utf32 = (text: string, endian: "LE" | "BE"): Buffer => {
  const characters = [...text]
  const bytes = Buffer.alloc(characters.length * 4)
  for (const [at, character] of characters.entries()) bytes[`writeUInt32${endian}`](character.codePointAt(0) ?? 0, at * 4)
  return bytes
}
const words = "Hello there.\nGrüße, naïve café.\n日本 \u{1f600}\n"
const russian = "Добрый день.\r\nДо свидания.\r\n"

describe("a text file", () => {
  it.each([
    ["UTF-8", Buffer.from(words)],
    ["UTF-8 with a mark", Buffer.from(`\uFEFF${words}`)],
    ["UTF-16, little endian, with a mark", Buffer.from(`\uFEFF${words}`, "utf16le")],
    ["UTF-16, big endian, with a mark", bigEndian(`\uFEFF${words}`)]
  ])("in %s is its words", (_, bytes) => {
    assert.strictEqual(read(bytes), `text ${words}`)
  })

  it.each(["", "\r\n", "one\rtwo\r", "tab\there\fpage\vline", "\u0085\u2028", "\u007f"])("may hold %j, and keeps it", (text) => {
    assert.strictEqual(read(Buffer.from(text)), `text ${text}`)
    assert.strictEqual(read(Buffer.from(`\uFEFF${text}`, "utf16le")), `text ${text}`)
  })

  it.each([
    ["UTF-16LE without a mark", Buffer.from(words, "utf16le"), "is UTF-16 without a byte order mark"],
    ["UTF-16BE without a mark", bigEndian("Hello there.\n"), "is UTF-16 without a byte order mark"],
    ["Russian UTF-16LE without a mark", Buffer.from(russian, "utf16le"), "is UTF-16 without a byte order mark"],
    ["Russian UTF-16BE without a mark", bigEndian(russian), "is UTF-16 without a byte order mark"],
    ["UTF-32LE with a mark", utf32(`\uFEFF${words}`, "LE"), "is UTF-32"],
    ["UTF-32BE with a mark", utf32(`\uFEFF${words}`, "BE"), "is UTF-32"],
    ["UTF-32LE without one", utf32(words, "LE"), "is UTF-32"],
    ["UTF-32BE without one", utf32(russian, "BE"), "is UTF-32"],
    ["half of UTF-16", Buffer.from(`\uFEFF${words}`, "utf16le").subarray(0, -1), "begins like UTF-16, and goes on as something else"],
    ["UTF-16 with half a pair", Buffer.from("\uFEFFa\ud800b", "utf16le"), "begins like UTF-16, and goes on as something else"],
    ["Latin-1", Buffer.from("One\r\ncafé\r\n", "latin1"), "is not UTF-8 (byte 0xE9 in line 2), and looks like Windows-1252 or Latin-1"],
    ["Windows-1252", Buffer.from([...Buffer.from("a\rb\rquote "), 0x93, 0x61, 0x94]), "is not UTF-8 (byte 0x93 in line 3), and looks like Windows-1252 or Latin-1"],
    ["one byte of Latin-1", Buffer.from("\u00e9", "latin1"), "is not UTF-8 (byte 0xE9 in line 1), and looks like Windows-1252 or Latin-1"],
    ["two bytes of it", Buffer.from("a\u00e9", "latin1"), "is not UTF-8 (byte 0xE9 in line 1), and looks like Windows-1252 or Latin-1"],
    ["UTF-8 that is cut", Buffer.from("caf\u00e9").subarray(0, -1), "is not UTF-8 (byte 0xC3 in line 1)"],
    ["a surrogate in UTF-8", Buffer.from([0x61, 0xed, 0xa0, 0x80]), "is not UTF-8 (byte 0xED in line 1)"],
    ["one NUL in a long text", Buffer.from(`The quick brown fox jumps over the lazy dog\u0000, and over 13 more.`), "is binary, and no text"],
    ["a control character", Buffer.from("one\ntw\u0007o"), "has U+0007 in line 2: it is no text"],
    ["an escape", Buffer.from("\u001b[31mred"), "has U+001B in line 1"],
    ["noise", Buffer.from(Array.from({ length: 997 }, (_, at) => (at * at * 31 + at * 7) % 256)), "is binary, and no text"],
    ["a WAV file", Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(40, 1)]), "is audio (RIFF), and no text"],
    ["a document of an office", Buffer.concat([Buffer.from("PK\u0003\u0004"), Buffer.alloc(40, 1)]), "is a ZIP archive"],
    ["a PDF", Buffer.from("%PDF-1.7\n"), "is a PDF document"],
    ["RTF", Buffer.from("{\\rtf1 Hello}"), "is a document in RTF"],
    ["gzip", Buffer.from([0x1f, 0x8b, 8, 0, 0]), "is compressed (gzip)"]
  ])("that is %s is refused for what it is", (_, bytes, says) => {
    assert.isTrue(read(bytes).startsWith(says), read(bytes))
    // what is no text at all cannot be
    assert.strictEqual(read(bytes).includes("save it as UTF-8"), says !== "is binary, and no text")
  })

  it("in PEM has comments in any encoding, which change nothing of what counts", () => {
    const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    const block = (bytes: Uint8Array): string => /-----BEGIN[^]*-----\n/.exec(Result.getOrThrow(decodePem(bytes)))?.[0] ?? ""
    for (const bytes of [
      Buffer.from(`# Grüße\n${pem}`, "latin1"),
      Buffer.from(`# Grüße\n${pem}`),
      // of DOS
      Buffer.from(`${pem}\u001a`),
      Buffer.from(`\uFEFF${pem}`, "utf16le")
    ]) assert.strictEqual(block(bytes), pem)
    assert.deepStrictEqual(decodePem(Buffer.from("# Grüße\n", "latin1")), decode(Buffer.from("# Grüße\n", "latin1")))
    assert.deepStrictEqual(decodePem(Buffer.from(pem, "utf16le")), decode(Buffer.from(pem, "utf16le")))
  })

  it("never gives a NUL, or a replacement character that was not there", () => {
    // a generator of one's own: the same bytes in each run
    let state = 7
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const begins = [[], [0xff, 0xfe], [0xfe, 0xff], [0xef, 0xbb, 0xbf], [0x61]]
    let taken = 0
    for (let n = 0; n < 5000; n++) {
      const ascii = random(2) === 0
      const bytes = Uint8Array.from([...begins[random(begins.length)] ?? [], ...Array.from({ length: random(12) }, () => random(ascii ? 128 : 256))])
      const decoded = decode(bytes)
      if (Result.isFailure(decoded)) continue
      taken++
      assert.isFalse(["\u0000", "\uFFFD"].some((character) => decoded.success.includes(character)))
    }
    assert.isAbove(taken, 100)
  })

  it("as somebody else has read it is known by its NULs", () => {
    assert.strictEqual(oddIn("one\ntwo\r\nthree\rfo\u0000ur"), "has U+0000 in line 4: it is no text, or was not read as what it is: save it as UTF-8 text")
    assert.isUndefined(oddIn("one\n\uFFFD"))
    assert.match(oddIn("one\n\uFFFD", "\uFFFD") ?? "", /^has U\+FFFD in line 2/)
  })
})
