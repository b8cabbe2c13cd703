/**
 * A tunnel through an HTTP proxy. Node's own HTTP client makes the CONNECT request: its parser takes an answer in any pieces,
 * bounds it, and gives back the bytes that came with it. The socket belongs to whoever asks for the tunnel, at any moment.
 * No library does it: `https-proxy-agent` drops bytes that come with the answer, reads headers without a limit, and prints
 * credentials when it is debugged.
 */
import * as http from "node:http"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as FluxError from "../FluxError.ts"
import type { Problem } from "../internal/proxyFault.ts"
import { hostOf, portOf } from "./address.ts"
import { bareError } from "./errors.ts"
import { nameOf, type Proxy } from "./proxy.ts"
import * as sockets from "./sockets.ts"

/** Through which proxy to which server. */
export interface Way {
  readonly url: URL
  readonly proxy: Proxy
  /** Whom to trust if the proxy speaks TLS; see {@link trustAlso}. */
  readonly trusted: tls.SecureContext | undefined
}

/** For a proxy of TLS, PEM besides the usual roots: a proxy's certificate may be of either. Undefined: the usual roots. To be made once. */
export const trustAlso = ({ url }: Proxy, ca: string | undefined): tls.SecureContext | undefined =>
  ca === undefined || url.protocol === "http:" ? undefined : tls.createSecureContext({ ca: [...tls.getCACertificates("default"), ca] })

/** How long a proxy may take for all of it, seconds: less than the bound of opening, whose error cannot name the proxy. */
const bound = 10

/** `said` are Node's words or ours. A proxy's own are not repeated: it knows secrets. */
const failed = ({ proxy, url }: Way, problem: Problem, said: string, status?: number): FluxError.FluxError =>
  FluxError.make(
    new FluxError.ConnectFailed({ target: url.host, proxy: { host: nameOf(proxy), problem, status }, cause: new Error(said) }),
    "open"
  )

/** The proxy is not there. */
export const unreachable = (way: Way, cause: unknown): FluxError.FluxError =>
  failed(way, "unreachable", bareError(cause, []).message)

/** Bounds a step by seconds. */
export const within = (seconds: number, way: Way, step: Effect.Effect<void, FluxError.FluxError>): Effect.Effect<void, FluxError.FluxError> =>
  sockets.within(seconds, step, () => failed(way, "mute", `no answer within ${seconds} s`))

/** A socket to the proxy, which begins to connect. Its errors harm nobody. */
export const dial = ({ proxy, trusted }: Way): net.Socket => {
  const host = hostOf(proxy.url)
  const address = { host, port: portOf(proxy.url) }
  const socket = proxy.url.protocol === "http:" ? net.connect(address) : tls.connect({
    ...address,
    ALPNProtocols: ["http/1.1"],
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    ...(trusted === undefined ? {} : { secureContext: trusted })
  })
  return socket.on("error", ignore)
}

/** Waits until the socket of {@link dial} is connected, with TLS where the proxy speaks it. */
export const connected = (way: Way, socket: net.Socket): Effect.Effect<void, FluxError.FluxError> =>
  Effect.suspend(() => {
    const isSecure = socket instanceof tls.TLSSocket
    let isReached = false
    const reached = (): void => void (isReached = true)
    socket.once("connect", reached)
    return sockets.happens(socket, isSecure ? "secureConnect" : "connect", {
      ended: "it closed the connection",
      explain: (cause) => isReached && isSecure ? failed(way, "tls", bareError(cause, []).message) : unreachable(way, cause)
    }).pipe(Effect.ensuring(Effect.sync(() => socket.off("connect", reached))))
  })

/** Asks a connected proxy for the tunnel; from then on the socket speaks with the server itself. */
export const request = (way: Way, socket: net.Socket): Effect.Effect<void, FluxError.FluxError> =>
  Effect.callback<void, FluxError.FluxError>((resume) => {
    const { proxy: { authorization }, url } = way
    const authority = `${url.hostname}:${portOf(url)}`
    const fail = (problem: Problem, said: string, status?: number): void => resume(Effect.fail(failed(way, problem, said, status)))
    const asked = http.request({
      method: "CONNECT",
      path: authority,
      headers: {
        host: authority,
        "proxy-connection": "keep-alive",
        ...(authorization === undefined ? {} : { "proxy-authorization": Redacted.value(authorization) })
      },
      createConnection: () => socket
    })
    asked.once("connect", ({ statusCode = 0 }, _, head: Buffer) => {
      if (statusCode < 200 || statusCode > 299) return fail("refused", http.STATUS_CODES[statusCode] ?? "", statusCode)
      if (head.length > 0) socket.unshift(head)
      resume(Effect.void)
    })
    asked.on("error", (error: NodeJS.ErrnoException) =>
      error.code?.startsWith("HPE_") === true
        ? fail("not-http", "what it answers is no HTTP")
        : fail("closed", "the connection ended before an answer"))
    asked.end()
    return Effect.sync(() => asked.destroy())
  })

/** Makes a socket of {@link dial} a tunnel, within a bound. */
export const establish = (way: Way, socket: net.Socket): Effect.Effect<void, FluxError.FluxError> =>
  within(bound, way, Effect.andThen(connected(way, socket), request(way, socket)))

const ignore = (): void => undefined
