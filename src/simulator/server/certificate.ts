/** The certificate of a simulator that speaks TLS: one made at its start, or one given. */
import * as crypto from "node:crypto"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** PEM texts. */
export interface Certificate {
  /** May be a chain, the server's own first. */
  readonly cert: string
  readonly key: string
}

/** There is no certificate to listen with; the message says what to do. */
export class CertificateFailed extends Schema.TaggedError<CertificateFailed>()("CertificateFailed", {
  problem: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The simulator has no certificate for TLS: ${this.problem}`
  }
}

const hour = 3_600_000
/** How long a certificate holds from its making, ms: longer than any test, too short to be kept. */
const validFor = 7 * 24 * hour
/** Every simulator is known by these. */
const names = ["localhost", "127.0.0.1", "::1"]

const date = (millis: number) => DateTime.toDateUtc(DateTime.makeUnsafe(millis))

/** What is used of the library that makes certificates; its own types are there only where it is installed. */
interface Library {
  readonly generate: (
    names: Array<{ readonly name: string; readonly value: string }>,
    options: object
  ) => Promise<{ readonly cert: string; readonly private: string }>
}
/** It is optional, as few need it. */
const library = (): Promise<Library> => import("selfsigned")

/**
 * Makes a certificate for this machine's own names and `host`, valid from an hour ago for seven days by the Clock. It
 * signs itself and can vouch for no other. `load` is for tests.
 */
export const make = Effect.fnUntraced(function*(
  host: string,
  load: typeof library = library
): Effect.fn.Return<Certificate, CertificateFailed> {
  const { generate } = yield* Effect.tryPromise({
    try: load,
    catch: (cause) =>
      new CertificateFailed({ problem: "install the package selfsigned, which makes one, or give --cert and --key", cause })
  })
  const now = yield* Clock.currentTimeMillis
  const made = yield* Effect.tryPromise({
    try: () =>
      generate([{ name: "commonName", value: "flux-stt simulator" }], {
        keyType: "ec",
        curve: "P-256",
        algorithm: "sha256",
        notBeforeDate: date(now - hour),
        notAfterDate: date(now + validFor),
        extensions: [
          { name: "basicConstraints", cA: false, critical: true },
          { name: "keyUsage", digitalSignature: true, critical: true },
          { name: "extKeyUsage", serverAuth: true },
          { name: "subjectAltName", altNames: [...new Set([...names, host])].map(altName) }
        ]
      }),
    catch: (cause) => new CertificateFailed({ problem: `none can be made for ${host}`, cause })
  })
  return { cert: made.cert, key: made.private }
})

/** Gives back a certificate that can be used with its key, so that a wrong one is told before anybody connects. */
export const check = (given: Certificate): Effect.Effect<Certificate, CertificateFailed> =>
  Effect.try({
    try: () => {
      // an empty text would pass for a server without a certificate
      const key = crypto.createPrivateKey(given.key)
      if (!new crypto.X509Certificate(given.cert).checkPrivateKey(key)) throw new Error("it is the key of another")
      // the rest of a chain, too
      tls.createSecureContext({ cert: given.cert, key: given.key })
      return given
    },
    catch: (cause) =>
      new CertificateFailed({
        problem: `the one given cannot be used with its key (${cause instanceof Error ? cause.message : String(cause)})`,
        cause
      })
  })

/** The kinds of X.509: 7 is an address, 2 a DNS name. */
const altName = (name: string) =>
  net.isIP(name) === 0 ? { type: 2, value: name } as const : { type: 7, ip: name } as const
