/**
 * Checking the SigV4 signature of a request's headers, as AWS's front end does (protocol 5.2, 5.4). Written from the
 * specification, apart from the SDK that signs: the one is the other's test. Times are handed in.
 */
import * as crypto from "node:crypto"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { signingKey } from "./chunkSigning.ts"
import { decode, encode } from "./percent.ts"

/** A request as it came: headers by lower-case name, with `:authority` where HTTP/2 has it. The body is signed by chunks. */
export interface Request {
  readonly method: string
  /** As on the wire, with its query string, if any. */
  readonly path: string
  readonly header: (name: string) => string | undefined
}

/** What an `authorization` header says. */
export interface Authorization {
  readonly accessKeyId: string
  /** `YYYYMMDD`. */
  readonly day: string
  readonly region: string
  readonly service: string
  /** Lower-case names, in the order signed. */
  readonly signedHeaders: ReadonlyArray<string>
  /** Lower-case hex: the first prior signature of the chunks. */
  readonly signature: string
}

/** Why a request is refused, in the words of AWS. The status is 403. */
export interface Problem {
  readonly errorType:
    | "MissingAuthenticationTokenException"
    | "IncompleteSignatureException"
    | "InvalidSignatureException"
    | "UnrecognizedClientException"
  readonly message: string
}

/** Who may call. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** What AWS says of any signature that does not match. */
export const mismatch: Problem = {
  errorType: "InvalidSignatureException",
  message: "The request signature we calculated does not match the signature you provided. " +
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
}

/** How far a request's date may be from the server's, in minutes. */
export const skewMinutes = 5

/** Names the hash of the body, or stands in its place where the body is signed chunk by chunk. */
export const payloadHeader = "x-amz-content-sha256"
/** The value of {@link payloadHeader} for a body that is signed chunk by chunk (protocol 5.4). */
export const streamingPayload = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
/** The hash of an empty body: what a client signs that takes the stream for no body at all. */
export const emptyPayload: string = crypto.hash("sha256", "")

