import { assert, describe, it } from "@effect/vitest"
import * as crypto from "node:crypto"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as selfsigned from "selfsigned"
import * as certificate from "../../../src/simulator/server/certificate.ts"

/** Serves one handshake, and gives the client's verdict on it. */
const verdict = (served: certificate.Certificate, ca: string, host: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const server = tls.createServer(served)
    server.on("tlsClientError", () => {})
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const socket = tls.connect({ port, host: "127.0.0.1", ca, checkServerIdentity: (_, peer) => tls.checkServerIdentity(host, peer) })
      const done = (verdict: string): void => {
        socket.destroy()
        server.close()
        resume(Effect.succeed(verdict))
      }
      socket.on("error", (error) => done(error.message))
      socket.on("secureConnect", () => done("trusted"))
    })
  })

describe("certificate", () => {
  it.live("is trusted under this machine's names and the host's, once it is known, and under no other", () =>
    Effect.gen(function*() {
      const made = yield* certificate.make("simulator.test")
      for (const host of ["localhost", "127.0.0.1", "::1", "simulator.test"]) {
        assert.strictEqual(yield* verdict(made, made.cert, host), "trusted", host)
      }
      assert.include(yield* verdict(made, made.cert, "example.com"), "does not match certificate's altnames")
      const other = yield* certificate.make("localhost")
      assert.include(yield* verdict(made, other.cert, "localhost"), "self-signed certificate")
      const address = yield* certificate.make("192.0.2.7")
      assert.strictEqual(new crypto.X509Certificate(address.cert).checkIP("192.0.2.7"), "192.0.2.7")
    }))

  it.live("vouches for no other certificate", () =>
    Effect.gen(function*() {
      const made = yield* certificate.make("localhost")
      const leaf = yield* Effect.promise(() =>
        selfsigned.generate([{ name: "commonName", value: "leaf" }], {
          keyType: "ec",
          algorithm: "sha256",
          ca: made,
          extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }]
        })
      )
      const served = { cert: `${leaf.cert}\n${made.cert}`, key: leaf.private }
      assert.notStrictEqual(yield* verdict(served, made.cert, "localhost"), "trusted")
      assert.isFalse(new crypto.X509Certificate(made.cert).ca)
    }))

  it.effect("is an elliptic one, new each time, valid from an hour ago for seven days by the Clock", () =>
    Effect.gen(function*() {
      // 2026-01-02T03:04:05Z
      yield* TestClock.setTime(1_767_323_045_000)
      const one = yield* certificate.make("localhost")
      const two = yield* certificate.make("localhost")
      const x509 = new crypto.X509Certificate(one.cert)
      assert.strictEqual(x509.validFrom, "Jan  2 02:04:05 2026 GMT")
      assert.strictEqual(x509.validTo, "Jan  9 03:04:05 2026 GMT")
      assert.deepInclude(x509.publicKey.asymmetricKeyDetails, { namedCurve: "prime256v1" })
      assert.isTrue(x509.checkPrivateKey(crypto.createPrivateKey(one.key)))
      assert.notStrictEqual(one.key, two.key)
    }))

  it.effect("says what to do where the library is missing", () =>
    Effect.gen(function*() {
      const missing = Promise.reject(new Error("Cannot find package 'selfsigned'"))
      const error = yield* Effect.flip(certificate.make("localhost", () => missing))
      assert.strictEqual(error._tag, "CertificateFailed")
      assert.match(error.message, /install the package selfsigned.*or give --cert and --key/)
    }))

  it.effect("tells a certificate that cannot be used with its key", () =>
    Effect.gen(function*() {
      const one = yield* certificate.make("localhost")
      const two = yield* certificate.make("localhost")
      assert.deepStrictEqual(yield* certificate.check(one), one)
      const brokenChain = `${one.cert}\n-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n`
      for (
        const wrong of [
          { ...one, key: two.key },
          { ...one, cert: "rubbish" },
          { ...one, key: "" },
          { ...one, cert: "" },
          { ...one, cert: brokenChain }
        ]
      ) {
        const error = yield* Effect.flip(certificate.check(wrong))
        assert.strictEqual(error._tag, "CertificateFailed")
        assert.include(error.message, "cannot be used with its key")
        assert.notInclude(error.message, "PRIVATE KEY")
      }
    }))
})
