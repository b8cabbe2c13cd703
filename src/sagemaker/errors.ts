/** From what SageMaker, the SDK and Node say went wrong to a reason (protocol 5.5, 5.9). Lets no credentials through. */
import * as Option from "effect/Option"
import * as FluxError from "../FluxError.ts"

/** An HTTP answer other than 200. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const maxDetail = 300
/** A shorter one is made up, for a simulator, and would blot out ordinary words. */
const minSecret = 8
/** Mark-up is looked for in so many characters: more could make the search slow on purpose. */
const maxScanned = 4096
const throttling = /throttl|too ?many ?requests|limit ?exceeded/i
const forbidden =
  /AccessDenied|UnrecognizedClient|Signature|ExpiredToken|InvalidClientTokenId|MissingAuthentication|NotAuthorized|OptInRequired|TimeTooSkewed/i

/** A text made fit for an error: without secrets, without mark-up, one short line. */
export const shortLine = (text: string, secrets: ReadonlyArray<string>): string => {
  let clean = text
  for (const secret of secrets) if (secret.length >= minSecret) clean = clean.replaceAll(secret, "...")
  // A signature error repeats the whole signed request, token and all, in the lines after the first.
  const line = clean.slice(0, maxScanned).replaceAll(/<(head|style|script)\b[^]*?<\/\1>|<[^>]*>/gi, " ").trim().split(/[\r\n]/, 1)[0] ?? ""
  const short = line.replaceAll(/\s+/g, " ").trim()
  return short.length > maxDetail ? `${short.slice(0, maxDetail - 3)}...` : short
}

const parseObject = Option.liftThrowable((text: string): Record<string, unknown> => {
  const value: unknown = JSON.parse(text)
  return typeof value === "object" && value !== null ? { ...value } : {}
})

/** The fields of a JSON object; none if the text is something else. */
const fieldsOf = (text: string): Readonly<Record<string, unknown>> => Option.getOrElse(parseObject(text), () => ({}))

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** `aws.protocols#Name:http://...` in short: `Name`. */
const shapeName = (type: string | undefined): string | undefined => type?.split(":", 1)[0]?.split("#").at(-1)?.split(",", 1)[0]

/** The reason for an HTTP answer other than 200. `secrets` are texts that must not come through; `endpoint` is its name. */
export const fromRefusal = (refusal: Refusal, secrets: ReadonlyArray<string>, endpoint?: string): FluxError.Reason => {
  const { status } = refusal
  const fields = fieldsOf(refusal.body)
  const errorType = shapeName(textOf(refusal.headers["x-amzn-errortype"]) ?? textOf(fields["__type"]) ?? textOf(fields["code"]))
  const errorCode = textOf(fields["ErrorCode"])
  const said = textOf(fields["Message"]) ?? textOf(fields["message"])
  const isJson = Object.keys(fields).length > 0
  const detail = shortLine(said ?? (isJson ? "" : refusal.body), secrets) || `HTTP ${status} without a message`
  const kind = `${errorType ?? ""} ${errorCode ?? ""}`
  if (status === 429 || throttling.test(kind)) return new FluxError.Throttled({ detail })
  if (status === 401 || status === 403 || (status < 500 && forbidden.test(kind))) {
    return new FluxError.Unauthorized({ status, errorType: errorType ?? errorCode, detail })
  }
  if (status === 424) {
    const original = fields["OriginalStatusCode"]
    return new FluxError.Rejected({
      detail,
      originalStatusCode: Number.isInteger(original) ? Number(original) : undefined,
      logStreamArn: textOf(fields["LogStreamArn"]),
      ...(endpoint === undefined ? {} : { endpoint })
    })
  }
  if (status >= 500) return new FluxError.ServiceUnavailable({ status, detail })
  return new FluxError.InvalidRequest({ status, errorType: errorType ?? errorCode, detail })
}

/**
 * The reason for an exception or error within the event stream. `type` is the exception's name; an unmodelled error
 * comes with `given` instead of a JSON payload.
 */
export const fromException = (
  type: string,
  payload: string,
  secrets: ReadonlyArray<string>,
  given: { readonly code?: string | undefined; readonly message?: string | undefined } = {}
): FluxError.Reason => {
  const fields = fieldsOf(payload)
  const errorCode = given.code ?? textOf(fields["ErrorCode"])
  const said = given.message ?? textOf(fields["Message"]) ?? textOf(fields["message"]) ?? ""
  const detail = shortLine(said, secrets) || "no message"
  if (throttling.test(`${type} ${errorCode ?? ""}`)) return new FluxError.Throttled({ detail })
  if (forbidden.test(type)) return new FluxError.Unauthorized({ errorType: type, detail })
  // No stream models this, so it may come as an unmodelled error as well.
  if (type === "" && errorCode?.startsWith("ExpiredToken") === true) return new FluxError.Unauthorized({ errorType: errorCode, detail })
  if (type === "ModelStreamError") return new FluxError.ModelStreamError({ errorCode, detail })
  const known = type === "" || type === "InternalStreamFailure"
  return new FluxError.StreamFailure({ errorCode: errorCode ?? (known ? undefined : type), detail })
}

/** Node wraps the error of a connection in that of the stream that waited for it. */
const unwrap = (error: Error): Error =>
  "code" in error && error.code === "ERR_HTTP2_STREAM_CANCEL" && error.cause instanceof Error ? error.cause : error

/** OpenSSL tells the place in its sources, too. */
const withoutOpenSsl = (message: string): string => /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message

/** Name, code and message of an error and nothing else: the SDK hangs requests and responses on errors. */
export const bareError = (cause: unknown, secrets: ReadonlyArray<string>): Error => {
  if (!(cause instanceof Error)) return new Error("unknown failure")
  const error = unwrap(cause)
  // A name that resolves to several addresses gives one error for each, and no message of its own.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined
  const bare = new Error(shortLine(withoutOpenSsl(error.message) || (first instanceof Error ? first.message : ""), secrets))
  bare.name = error.name
  return "code" in error && typeof error.code === "string" ? Object.assign(bare, { code: error.code }) : bare
}
