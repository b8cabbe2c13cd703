/** Whether what a provider of credentials failed with may pass by itself, or somebody must change something first. Pure. */

/** A status of HTTP as the SDK's providers tell it: `status: 503`, or `(503)` behind their words. */
const answersFailing = /\bstatus(?: code)?:? (?:429|5\d\d)\b|\((?:429|5\d\d)\)/

/**
 * Of words: who was asked is out of reach, overloaded or failing for now, or gave what has run out in the meantime; or a
 * `credential_process` ran and failed. One that cannot be started, or prints rubbish, will do the same again.
 */
export const mayPass = (words: string): boolean =>
  words.startsWith("Command failed") ? !isNoCommand(words) : passing.some((pattern) => pattern.test(words))

const passing: ReadonlyArray<RegExp> = [
  /\bE(?:CONN(?:REFUSED|RESET|ABORTED)|TIMEDOUT|HOST(?:UNREACH|DOWN)|NET(?:UNREACH|DOWN)|AI_AGAIN|NOTFOUND|PIPE|AGAIN|MFILE|NFILE)\b/,
  /\btime(?:d )?-?out\b|Timeout(?:Error)?\b|socket hang up|fetch failed|socket disconnected|\bUnable to connect\b/i,
  answersFailing,
  /throttl|too ?many ?requests|slow ?down|service ?unavailable|internal ?(?:server|service)? ?(?:error|failure|exception)|IDPCommunicationError/i,
  /expired credentials|ExpiredToken/,
  // what stands before a service answers in its place, as HTML
  /Deserialization error/
]

/** Of the words of a role's service: it is there, and fails. */
export const isFailingService = (words: string): boolean => answersFailing.test(words)

/** Of an error, by what the SDK knows of it besides its words. */
export const errorMayPass = (error: Error): boolean => {
  const metadata = "$metadata" in error ? error.$metadata : undefined
  const status = typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata ? metadata.httpStatusCode : undefined
  if (typeof status === "number" && (status >= 500 || status === 429)) return true
  if ("$retryable" in error && error.$retryable !== undefined) return true
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  return mayPass(`${error.name}: ${error.message} ${code}`)
}

/** The shell's own words, which it says of what it cannot start; a program's have its own name before them. */
const isNoCommand = (words: string): boolean =>
  words.split(/\r?\n/).slice(1).some((line) =>
    /^(?:\/\S*\/)?(?:ba|da|z|k|a)?sh: .*(?:not found|: No such file or directory|: Permission denied|: Exec format error|: cannot execute.*)$/.test(line) ||
    /is not recognized as an internal or external command/.test(line)
  )

/**
 * Of what the caller's own provider threw: anything may pass, as nobody knows what it is, but what the SDK's providers
 * say where nothing is set up, as of a profile that there is not.
 */
export const thrownMayPass = (cause: unknown): boolean => {
  if (!(cause instanceof Error) || cause.name !== "CredentialsProviderError") return true
  if (cause.message.startsWith("Command failed")) return mayPass(cause.message)
  return !lasting.some((pattern) => pattern.test(cause.message))
}

const lasting: ReadonlyArray<RegExp> = [
  /^Could not load credentials from any providers/,
  /^Could not resolve credentials using profile/,
  /^Unable to find environment variable credentials/,
  /^Web identity configuration not specified/,
  /could not be found in shared credentials file|^Profile \S+ was not found/,
  /did not contain credential_process/,
  /credential_process (?:returned invalid|did not return Version 1)/,
  /^spawn \S+ E(?:NOENT|ACCES)\b/,
  /SSO session.*(?:is invalid|has expired|not found)|invalid SSO credentials|Token is expired/,
  /requires multi-factor authentication|Unsupported credential source|Detected a cycle/,
  /metadata service access disabled/i
]
