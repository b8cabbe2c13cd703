/**
 * Where connections come in: one that speaks HTTP/2, over TLS where the server has it, is handed on; another is told
 * what the server speaks, as far as it can understand that, and the server's log is, too.
 */
import type * as net from "node:net"
import { type Duplex, duplexPair, pipeline } from "node:stream"
import * as tls from "node:tls"
import * as greeting from "./greeting.ts"

/** What an entrance is made of. */
export interface Options {
  /** With TLS where given. */
  readonly secureContext: tls.SecureContext | undefined
  /** Told of what is wrong within TLS. */
  readonly onRubbish: (problem: string) => void
  /** Told of a client that speaks something else, in words for whoever runs it. */
  readonly onStranger: (problem: string) => void
}

/** Takes a socket that has just connected; `serve` is given what speaks HTTP/2 from its first byte on. */
export type Entrance = (socket: net.Socket, serve: (carrier: Duplex) => void) => void

/** A new {@link Entrance}. Whoever calls it destroys sockets that say too little for too long. */
export const make = ({ onRubbish, onStranger, secureContext }: Options): Entrance => {
  const turnAway = (carrier: Duplex, problem: string): void => {
    onStranger(problem)
    carrier.end(http1Answer(secureContext !== undefined))
    // what is still sent is read, lest a reset overtake the answer
    carrier.resume()
  }
  if (secureContext === undefined) {
    return (socket, serve) =>
      meet(socket, (spoken) => {
        if (spoken === "tls") return turnAway(socket, "the client speaks TLS, and this port does not: its URL begins with http:")
        if (spoken === "http1") return turnAway(socket, "the client speaks HTTP/1, and this port HTTP/2 only, with prior knowledge")
        serve(socket)
      })
  }
  const secured = (socket: net.Socket, serve: (carrier: Duplex) => void): void => {
    const plain = new tls.TLSSocket(socket, { isServer: true, secureContext, ALPNCallback: agree })
    plain.on("error", ({ message }) => onRubbish(message))
    plain.once("secure", () => {
      if (plain.alpnProtocol === "h2") return serve(relay(plain))
      const problem = "the client does not offer HTTP/2, which ALPN has to agree on"
      meet(plain, (spoken) => {
        if (spoken === "http1") return turnAway(plain, problem)
        onStranger(problem)
        socket.destroy()
      })
    })
  }
  return (socket, serve) =>
    meet(socket, (spoken) => {
      if (spoken === "http1") return turnAway(socket, "the client speaks HTTP/1 without TLS, and this port HTTP/2 over TLS: its URL begins with https:")
      if (spoken === "http2") onStranger("the client speaks HTTP/2 without TLS, and this port over TLS: its URL begins with https:")
      secured(socket, serve)
    })
}

/** Hears what a client says first, and puts it back. */
const meet = (carrier: Duplex, then: (spoken: greeting.Greeting) => void): void => {
  let heard: Buffer = Buffer.alloc(0)
  const listen = (chunk: Buffer): void => {
    heard = Buffer.concat([heard, chunk])
    const spoken = greeting.read(heard)
    if (spoken === undefined) return
    carrier.off("data", listen)
    carrier.pause()
    carrier.unshift(heard)
    then(spoken)
  }
  carrier.on("data", listen)
}

/** HTTP/2 where it is offered, else HTTP/1.1, so that its client can be told; who offers neither gets TLS's own alert. */
const agree = ({ protocols }: { readonly protocols: ReadonlyArray<string> }): string | undefined =>
  ["h2", "http/1.1"].find((protocol) => protocols.includes(protocol))

/**
 * For a client of HTTP/1, in the form of AWS's errors, so that an SDK shows it. A client of TLS that gets it in place of
 * a handshake says "wrong version number", the words that people know.
 */
const http1Answer = (isSecure: boolean): string => {
  const way = isSecure ? "over TLS, where ALPN has to agree on h2" : "without TLS, with prior knowledge: it takes no upgrade from HTTP/1.1"
  const message = `This is a simulator of a SageMaker endpoint, flux-stt simulate. It speaks HTTP/2 only, ${way}.`
  const body = `${JSON.stringify({ message })}\n`
  return [
    "HTTP/1.1 505 HTTP Version Not Supported",
    "Content-Type: application/json",
    "X-Amzn-ErrorType: HttpVersionNotSupported",
    `Content-Length: ${body.length}`,
    "Connection: close",
    "",
    body
  ].join("\r\n")
}

/**
 * The plain bytes of TLS as a stream of their own. On TLS's socket itself HTTP/2 may not see a client go: where a
 * write of control frames fails unheard, all that come after wait for ever, and nothing is read meanwhile.
 */
const relay = (plain: tls.TLSSocket): Duplex => {
  const [inside, outside] = duplexPair()
  pipeline(plain, inside, plain, () => outside.destroy())
  outside.on("close", () => plain.destroy())
  return outside
}
