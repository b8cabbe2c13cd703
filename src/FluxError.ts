/**
 * Everything that can go wrong, as one error with a tagged reason.
 *
 * Handle one reason with `Effect.catchReason("FluxError", "Throttled", ...)`; ask
 * `error.isRetryable` before trying again. Every message says what happened, at which
 * stage, and what to do next, and never holds credentials, audio, transcripts or keyterms.
 */
import * as Schema from "effect/Schema"
import * as proxyFault from "./internal/proxyFault.ts"

/**
 * Where in its life a session was.
 *
 * - `settings`: before any connection
 * - `open`: connecting, TLS, signing, response headers
 * - `connected`: headers received, Flux has not said `Connected` yet
 * - `streaming`: audio flows
 * - `closing`: after CloseStream, or while disconnecting
 */
export const Stage = Schema.Literals(["settings", "open", "connected", "streaming", "closing"])
export type Stage = typeof Stage.Type

/** What an IAM policy must allow, on the endpoint (protocol 5.9); `sagemaker:InvokeEndpoint` does not cover it. */
export const action = "sagemaker:InvokeEndpointWithBidirectionalStream"

/** The CloudWatch log group of an endpoint's container. */
export const logGroup = (endpoint: string): string => `/aws/sagemaker/Endpoints/${endpoint}`

/** One broken rule of the settings: which setting, and what it must be. */
export const SettingsIssue = Schema.Struct({ setting: Schema.String, problem: Schema.String })
export type SettingsIssue = typeof SettingsIssue.Type

/** Settings that Flux or SageMaker would refuse. Found locally, before any connection; names every broken rule. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  issues: Schema.Array(SettingsIssue)
}) {
  readonly hint: string = "Correct the settings named here"
  override get message(): string {
    return `Invalid settings: ${this.issues.map((issue) => `${issue.setting}: ${issue.problem}`).join("; ")}`
  }
}

/** SageMaker answered 400: a header or the endpoint name is not accepted. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  status: Schema.Int,
  errorType: Schema.optional(Schema.String),
  detail: Schema.String
}) {
  get hint(): string {
    return /not found|does not exist|could not find/i.test(this.detail)
      ? "There is no such endpoint in this account and region: check the endpoint name, the region it is deployed in, and whose credentials are in use"
      : "Check the endpoint name, the region it is deployed in, and the length of the settings (2,048 characters as a query string)"
  }
  override get message(): string {
    return `SageMaker refused the request (${this.status}${suffix(this.errorType)}): ${this.detail}`
  }
}

/** The credential chain gave nothing, failed, or gave keys that cannot be signed with. The message has what each provider said. */
export class CredentialsUnavailable extends Schema.TaggedError<CredentialsUnavailable>()("CredentialsUnavailable", {
  cause: Schema.Defect(),
  /** What to do about the provider that was meant to give some; absent where none was. */
  todo: Schema.optional(Schema.String),
  /**
   * Whether the same provider may give some when it is asked again: it hung, was out of reach, answered 429 or 5xx, gave keys
   * that had expired, or is a function that threw. Absent or false where somebody must change something first.
   */
  transient: Schema.optional(Schema.Boolean)
}) {
  get hint(): string {
    if (this.todo !== undefined) return this.todo
    return this.transient === true
      ? "The provider of the credentials may give some when it is asked again; if it stays, see what ails it"
      : "Give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine"
  }
  override get message(): string {
    return `No usable AWS credentials: ${describe(this.cause)}`
  }
}

/** 403 or a signature error: permission, signature, or clock. Without a status it came within the stream. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  status: Schema.optional(Schema.Int),
  errorType: Schema.optional(Schema.String),
  detail: Schema.String
}) {
  /** Whether the session token has expired. */
  get isExpiredToken(): boolean {
    return this.errorType?.startsWith("ExpiredToken") ?? false
  }
  /** Whether it came within the stream, where a session ran. */
  get isWithinStream(): boolean {
    return this.status === undefined
  }
  get hint(): string {
    const kind = `${this.errorType ?? ""} ${this.detail}`
    if (/scoped to a valid region/i.test(kind)) {
      return "The region is wrong: this address belongs to another one than was signed for. Set the region that the endpoint is deployed in"
    }
    if (/RequestTimeTooSkewed|Signature (not yet current|expired)|is now (earlier|later) than|InvalidSignatureException.*date/i.test(kind)) {
      return "The clock of this machine is off: signatures are refused. Synchronise it"
    }
    if (/UnrecognizedClient|InvalidClientTokenId/i.test(kind)) {
      return "AWS does not know this access key: check which credentials are in use, and that they are of this partition and still exist"
    }
    if (/ExpiredToken/i.test(kind)) {
      return this.isWithinStream
        ? "The session token has expired: open another session, which is signed with refreshed credentials"
        : "The session token has expired, and a refresh gave no other that is taken: renew the credentials at their source"
    }
    if (/Signature/i.test(kind)) {
      return "The signature does not match: check the secret key, and that the region of the endpoint is the one signed for"
    }
    return `The role needs ${action} on the endpoint; sagemaker:InvokeEndpoint does not cover it`
  }
  override get message(): string {
    return `Not allowed (${[this.status, this.errorType].filter((part) => part !== undefined).join(", ")}): ${this.detail}`
  }
}

