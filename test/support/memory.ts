/** How much memory this process keeps, after everything that can go has gone. */
import * as v8 from "node:v8"
import * as vm from "node:vm"
import * as Effect from "effect/Effect"

v8.setFlagsFromString("--expose-gc")
const collectGarbage: unknown = vm.runInNewContext("gc")

/** Bytes of heap and of buffers outside it, the least of some rounds of garbage collection with the event loop between. */
export const kept: Effect.Effect<number> = Effect.promise(async () => {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 6; round++) {
    await new Promise<void>((resume) => setImmediate(resume))
    if (typeof collectGarbage === "function") collectGarbage()
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
})
