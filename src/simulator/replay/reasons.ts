/** From why a captured session failed to what brings a client to say so again. Pure. */
import { errorNames } from "../../internal/http2Errors.ts"
import type { Reason } from "../Recording.ts"
import type { Refusal, StreamError, Wire } from "../wire.ts"

/** An end that is not clean; `fault` is its name in the ledger. */
export interface Break {
  readonly _tag: "break"
  readonly fault: string
  readonly reason: string
  readonly apply: (wire: Wire) => void
}

/** The refusal that a client reads so; none where no HTTP answer does it. */
export const refusalOf = ({ detail, errorType, originalStatusCode, status, tag }: Reason): Refusal | undefined => {
  const refusal = (status: number, errorType: string | undefined, more: object = {}): Refusal => ({
    status,
    errorType,
    body: JSON.stringify({ Message: detail, ...more }),
    reason: `as captured: ${tag}`
  })
  switch (tag) {
    case "Rejected":
      return refusal(424, "ModelError", originalStatusCode === undefined ? {} : { OriginalStatusCode: originalStatusCode })
    case "Throttled":
      return refusal(429, "ThrottlingException")
    case "Unauthorized":
      return refusal(status ?? 403, errorType)
    case "InvalidRequest":
      return refusal(status ?? 400, errorType)
    case "ServiceUnavailable":
      return refusal(status ?? 503, status === 500 ? "InternalServerError" : "ServiceUnavailableError")
    default:
      return undefined
  }
}

/** How a stream can be made to fail for a reason. */
export const broken = ({ detail, errorCode, errorType, tag }: Reason): Break => {
  const breaks = (fault: string, apply: (wire: Wire) => void): Break => ({ _tag: "break", fault, reason: `as captured: ${tag}`, apply })
  const fails = (fault: string, error: Omit<StreamError, "message">): Break =>
    breaks(fault, (wire) => {
      wire.fail({ ...error, message: detail })
      wire.end()
    })
  switch (tag) {
    case "ModelStreamError":
      return fails("model-stream-error", { name: "ModelStreamError", errorCode, as: "exception" })
    case "StreamFailure":
      return errorCode === undefined
        ? fails("internal-stream-failure", { name: "InternalStreamFailure", as: "exception" })
        : fails("error-frame", { name: errorCode, as: "error" })
    case "Throttled":
      return fails("throttle", { name: "ThrottlingException", as: "exception" })
    case "Unauthorized":
      return fails("error-frame", { name: errorType ?? "AccessDeniedException", as: "exception" })
    case "MalformedFrame":
      return breaks("corrupt-crc", (wire) => wire.corrupt())
    default: {
      // NO_ERROR would leave the stream alive
      const away = /Session closed with error code ([1-9]\d*)/.exec(detail)?.[1]
      if (away !== undefined) return breaks("go-away", (wire) => wire.goAway(Number(away)))
      const code = errorNames.findIndex((name) => detail.includes(name))
      return code < 0 ? breaks("drop-socket", (wire) => wire.drop()) : breaks("reset", (wire) => wire.reset(code))
    }
  }
}
