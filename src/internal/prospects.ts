/** Whether it is worth the trying again, and for how long, by what a session failed with. Pure. */
import type { ConnectFailed, FluxError } from "../FluxError.ts"

/**
 * - `none`: no other session would cure it
 * - `brief`: it is most often a mistake in name or address, and may be a server that is about to be there
 * - `full`: an outage, which passes
 */
export type Prospect = "none" | "brief" | "full"

/**
 * What to expect after a failure. A call that was Connected before has shown that address, rights and certificate are
 * right: what is wrong with them now may pass, but for what is wrong with the call's own wishes.
 */
export const of = (error: FluxError, wasConnected: boolean): Prospect => {
  const { reason } = error
  switch (reason._tag) {
    case "InvalidRequest":
    case "Unauthorized":
    case "CredentialsUnavailable":
      return wasConnected || error.isRetryable ? "full" : "none"
    case "ConnectFailed":
      return wasConnected ? "full" : ofConnecting(reason)
    default:
      return error.isRetryable ? "full" : "none"
  }
}

const ofConnecting = ({ cause, proxy }: ConnectFailed): Prospect => {
  if (proxy?.problem !== undefined) return ofProxy(proxy.problem, proxy.status)
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  if (untrusted.test(code)) return "none"
  return mistaken.test(code) ? "brief" : "full"
}

/** One that says no has been set up so. */
const ofProxy = (problem: NonNullable<NonNullable<ConnectFailed["proxy"]>["problem"]>, status = 0): Prospect => {
  if (problem === "tls" || (problem === "refused" && status < 500)) return "none"
  return problem === "mute" || problem === "refused" ? "full" : "brief"
}

/** What Node names a certificate by that it does not trust. */
const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY|DECRYPT|DECODE)|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED|CRL_/
/** There is no such name, nothing listens there, or what does speaks another protocol; the last has no code where it is not HTTP/2. */
const mistaken = /^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EPROTO|ERR_SSL_\w+|)$/
