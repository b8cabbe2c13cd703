import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Capture from "../src/Capture.ts"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import { type FluxConnection, FluxTransport } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as TransportContract from "../src/TransportContract.ts"
import * as peerServer from "./support/peerServer.ts"
import { credentials } from "./support/rawClient.ts"

const sageMaker = (connections: SageMakerTransport.ConnectionMode): TransportContract.Harness => (peer) =>
  Layer.unwrap(Effect.map(peerServer.PeerServer, ({ url }) =>
    SageMakerTransport.layer({ endpointName: "e", region: "us-east-1", endpointUrl: url, credentials, connections })
  )).pipe(Layer.provide(peerServer.layer(peer)))
const fake: TransportContract.Harness = (peer) => FakeTransport.layerPeer(peer)
const captured: TransportContract.Harness = (peer) =>
  Capture.layer({ write: () => Effect.void }).pipe(Layer.provide(FakeTransport.layerPeer(peer)))
const onTestClock = { settle: TestClock.adjust(0) }

describe("the contract of a transport", () => {
  for (const mode of ["isolated", "shared"] as const) {
    describe(`SageMakerTransport, ${mode}`, () => {
      for (const check of TransportContract.checks(sageMaker(mode))) it.live(check.name, () => check.run)
    })
  }
  describe("FakeTransport", () => {
    for (const check of TransportContract.checks(fake, onTestClock)) it.effect(check.name, () => check.run)
  })
  describe("a captured transport", () => {
    for (const check of TransportContract.checks(captured, onTestClock)) it.effect(check.name, () => check.run)
  })
})

/** A fake whose connections are spoilt. */
const spoilt = (spoil: {
  readonly transport?: (transport: FluxTransport["Service"]) => FluxTransport["Service"]
  readonly connection?: (connection: FluxConnection) => FluxConnection
}): TransportContract.Harness => (peer) =>
  Layer.effect(FluxTransport, Effect.map(FluxTransport, (inner) => {
    const transport = spoil.transport?.(inner) ?? inner
    return FluxTransport.of({
      ...transport,
      open: (query) => Effect.map(transport.open(query), (connection) => spoil.connection?.(connection) ?? connection)
    })
  })).pipe(Layer.provide(FakeTransport.layerPeer(peer)))
const messages = (change: (all: FluxConnection["messages"]) => FluxConnection["messages"]) =>
  spoilt({ connection: (connection) => ({ ...connection, messages: change(connection.messages) }) })
const sends = (change: (send: FluxConnection["send"]) => FluxConnection["send"]) =>
  spoilt({ connection: (connection) => ({ ...connection, send: change(connection.send) }) })

