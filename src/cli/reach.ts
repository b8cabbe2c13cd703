/** What `flux-stt doctor` says of the way to the endpoint, step by step. */
import * as Effect from "effect/Effect"
import type { TLSSocket } from "node:tls"
import type { FluxError } from "../FluxError.ts"
import { portOf } from "../sagemaker/address.ts"
import * as probe from "../sagemaker/probe.ts"
import { nameOf, type Route } from "../sagemaker/proxy.ts"
import { trustAlso } from "../sagemaker/tunnel.ts"
import * as Finding from "./Finding.ts"
import * as steps from "./steps.ts"

/** The checks of it, in order. */
export const checks = ["name", "tcp", "proxy", "tls", "http2", "clock"] as const
type Check = typeof checks[number]

/** Where to, and how. */
export interface Way {
  readonly url: URL
  /** PEM to trust the server by, in place of the usual roots, and a proxy besides them. */
  readonly ca: string | undefined
  /** Through a proxy, or directly. */
  readonly route: Route
  readonly target: Finding.Target
  readonly tell: steps.Tell
}

/** Goes it and tells each finding; says whether the server was reached. What comes after a step that fails is skipped. */
export const reach = ({ ca, route, target, tell, url }: Way): Effect.Effect<boolean> => {
  const explain = (check: Check, error: FluxError): Finding.Finding => {
    const finding = Finding.fromError(check, error, target)
    // the port is open by then
    return isMute(check, finding.found) ? { ...finding, todo: muteTodo } : finding
  }
  return steps.run({ checks, tell, explain, why: (failed) => `${failed} failed` }, Effect.fnUntraced(function*(begin) {
    const way = route.proxy && { url, proxy: route.proxy, trusted: trustAlso(route.proxy, ca) }
    const whose = way === undefined ? "" : ` (of the proxy, ${nameOf(way.proxy)})`
    begin("name")
    const addresses = yield* way === undefined ? probe.lookup(url) : probe.lookupProxy(way)
    yield* tell(Finding.ok("name", `${resolved(addresses)}${whose}`))

    begin("tcp")
    const socket = yield* way === undefined ? probe.dial(url) : probe.dialProxy(way)
    yield* tell(Finding.ok("tcp", `port ${socket.remotePort} is open${whose}`))

    begin("proxy")
    if (way !== undefined) yield* probe.tunnel(way, socket)
    yield* tell(Finding.ok("proxy", way === undefined ? route.why : `${route.why} leads to ${url.hostname}:${portOf(url)}`))

    begin("tls")
    const secured = url.protocol === "http:" ? undefined : yield* probe.secure(url, socket, ca)
    yield* tell(secured === undefined ? Finding.skipped("tls", "http:// has none") : Finding.ok("tls", trusted(secured)))

    begin("http2")
    const { ahead } = yield* probe.greet(url, secured ?? socket)
    yield* tell(Finding.ok("http2", "the server speaks it"))
    yield* tell(clock(ahead))
  }))
}

const isMute = (check: Check, found: string): boolean => check === "http2" || (check === "tls" && /nothing came|closed the connection/.test(found))
const muteTodo =
  "The port is open, and what answers there is no SageMaker endpoint: check host and port (SageMaker streams on port 8443 only; 443 takes connections and hangs), and proxies in between."

const shownAddresses = 3

const resolved = (addresses: ReadonlyArray<string>): string =>
  `${addresses.slice(0, shownAddresses).join(", ")}${addresses.length > shownAddresses ? ", ..." : ""}`

const trusted = (socket: TLSSocket): string => {
  const { issuer, valid_to } = socket.getPeerCertificate()
  const by = [issuer?.O, issuer?.CN].flat().find((name) => name !== undefined)
  return `${socket.getProtocol()}; certificate ${by === undefined ? "" : `of ${by}, `}valid until ${valid_to}`
}

/** A clock that is so far off, in seconds, is worth knowing; one that is AWS's bound off has its signatures refused. */
const [noticeable, refused] = [30, 300]

const clock = (ahead: number | undefined): Finding.Finding => {
  if (ahead === undefined) return Finding.skipped("clock", "the server does not tell the time")
  const seconds = Math.round(Math.abs(ahead) / 1000)
  if (seconds < noticeable) return Finding.ok("clock", "within seconds of the server's")
  const found = `${seconds} s ${ahead > 0 ? "behind" : "ahead of"} the server's`
  return Finding.warning("clock", found, seconds < refused
    ? "Synchronise it: AWS refuses signatures that are five minutes off"
    : "Synchronise it: AWS refuses such signatures; this client corrects them by the answer, which costs a refused request")
}
