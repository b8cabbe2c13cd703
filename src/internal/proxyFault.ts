/** What a proxy did in place of opening a tunnel: what to say of it, and what to do. Pure. */
import * as Schema from "effect/Schema"

/**
 * - `unreachable`: it is not there
 * - `tls`: it speaks another TLS than is asked for, or none, or is not trusted
 * - `mute`: it gives no answer in time
 * - `closed`: it ends the connection before it has answered
 * - `not-http`: it answers something that is no HTTP
 * - `refused`: it answers by a status, and opens none
 */
export const Problem = Schema.Literals(["unreachable", "tls", "mute", "closed", "not-http", "refused"])
export type Problem = typeof Problem.Type

/** A proxy on the way to an endpoint. */
export const ProxyState = Schema.Struct({
  /** Host and port, without credentials. */
  host: Schema.String,
  /** Absent where it did open the tunnel. */
  problem: Schema.optional(Problem),
  /** The HTTP status of one that refused. */
  status: Schema.optional(Schema.Int)
})
export type ProxyState = typeof ProxyState.Type

/** What happened; `said` is what Node says of it: an error's message, the words of a status, `no answer within 10 s`. */
export const describe = (problem: Problem, status: number | undefined, said: string): string => {
  switch (problem) {
    case "unreachable":
      return `the proxy cannot be reached: ${said}`
    case "tls":
      return `the proxy's TLS cannot be used: ${said}`
    case "mute":
      return `the proxy gave ${said}`
    case "closed":
      return "the proxy closed the connection before it answered"
    case "not-http":
      return "the proxy does not speak HTTP"
    case "refused":
      return `the proxy answered ${status ?? ""} ${said}`.trimEnd()
  }
}

const elsewhere = "HTTPS_PROXY or the option proxy names it; NO_PROXY, or proxy: false, goes without it"

/** What to do about it. */
export const hint = (problem: Problem, status: number | undefined, said: string): string => {
  switch (problem) {
    case "unreachable":
      return `Check the proxy's name and port: ${elsewhere}`
    case "tls":
      return /wrong version number|packet length too long|EPROTO/.test(said)
        ? "The proxy does not speak TLS: give its URL as http://"
        : "The proxy's certificate is not trusted: give its CA with caFile or AWS_CA_BUNDLE"
    case "mute":
      return "The proxy hangs, or drops CONNECT to port 8443: ask who runs it to allow that port, or add the endpoint's host to NO_PROXY"
    case "closed":
      return "The proxy may not allow CONNECT to port 8443: ask who runs it, or add the endpoint's host to NO_PROXY"
    case "not-http":
      return `What answers there is no HTTP proxy, or one that speaks TLS (give it as https://): ${elsewhere}`
    case "refused":
      return refusal(status ?? 0)
  }
}

const refusal = (status: number): string => {
  if (status === 407) return "The proxy wants other credentials, or any: give them in its URL, http://user:password@host:port, percent-encoded"
  return status >= 400 && status < 500
    ? "The proxy may not allow CONNECT to port 8443 (Squid's default SSL_ports allows 443 only): allow it there, or add the endpoint's host to NO_PROXY if it is reached without a proxy"
    : "The proxy does not reach the endpoint: check that it resolves the endpoint's name and may go to port 8443, or add the host to NO_PROXY"
}
