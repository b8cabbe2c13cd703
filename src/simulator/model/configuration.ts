/** What of a session can change while it runs: Configure and its answers (protocol 2.3, 3.2). Pure. */
import * as Result from "effect/Result"
import type { ConfigureSuccess } from "../../FluxMessage.ts"
import type { Model } from "../../internal/settings.ts"
import type { Change } from "./clientMessage.ts"
import type { Profile } from "../Profile.ts"
import * as query from "./query.ts"

/** What is in force. */
export type Configuration = Pick<
  query.Query,
  "eotThreshold" | "eagerEotThreshold" | "eotTimeoutMs" | "keyterms" | "languageHints" | "numerals" | "profanityFilter"
>

/**
 * Lays a change over what is in force, all or nothing, by the rules of the query string. Fails with the first rule
 * that is broken. Thresholds are compared where both are in the message, and only there (protocol 3.2).
 */
export const apply = (
  active: Configuration,
  change: Change,
  { limits }: Profile,
  model: Model
): Result.Result<Configuration, string> => {
  const asked: ReadonlyArray<readonly [query.Changeable, string | number | undefined]> = [
    ["eot_threshold", change.eotThreshold],
    ["eager_eot_threshold", change.eagerEotThreshold],
    ["eot_timeout_ms", change.eotTimeoutMs],
    ...(change.keyterms ?? []).map((term) => ["keyterm", term] as const),
    ...(change.languageHints ?? []).map((hint) => ["language_hint", hint] as const)
  ]
  for (const [key, value] of asked) {
    const problem = value === undefined ? undefined : query.problemOf(key, String(value), limits)
    if (problem !== undefined) return Result.fail(`${key}: ${problem}`)
  }
  const { eagerEotThreshold, eotThreshold } = change
  if (eagerEotThreshold !== undefined && eotThreshold !== undefined && eagerEotThreshold > eotThreshold) {
    return Result.fail(query.eagerAboveEot)
  }
  if ((change.keyterms?.length ?? 0) > query.maxKeyterms) return Result.fail(`keyterms: more than ${query.maxKeyterms}`)
  if (change.languageHints !== undefined && model !== "flux-general-multi") {
    return Result.fail(`language_hints is not supported for model ${model}`)
  }
  return Result.succeed({
    eotThreshold: eotThreshold ?? active.eotThreshold,
    eagerEotThreshold: eagerEotThreshold ?? active.eagerEotThreshold,
    eotTimeoutMs: change.eotTimeoutMs ?? active.eotTimeoutMs,
    keyterms: change.keyterms ?? active.keyterms,
    languageHints: change.languageHints?.map(query.baseLanguage) ?? active.languageHints,
    numerals: change.numerals ?? active.numerals,
    // of the query alone: whether a Configure may have it is not known
    ...(active.profanityFilter === undefined ? {} : { profanityFilter: active.profanityFilter })
  })
}

/** The fields of a ConfigureSuccess: all that is in force, as far as the bundle tells it. */
export const echo = (
  active: Configuration,
  { limits, unsetEager }: Profile,
  model: Model
): Pick<ConfigureSuccess, "thresholds" | "keyterms" | "language_hints" | "numerals" | "profanity_filter"> => ({
  thresholds: {
    ...(active.eagerEotThreshold === undefined && unsetEager === "absent"
      ? {}
      : { eager_eot_threshold: active.eagerEotThreshold ?? null }),
    eot_threshold: active.eotThreshold,
    eot_timeout_ms: active.eotTimeoutMs
  },
  keyterms: active.keyterms,
  ...(model === "flux-general-multi" ? { language_hints: active.languageHints } : {}),
  ...(limits.numerals ? { numerals: active.numerals } : {}),
  // "may" be there, says the protocol (11.2): where it was asked for
  ...(active.profanityFilter === undefined ? {} : { profanity_filter: active.profanityFilter })
})