/** 424: the container refused or failed before Flux answered (protocol 5.9). Bad settings and overload look alike. */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  detail: Schema.String,
  originalStatusCode: Schema.optional(Schema.Int),
  logStreamArn: Schema.optional(Schema.String),
  /** The endpoint's name, which is that of its log group. */
  endpoint: Schema.optional(Schema.String)
}) {
  get hint(): string {
    return `Read the endpoint's CloudWatch log group ${logGroup(this.endpoint ?? "<endpoint name>")}${
      this.logStreamArn === undefined ? "" : ` (${this.logStreamArn})`
    }. Common causes: a model that the endpoint does not run, language hints on flux-general-en, numerals, profanityFilter or redact on a bundle without them, a threshold out of range, or an endpoint that is overloaded`
  }
  override get message(): string {
    return `The container refused the session (424): ${this.detail}`
  }
}

/** Throttled by SageMaker (400 ThrottlingException or 429), before or after the response headers. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  detail: Schema.String
}) {
  readonly hint: string = "Open sessions more slowly, or raise the account's quota or the instance count"
  override get message(): string {
    return `Throttled by SageMaker: ${this.detail}`
  }
}

/** 500, 503 or another server-side failure of SageMaker. */
export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>()("ServiceUnavailable", {
  status: Schema.Int,
  detail: Schema.String
}) {
  readonly hint: string = "Try again; if it stays, look at the endpoint's status and the AWS health dashboard"
  override get message(): string {
    return `SageMaker failed (${this.status}): ${this.detail}`
  }
}

/**
 * No connection could be made: name, refusal, TLS, or a server that does not speak HTTP/2. `proxy` is the one on the
 * way, if any, and what became of the request for a tunnel.
 */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>()("ConnectFailed", {
  target: Schema.String,
  proxy: Schema.optional(proxyFault.ProxyState),
  cause: Schema.Defect()
}) {
  get hint(): string {
    const text = describe(this.cause)
    if (this.proxy?.problem !== undefined) return proxyFault.hint(this.proxy.problem, this.proxy.status, wordsOf(this.cause))
    if (/ENOTFOUND|EAI_AGAIN/.test(text)) return "The name does not resolve: check the region, and the DNS of this network"
    if (/ECONNREFUSED/.test(text)) return "Nothing listens there: check host and port (SageMaker streams on port 8443)"
    if (/wrong version number|packet length too long|EPROTO/i.test(text)) {
      return this.proxy === undefined
        ? "The server does not speak TLS: a simulator without TLS is reached by http://"
        : "What answers in the proxy's tunnel does not speak TLS: the proxy may answer by itself, as one that wants a login does; ask who runs it, or add the endpoint's host to NO_PROXY"
    }
    if (/application protocol|offer HTTP\/2/i.test(text)) {
      return "What answers there does not speak HTTP/2: check host and port (SageMaker streams on port 8443), and proxies in between"
    }
    // no certificate was seen yet
    if (/before secure TLS|ECONNRESET|closed the connection/i.test(text)) {
      return this.proxy === undefined
        ? "The server ended the connection before TLS and HTTP/2 were there: check host and port (SageMaker streams on port 8443), and firewalls in between"
        : "The proxy opened the tunnel, which ended before TLS and HTTP/2 were there: the proxy may block or inspect port 8443; ask who runs it, or add the endpoint's host to NO_PROXY"
    }
    if (/CERT|certificate|self.signed|TLS|SSL/i.test(text)) {
      return "The certificate is not trusted: give the CA of a proxy or a test server with caFile"
    }
    return "Check that outbound TCP to port 8443 is open and that the server speaks HTTP/2"
  }
  override get message(): string {
    if (this.proxy === undefined) return `Could not connect to ${this.target}: ${describe(this.cause)}`
    const { host, problem, status } = this.proxy
    const said = problem === undefined ? describe(this.cause) : proxyFault.describe(problem, status, wordsOf(this.cause))
    return `Could not connect to ${this.target} through the proxy ${host}: ${said}`
  }
}

