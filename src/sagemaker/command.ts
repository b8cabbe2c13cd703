/**
 * The bidirectional operation as a Smithy schema, for the client of `@aws-sdk/client-sagemaker-runtime`, which has no
 * command for it (protocol 5.1, 5.2). Both bodies are declared as streaming blobs, so that the SDK passes raw bytes
 * through and answers as soon as the response headers are there.
 */
import type { Readable } from "node:stream"
import type {
  SageMakerRuntimeClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
} from "@aws-sdk/client-sagemaker-runtime"
import { makeBuilder } from "@smithy/core/client"
import { getEndpointPlugin } from "@smithy/core/endpoints"
import type { MetadataBearer, StaticOperationSchema, StaticSimpleSchema, StaticStructureSchema } from "@smithy/types"
import type { streamingPayload } from "../internal/requestSignature.ts"

/** What the request says. */
export interface InvokeInput {
  readonly EndpointName: string
  readonly Body: Readable
  readonly ContentType: "application/vnd.amazon.eventstream"
  readonly ContentSha256: typeof streamingPayload
  /** No leading slash (protocol 1.3). */
  readonly ModelInvocationPath: "v2/listen"
  readonly ModelQueryString: string
  readonly TargetVariant: string | undefined
}

/** What the response headers say. */
export interface InvokeOutput extends MetadataBearer {
  readonly InvokedProductionVariant?: string | undefined
}

const namespace = "com.amazonaws.sagemakerruntime"
const streamingTrait = 1
const [text, labelTrait, payloadTrait] = [0, 1, 16] as const
const blob: StaticSimpleSchema = [0, namespace, "PayloadStream", { streaming: streamingTrait }, 42]

const input: StaticStructureSchema = [
  3,
  namespace,
  "InvokeEndpointWithBidirectionalStreamInput",
  0,
  ["EndpointName", "Body", "ContentType", "ContentSha256", "ModelInvocationPath", "ModelQueryString", "TargetVariant"],
  [
    [text, labelTrait],
    [() => blob, payloadTrait],
    [text, { httpHeader: "Content-Type" }],
    [text, { httpHeader: "X-Amz-Content-Sha256" }],
    [text, { httpHeader: "X-Amzn-SageMaker-Model-Invocation-Path" }],
    [text, { httpHeader: "X-Amzn-SageMaker-Model-Query-String" }],
    [text, { httpHeader: "X-Amzn-SageMaker-Target-Variant" }]
  ]
]

const output: StaticStructureSchema = [
  3,
  namespace,
  "InvokeEndpointWithBidirectionalStreamOutput",
  0,
  ["Body", "InvokedProductionVariant"],
  [
    [() => blob, payloadTrait],
    [text, { httpHeader: "x-Amzn-Invoked-Production-Variant" }]
  ]
]

const operation: StaticOperationSchema = [
  9,
  namespace,
  "InvokeEndpointWithBidirectionalStream",
  { http: ["POST", "/endpoints/{EndpointName}/invocations-bidirectional-stream", 200] },
  () => input,
  () => output
]

const command = makeBuilder<SageMakerRuntimeClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>(
  {
    UseFIPS: { type: "builtInParams", name: "useFipsEndpoint" },
    Endpoint: { type: "builtInParams", name: "endpoint" },
    Region: { type: "builtInParams", name: "region" },
    UseDualStack: { type: "builtInParams", name: "useDualstackEndpoint" }
  },
  "AmazonSageMakerRuntime",
  "SageMakerRuntimeClient",
  getEndpointPlugin
)

/** The command, to be sent with a `SageMakerRuntimeClient`. */
export const InvokeEndpointWithBidirectionalStream = command<InvokeInput, InvokeOutput>(
  {},
  () => [],
  "InvokeEndpointWithBidirectionalStream",
  operation
)
