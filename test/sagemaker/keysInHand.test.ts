/**
 * What a session is signed with where the provider fails: the keys in hand while they are good, else nothing, and the error
 * says whether it may pass.
 */
import { assert, describe, it } from "@effect/vitest"
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import type * as FluxError from "../../src/FluxError.ts"
import { AttemptBound } from "../../src/internal/attemptBound.ts"
import * as Chain from "../../src/sagemaker/chain.ts"
import * as Credentials from "../../src/sagemaker/credentials.ts"
import { withEnvironment } from "../support/awsEnvironment.ts"
import { dateOf } from "../support/rawClient.ts"
import * as steppedClock from "../support/steppedClock.ts"

const second = 1000
const hour = 3_600_000

/** The nth keys, which last so long from the beginning of time. */
const keysOf = (n: number, lasting?: number): AwsCredentialIdentity => ({
  accessKeyId: `AKIDNUMBER${n}`,
  secretAccessKey: `secret-number-${n}`,
  ...(lasting === undefined ? {} : { expiration: dateOf(lasting) })
})
const numberOf = ({ identity }: Credentials.Held): number => Number(/\d+$/.exec(identity.accessKeyId)?.[0])

type Give = (n: number) => AwsCredentialIdentity | Promise<AwsCredentialIdentity>

/** A provider that does at each time what it is told then, and how it was asked. A chain has come as far as to its profile. */
const made = (options: Credentials.Options & { readonly isChain?: boolean } = {}) => {
  const trail = options.isChain === true ? Chain.make() : undefined
  const asked: Array<"look" | "force"> = []
  let give: Give = (n) => keysOf(n, hour)
  const provider: Credentials.Provider = Object.assign(
    async (how?: { readonly forceRefresh?: boolean }) => {
      for (const mark of ["defaultProvider::fromEnv", "defaultProvider::fromIni"]) trail?.logger.debug(`sdk - ${mark}`)
      asked.push(how?.forceRefresh === true ? "force" : "look")
      return give(asked.length)
    },
    { trail }
  )
  return {
    asked,
    ...Credentials.make(provider, options),
    does: (next: Give) => {
      give = next
    }
  }
}
/** Shared files of a profile in which nothing is wrong. */
const config = `[default]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = base
[profile base]
aws_access_key_id = AKIDBASE
aws_secret_access_key = secret-of-base
`

/** Warnings, as they are logged; keys in none of them. */
const listening = () => {
  const warnings: Array<string> = []
  const layer = Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(message))
    assert.notMatch(String(message), /AKIDNUMBER|secret-number/)
  })])
  return { warnings, layer }
}

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
/** What a fiber comes to, so many ms from now and not before. */
const exactlyAfter = <A, E>(fiber: Fiber.Fiber<A, E>, millis: number): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    if (millis > 0) {
      yield* TestClock.adjust(millis - 1)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
    }
    return yield* Fiber.join(fiber)
  })
const assertUnavailable = (error: FluxError.FluxError, isTransient: boolean, says: RegExp): void => {
  assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
  assert.match(error.message, says)
  assert.notMatch(error.message, /AKIDNUMBER|secret-number/)
  assert.strictEqual(error.isRetryable, isTransient)
}

