/**
 * Keeps what a caller asked for out of errors: a server may repeat keyterms, tags or the whole query in what it says of a
 * failure, and errors go into logs and spans. Pure.
 */
import * as FluxError from "../FluxError.ts"
import { encode } from "./percent.ts"
import { query, type Settings } from "./settings.ts"

/** See the module. */
export interface Discretion {
  /** These settings were asked for; what was asked for before stays known. */
  readonly learn: (settings: Settings) => void
  /** The reason with what is known taken out of the words of others. */
  readonly reason: (reason: FluxError.Reason) => FluxError.Reason
}

/** What stands in place of a keyterm; also what a text ends in that was cut. */
const gap = "..."
/** Flux takes 100 keyterms at a time. */
const maxTerms = 1000
/** What is longer says no more, and would make the search slow. */
const maxScanned = 4096
const maxText = 500

/** A new one, that knows these settings. */
export const make = (settings: Settings): Discretion => {
  const terms = new Set<string>()

  const learn = (asked: Settings): void => {
    for (const term of [...asked.keyterm, ...asked.tag]) {
      for (const form of term.isWellFormed() ? [term, encode(term)] : [term]) {
        const trimmed = form.trim()
        // what is asked for again is the newest
        terms.delete(trimmed)
        if (trimmed !== "") terms.add(trimmed)
      }
    }
    for (const oldest of terms) {
      if (terms.size <= maxTerms) break
      terms.delete(oldest)
    }
  }

  const text = (given: string): string => {
    let clean = given.slice(0, maxScanned)
    for (const whole of [asked, decodeURIComponent(asked)]) clean = clean.replaceAll(whole, gap)
    // the longest first: one may be a part of another
    for (const term of [...terms].toSorted((a, b) => b.length - a.length)) clean = clean.replace(wholeWord(term), gap)
    if (given.length > maxScanned || clean.endsWith(gap)) clean = withoutTornTerm(clean, terms)
    return clean.length > maxText ? `${clean.slice(0, maxText)}${gap}` : clean
  }
  /** A name, such as a code of Flux, is not looked into: it says what to do. */
  const name = (given: string): string => (plainName.test(given) ? given : text(given))
  const nameOrNone = (given: string | undefined): string | undefined => (given === undefined ? undefined : name(given))
  const foreign = (cause: unknown): unknown => {
    if (!(cause instanceof Error)) return typeof cause === "string" ? text(cause) : cause
    const message = text(cause.message)
    if (message === cause.message) return cause
    const clean = Object.assign(new Error(message), { name: cause.name })
    return "code" in cause && typeof cause.code === "string" ? Object.assign(clean, { code: cause.code }) : clean
  }

  const reason = (given: FluxError.Reason): FluxError.Reason => {
    switch (given._tag) {
      case "FluxFatal":
        return new FluxError.FluxFatal({ code: name(given.code), description: text(given.description) })
      case "ModelStreamError":
        return new FluxError.ModelStreamError({ errorCode: nameOrNone(given.errorCode), detail: text(given.detail) })
      case "StreamFailure":
        return new FluxError.StreamFailure({ errorCode: nameOrNone(given.errorCode), detail: text(given.detail) })
      case "InvalidRequest":
        return new FluxError.InvalidRequest({
          status: given.status,
          errorType: nameOrNone(given.errorType),
          detail: text(given.detail)
        })
      case "Unauthorized":
        return new FluxError.Unauthorized({
          status: given.status,
          errorType: nameOrNone(given.errorType),
          detail: text(given.detail)
        })
      case "Rejected":
        return new FluxError.Rejected({
          detail: text(given.detail),
          originalStatusCode: given.originalStatusCode,
          logStreamArn: given.logStreamArn,
          ...(given.endpoint === undefined ? {} : { endpoint: given.endpoint })
        })
      case "Throttled":
        return new FluxError.Throttled({ detail: text(given.detail) })
      case "ServiceUnavailable":
        return new FluxError.ServiceUnavailable({ status: given.status, detail: text(given.detail) })
      case "MalformedFrame":
        return new FluxError.MalformedFrame({ detail: text(given.detail) })
      case "ConnectionLost":
        return new FluxError.ConnectionLost({
          detail: text(given.detail),
          ...(given.cause === undefined ? {} : { cause: foreign(given.cause) })
        })
      case "ConnectFailed":
        return new FluxError.ConnectFailed({
          target: given.target,
          ...(given.proxy === undefined ? {} : { proxy: given.proxy }),
          cause: foreign(given.cause)
        })
      case "SettingsRefused":
        return new FluxError.SettingsRefused({ settings: given.settings, code: nameOrNone(given.code) })
      default:
        return given
    }
  }

  const asked = query(settings)
  learn(settings)
  return { learn, reason }
}

const plainName = /^[\w.:-]{1,100}$/

const wholeWord = (text: string): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}])${literal(text).replaceAll(/\s+/g, "\\s+")}(?![\\p{L}\\p{N}])`, "giu")
const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

/** A text that was cut may end within a term. */
const withoutTornTerm = (text: string, terms: Iterable<string>): string => {
  const cut = text.endsWith(gap) ? text.slice(0, -gap.length) : text
  const lower = cut.toLowerCase()
  let torn = 0
  for (const any of terms) {
    const term = any.toLowerCase()
    for (let length = term.length - 1; length > torn; length--) {
      if (lower.endsWith(term.slice(0, length)) && !/[\p{L}\p{N}]/u.test(lower.at(-length - 1) ?? "")) torn = length
    }
  }
  return torn === 0 ? text : `${cut.slice(0, cut.length - torn)}${gap}`
}
