/**
 * Changes of settings while a session runs (protocol 3.2): at most one Configure is out, later changes wait and
 * coalesce, answers are matched by the values that Flux echoes, and one that never comes does not hold up the next.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FluxError from "../FluxError.ts"
import type * as FluxMessage from "../FluxMessage.ts"
import { baseLanguages, fluxEotThreshold, fluxEotTimeoutMs, type Settings } from "./settings.ts"
import type { Duty } from "./watch.ts"

/** Settings that Configure can change. */
export const keys = ["eotThreshold", "eagerEotThreshold", "eotTimeoutMs", "keyterm", "languageHints", "numerals"] as const
/** One of them. */
export type Key = (typeof keys)[number]

/** What is in force at Flux, in settings of ours; Flux's own defaults are spelled out. */
export type Active = Pick<Required<Settings>, Exclude<Key, "eagerEotThreshold">> & Pick<Settings, "eagerEotThreshold">

/** What settings ask of Flux, as far as Configure can. */
export const activeOf = (settings: Settings): Active => ({
  eotThreshold: settings.eotThreshold ?? fluxEotThreshold,
  ...(settings.eagerEotThreshold === undefined ? {} : { eagerEotThreshold: settings.eagerEotThreshold }),
  eotTimeoutMs: settings.eotTimeoutMs ?? fluxEotTimeoutMs,
  keyterm: settings.keyterm,
  languageHints: baseLanguages(settings.languageHints),
  numerals: settings.numerals ?? false
})

/** Where two configurations differ. */
export const differing = (from: Active, to: Active): ReadonlyArray<Key> => keys.filter((key) => !same(key, from[key], to[key]))

/** What became of a change. */
export interface Told {
  readonly applied: (keys: ReadonlyArray<Key>) => void
  /** Flux refused; what is wanted is what was in force before, but for what has been changed again since then. */
  readonly rejected: (
    keys: ReadonlyArray<Key>,
    answer: { readonly code?: string | undefined; readonly description?: string | undefined }
  ) => void
  /** No answer within the bound: whether these are in force is not known. */
  readonly unanswered: (keys: ReadonlyArray<Key>) => void
}

/** See the module. */
export interface Configurator {
  /** What is in force, or on its way. */
  readonly wanted: () => Active
  /** Wants this to be in force, from the call on: a later one may rest on it. Completes when Flux has said that it is. */
  readonly want: (active: Active) => Effect.Effect<void, FluxError.FluxError>
  /** Flux listens from now on. */
  readonly start: () => void
  readonly onSuccess: (echo: FluxMessage.ConfigureSuccess) => void
  readonly onFailure: (answer: FluxMessage.ConfigureFailure) => void
  /** The session is over: everybody who waits fails with this. */
  readonly stop: (error: FluxError.FluxError) => void
  /** Gives up an answer that does not come. A duty of the session's watch. */
  readonly look: Duty<never>
}

type Waiter = Deferred.Deferred<void, FluxError.FluxError>

/** A Configure that is out. */
interface InFlight {
  readonly keys: ReadonlyArray<Key>
  readonly active: Active
  readonly waiters: Array<Waiter>
  /** When it is given up, ms; undefined while it waits to be handed over, as until then Flux has nothing to answer. */
  deadline: number | undefined
}