/** A stage of opening passed its bound. */
export class ConnectTimeout extends Schema.TaggedError<ConnectTimeout>()("ConnectTimeout", {
  stage: Schema.Literals(["open", "connected"]),
  seconds: Schema.Finite
}) {
  get hint(): string {
    return this.stage === "open"
      ? "SageMaker streams on port 8443 only (443 accepts and hangs for ever): check that outbound TCP to port 8443 is open, and that a proxy of HTTPS_PROXY lets it through; a missing permission can hang too"
      : "The endpoint took the stream but Flux never said Connected: usually settings that the deployed bundle refuses; read the endpoint's CloudWatch log group"
  }
  override get message(): string {
    return this.stage === "open"
      ? `No response headers within ${this.seconds} s`
      : `Flux did not say Connected within ${this.seconds} s`
  }
}

/** The connection ended or broke before the session was over. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  readonly hint: string = "Reconnect; if it repeats, look at the endpoint's container logs and the network path"
  override get message(): string {
    return `The connection was lost: ${this.detail}`
  }
}

/** SageMaker's `ModelStreamError`: the container closed or broke the stream (protocol 5.8). */
export class ModelStreamError extends Schema.TaggedError<ModelStreamError>()("ModelStreamError", {
  errorCode: Schema.optional(Schema.String),
  detail: Schema.String
}) {
  readonly hint: string = "Reconnect; the endpoint's CloudWatch log group holds the container's own reason"
  override get message(): string {
    return `The model's stream failed${suffix(this.errorCode)}: ${this.detail}`
  }
}

/** SageMaker's `InternalStreamFailure`, or an unmodelled error frame. */
export class StreamFailure extends Schema.TaggedError<StreamFailure>()("StreamFailure", {
  errorCode: Schema.optional(Schema.String),
  detail: Schema.String
}) {
  readonly hint: string = "Reconnect; this is a failure inside SageMaker"
  override get message(): string {
    return `SageMaker's stream failed${suffix(this.errorCode)}: ${this.detail}`
  }
}

/** Flux sent its `Error` message, which is always fatal to the session (protocol 2.6). */
export class FluxFatal extends Schema.TaggedError<FluxFatal>()("FluxFatal", {
  code: Schema.String,
  description: Schema.String
}) {
  get hint(): string {
    return this.code === "UNPARSABLE_CLIENT_MESSAGE"
      ? "The deployed bundle does not know a message that was sent: set the transport's capabilities to that bundle"
      : "Reconnect; if it repeats, read the endpoint's CloudWatch log group"
  }
  override get message(): string {
    return `Flux ended the session with ${this.code}: ${this.description}`
  }
}

/** Bytes from the server that are no event stream: framing, checksum, or an unreadable Connected or Error. */
export class MalformedFrame extends Schema.TaggedError<MalformedFrame>()("MalformedFrame", {
  detail: Schema.String
}) {
  readonly hint: string = "Something between client and endpoint changes the bytes, or the server is no SageMaker endpoint"
  override get message(): string {
    return `The server's bytes make no sense: ${this.detail}`
  }
}

/** A frame stayed unwritten: the peer stopped reading. */
export class SendTimeout extends Schema.TaggedError<SendTimeout>()("SendTimeout", {
  seconds: Schema.Finite
}) {
  readonly hint: string = "The endpoint is overloaded or the network stalls: reconnect, and watch the number of streams per instance"
  override get message(): string {
    return `The server did not take a frame for ${this.seconds} s`
  }
}

/** Audio flows but nothing comes back. */
export class Stalled extends Schema.TaggedError<Stalled>()("Stalled", {
  seconds: Schema.Finite
}) {
  readonly hint: string = "Flux went mute: reconnect"
  override get message(): string {
    return `No message from Flux for ${this.seconds} s although audio was sent`
  }
}

/** A bounded buffer is full and its policy is to fail. */
export class BufferOverflow extends Schema.TaggedError<BufferOverflow>()("BufferOverflow", {
  buffer: Schema.Literals(["audio", "events", "message"]),
  /** Bytes, or events, that may wait. */
  limit: Schema.Int,
  /** Bytes of a chunk that is larger than the limit, and never goes in at once. */
  chunk: Schema.optional(Schema.Int)
}) {
  get hint(): string {
    if (this.chunk !== undefined) return "Give it in smaller pieces, or with send and the policy suspend, which takes it by and by; or raise outboxLimit"
    if (this.buffer === "audio") return "Offer audio no faster than real time, or raise outboxLimit"
    if (this.buffer === "events") return "Read the events: the consumer has stopped"
    return "The server sent a message of absurd size"
  }
  override get message(): string {
    if (this.chunk !== undefined) return `A chunk of ${this.chunk} bytes can never go into the ${this.buffer} buffer, which holds ${this.limit} bytes`
    return `The ${this.buffer} buffer is full (${this.limit} ${this.buffer === "events" ? "events" : "bytes"})`
  }
}