interface Cause {
  readonly name: string
  /** What the provider does; `words` stand in its error, if it has one. */
  readonly does: (words: string) => ReturnType<Give>
  /** When it is known, ms, with good keys in hand and without. */
  readonly known: readonly [good: number, none: number]
  readonly isTransient: boolean
  readonly says: RegExp
}
const causes: ReadonlyArray<Cause> = [
  {
    name: "throws",
    does: (words) => Promise.reject(Object.assign(new Error(`connect ${words}`), { code: "ECONNREFUSED" })),
    known: [0, 0],
    isTransient: true,
    says: /ECONNREFUSED/
  },
  {
    name: "answers 503",
    does: () => Promise.reject(Object.assign(new Error("no luck"), { $metadata: { httpStatusCode: 503 } })),
    known: [0, 0],
    isTransient: true,
    says: /no luck/
  },
  {
    name: "hangs",
    does: () => new Promise(() => undefined),
    known: [second, 12 * second],
    isTransient: true,
    says: /nothing came within 12 s/
  },
  {
    name: "gives keys that cannot be signed with",
    does: () => ({ accessKeyId: "AKIDNUMBER9 ", secretAccessKey: "secret-number-9" }),
    known: [0, 0],
    isTransient: false,
    says: /the access key id ends in a blank/
  }
]
/** Keys that are not good, and how they come to be in hand. */
const hands: Readonly<Record<string, (at: ReturnType<typeof made>) => Effect.Effect<unknown, FluxError.FluxError>>> = {
  "none": () => Effect.void,
  "some that have expired": ({ take }) => Effect.andThen(take, TestClock.adjust(hour)),
  "some that expire in 4 s": ({ take }) => Effect.andThen(take, TestClock.adjust(hour - 4 * second)),
  "some that AWS called expired": ({ spend, take }) => Effect.map(take, spend),
  "some that AWS called expired, given again": ({ does, renew, take }) => {
    does(() => keysOf(1, hour))
    return Effect.flatMap(take, renew)
  }
}

for (const isChain of [false, true]) {
  describe(`${isChain ? "the default chain" : "a function"} that fails`, () => {
    for (const { does, isTransient, known: [soon, late], name, says } of causes) {
      it.effect(`${name}: good keys in hand are used, and it is told once`, () =>
        Effect.gen(function*() {
          const { layer, warnings } = listening()
          const { does: set, take } = made({ isChain })
          assert.strictEqual(numberOf(yield* take), 1)
          set(() => does("secret-number-1"))
          const first = yield* fork(Effect.provide(take, layer))
          assert.strictEqual(numberOf(yield* exactlyAfter(first, soon)), 1)
          // who comes later waits no more
          assert.strictEqual(numberOf(yield* Effect.provide(take, layer)), 1)
          assert.strictEqual(warnings.length, 1, warnings.join("\n"))
          assert.match(warnings[0] ?? "", /those had before are used/)
          // and once again where it has given some in between
          yield* TestClock.adjust(late)
          set((n) => keysOf(n, hour))
          assert.isAbove(numberOf(yield* take), 1)
          set(() => does(""))
          yield* exactlyAfter(yield* fork(Effect.provide(take, layer)), soon)
          assert.strictEqual(warnings.length, 2, warnings.join("\n"))
        }).pipe(withEnvironment({ config })))

      for (const [hand, has] of Object.entries(hands)) {
        it.effect(`${name}: with ${hand} in hand that is the error, and the next one asks again`, () =>
          Effect.gen(function*() {
            const at = made({ isChain })
            yield* has(at)
            at.does(() => does("nowhere"))
            const failing = yield* fork(Effect.flip(at.take))
            assertUnavailable(yield* exactlyAfter(failing, late), isTransient, says)
            at.does((n) => keysOf(n, 3 * hour))
            assert.isAbove(numberOf(yield* at.take), 1)
          }).pipe(withEnvironment({ config })))
      }

      it.effect(`${name}: when AWS has called the keys expired, that is the error`, () =>
        Effect.gen(function*() {
          const { does: set, renew, take } = made({ isChain })
          const held = yield* take
          set(() => does("nowhere"))
          const failing = yield* fork(Effect.flip(renew(held)))
          assertUnavailable(yield* exactlyAfter(failing, late), isTransient, says)
        }).pipe(withEnvironment({ config })))
    }
  })
}

