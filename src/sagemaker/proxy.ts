/** Which proxy stands between this machine and an endpoint, by what is given in code and by the environment. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as FluxError from "../FluxError.ts"
import * as percent from "../internal/percent.ts"
import { hostOf, portOf } from "./address.ts"
import * as NoProxy from "./noProxy.ts"
import * as variables from "./variables.ts"

/** An HTTP proxy that opens tunnels. */
export interface Proxy {
  /** Without credentials. */
  readonly url: URL
  /** The value of `Proxy-Authorization`. */
  readonly authorization: Redacted.Redacted | undefined
  /** The variable or option that names it. */
  readonly source: string
}

/** The way to an endpoint; `why` says to people why it is this one, without credentials. */
export interface Route {
  readonly proxy: Proxy | undefined
  readonly why: string
}

type Answer = Result.Result<Route, FluxError.SettingsIssue>

const direct = (why: string): Answer => Result.succeed({ proxy: undefined, why })

/** Host and port of a proxy, for people. */
export const nameOf = ({ url }: Proxy): string => `${url.hostname}:${portOf(url)}`

const through = (text: string, source: string): Answer =>
  Result.map(parse(text, source), (proxy) => ({ proxy, why: `${proxy.url.protocol}//${nameOf(proxy)} (${source})` }))

/** Some write a percent sign as it is. */
const decoded = (text: string): string => percent.decode(text) ?? text

/** A proxy by its URL; `host:port` alone is one of http://. No problem repeats the text, which may hold a password. */
const parse = (text: string, source: string): Result.Result<Proxy, FluxError.SettingsIssue> => {
  const fail = (problem: string) => Result.fail({ setting: source, problem })
  const trimmed = text.trim()
  const [, scheme = "http"] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(trimmed) ?? []
  if (!/^https?$/i.test(scheme)) {
    return fail(`a proxy of ${scheme.toLowerCase()}:// is not supported: give one of http:// or https://, or host:port`)
  }
  const url = URL.parse(trimmed.includes("://") ? trimmed : `http://${trimmed}`)
  if (url === null || url.hostname === "") {
    return fail("must be a URL such as http://host:port, with special characters of user and password percent-encoded")
  }
  if (!/^\/?$/.test(url.pathname) || `${url.search}${url.hash}` !== "") {
    return fail("must have no path, query or fragment; special characters of user and password are percent-encoded")
  }
  const { password, username } = url
  const credentials = `${decoded(username)}:${decoded(password)}`
  url.username = ""
  url.password = ""
  const isBare = `${username}${password}` === ""
  return Result.succeed({
    url,
    authorization: isBare ? undefined : Redacted.make(`Basic ${Buffer.from(credentials, "utf8").toString("base64")}`),
    source
  })
}

const variable = (name: string): Config.Config<string> => Config.String(name).pipe(Config.withDefault(""))

/** The first of these that has a value, and its name. As curl, this takes the lower-case one first. */
const firstOf = (names: ReadonlyArray<string>): Config.Config<variables.Named | undefined> =>
  Config.map(Config.all(names.map(variable)), (values) =>
    variables.first(Object.fromEntries(names.map((name, at) => [name, values[at]])), names))

const environment = Config.all({
  proxy: firstOf(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
  without: firstOf(["no_proxy", "NO_PROXY"])
})

/**
 * The way to an endpoint. `given` is a proxy's URL, which holds whatever the environment says, or `false` for none; else
 * `HTTPS_PROXY` (or `ALL_PROXY`) unless `NO_PROXY` names the host, in capitals or not. Only `given` holds for http://.
 */
export const route = Effect.fnUntraced(function*(given: string | false | undefined, target: URL): Effect.fn.Return<Answer> {
  if (given === false) return direct("none, by the option proxy")
  if (typeof given === "string") return through(given, "proxy")
  // not every caller has a type checker
  if ((given ?? undefined) !== undefined) return Result.fail({ setting: "proxy", problem: "must be a URL, or false for none" })
  if (target.protocol === "http:") return direct("none: http:// is reached directly")
  const found = yield* Effect.result(environment)
  if (Result.isFailure(found)) return Result.fail({ setting: "HTTPS_PROXY", problem: "cannot be read" })
  const { proxy, without } = found.success
  if (proxy === undefined) return direct("none")
  const entry = without && NoProxy.match(without.value, hostOf(target), portOf(target))
  return entry === undefined
    ? through(proxy.value, proxy.name)
    : direct(`none: ${without?.name} has ${entry}, and so ${proxy.name} does not hold`)
})