/** Flux refused a change of settings; they are back at what was in force. The event `SettingsRejected` has Flux's own words. */
export class SettingsRefused extends Schema.TaggedError<SettingsRefused>()("SettingsRefused", {
  settings: Schema.Array(Schema.String),
  code: Schema.optional(Schema.String)
}) {
  readonly hint: string = "The session goes on as before; the event SettingsRejected has Flux's own words"
  override get message(): string {
    return `Flux refused a change of ${this.settings.join(", ")}${this.code === undefined ? "" : ` (${this.code})`}`
  }
}

/** Flux did not answer a change of settings in time: whether it is in force is not known. */
export class ConfigureUnanswered extends Schema.TaggedError<ConfigureUnanswered>()("ConfigureUnanswered", {
  settings: Schema.Array(Schema.String),
  seconds: Schema.Finite
}) {
  readonly hint: string = "The change may be in force or not; it is sent again along with the next one"
  override get message(): string {
    return `Flux did not answer a change of ${this.settings.join(", ")} within ${this.seconds} s`
  }
}

/** The process, connection or account may not open another session now. */
export class SessionLimit extends Schema.TaggedError<SessionLimit>()("SessionLimit", {
  limit: Schema.Int
}) {
  readonly hint: string = "Wait for a session to end, or raise the limit"
  override get message(): string {
    return `The limit of ${this.limit} sessions is reached`
  }
}

/** A call or session was asked for something, or had yet to give it, when it ended as it was meant to: its audio had ended, or its Scope was closed. */
export class CallOver extends Schema.TaggedError<CallOver>()("CallOver", {
  ending: Schema.Literals(["finished", "closed"])
}) {
  readonly hint: string = "Nothing is wrong with it, and nothing is to be done"
  override get message(): string {
    return `The call is over: ${this.ending === "finished" ? "its audio has ended" : "its Scope was closed"}`
  }
}

/** The transcriber ends its conversations and opens no other one. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  readonly hint: string = "Open it in another process; this one is about to end"
  override get message(): string {
    return "The transcriber is shutting down: it opens no conversation any more"
  }
}

/** A conversation was not over when the transcriber had waited long enough for it. */
export class ShutdownTimeout extends Schema.TaggedError<ShutdownTimeout>()("ShutdownTimeout", {
  seconds: Schema.Finite
}) {
  readonly hint: string = "Its Scope ends it; raise shutdownTimeout, or lower the bounds of the settings and of retry"
  override get message(): string {
    return `The conversation was not over ${this.seconds} s after the shutdown began`
  }
}

/** The declared capabilities of the endpoint do not include what was asked for. */
export class UnsupportedByEndpoint extends Schema.TaggedError<UnsupportedByEndpoint>()("UnsupportedByEndpoint", {
  feature: Schema.String
}) {
  get hint(): string {
    return this.feature.endsWith("which no endpoint takes")
      ? "Open another conversation with these settings"
      : "Flux ends the session on a message it does not know, so it was not sent. If the deployed bundle knows it, say so in the transport's capabilities"
  }
  override get message(): string {
    return `The endpoint's declared capabilities do not include ${this.feature}`
  }
}

/** Audio in a form that cannot be sent. */
export class UnsupportedAudio extends Schema.TaggedError<UnsupportedAudio>()("UnsupportedAudio", {
  detail: Schema.String
}) {
  readonly hint: string = "Give linear16, mulaw or alaw audio, mono, or a WAV file of it"
  override get message(): string {
    return `Unsupported audio: ${this.detail}`
  }
}

const SingleReason = Schema.Union([
  InvalidSettings,
  InvalidRequest,
  CredentialsUnavailable,
  Unauthorized,
  Rejected,
  Throttled,
  ServiceUnavailable,
  ConnectFailed,
  ConnectTimeout,
  ConnectionLost,
  ModelStreamError,
  StreamFailure,
  FluxFatal,
  MalformedFrame,
  SendTimeout,
  Stalled,
  BufferOverflow,
  SettingsRefused,
  ConfigureUnanswered,
  SessionLimit,
  CallOver,
  ShuttingDown,
  ShutdownTimeout,
  UnsupportedByEndpoint,
  UnsupportedAudio
])
/**
 * No other session is tried; `last` is the reason of the last attempt. `attempts` were made since there was progress; with
 * `bound: "sessions"` they are the sessions that the call has had.
 */
