/**
 * What a `FluxTransport` owes its session, as checks that any test runner can run: for a transport of your own.
 *
 * You give a harness: a layer of your transport whose connections reach a `FakeTransport.Peer`, the other side as the
 * check wants it, by whatever server of yours speaks to your transport.
 *
 * @example
 * for (const check of TransportContract.checks((peer) => MyTransport.layerTo(serverThatActsAs(peer)))) {
 *   it.live(check.name, () => check.run)
 * }
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Peer, Server } from "./FakeTransport.ts"
import * as FluxError from "./FluxError.ts"
import { type FluxConnection, FluxTransport, type Frame } from "./FluxTransport.ts"
import { firstOf } from "./internal/bounded.ts"

/** A transport that breaks its contract, and how. */
export class ContractViolation extends Schema.TaggedError<ContractViolation>()("ContractViolation", {
  check: Schema.String,
  expected: Schema.String,
  seen: Schema.String
}) {
  override get message(): string {
    return `${this.check}: expected ${this.expected}, but ${this.seen}`
  }
}

/**
 * Your transport, speaking to a server of yours that acts as the peer for each connection: `peer` is asked once a
 * connection, in the order of opening, with the query as it arrived. The server runs `accept` before it accepts,
 * refuses with its failure, gives each message to `received` and takes the next one when that is done, and runs
 * `released` when the connection is gone.
 */
export type Harness = (peer: (query: string, session: number) => Peer) => Layer.Layer<FluxTransport, unknown>

/** How the checks are run. */
export interface Options {
  /**
   * Lets a transport come to rest that cannot go on, default 250 ms of sleep. Under TestClock give
   * `TestClock.adjust(0)`, as nobody else moves its time.
   */
  readonly settle?: Effect.Effect<void> | undefined
  /** Bound on each check, default 10 s; under TestClock the runner's own has to do. */
  readonly bound?: Duration.Input | undefined
}

/** One thing that a transport owes. */
export interface Check {
  readonly name: string
  readonly run: Effect.Effect<void, ContractViolation>
}

/** All checks. Each builds its layer anew. */
export const checks = (harness: Harness, options: Options = {}): ReadonlyArray<Check> => {
  const settle = options.settle ?? Effect.sleep("250 millis")
  const bound = Duration.fromInputUnsafe(options.bound ?? "10 seconds")
  return obligations(settle).map(({ name, peer, holds }) => ({
    name,
    run: Effect.suspend(() => {
      const far = makeFar()
      const fail = (expected: string, seen: string): Effect.Effect<never, ContractViolation> =>
        Effect.fail(new ContractViolation({ check: name, expected, seen }))
      const checked = Effect.scoped(Effect.gen(function*() {
        const transport = yield* FluxTransport
        yield* holds({ transport, far, fail })
      })).pipe(
        Effect.provide(harness((query, session) => {
          far.queries.push(query)
          return peer(far, session)
        })),
        Effect.catchIf((error): error is Exclude<typeof error, ContractViolation> => !(error instanceof ContractViolation), (error) =>
          fail("no failure", `it failed with ${String(error)}`))
      )
      const tooLate = Effect.delay(fail(`an end within ${Duration.format(bound)}`, "it hangs"), bound)
      // a transport that cannot be interrupted is left behind
      return firstOf<void, ContractViolation, never>([checked, tooLate], patience)
    })
  }))
}

/** What the other side has seen. */
interface Far {
  readonly queries: Array<string>
  readonly frames: Array<Frame>
  /** Completes when the peer has done what the check waits for. */
  readonly reached: Deferred.Deferred<void>
  /** The connection is gone. */
  readonly released: Deferred.Deferred<void>
  readonly bodyEnded: Deferred.Deferred<number>
  readonly server: Deferred.Deferred<Server>
}
const makeFar = (): Far => ({
  queries: [],
  frames: [],
  reached: Deferred.makeUnsafe(),
  released: Deferred.makeUnsafe(),
  bodyEnded: Deferred.makeUnsafe(),
  server: Deferred.makeUnsafe()
})
const done = (deferred: Deferred.Deferred<void>): Effect.Effect<void> => Effect.asVoid(Deferred.succeed(deferred, undefined))