/** A new one. */
export const make = (options: {
  /** What the query string asked for. */
  readonly initial: Active
  /** The rules that a whole configuration must obey; the broken ones. */
  readonly check: (active: Active) => ReadonlyArray<FluxError.SettingsIssue>
  readonly now: () => number
  /** Bound on Flux's answer, ms. */
  readonly timeout: () => number
  /** There is something to give up so soon. */
  readonly dueIn: (millis: number) => void
  /** Sends a Configure, before any audio that waits, and tells when it is handed over. */
  readonly send: (change: FluxMessage.Configure, handedOver: () => void) => void
  readonly failure: (reason: FluxError.Reason) => FluxError.FluxError
  readonly told: Told
}): Configurator => {
  const { failure, now, told } = options
  let confirmed = options.initial
  let wanted = options.initial
  let waiting: Array<Waiter> = []
  let inFlight: InFlight | undefined
  /** What was changed since the last Configure, also where it is now as it was there. */
  let since: ReadonlySet<Key> = new Set()
  /** What a Configure asked for whose answer did not come, or may have been that of another: it goes along with the next one. */
  let uncertain: ReadonlySet<Key> = new Set()
  /** Whether an answer has ever been given up: it may still come, and then be taken for that of another. */
  let missed = false
  let started = false
  let stopped: FluxError.FluxError | undefined

  const settle = (waiters: ReadonlyArray<Waiter>, exit: Exit.Exit<void, FluxError.FluxError>): void => {
    for (const waiter of waiters) Deferred.doneUnsafe(waiter, exit)
  }

  /** Sends what is wanted and not confirmed, unless an answer is awaited. */
  const next = (): void => {
    if (!started || stopped !== undefined || inFlight !== undefined) return
    const open = keys.filter((key) =>
      wanted[key] !== undefined && (uncertain.has(key) || !same(key, confirmed[key], wanted[key])))
    const waiters = waiting
    waiting = []
    if (waiters.length === 0 && differing(confirmed, wanted).length === 0) return
    if (open.length === 0) return settle(waiters, Exit.void)
    since = new Set()
    const out: InFlight = { keys: open, active: wanted, waiters, deadline: undefined }
    inFlight = out
    options.send(messageOf(open, wanted), () => {
      const timeout = options.timeout()
      out.deadline = now() + timeout
      options.dueIn(timeout)
    })
  }

  /** After a refusal the changes that waited stand on other ground than they were checked on. */
  const recheck = (): void => {
    const issues = options.check(wanted)
    if (issues.length === 0) return
    const dropped = differing(confirmed, wanted)
    if (dropped.length === 0) return
    const waiters = waiting
    waiting = []
    wanted = confirmed
    const description = issues.map(({ problem, setting }) => `${setting}: ${problem}`).join("; ")
    told.rejected(dropped, { description })
    settle(waiters, Exit.fail(failure(new FluxError.InvalidSettings({ issues }))))
  }

  const giveUp = (out: InFlight): void => {
    inFlight = undefined
    missed = true
    uncertain = new Set([...uncertain, ...out.keys])
    told.unanswered(out.keys)
    settle(out.waiters, Exit.fail(failure(new FluxError.ConfigureUnanswered({ settings: [...out.keys], seconds: options.timeout() / 1000 }))))
    if (waiting.length > 0) next()
  }

  const look: Configurator["look"] = () => {
    const out = inFlight
    if (out?.deadline === undefined) return Number.POSITIVE_INFINITY
    const left = out.deadline - now()
    if (left > 0) return left
    giveUp(out)
    return look()
  }

  return {
    wanted: () => wanted,
    want: (active) => {
      if (stopped !== undefined) return Effect.fail(stopped)
      const nothingNew = differing(wanted, active).length === 0 && waiting.length === 0
      if (nothingNew && inFlight === undefined && uncertain.size === 0) return Effect.void
      const waiter = Deferred.makeUnsafe<void, FluxError.FluxError>()
      // who asks for what is asked for already gets the same answer
      if (nothingNew && inFlight !== undefined) inFlight.waiters.push(waiter)
      else {
        since = new Set([...since, ...differing(wanted, active)])
        wanted = active
        waiting.push(waiter)
        next()
      }
      return Deferred.await(waiter)
    },
    start: () => {
      started = true
      next()
    },
    onSuccess: (message) => {
      const out = inFlight
      // nobody waits for it, and no answer is missing
      if (out === undefined && !missed) return
      const echo = echoed(message, confirmed, out?.active ?? wanted)
      if (out !== undefined && out.keys.some((key) => !same(key, echo[key], out.active[key]))) return
      const before = confirmed
      confirmed = echo
      uncertain = new Set()
      inFlight = undefined
      // what is not wanted is asked for anew below, but for this: there is no word for none
      if (wanted.eagerEotThreshold === undefined) wanted = { ...wanted, ...pick(echo, ["eagerEotThreshold"]) }
      const news = keys.filter((key) => out?.keys.includes(key) === true || (!same(key, before[key], echo[key]) && same(key, wanted[key], echo[key])))
      if (news.length > 0) told.applied(news)
      settle(out?.waiters ?? [], Exit.void)
      next()
    },
    onFailure: ({ code, description }) => {
      const out = inFlight
      // where none is out it is the late answer to one that was given up
      const refused = out?.keys ?? [...uncertain]
      if (refused.length === 0) return
      inFlight = undefined
      // it may be that of another, and then these are in force
      if (missed) uncertain = new Set([...uncertain, ...refused])
      // what was changed again since then is still wanted
      const back = refused.filter((key) => !since.has(key))
      wanted = { ...without(wanted, back), ...pick(confirmed, back) }
      const answer = { code: code ?? undefined, description: description ?? undefined }
      told.rejected(refused, answer)
      settle(out?.waiters ?? [], Exit.fail(failure(new FluxError.SettingsRefused({ settings: [...refused], code: answer.code }))))
      recheck()
      next()
    },
    stop: (error) => {
      stopped ??= error
      settle([...(inFlight?.waiters ?? []), ...waiting], Exit.fail(error))
      inFlight = undefined
      waiting = []
    },
    look
  }
}

