/**
 * Who is let in: what SageMaker makes of the headers of a request before any container hears of it (protocol 1.3,
 * 5.2, 5.9), and the invocation path, which the container refuses unseen. Query, faults and the session itself are
 * the endpoint's.
 */
import * as Result from "effect/Result"
import { decode } from "../../internal/percent.ts"
import * as requestSignature from "../../internal/requestSignature.ts"
import type { Request } from "../Endpoint.ts"
import { isName } from "../../internal/endpointName.ts"
import type { Chain } from "./inbound.ts"
import * as refusals from "../session/refusals.ts"
import type { Refusal } from "../wire.ts"

/** A request that is let in. */
export interface Admitted {
  readonly request: Pick<Request, "query" | "endpointName" | "region">
  /** What its chunk signatures must chain to; absent where none is checked. */
  readonly chain: Chain | undefined
}

/** A request that is not, as far as it was understood. */
export interface Denied {
  readonly request: Partial<Request>
  readonly refusal: Refusal
}

/** What a request is judged by. */
export interface Rules {
  /** Whose signatures are checked in full; without them a signature only has to look like one. */
  readonly credentials: requestSignature.Credentials | undefined
  /** The endpoints that exist; default: any that is asked for. */
  readonly endpointNames: ReadonlySet<string> | undefined
}

/** Judges a request by its headers, in AWS's order: route, authorization, input, endpoint, container. */
export const judge = (
  request: requestSignature.Request,
  { credentials, endpointNames }: Rules,
  nowMillis: number
): Result.Result<Admitted, Denied> => {
  const query = request.header(queryHeader) ?? ""
  const endpointName = endpointNameOf(request.path)
  const deny = (refusal: Refusal, region?: string): Result.Result<never, Denied> =>
    Result.fail({
      request: {
        query,
        ...(endpointName === undefined ? {} : { endpointName }),
        ...(region === undefined ? {} : { region })
      },
      refusal
    })
  if (request.method !== "POST" || endpointName === undefined) return deny(refusals.unknownOperation())
  const authorization = requestSignature.authorization(request)
  if (Result.isFailure(authorization)) return deny(forbidden(authorization.failure))
  const { region, service, signature } = authorization.success
  const problem = credentials && requestSignature.verify(request, authorization.success, credentials, nowMillis)
  if (problem !== undefined) return deny(forbidden(problem), region)
  const wrong = inputProblem(request, endpointName)
  if (wrong !== undefined) return deny(refusals.invalidInput(wrong), region)
  if (endpointNames?.has(endpointName) === false) return deny(refusals.notFound(endpointName), region)
  if (request.header(pathHeader) !== "v2/listen") {
    return deny(refusals.unreachable(endpointName, region, "the container has no such path: expected v2/listen"), region)
  }
  return Result.succeed({
    request: { query, endpointName, region },
    chain: credentials && { secretAccessKey: credentials.secretAccessKey, region, service, seed: signature }
  })
}

const forbidden = ({ errorType, message }: requestSignature.Problem): Refusal => refusals.forbidden(errorType, message)

const pathHeader = "x-amzn-sagemaker-model-invocation-path"
const queryHeader = "x-amzn-sagemaker-model-query-string"
const variantHeader = "x-amzn-sagemaker-target-variant"

const route = /^\/endpoints\/([^/]+)\/invocations-bidirectional-stream$/

/**
 * The endpoint that a request target names, `undefined` on another route. A query is no part of the route: the operation
 * has no parameters, so AWS reads none of it, and every client of AWS for Python sends an empty one.
 */
const endpointNameOf = (target: string): string | undefined => {
  const label = route.exec(requestSignature.targetOf(target).path)?.[1]
  return label === undefined ? undefined : decode(label) ?? label
}

const pathPattern = /^[A-Za-z0-9\-._]+(?:\/[A-Za-z0-9\-._]+)*$/

/** How a body may be declared that is signed by chunks, besides not at all. */
const payloads: ReadonlySet<string> = new Set([requestSignature.streamingPayload, requestSignature.emptyPayload])

/** What breaks the patterns of protocol 1.3 other than the query's, or what a header says of the body that it is not. */
const inputProblem = (request: requestSignature.Request, endpointName: string): string | undefined => {
  const path = request.header(pathHeader)
  const variant = request.header(variantHeader)
  if (request.header("content-type") !== "application/vnd.amazon.eventstream") {
    return "content-type must be application/vnd.amazon.eventstream"
  }
  const payload = request.header(requestSignature.payloadHeader)
  if (payload !== undefined && !payloads.has(payload)) {
    return `${requestSignature.payloadHeader} must be ${requestSignature.streamingPayload}, the hash of nothing, or absent`
  }
  if (!isName(endpointName)) return "EndpointName does not match its pattern"
  if (variant !== undefined && !isName(variant)) return "TargetVariant does not match its pattern"
  if (path !== undefined && (path.length > 100 || !pathPattern.test(path))) {
    return "ModelInvocationPath does not match its pattern"
  }
  return undefined
}
