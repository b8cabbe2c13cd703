/** What is no WAV file, or one of a codec that is not read, is named for what it is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { assertTone, detailOf, join8, le, pcm16, read, text, tone, wav } from "../support/wav.ts"

const latin = (bytes: string) => new Uint8Array(Buffer.from(bytes, "latin1"))
const ogg = (packet: string) => latin(`OggS\x00\x02${"\x00".repeat(20)}\x01${String.fromCharCode(packet.length)}${packet}`)
const audio = wav(pcm16(tone()))

describe("what is no WAV file is named", () => {
  const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array]> = [
    ["CAF", latin("caff\x00\x01\x00\x00desc")],
    ["NIST SPHERE", latin("NIST_1A\n   1024\nchannel_count -i 1\n")],
    ["Wave64 (W64)", latin("riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00")],
    ["AMR", latin("#!AMR\n\x3c\x00")],
    ["AMR-WB", latin("#!AMR-WB\n\x04")],
    ["SILK", latin("\x02#!SILK_V3\x10\x00")],
    ["AIFF", latin("FORM\x00\x00\x10\x00AIFFCOMM")],
    ["AIFF", latin("FORM\x00\x00\x10\x00AIFCFVER")],
    ["AU", latin(".snd\x00\x00\x00\x18\xff\xff\xff\xff")],
    ["FLAC", latin("fLaC\x00\x00\x00\x22\x10\x00")],
    ["Ogg (Opus)", ogg("OpusHead\x01")],
    ["Ogg (Vorbis)", ogg("\x01vorbis\x00")],
    ["Ogg (Speex)", ogg("Speex   1.2")],
    ["MP3", latin("\xff\xf3\x44\xc4\x00\x00\x00\x00\x00\x00\x00\x00\x00")],
    ["MP3", latin("ID3\x04\x00\x00\x00\x00\x00\x02ab\xff\xfb\x90\x64\x00\x00")],
    ["FLAC", latin("ID3\x04\x00\x00\x00\x00\x00\x02abfLaC\x00\x00\x00\x22")],
    ["AAC", latin("\xff\xf1\x50\x80\x02\x1f\xfc\x00\x00\x00\x00\x00\x00")],
    ["MP4", latin("\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00")],
    ["QuickTime", latin("\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00")],
    ["3GP", latin("\x00\x00\x00\x14ftyp3gp4\x00\x00\x00\x00")],
    ["WebM or Matroska", latin("\x1aE\xdf\xa3\x9f\x42\x86\x81\x01")],
    ["ASF (WMA)", latin("\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa")],
    ["gzip", latin("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")],
    ["a ZIP archive", latin("PK\x03\x04\x14\x00\x00\x00\x08\x00")],
    ["PDF", latin("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")],
    ["VOC", latin("Creative Voice File\x1a\x1a\x00")],
    ["text (an HTML page)", text("<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n")],
    ["text (XML)", text('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n')],
    ["text (an HTTP response)", text("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")],
    ["text (a Git LFS pointer, in place of the file)", text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\n")],
    ["text (base64, to be decoded first)", text(Buffer.from(audio.subarray(0, 300)).toString("base64"))],
    ["text", text('{"message":"Internal server error"}')],
    ["text in UTF-16", latin("\xff\xfeT\x00o\x00 \x00w\x00h\x00o\x00m\x00")]
  ]
  for (const [what, bytes] of cases) {
    it.effect(what, () =>
      Effect.gen(function*() {
        for (const sizes of [[1_000_000], [1], [13]]) {
          assert.strictEqual(detailOf(yield* Effect.flip(read(bytes, { sizes }))), `not a WAV file: it looks like ${what}`)
        }
      }))
  }

  it.effect("without waiting for more than is there", () =>
    Effect.gen(function*() {
      const open = Stream.concat(Stream.make(latin("fLaC\x00\x00\x00\x22\x10\x00\x10\x00")), Stream.never)
      assert.strictEqual(detailOf(yield* Effect.flip(read(open))), "not a WAV file: it looks like FLAC")
    }))
})

describe("a WAV file behind something else is read, and it is told", () => {
  const tag = (body: Uint8Array) => join8(text("ID3\x04\x00\x00"), le(0, 2), Uint8Array.of(body.length >> 7, body.length & 127), body)
  const cases: ReadonlyArray<readonly [name: string, before: Uint8Array, said: string]> = [
    ["a byte-order mark", Uint8Array.of(0xef, 0xbb, 0xbf), "the WAV file begins after 3 other bytes, which are passed over"],
    ["an ID3 tag", tag(new Uint8Array(9000).fill(7)), "the WAV file begins after an ID3 tag, which is passed over"],
    ["a response of HTTP", text("HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n\r\n"), "the WAV file begins after 44 other bytes, which are passed over"]
  ]
  for (const [name, before, said] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        for (const sizes of [[1_000_000], [1000, 1]]) {
          const file = yield* read(join8(before, audio), { sizes })
          assertTone(file)
          assert.deepStrictEqual(file.early, [said])
        }
      }))
  }

  it.effect("but not behind more than 4096 bytes, however they arrive", () =>
    Effect.gen(function*() {
      const junk = new Uint8Array(4090).fill(1)
      for (const sizes of [[1_000_000], [1000, 1]]) {
        const error = yield* Effect.flip(read(join8(junk, audio), { sizes }))
        assert.strictEqual(detailOf(error), "not a WAV file: no format is recognised in its first bytes")
      }
    }))

  it.effect("but not out of HTTP's chunks, whose sizes are among the audio", () =>
    Effect.gen(function*() {
      for (const head of ["", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]) {
        const chunked = join8(text(`${head}4000\r\n`), audio.subarray(0, 0x4000), text("\r\n4000\r\n"), audio.subarray(0x4000))
        assert.strictEqual(
          detailOf(yield* Effect.flip(read(chunked))),
          "not a WAV file: it is one in HTTP's chunked coding, to be decoded first"
        )
      }
    }))
})

describe("a codec that is not read is named", () => {
  // of Microsoft's mmreg.h and RFC 2361
  const cases: ReadonlyArray<readonly [tag: number, name: string]> = [
    [0x55, "MP3 (0x0055)"],
    [0x50, "MPEG audio (0x0050)"],
    [0x65, "G.722 ADPCM (0x0065)"],
    [0x64, "G.726 ADPCM (0x0064)"],
    [0x42, "G.723.1 (0x0042)"],
    [0x83, "G.729 (0x0083)"],
    [0x160, "Windows Media Audio (0x0160)"],
    [0xff, "AAC (0x00ff)"],
    [0x1610, "AAC (0x1610)"],
    [0x674f, "Vorbis (0x674f)"],
    [0x704f, "Opus (0x704f)"],
    [0xa109, "Speex (0xa109)"],
    [0xf1ac, "FLAC (0xf1ac)"]
  ]
  for (const [tag, name] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        assert.strictEqual(detailOf(yield* Effect.flip(read(wav(new Uint8Array(400), { tag, bits: 0 })))), `the WAV file's codec is ${name}`)
      }))
  }
})