export class RetriesExhausted extends Schema.TaggedError<RetriesExhausted>()("RetriesExhausted", {
  attempts: Schema.Int,
  last: SingleReason,
  /**
   * What ended it: the time without a session, three 424s that may be about the settings, or the number of sessions of one
   * call. Absent where a `retry` of the caller's own did.
   */
  bound: Schema.optional(Schema.Literals(["time", "rejections", "sessions"])),
  /** How long a session was tried for, without the waiting for a permit; with `bound: "time"`. */
  seconds: Schema.optional(Schema.Finite)
}) {
  get hint(): string {
    return this.bound === "sessions"
      ? `A call has that many sessions at most, as each hears audio again, which is paid for again. ${this.last.hint}`
      : this.last.hint
  }
  override get message(): string {
    const what = this.bound === "sessions"
      ? `${this.attempts} sessions within 10 minutes`
      : `${this.attempts} attempts${this.seconds === undefined ? "" : ` in ${this.seconds} s`}`
    return `Gave up after ${what}. ${this.last.message}`
  }
}

/** Every reason a `FluxError` can have. */
export type Reason = typeof SingleReason.Type | RetriesExhausted

/**
 * Which reasons a fresh session may cure; `FluxFatal`, `Unauthorized` and `CredentialsUnavailable` have exceptions. A `Rejected`
 * is retryable because an overloaded container looks just like refused settings; a retry budget should count it dearly.
 */
export const retryable: Readonly<Record<Reason["_tag"], boolean>> = {
  InvalidSettings: false,
  InvalidRequest: false,
  CredentialsUnavailable: false,
  Unauthorized: false,
  Rejected: true,
  Throttled: true,
  ServiceUnavailable: true,
  ConnectFailed: true,
  ConnectTimeout: true,
  ConnectionLost: true,
  ModelStreamError: true,
  StreamFailure: true,
  FluxFatal: true,
  MalformedFrame: true,
  SendTimeout: true,
  Stalled: true,
  BufferOverflow: false,
  SettingsRefused: false,
  ConfigureUnanswered: true,
  SessionLimit: true,
  CallOver: false,
  ShuttingDown: false,
  ShutdownTimeout: false,
  UnsupportedByEndpoint: false,
  UnsupportedAudio: false,
  RetriesExhausted: false
}

/** Refused settings may end a stream that was accepted (protocol 5.9). */
const endsStream: ReadonlySet<string> = new Set(["ConnectionLost", "ModelStreamError", "StreamFailure"])
const beforeConnected =
  "The endpoint took the stream and ended it before Flux said Connected: usually settings that the deployed bundle refuses; read the endpoint's CloudWatch log group"

/** The one error of this package. `requestId` is SageMaker's, where the response headers had arrived. */
export class FluxError extends Schema.TaggedError<FluxError>()("FluxError", {
  reason: Schema.Union([...SingleReason.members, RetriesExhausted]),
  stage: Stage,
  requestId: Schema.optional(Schema.String)
}) {
  /** Whether a fresh session may succeed; see {@link retryable}. */
  get isRetryable(): boolean {
    if (this.reason._tag === "FluxFatal") return this.reason.code !== "UNPARSABLE_CLIENT_MESSAGE"
    if (this.reason._tag === "CredentialsUnavailable") return this.reason.transient === true
    if (this.reason._tag === "Unauthorized") return this.reason.isExpiredToken && this.reason.isWithinStream
    return retryable[this.reason._tag]
  }
  /** What to do next. */
  get hint(): string {
    return this.stage === "connected" && endsStream.has(this.reason._tag) ? beforeConnected : this.reason.hint
  }
  override get message(): string {
    const id = this.requestId === undefined ? "" : `, request ${this.requestId}`
    return `${this.reason.message} (stage: ${this.stage}${id}). ${this.hint}.`
  }
}

/** A `FluxError` for a reason at a stage. */
export const make = (reason: Reason, stage: Stage, requestId?: string | undefined): FluxError =>
  new FluxError({ reason, stage, requestId })

const suffix = (text: string | undefined): string => (text === undefined ? "" : `, ${text}`)

const wordsOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const describe = (cause: unknown): string => {
  if (cause instanceof Error) {
    const code = "code" in cause && typeof cause.code === "string" && !cause.message.includes(cause.code) ? ` (${cause.code})` : ""
    return `${cause.message || cause.name}${code}`
  }
  return String(cause)
}