const pick = (from: Active, which: ReadonlyArray<Key>): Partial<Active> =>
  Object.fromEntries(which.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]])))

/** An eager threshold that goes back to none is not there any more. */
const without = (wanted: Active, back: ReadonlyArray<Key>): Active => {
  const { eagerEotThreshold, ...rest } = wanted
  return eagerEotThreshold === undefined || back.includes("eagerEotThreshold") ? rest : { ...rest, eagerEotThreshold }
}

const messageOf = (which: ReadonlyArray<Key>, active: Active): FluxMessage.Configure => {
  const has = (key: Key): boolean => which.includes(key)
  const thresholds = {
    ...(has("eotThreshold") ? { eot_threshold: active.eotThreshold } : {}),
    ...(active.eagerEotThreshold !== undefined && has("eagerEotThreshold") ? { eager_eot_threshold: active.eagerEotThreshold } : {}),
    ...(has("eotTimeoutMs") ? { eot_timeout_ms: active.eotTimeoutMs } : {})
  }
  return {
    ...(Object.keys(thresholds).length === 0 ? {} : { thresholds }),
    ...(has("keyterm") ? { keyterms: active.keyterm } : {}),
    ...(has("languageHints") ? { language_hints: active.languageHints } : {}),
    ...(has("numerals") ? { numerals: active.numerals } : {})
  }
}

/** What Flux says is in force. Not every bundle tells of hints and numerals: then they are as they were asked for. */
const echoed = (
  { keyterms, language_hints, numerals, thresholds }: FluxMessage.ConfigureSuccess,
  before: Active,
  asked: Active
): Active => {
  const eager = thresholds.eager_eot_threshold
  return {
    eotThreshold: thresholds.eot_threshold ?? before.eotThreshold,
    ...(eager == null ? {} : { eagerEotThreshold: eager }),
    eotTimeoutMs: thresholds.eot_timeout_ms ?? before.eotTimeoutMs,
    keyterm: keyterms,
    languageHints: language_hints == null ? asked.languageHints : baseLanguages(language_hints),
    numerals: numerals ?? asked.numerals
  }
}

/** Numbers are 32-bit floats on the wire, and lists may come back in another order. */
const same = (key: Key, a: Active[Key], b: Active[Key]): boolean => {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) < (key === "eotTimeoutMs" ? 0.5 : 1e-4)
  if (Array.isArray(a) && Array.isArray(b)) return normal(a) === normal(b)
  return a === b
}
const normal = (list: ReadonlyArray<unknown>): string => JSON.stringify(list.map((item) => String(item).trim()).toSorted())
