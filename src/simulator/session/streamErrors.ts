/** How a stream that was taken is broken off: the frames of protocol 5.5 and 5.8, as faults ask for them. Pure. */
import type { Fault } from "../Fault.ts"
import type { StreamError } from "../wire.ts"

/** SageMaker's ModelStreamError (protocol 5.8). */
export const modelStreamError = (
  as: "exception" | "event" = "exception",
  errorCode?: string
): StreamError => ({
  name: "ModelStreamError",
  message: "An error occurred while streaming the inference response",
  errorCode,
  as
})

/** The faults that send such a frame. */
export type Breaking = Extract<
  Fault,
  { readonly fault: "throttle" | "model-stream-error" | "internal-stream-failure" | "error-frame" }
>

/** The frame that a fault sends before the stream ends. */
export const of = (fault: Breaking): StreamError => {
  switch (fault.fault) {
    case "throttle":
      return { name: "ThrottlingException", message: "Rate exceeded", as: "exception" }
    case "model-stream-error":
      return modelStreamError(fault.as, fault.errorCode)
    case "internal-stream-failure":
      return { name: "InternalStreamFailure", message: "An internal failure occurred", as: fault.as ?? "exception" }
    case "error-frame":
      return { name: fault.code ?? "InternalFailure", message: "An internal failure occurred", as: "error" }
  }
}
