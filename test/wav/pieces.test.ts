/** Files in a row, damaged here and there: what is made of them does not depend on how their bytes arrive. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { chunk, detailOf, join8, le, pcm16, read, text, tone, wav } from "../support/wav.ts"

const samples = tone(8000, 0.25)
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const chunks = {
  tags: chunk("LIST", text("INFOISFTabcd")),
  unpadded: join8(text("LIST"), le(7, 4), text("INFOodd")),
  junk: chunk("JUNK", new Uint8Array(33)),
  unknown: chunk("abcd", new Uint8Array(20))
}
const some = Schema.Array(Schema.Literals(["tags", "unpadded", "junk", "unknown"])).check(Schema.isMaxLength(2))
const file = Schema.Struct({
  bytes: Schema.Literals([4000, 3999, 2001, 7, 0]),
  isStereo: Schema.Boolean,
  declared: Schema.UndefinedOr(Schema.Literals([0, 2 ** 32 - 1, 100, 4001, 10_000, 0x7ffff000])),
  riffBytes: Schema.UndefinedOr(Schema.Literals([0, 2 ** 32 - 1, 36, 100])),
  fmtBytes: Schema.UndefinedOr(Schema.Literals([18, 17, 0])),
  before: some,
  after: some
})

it.effect.prop(
  "files are read the same however their bytes arrive",
  {
    files: Schema.Array(file).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
    damage: Schema.Array(Schema.Tuple([between(0, 12_000), between(0, 255)])).check(Schema.isMaxLength(2)),
    sizes: Schema.Array(between(1, 3000)).check(Schema.isMinLength(1))
  },
  ({ damage, files, sizes }) =>
    Effect.gen(function*() {
      const bytes = join8(...files.map(({ after, before, bytes, declared, fmtBytes, isStereo, riffBytes }) =>
        wav(pcm16(isStereo ? samples.flatMap((sample) => [sample, -sample]) : samples).subarray(0, bytes), {
          sampleRate: 8000,
          channels: isStereo ? 2 : 1,
          before: before.map((name) => chunks[name]),
          after: after.map((name) => chunks[name]),
          ...(declared === undefined ? {} : { declared }),
          ...(riffBytes === undefined ? {} : { riffBytes }),
          ...(fmtBytes === undefined ? {} : { fmtBytes })
        })
      ))
      for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value
      const outcome = (pieces: ReadonlyArray<number>) =>
        Effect.map(Effect.result(read(bytes, { sizes: pieces })), (result) =>
          Result.isSuccess(result)
            ? { source: result.success.source, bytes: result.success.bytes, said: [...result.success.early, ...result.success.late].toSorted() }
            : detailOf(result.failure))
      assert.deepStrictEqual(yield* outcome(sizes), yield* outcome([1_000_000]))
    }),
  { arbitrary: { runs: 200, seed: "pieces" }, timeout: 60_000 }
)
