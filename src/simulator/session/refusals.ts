/** HTTP answers other than 200, as SageMaker gives them (protocol 5.9). Pure. */
import type { Refusal } from "../wire.ts"

/** Whose endpoint it is said to be. */
const account = "000000000000"

const json = (
  status: number,
  errorType: string | undefined,
  body: Readonly<Record<string, string | number | null>>,
  reason: string
): Refusal => ({ status, errorType, body: JSON.stringify(body), reason })

/** No such route, for a path or method that the service does not have. */
export const unknownOperation = (): Refusal =>
  json(400, "UnknownOperationException", { message: "Unknown operation" }, "no such route")

/** 400: a header or the endpoint's name breaks its pattern (protocol 1.3). */
export const invalidInput = (message: string): Refusal =>
  json(400, "InputValidationError", { Message: message, ErrorCode: "INPUT_VALIDATION" }, message)

/** 400: no endpoint of the account in this region has the name (protocol 11.8). */
export const notFound = (endpointName: string): Refusal =>
  json(
    400,
    "ValidationError",
    { Message: `Endpoint ${endpointName} of account ${account} not found.` },
    "no such endpoint"
  )

/** 403: who asks is not known, or the signature is wrong. */
export const forbidden = (errorType: string, message: string): Refusal => json(403, errorType, { message }, message)

/** 403: the role lacks the permission (protocol 5.11). */
export const accessDenied = (endpointName: string, region: string): Refusal =>
  json(
    403,
    "AccessDeniedException",
    {
      Message: `User: arn:aws:sts::${account}:assumed-role/simulated/session is not authorized to perform: ` +
        `sagemaker:InvokeEndpointWithBidirectionalStream on resource: arn:aws:sagemaker:${region}:${account}:endpoint/` +
        `${endpointName} because no identity-based policy allows the action`
    },
    "the permission is missing"
  )

/** 403: temporary credentials have had their time. */
export const expiredToken = (): Refusal =>
  forbidden("ExpiredTokenException", "The security token included in the request is expired")

/** 400 or 429: SageMaker's front line is throttling. The body is that of the sibling API. */
export const throttled = (status: 400 | 429): Refusal =>
  json(status, "ThrottlingException", { message: null }, "too many requests")

/** 424: the container refused, or failed, before Flux answered; its own answer is hidden. `reason` is the true one. */
export const unreachable = (endpointName: string, region: string, reason: string): Refusal => {
  const inner = "Failed to establish WebSocket connection"
  const group = `/aws/sagemaker/Endpoints/${endpointName}`
  return json(
    424,
    "ModelError",
    {
      Message: `Received server error (424) from primary with message "${inner}". See ` +
        `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#logEventViewer:group=${group} ` +
        `in account ${account} for more information.`,
      OriginalStatusCode: 424,
      OriginalMessage: inner,
      LogStreamArn: `arn:aws:logs:${region}:${account}:log-group:${group}`,
      ErrorCode: "INTERNAL_FAILURE_FROM_MODEL"
    },
    reason
  )
}

/** 500 of the front end, which speaks HTML and gives no type. */
export const internalErrorPage = (): Refusal => ({
  status: 500,
  contentType: "text/html",
  errorType: undefined,
  body: "<html><head><title>500 Internal Server Error</title></head>\n" +
    "<body><center><h1>500 Internal Server Error</h1></center></body></html>\n",
  reason: anInternalError
})

// what AWS writes for ErrorCode in these two is not known

/** 500 of the service itself, which gives a type. */
export const internalServerError = (): Refusal =>
  json(500, "InternalServerError", { Message: "The request processing has failed", ErrorCode: "INTERNAL_FAILURE" }, anInternalError)

/** 503. */
export const unavailable = (): Refusal =>
  json(
    503,
    "ServiceUnavailableError",
    { Message: "The service is temporarily unavailable", ErrorCode: "SERVICE_UNAVAILABLE" },
    "the service is unavailable"
  )

const anInternalError = "an internal error"