/** Transports that break one promise each, and the checks that say so. */
const broken: ReadonlyArray<readonly [what: string, harness: TransportContract.Harness, checks: ReadonlyArray<string>]> = [
  ["knows nothing of its endpoint", spoilt({
    transport: (inner) => ({ ...inner, capabilities: { ...inner.capabilities, eotThreshold: [Number.NaN, 1] } })
  }), ["says what the endpoint understands"]],
  ["writes the query anew", spoilt({
    transport: (inner) => ({ ...inner, open: (query) => inner.open(query.replaceAll("%20", "+")) })
  }), ["passes the query as it is"]],
  ["waits for the first message", spoilt({
    transport: (inner) => ({
      ...inner,
      open: (query) => Effect.tap(inner.open(query), (connection) => Effect.ignore(Stream.runDrain(Stream.take(connection.messages, 1))))
    })
  }), ["is open once it is accepted, before anything is said or sent"]],
  ["cuts long messages", messages(Stream.map((text) => text.slice(0, 65_536))), ["brings messages whole and in order, whatever they say and however long"]],
  ["spoils what is not ASCII", messages(Stream.map((text) => text.replaceAll(/[^\0-\x7f]/g, "?"))), ["brings messages whole and in order, whatever they say and however long"]],
  ["swallows what comes before the reader", messages((all) => Stream.drop(all, 1)), [
    "loses nothing that was said before anybody read, nor between two who read",
    "ends the messages where the server ends well"
  ]],
  ["never ends", messages((all) => Stream.concat(all, Stream.never)), ["ends the messages where the server ends well"]],
  ["takes a break for an end", messages((all) => Stream.catch(all, () => Stream.empty)), ["fails the messages with a FluxError where the server breaks, after what came before"]],
  ["fails with something else", messages((all) => Stream.catch(all, () => Stream.die("oops"))), ["fails the messages with a FluxError where the server breaks, after what came before"]],
  ["dies where it is refused", spoilt({
    transport: (inner) => ({ ...inner, open: (query) => Effect.orDie(inner.open(query)) })
  }), ["fails to open with a FluxError where the server refuses"]],
  ["cannot be given up", spoilt({
    transport: (inner) => ({ ...inner, open: (query) => Effect.uninterruptible(inner.open(query)) })
  }), ["gives up an opening that nobody answers, and leaves nothing behind"]],
  ["takes text for audio", sends((send) => (frame) => send({ ...frame, dataType: "BINARY" })), ["brings frames in order, with their type and every byte"]],
  ["sends later", sends((send) => {
    const waiting: Array<Parameters<FluxConnection["send"]>[0]> = []
    return (frame) => {
      waiting.push(frame)
      return waiting.length < 3 ? Effect.void : Effect.forEach(waiting.splice(0), send, { discard: true })
    }
  }), ["is done with a buffer once it is sent", "ends the body behind all that was sent"]],
  ["has no end to what it takes", sends((send) => (frame) => Effect.asVoid(Effect.forkDetach(send(frame), { startImmediately: true }))), [
    "makes a sender wait for a peer that does not read, in bounded memory, and lets it give up"
  ]],
  ["hangs where it broke", sends((send) => (frame) => Effect.catch(send(frame), () => Effect.never)), ["fails a send after the connection broke, and does not hang"]],
  ["says nothing of a break to who sends", sends((send) => (frame) => Effect.ignore(send(frame))), ["fails a send after the connection broke, and does not hang"]],
  ["keeps what it should free", spoilt({
    transport: (inner) => ({
      ...inner,
      open: (query) => Effect.flatMap(Scope.make(), (scope) => inner.open(query).pipe(Scope.provide(scope)))
    })
  }), [
    "gives up an opening that nobody answers, and leaves nothing behind",
    "frees the other side when its Scope closes while nobody does anything",
    "frees the other side when its Scope closes while somebody waits for a message",
    "frees the other side when its Scope closes while somebody waits to send"
  ]],
  ["sends one after the other for all", ((): TransportContract.Harness => {
    const gate = Deferred.makeUnsafe<void>()
    let first = true
    return sends((send) => (frame) => {
      if (!first) return Effect.andThen(Deferred.await(gate), send(frame))
      first = false
      return Effect.ensuring(send(frame), Deferred.succeed(gate, undefined))
    })
  })(), ["keeps connections apart: one that breaks, and one that is not read, do not touch another"]]
]

describe("a transport that breaks its contract", () => {
  for (const [what, harness, expected] of broken) {
    it.live(`is found out: one that ${what}`, () =>
      Effect.gen(function*() {
        const checks = TransportContract.checks(harness, { settle: Effect.sleep("20 millis"), bound: "300 millis" })
        const failed: Array<string> = []
        for (const check of checks.filter(({ name }) => expected.includes(name))) {
          const violation = yield* Effect.flip(check.run)
          assert.strictEqual(violation._tag, "ContractViolation")
          failed.push(check.name)
        }
        assert.deepStrictEqual(failed.toSorted(), expected.toSorted())
      }))
  }

  it("leaves no check that nothing can fail", () => {
    const found = new Set(broken.flatMap(([, , checks]) => checks))
    assert.deepStrictEqual(TransportContract.checks(fake).map(({ name }) => name).filter((name) => !found.has(name)), [])
  })

  it("tells what was expected and what was seen", () => {
    const violation = new TransportContract.ContractViolation({ check: "a check", expected: "this", seen: "that" })
    assert.strictEqual(violation.message, "a check: expected this, but that")
    assert.isFalse(violation instanceof FluxError.FluxError)
  })
})
