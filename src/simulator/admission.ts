/**
 * Who is let in: what SageMaker and the container behind it make of the headers of a request (protocol 1.3, 5.2,
 * 5.9). SageMaker answers for authorization (403) and its own headers (400); all that the container refuses is one
 * opaque 424, and the true reason is for the log alone.
 */
import * as Result from "effect/Result"
import type { Limits } from "../internal/settings.ts"
import * as requestSignature from "../internal/requestSignature.ts"
import * as FluxModel from "./FluxModel.ts"
import type { Chain } from "./inbound.ts"
import * as query from "./query.ts"
import type { Script } from "./Script.ts"

/** How requests are judged. */
export interface Rules {
  /** Where given, signatures are checked in full; otherwise only that they look like signatures. */
  readonly credentials?: requestSignature.Credentials | undefined
  readonly script?: Script | undefined
  readonly closeMode?: FluxModel.CloseMode | undefined
  readonly limits?: Limits | undefined
}

/** A request that is let in. */
export interface Admitted {
  readonly model: FluxModel.FluxModel
  /** What its chunk signatures must chain to. */
  readonly chain: Chain | undefined
}

/** A request that is not. */
export interface Refusal {
  readonly status: number
  /** For `x-amzn-errortype`. */
  readonly errorType: string
  /** JSON. */
  readonly body: string
  /** The true reason; holds no value of the request but names. */
  readonly reason: string
}

/**
 * Judges a request by its headers, in AWS's order: route, authorization, input, container. `fluxRequestId` is the
 * session's id in Flux's messages.
 */
export const judge = (
  request: requestSignature.Request,
  rules: Rules,
  fluxRequestId: string,
  nowMillis: number
): Result.Result<Admitted, Refusal> => {
  const endpointName = route.exec(request.path)?.[1]
  if (request.method !== "POST" || endpointName === undefined) {
    return refuse(400, "UnknownOperationException", { message: "Unknown operation" }, "no such route")
  }
  const authorization = requestSignature.authorization(request)
  if (Result.isFailure(authorization)) return forbid(authorization.failure)
  const { credentials } = rules
  const problem = credentials && requestSignature.verify(request, authorization.success, credentials, nowMillis)
  if (problem !== undefined) return forbid(problem)
  const wrong = inputProblem(request, endpointName)
  if (wrong !== undefined) {
    return refuse(400, "InputValidationError", { Message: wrong, ErrorCode: "INPUT_VALIDATION" }, wrong)
  }
  const { region, service, signature } = authorization.success
  const path = request.header(pathHeader)
  if (path !== "v2/listen") return unreachable(endpointName, region, "the container has no such path: expected v2/listen")
  const model = FluxModel.make({
    query: request.header(queryHeader) ?? "",
    requestId: fluxRequestId,
    script: rules.script,
    closeMode: rules.closeMode,
    limits: rules.limits
  })
  if (Result.isFailure(model)) return unreachable(endpointName, region, model.failure)
  return Result.succeed({
    model: model.success,
    chain: credentials && { secretAccessKey: credentials.secretAccessKey, region, service, seed: signature }
  })
}

const pathHeader = "x-amzn-sagemaker-model-invocation-path"
const queryHeader = "x-amzn-sagemaker-model-query-string"
const variantHeader = "x-amzn-sagemaker-target-variant"

const route = /^\/endpoints\/([^/?]+)\/invocations-bidirectional-stream$/
const namePattern = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/
const pathPattern = /^[A-Za-z0-9\-._]+(?:\/[A-Za-z0-9\-._]+)*$/
const isName = (text: string): boolean => text.length <= 63 && namePattern.test(text)

/** What breaks the patterns of protocol 1.3, and the two headers that say how the body is signed. */
const inputProblem = (request: requestSignature.Request, endpointName: string): string | undefined => {
  const path = request.header(pathHeader)
  const queryString = request.header(queryHeader)
  const variant = request.header(variantHeader)
  if (request.header("content-type") !== "application/vnd.amazon.eventstream") {
    return "content-type must be application/vnd.amazon.eventstream"
  }
  if (request.header("x-amz-content-sha256") !== "STREAMING-AWS4-HMAC-SHA256-EVENTS") {
    return "x-amz-content-sha256 must be STREAMING-AWS4-HMAC-SHA256-EVENTS"
  }
  if (!isName(endpointName)) return "EndpointName does not match its pattern"
  if (variant !== undefined && !isName(variant)) return "TargetVariant does not match its pattern"
  if (path !== undefined && (path.length > 100 || !pathPattern.test(path))) {
    return "ModelInvocationPath does not match its pattern"
  }
  if (queryString !== undefined && !query.isLegal(queryString)) return "ModelQueryString does not match its pattern"
  return undefined
}

const refuse = (
  status: number,
  errorType: string,
  body: Readonly<Record<string, string | number>>,
  reason: string
): Result.Result<never, Refusal> => Result.fail({ status, errorType, body: JSON.stringify(body), reason })

const forbid = ({ errorType, message }: requestSignature.Problem): Result.Result<never, Refusal> =>
  refuse(403, errorType, { message }, message)

/** 424 as protocol 5.9 has it: the container's own answer is hidden. */
const unreachable = (endpointName: string, region: string, reason: string): Result.Result<never, Refusal> => {
  const inner = "Failed to establish WebSocket connection"
  const group = `/aws/sagemaker/Endpoints/${endpointName}`
  return refuse(
    424,
    "ModelError",
    {
      Message: `Received server error (424) from primary with message "${inner}". See ` +
        `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#logEventViewer:group=${group} ` +
        "in account 000000000000 for more information.",
      OriginalStatusCode: 424,
      OriginalMessage: inner,
      LogStreamArn: `arn:aws:logs:${region}:000000000000:log-group:${group}`
    },
    reason
  )
}