describe("keys that have expired when the provider gives them", () => {
  const expired = (n: number) => keysOf(n, -second)

  it.effect("are not used while others are good, which is told once", () =>
    Effect.gen(function*() {
      const { layer, warnings } = listening()
      const { does, take } = made()
      does(() => keysOf(1, hour))
      yield* take
      does(expired)
      for (const _ of [1, 2]) assert.strictEqual(numberOf(yield* Effect.provide(take, layer)), 1)
      assert.strictEqual(warnings.length, 1)
      assert.match(warnings[0] ?? "", /those had before are used.*expired at 1969-12-31T23:59:59/)
    }))

  it.effect("are asked for once more by force, and those of then are used", () =>
    Effect.gen(function*() {
      const { asked, does, take } = made()
      does((n) => n === 1 ? expired(n) : keysOf(n, hour))
      assert.strictEqual(numberOf(yield* take), 2)
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  it.effect("are signed with where there are no others, as the clock of this machine may be off", () =>
    Effect.gen(function*() {
      const { layer, warnings } = listening()
      const { asked, does, take } = made()
      does(expired)
      assert.strictEqual(numberOf(yield* Effect.provide(take, layer)), 2)
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.match(warnings.join("\n"), /by the clock of this machine.*AWS will say$/)
    }))

  it.effect("are judged by AWS's time, as far as it is known", () =>
    Effect.gen(function*() {
      // this clock is an hour ahead
      const { asked, does, take } = made({ clockOffset: () => -hour })
      does(expired)
      assert.strictEqual(numberOf(yield* take), 1)
      assert.deepStrictEqual(asked, ["look"])
      does(() => Promise.reject(new Error("away")))
      assert.strictEqual(numberOf(yield* take), 1)
    }))

  it.effect("are the good ones where the provider prolongs the same keys", () =>
    Effect.gen(function*() {
      const { does, take } = made()
      does(() => keysOf(1, hour))
      const first = yield* take
      does(() => keysOf(1, 2 * hour))
      assert.strictEqual(yield* take, first)
      yield* TestClock.adjust(hour + second)
      does(() => Promise.reject(new Error("away")))
      assert.strictEqual(yield* take, first)
    }))
})

describe("a provider that is waited for", () => {
  it.effect("has four fifths of an attempt; what it gives later is had by the next attempt", () =>
    Effect.gen(function*() {
      const answer = Promise.withResolvers<AwsCredentialIdentity>()
      const { asked, does, take: unbound } = made()
      does(() => answer.promise)
      const take = Effect.provideService(unbound, AttemptBound, 5 * second)
      const first = yield* fork(Effect.flip(take))
      assertUnavailable(yield* exactlyAfter(first, 4 * second), true, /nothing came within 4 s/)
      yield* TestClock.adjust(second)
      const next = yield* fork(take)
      answer.resolve(keysOf(7))
      assert.strictEqual(numberOf(yield* Fiber.join(next)), 7)
      assert.deepStrictEqual(asked, ["look"])
    }))

  it.effect("leaves half of its time where there are good keys and the attempt is short", () =>
    Effect.gen(function*() {
      const { does, take } = made()
      yield* take
      does(() => new Promise(() => undefined))
      // four fifths of it, and half of those
      const waiting = yield* fork(Effect.provideService(take, AttemptBound, second))
      assert.strictEqual(numberOf(yield* exactlyAfter(waiting, 400)), 1)
    }))

  it.effect("is asked anew once its own 12 s are over, whoever waits", () =>
    Effect.gen(function*() {
      const { asked, does, take: unbound } = made()
      does((n) => n === 1 ? new Promise(() => undefined) : keysOf(n))
      const take = Effect.provideService(unbound, AttemptBound, 5 * second)
      for (const _ of [1, 2]) {
        const impatient = yield* fork(Effect.flip(take))
        yield* TestClock.adjust(5 * second)
        yield* Fiber.join(impatient)
      }
      const third = yield* fork(take)
      yield* TestClock.adjust(2 * second)
      assert.strictEqual(numberOf(yield* Fiber.join(third)), 2)
      assert.deepStrictEqual(asked, ["look", "look"])
    }))

  it.effect("is waited for as long, whatever becomes of the wall clock", () =>
    Effect.gen(function*() {
      for (const step of [hour, -hour]) {
        const { clock, setOff } = yield* steppedClock.make
        const { does, take } = made()
        does(() => new Promise(() => undefined))
        const waiting = yield* fork(Effect.flip(Effect.provideService(take, Clock.Clock, clock)))
        yield* TestClock.adjust(6 * second)
        setOff(step)
        assertUnavailable(yield* exactlyAfter(waiting, 6 * second), true, /nothing came within 12 s/)
      }
    }))
})