interface Given {
  readonly transport: FluxTransport["Service"]
  readonly far: Far
  readonly fail: (expected: string, seen: string) => Effect.Effect<never, ContractViolation>
}
interface Obligation {
  readonly name: string
  readonly peer: (far: Far, session: number) => Peer
  readonly holds: (given: Given) => Effect.Effect<void, unknown, Scope.Scope>
}

const query = "model=flux-general-en&keyterm=a%20b&keyterm=%C3%A9t%C3%A9&tag=x-_.~"
const text = (message: string): Frame => ({ dataType: "UTF8", bytes: new TextEncoder().encode(message) })
const audio = (length: number, value: number): Frame => ({ dataType: "BINARY", bytes: new Uint8Array(length).fill(value) })
const spoken: ReadonlyArray<string> = [
  `{"type":"Connected"}`,
  "caf\u00e9 \u{1F600} \u65e5\u672c\u8a9e",
  JSON.stringify({ type: "TurnInfo", transcript: "na\u00efve ".repeat(25_000) }),
  "the last"
]
const same = (a: Frame | undefined, b: Frame | undefined): boolean =>
  a?.dataType === b?.dataType && a?.bytes.length === b?.bytes.length && (a?.bytes.every((byte, at) => byte === b?.bytes[at]) ?? true)

/** A peer that keeps what it receives. */
const keeping = (far: Far, more: Peer = {}): Peer => ({
  opened: (server) => Effect.asVoid(Deferred.succeed(far.server, server)),
  received: (frame) => Effect.sync(() => void far.frames.push({ dataType: frame.dataType, bytes: frame.bytes.slice() })),
  ended: () => Effect.asVoid(Deferred.succeed(far.bodyEnded, far.frames.length)),
  released: done(far.released),
  ...more
})
/** A peer that takes one message and then reads no more. */
const stuck = (far: Far): Peer => keeping(far, { received: () => Effect.andThen(done(far.reached), Effect.never) })

/** Messages up to a number, or the end. */
const read = (connection: FluxConnection, count: number): Effect.Effect<Array<string>, FluxError.FluxError> =>
  Stream.runCollect(Stream.take(connection.messages, count))
const isFluxError = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Option.exists(Exit.findErrorOption(exit), (error) => error instanceof FluxError.FluxError)
const describe = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "it succeeded" : `it ended with ${Option.match(Exit.findErrorOption(exit), { onNone: () => "a defect or an interruption", onSome: String })}`
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** How long a check that is over may take to clear up. */
const patience = Duration.millis(500)
/** Most that may be taken by a transport whose peer does not read, in bytes. */
const maxTaken = 8 * 1024 * 1024
const bulk = 64 * 1024

