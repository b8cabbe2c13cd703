/**
 * A client of the endpoint that shares no code with this package's: the AWS SDK's own event-stream middleware,
 * marshaller and signer, on the operation's schema (protocol 5.2 to 5.5).
 */
import { eventStreamPayloadHandlerProvider } from "@aws-sdk/eventstream-handler-node"
import { getEventStreamPlugin, resolveEventStreamConfig } from "@aws-sdk/middleware-eventstream"
import {
  SageMakerRuntimeClient,
  type SageMakerRuntimeClientResolvedConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes
} from "@aws-sdk/client-sagemaker-runtime"
import { makeBuilder } from "@smithy/core/client"
import { getEndpointPlugin } from "@smithy/core/endpoints"
import { NodeHttp2Handler } from "@smithy/node-http-handler"
import type { MetadataBearer, StaticOperationSchema, StaticStructureSchema, StaticUnionSchema } from "@smithy/types"

/** A part of the body, as the SDK's generated code would name it. */
export interface Part {
  readonly PayloadPart: { readonly Bytes: Uint8Array; DataType?: string; CompletionState?: string }
}
// The payload's name is not on the wire: as "Events" it goes past the client's own operations, which have a blob Body.
interface Input {
  readonly EndpointName: string
  readonly ModelInvocationPath: string
  readonly ModelQueryString: string
  readonly Events: AsyncIterable<Part>
}
interface Output extends MetadataBearer {
  readonly InvokedProductionVariant?: string
  readonly Events?: AsyncIterable<{ readonly PayloadPart?: { readonly Bytes?: Uint8Array; readonly DataType?: string; readonly CompletionState?: string } }>
}

const namespace = "com.amazonaws.sagemakerruntimehttp2"
const [text, blob, label, payload] = [0, 21, 1, 16] as const
const header = (name: string): [number, { httpHeader: string }] => [text, { httpHeader: name }]
const part: StaticStructureSchema = [
  3,
  namespace,
  "PayloadPart",
  0,
  ["Bytes", "DataType", "CompletionState"],
  [[blob, { eventPayload: 1 }], [text, { eventHeader: 1 }], [text, { eventHeader: 1 }]]
]
const events: StaticUnionSchema = [4, namespace, "StreamEvent", { streaming: 1 }, ["PayloadPart"], [[() => part, 0]]]
const input: StaticStructureSchema = [
  3,
  namespace,
  "Input",
  0,
  ["EndpointName", "ModelInvocationPath", "ModelQueryString", "Events"],
  [
    [text, label],
    header("X-Amzn-SageMaker-Model-Invocation-Path"),
    header("X-Amzn-SageMaker-Model-Query-String"),
    [() => events, payload]
  ]
]
const output: StaticStructureSchema = [
  3,
  namespace,
  "Output",
  0,
  ["Events", "InvokedProductionVariant"],
  [[() => events, payload], header("X-Amzn-Invoked-Production-Variant")]
]
const operation: StaticOperationSchema = [
  9,
  namespace,
  "InvokeEndpointWithBidirectionalStream",
  { http: ["POST", "/endpoints/{EndpointName}/invocations-bidirectional-stream", 200] },
  () => input,
  () => output
]

/** The operation, as the SDK's generated code would have it. */
export const InvokeCommand = makeBuilder<SageMakerRuntimeClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>(
  {
    UseFIPS: { type: "builtInParams", name: "useFipsEndpoint" },
    Endpoint: { type: "builtInParams", name: "endpoint" },
    Region: { type: "builtInParams", name: "region" },
    UseDualStack: { type: "builtInParams", name: "useDualstackEndpoint" }
  },
  "AmazonSageMakerRuntimeHTTP2",
  "SageMakerRuntimeClient",
  getEndpointPlugin
)<Input, Output>(
  {},
  (_command, _stack, config) => [
    getEventStreamPlugin(resolveEventStreamConfig({ ...config, eventStreamPayloadHandlerProvider }))
  ],
  "InvokeEndpointWithBidirectionalStream",
  operation
)

const quiet = (): void => {}

/** A client of the SDK as it comes, without retries. */
export const makeClient = (options: Pick<Call, "url" | "ca" | "region" | "credentials">): SageMakerRuntimeClient =>
  new SageMakerRuntimeClient({
    region: options.region ?? "us-east-1",
    endpoint: options.url,
    credentials: options.credentials,
    requestHandler: new NodeHttp2Handler(options.ca === undefined ? {} : { nodeHttp2ConnectOptions: { ca: options.ca } }),
    maxAttempts: 1,
    logger: { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }
  })

/** One whole call. */
export interface Call {
  /** The server, such as `http://127.0.0.1:1234`. */
  readonly url: string
  /** PEM to trust. */
  readonly ca?: string | undefined
  readonly endpointName?: string
  readonly region?: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
  readonly query: string
  /** Sent as they are, one part each, once Flux has spoken; CloseStream follows. */
  readonly audio: Iterable<Uint8Array>
}

/** Makes a call to its end and gives the texts received. Rejects with the SDK's exception. */
export const call = async (options: Call): Promise<ReadonlyArray<string>> => {
  const client = makeClient(options)
  const spoken = Promise.withResolvers<void>()
  const drained = Promise.withResolvers<void>()
  const body = async function*(): AsyncGenerator<Part> {
    await spoken.promise
    for (const Bytes of options.audio) yield { PayloadPart: { Bytes, DataType: "BINARY" } }
    yield { PayloadPart: { Bytes: new TextEncoder().encode(`{"type":"CloseStream"}`), DataType: "UTF8" } }
    await drained.promise
  }
  const texts: Array<string> = []
  try {
    const output = await client.send(
      new InvokeCommand({
        EndpointName: options.endpointName ?? "my-flux",
        ModelInvocationPath: "v2/listen",
        ModelQueryString: options.query,
        Events: body()
      })
    )
    // the SDK answers with the first event
    spoken.resolve()
    let decoder = new TextDecoder()
    let message = ""
    for await (const { PayloadPart } of output.Events ?? []) {
      if (PayloadPart?.DataType !== "UTF8") throw new Error(`a part of type ${PayloadPart?.DataType}`)
      const more = PayloadPart.CompletionState === "PARTIAL"
      message += decoder.decode(PayloadPart.Bytes, { stream: more })
      if (more) continue
      texts.push(message)
      message = ""
      decoder = new TextDecoder()
    }
  } finally {
    spoken.resolve()
    drained.resolve()
    client.destroy()
  }
  return texts
}