/** Reads the `authorization` header; its shape only, so this needs no credentials. */
export const authorization = (request: Request): Result.Result<Authorization, Problem> => {
  const header = request.header("authorization")
  if (header === undefined || header === "") {
    return Result.fail({ errorType: "MissingAuthenticationTokenException", message: "Missing Authentication Token" })
  }
  const { accessKeyId, day, names, region, service, signature } = shape.exec(header)?.groups ?? {}
  if (
    accessKeyId === undefined || day === undefined || region === undefined || service === undefined ||
    names === undefined || signature === undefined
  ) {
    return incomplete(
      "Authorization header must be 'AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, " +
        "SignedHeaders=<names>, Signature=<hex>'."
    )
  }
  const signedHeaders = names.split(";")
  if (!signedHeaders.includes("host") && !signedHeaders.includes(":authority")) {
    return incomplete("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
  }
  return Result.succeed({ accessKeyId, day, region, service, signedHeaders, signature })
}

/** Checks the signature in full: key, scope, date and every signed header. Gives the first problem, or `undefined`. */
export const verify = (
  request: Request,
  auth: Authorization,
  credentials: Credentials,
  nowMillis: number
): Problem | undefined => {
  const stamp = request.header("x-amz-date") ?? ""
  const millis = millisOf(stamp)
  if (millis === undefined) {
    return missing("Authorization header requires a valid 'X-Amz-Date' header.")
  }
  if (!auth.signedHeaders.includes("x-amz-date")) {
    return missing("'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.")
  }
  if (auth.accessKeyId !== credentials.accessKeyId) {
    return { errorType: "UnrecognizedClientException", message: "The security token included in the request is invalid." }
  }
  if (auth.service !== "sagemaker") return invalid("Credential should be scoped to correct service: 'sagemaker'.")
  if (!stamp.startsWith(auth.day)) {
    return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
  }
  const late = nowMillis - millis
  if (Math.abs(late) > skewMinutes * 60_000) {
    return invalid(
      late > 0
        ? `Signature expired: ${stamp} is more than ${skewMinutes} min. earlier than the time of the server`
        : `Signature not yet current: ${stamp} is more than ${skewMinutes} min. later than the time of the server`
    )
  }
  const { key, scope } = signingKey({ ...auth, secretAccessKey: credentials.secretAccessKey }, millis)
  const expected = (payload: string): string => {
    const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${crypto.hash("sha256", canonical(request, auth, payload))}`
    return crypto.createHmac("sha256", key).update(text).digest("hex")
  }
  return payloadsOf(request).some((payload) => expected(payload) === auth.signature) ? undefined : mismatch
}

const part = "[^/,\\s]+"
const shape = new RegExp(
  `^AWS4-HMAC-SHA256 Credential=(?<accessKeyId>${part})/(?<day>\\d{8})/(?<region>${part})/(?<service>${part})/aws4_request, ?` +
    "SignedHeaders=(?<names>[^,\\s]+), ?Signature=(?<signature>[0-9a-f]{64})$"
)

const missing = (message: string): Problem => ({ errorType: "IncompleteSignatureException", message })

const incomplete = (message: string): Result.Result<never, Problem> => Result.fail(missing(message))

const invalid = (message: string): Problem => ({ errorType: "InvalidSignatureException", message })

/**
 * What the payload line may be: the header's value; without the header the hash of an empty body, which AWS's SDK for
 * Rust signs, or the literal for a body signed by chunks.
 */
const payloadsOf = (request: Request): ReadonlyArray<string> => {
  const declared = request.header(payloadHeader)
  return declared === undefined ? [emptyPayload, streamingPayload] : [declared]
}

/** The canonical request with this payload line. */
const canonical = (request: Request, auth: Authorization, payload: string): string => {
  const { path, query } = targetOf(request.path)
  const headers = auth.signedHeaders.map((name) => `${name}:${valueOf(request, name).trim().replace(/\s+/g, " ")}\n`)
  return [
    request.method,
    // signed as it is on the wire, encoded once more; dot segments, which SigV4 resolves, are on no route here
    path.split("/").map(encode).join("/"),
    canonicalQuery(query),
    headers.join(""),
    auth.signedHeaders.join(";"),
    payload
  ].join("\n")
}

/** A request target in its two parts. The query is empty where there is none, and after a bare `?`. */
export const targetOf = (target: string): { readonly path: string; readonly query: string } => {
  const mark = target.indexOf("?")
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** Each parameter as `name=value`, encoded anew, by name and then by value. An empty query has none. */
const canonicalQuery = (query: string): string =>
  query.split("&").filter((parameter) => parameter !== "").map((parameter) => {
    const mark = parameter.indexOf("=")
    const [name, value] = mark < 0 ? [parameter, ""] : [parameter.slice(0, mark), parameter.slice(mark + 1)]
    return { name: encodeAnew(name), value: encodeAnew(value) }
  }).toSorted((one, other) => order(one.name, other.name) || order(one.value, other.value))
    .map(({ name, value }) => `${name}=${value}`).join("&")

/** By code unit; what is encoded is ASCII. */
const order = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0

const encodeAnew = (text: string): string => encode(decode(text) ?? text)

/** HTTP/2 carries the host in `:authority`; a client may sign it under either name. */
const valueOf = (request: Request, name: string): string =>
  request.header(name) ?? (name === "host" ? request.header(":authority") : undefined) ??
    (name === ":authority" ? request.header("host") : undefined) ?? ""

/** `YYYYMMDDTHHMMSSZ` as milliseconds. */
const millisOf = (stamp: string): number | undefined => {
  const iso = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp)
  if (iso === null) return undefined
  const [, year, month, day, hour, minute, second] = iso
  return Option.getOrUndefined(
    Option.map(DateTime.make(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`), DateTime.toEpochMillis)
  )
}