const obligations = (settle: Effect.Effect<void>): ReadonlyArray<Obligation> => [
  {
    name: "says what the endpoint understands",
    peer: (far) => keeping(far),
    holds: ({ fail, transport: { capabilities } }) => {
      const { configure, eotThreshold, eotTimeoutMs, forceEndTurn, name, numerals, profanityFilter, redact } = capabilities
      const flags = [configure, forceEndTurn, numerals, profanityFilter, redact]
      const ranges = [...eotThreshold, ...eotTimeoutMs]
      return name !== "" && flags.every((flag) => typeof flag === "boolean") && ranges.length === 4 && ranges.every(Number.isFinite)
        ? Effect.void
        : fail("complete capabilities", JSON.stringify(capabilities))
    }
  },
  {
    name: "passes the query as it is",
    peer: (far) => keeping(far),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const { requestId, variant } = yield* transport.open(query)
      if (far.queries[0] !== query) return yield* fail(query, String(far.queries[0]))
      if (typeof requestId !== "string") return yield* fail("a request id", typeof requestId)
      if (variant !== undefined && typeof variant !== "string") return yield* fail("a variant or none", typeof variant)
    })
  },
  {
    name: "is open once it is accepted, before anything is said or sent",
    peer: (far) => keeping(far),
    holds: ({ transport }) => Effect.asVoid(transport.open(query))
  },
  {
    name: "brings messages whole and in order, whatever they say and however long",
    peer: (far) => keeping(far, { opened: (server) => Effect.forEach(spoken, server.say, { discard: true }) }),
    holds: Effect.fnUntraced(function*({ fail, transport }) {
      const messages = yield* read(yield* transport.open(query), spoken.length)
      for (const [at, message] of spoken.entries()) {
        if (messages[at] !== message) return yield* fail(`message ${at} of ${message.length} characters`, `it was ${messages[at]?.length ?? "not there"}`)
      }
    })
  },
  {
    name: "loses nothing that was said before anybody read, nor between two who read",
    peer: (far) =>
      keeping(far, {
        opened: (server) => Effect.andThen(Effect.forEach(["a", "b", "c"], server.say, { discard: true }), done(far.reached))
      }),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const connection = yield* transport.open(query)
      yield* Deferred.await(far.reached)
      yield* settle
      const messages = yield* read(connection, 3)
      if (messages.join() !== "a,b,c") return yield* fail("a,b,c", messages.join())
    })
  },
  {
    name: "ends the messages where the server ends well",
    peer: (far) => keeping(far, { opened: (server) => Effect.andThen(server.say("a"), server.end) }),
    holds: Effect.fnUntraced(function*({ fail, transport }) {
      const connection = yield* transport.open(query)
      const exit = yield* Effect.exit(Stream.runCollect(connection.messages))
      if (!Exit.isSuccess(exit)) return yield* fail("a good end", describe(exit))
      else if (exit.value.join() !== "a") return yield* fail("a", exit.value.join())
    })
  },
  {
    name: "fails the messages with a FluxError where the server breaks, after what came before",
    peer: (far) =>
      keeping(far, {
        opened: (server) => Effect.andThen(server.say("a"), server.say("b")),
        received: (_, server) => server.fail(new FluxError.ConnectionLost({ detail: "broken on purpose" }))
      }),
    holds: Effect.fnUntraced(function*({ fail, transport }) {
      const connection = yield* transport.open(query)
      const seen: Array<string> = []
      const reading = yield* fork(Effect.exit(Stream.runForEach(connection.messages, (message) => Effect.sync(() => void seen.push(message)))))
      yield* settle
      yield* Effect.exit(connection.send(text("break")))
      const exit = yield* Fiber.join(reading)
      if (seen.join() !== "a,b") return yield* fail("a,b", seen.join())
      if (!isFluxError(exit)) return yield* fail("a FluxError", describe(exit))
    })
  },
  {
    name: "fails to open with a FluxError where the server refuses",
    peer: (far) =>
      keeping(far, { accept: Effect.fail(FluxError.make(new FluxError.Rejected({ detail: "on purpose" }), "open")) }),
    holds: Effect.fnUntraced(function*({ fail, transport }) {
      const exit = yield* Effect.exit(transport.open(query))
      if (!isFluxError(exit)) return yield* fail("a FluxError", describe(exit))
    })
  },
  {
    name: "gives up an opening that nobody answers, and leaves nothing behind",
    peer: (far) => keeping(far, { accept: Effect.andThen(done(far.reached), Effect.never) }),
    holds: Effect.fnUntraced(function*({ far, transport }) {
      const opening = yield* fork(Effect.scoped(transport.open(query)))
      yield* Deferred.await(far.reached)
      yield* Fiber.interrupt(opening)
      yield* Deferred.await(far.released)
    })
  },
  {
    name: "brings frames in order, with their type and every byte",
    peer: (far) => keeping(far),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const connection = yield* transport.open(query)
      const frames = [audio(2, 1), text("\u{1F600}"), audio(2560, 0), audio(bulk, 7), text(`{"type":"CloseStream"}`), audio(1, 255)]
      for (const frame of frames) yield* connection.send(frame)
      yield* connection.end
      yield* Deferred.await(far.bodyEnded)
      for (const [at, frame] of frames.entries()) {
        const came = far.frames[at]
        if (!same(frame, came)) return yield* fail(`${frame.dataType} of ${frame.bytes.length} bytes`, `frame ${at} was ${came?.dataType} of ${came?.bytes.length}`)
      }
    })
  },
  {
    name: "is done with a buffer once it is sent",
    peer: (far) => keeping(far),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const connection = yield* transport.open(query)
      const bytes = new Uint8Array(2560)
      for (let value = 1; value <= 20; value++) {
        bytes.fill(value)
        yield* connection.send({ dataType: "BINARY", bytes })
        bytes.fill(0)
      }
      yield* connection.end
      yield* Deferred.await(far.bodyEnded)
      const values = far.frames.map(({ bytes }) => bytes[0]).join()
      const expected = Array.from({ length: 20 }, (_, at) => at + 1).join()
      if (values !== expected) return yield* fail(expected, values)
    })
  },
  {
    name: "ends the body behind all that was sent",
    peer: (far) => keeping(far),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const connection = yield* transport.open(query)
      for (let at = 0; at < 50; at++) yield* connection.send(audio(2560, at))
      yield* connection.end
      const before = yield* Deferred.await(far.bodyEnded)
      if (before !== 50) return yield* fail("50 frames before the end", `${before} were`)
    })
  },
  {
    name: "makes a sender wait for a peer that does not read, in bounded memory, and lets it give up",
    peer: stuck,
    holds: Effect.fnUntraced(function*({ fail, transport }) {
      const connection = yield* transport.open(query)
      let taken = 0
      const send = Effect.tap(connection.send(audio(bulk, 1)), () => Effect.sync(() => void taken++))
      const flood = yield* fork(Effect.exit(Effect.repeat(send, { times: maxTaken / bulk })))
      // until it waits, however slow the machine is
      for (let before = -1; taken > before && flood.pollUnsafe() === undefined;) {
        before = taken
        yield* settle
      }
      if (flood.pollUnsafe() !== undefined) return yield* fail(`a sender that waits before ${maxTaken} bytes`, describe(yield* Fiber.join(flood)))
      yield* Fiber.interrupt(flood)
    })
  },
  {
    name: "fails a send after the connection broke, and does not hang",
    peer: (far) => keeping(far),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const connection = yield* transport.open(query)
      const server = yield* Deferred.await(far.server)
      yield* server.fail(new FluxError.ConnectionLost({ detail: "broken on purpose" }))
      yield* Effect.exit(Stream.runDrain(connection.messages))
      const exit = yield* Effect.exit(connection.send(audio(2560, 1)))
      if (!isFluxError(exit)) return yield* fail("a FluxError", describe(exit))
    })
  },
  ...(["nobody does anything", "somebody waits for a message", "somebody waits to send"] as const).map((state): Obligation => ({
    name: `frees the other side when its Scope closes while ${state}`,
    peer: (far) => (state === "somebody waits to send" ? stuck(far) : keeping(far)),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const scope = yield* Scope.make()
      const connection = yield* transport.open(query).pipe(Scope.provide(scope))
      const waiting = state === "nobody does anything"
        ? undefined
        : yield* fork(Effect.exit(
          state === "somebody waits to send"
            ? Effect.repeat(connection.send(audio(bulk, 1)), { times: maxTaken / bulk })
            : Stream.runDrain(connection.messages)
        ))
      if (state === "somebody waits to send") yield* Deferred.await(far.reached)
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(far.released)
      if (waiting === undefined) return
      yield* settle
      // a sender must learn of it; a reader is its session's, which stops it
      if (waiting.pollUnsafe() === undefined && state === "somebody waits to send") return yield* fail("a sender that fails", "it waits on")
      yield* Fiber.interrupt(waiting)
    })
  })),
  {
    name: "keeps connections apart: one that breaks, and one that is not read, do not touch another",
    peer: (far, session) =>
      session === 0
        ? keeping(far, { opened: (server) => Effect.delay(server.fail(new FluxError.ConnectionLost({ detail: "on purpose" })), 0) })
        : session === 1
        ? { received: () => Effect.never }
        : keeping(far, { opened: (server) => server.say("hello") }),
    holds: Effect.fnUntraced(function*({ far, fail, transport }) {
      const broken = yield* transport.open(query)
      yield* Effect.exit(Stream.runDrain(broken.messages))
      const unread = yield* transport.open(query)
      const sending = yield* fork(Effect.exit(Effect.repeat(unread.send(audio(2560, 1)), { times: 20 })))
      const connection = yield* transport.open(query)
      yield* connection.send(audio(2560, 1))
      const messages = yield* read(connection, 1)
      yield* connection.end
      yield* Deferred.await(far.bodyEnded)
      yield* Fiber.interrupt(sending)
      if (messages.join() !== "hello") return yield* fail("hello", messages.join())
    })
  }
]
