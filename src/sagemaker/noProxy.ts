/**
 * `NO_PROXY`: which hosts are reached without the proxy. There is no standard; this is what curl, Go and Python agree on.
 * Names are compared as they are written, and are not looked up. No library does it: `proxy-from-env` knows no ranges of
 * addresses, and takes a bare `host:port` of a proxy for one of https://.
 */
import * as net from "node:net"

/** `host:port`, `[::1]:port`, or without the port. */
const split = (entry: string): readonly [host: string, port: string | undefined] => {
  const [, inBrackets, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? []
  return [inBrackets ?? name ?? entry, port]
}

const isInRange = (host: string, range: string): boolean => {
  const [, network = "", bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(range) ?? []
  const family = net.isIP(network)
  const size = family === 6 ? 128 : 32
  const prefix = Number(bits ?? size)
  if (family === 0 || prefix > size) return false
  const list = new net.BlockList()
  list.addSubnet(network, prefix, family === 6 ? "ipv6" : "ipv4")
  return list.check(host, net.isIP(host) === 6 ? "ipv6" : "ipv4")
}

const isInDomain = (host: string, pattern: string): boolean => {
  if (pattern.startsWith("*")) return host.endsWith(pattern.slice(1))
  const domain = pattern.replace(/^\./, "").replace(/\.$/, "")
  return domain !== "" && (host === domain || host.endsWith(`.${domain}`))
}

/**
 * The entry of a list that holds for a host and port, as it stands there; undefined where none does. Entries have commas or
 * blanks between them: `*` is every host, `example.com`, `.example.com` and `*.example.com` a domain with all below it
 * (the last one without the domain itself), `10.0.0.0/8`, `::1` or `[::1]` addresses; a port at the end narrows an entry to
 * that port. A broken entry holds for nothing.
 */
export const match = (list: string, host: string, port: number): string | undefined => {
  const asked = host.toLowerCase().replace(/\.$/, "")
  return list.split(/[\s,]+/).find((entry) => {
    if (entry === "") return false
    if (entry === "*") return true
    const [pattern, ownPort] = split(entry.toLowerCase())
    if (ownPort !== undefined && Number(ownPort) !== port) return false
    return net.isIP(asked) === 0 ? isInDomain(asked, pattern) : isInRange(asked, pattern)
  })
}
