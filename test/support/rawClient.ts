/** A client made of node:http2 with nothing between it and the wire; frames and signatures by the AWS SDK's codec and signer. */
import * as http2 from "node:http2"
import { Sha256 } from "@smithy/core/checksum"
import { HttpRequest } from "@smithy/core/protocols"
import { fromUtf8, toUtf8 } from "@smithy/core/serde"
import { EventStreamCodec } from "@smithy/eventstream-codec"
import { SignatureV4 } from "@smithy/signature-v4"
import * as DateTime from "effect/DateTime"
import type { Message, MessageHeaders } from "@smithy/types"

/** Those of protocol 5.4. */
export const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" }

/** 2026-01-02T03:04:05.000Z, the date of the vectors of protocol 5.4. */
export const vectorMillis = 1_767_323_045_000

/** As the SDK wants dates. */
export const dateOf = (millis: number): Date => DateTime.toDateUtc(DateTime.makeUnsafe(millis))

const codec = new EventStreamCodec(toUtf8, fromUtf8)

export const encodeMessage = (headers: MessageHeaders, body: Uint8Array): Uint8Array => codec.encode({ headers, body })

/** Headers of strings. */
export const strings = (headers: Readonly<Record<string, string>>): MessageHeaders =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: "string", value }]))

/** An inner PayloadPart, with its optional headers as given. */
export const part = (body: Uint8Array | string, headers: Readonly<Record<string, string>> = {}): Uint8Array =>
  encodeMessage(
    strings({
      ":event-type": "PayloadPart",
      ":message-type": "event",
      ":content-type": "application/octet-stream",
      DataType: typeof body === "string" ? "UTF8" : "BINARY",
      ...headers
    }),
    typeof body === "string" ? fromUtf8(body) : body
  )

/** Which name the host is signed under. */
export type HostName = "host" | ":authority"

export interface RequestOptions {
  readonly hostName?: HostName
  readonly host?: string
  readonly secretAccessKey?: string
  readonly accessKeyId?: string
  readonly region?: string
  readonly millis?: number
  /** On the wire instead of what was signed; `undefined` leaves a header out. */
  readonly tampered?: Readonly<Record<string, string | undefined>>
  readonly query?: string
  readonly path?: string
  /** Parameters of the request target, which are signed. */
  readonly parameters?: Readonly<Record<string, string>>
  /** The value of `x-amz-content-sha256`; `undefined` sends none, and signs the hash of an empty body, as Rust's SDK does. */
  readonly payload?: string | undefined
  /** Headers that are sent, and signed, besides. */
  readonly headers?: Readonly<Record<string, string>>
}

/** What stands for the hash of a body that is signed by chunks (protocol 5.4). */
export const streamingPayload = "STREAMING-AWS4-HMAC-SHA256-EVENTS"

const signerOf = (options: RequestOptions): SignatureV4 =>
  new SignatureV4({
    credentials: {
      accessKeyId: options.accessKeyId ?? credentials.accessKeyId,
      secretAccessKey: options.secretAccessKey ?? credentials.secretAccessKey
    },
    region: options.region ?? "us-east-1",
    service: "sagemaker",
    sha256: Sha256,
    applyChecksum: false
  })

/** The headers of a request, signed by the SDK's signer; by default those of the vectors of protocol 5.4. */
export const signedHeaders = async (options: RequestOptions = {}): Promise<Record<string, string>> => {
  const host = options.host ?? "runtime.sagemaker.us-east-1.amazonaws.com:8443"
  const path = options.path ?? "/endpoints/my-flux/invocations-bidirectional-stream"
  const payload = "payload" in options ? options.payload : streamingPayload
  const query = Object.entries(options.parameters ?? {}).map((pair) => pair.map(encodeURIComponent).join("=")).join("&")
  const signed = await signerOf(options).sign(
    new HttpRequest({
      method: "POST",
      hostname: host,
      path,
      query: { ...options.parameters },
      headers: {
        [options.hostName ?? "host"]: host,
        "content-type": "application/vnd.amazon.eventstream",
        ...(payload === undefined ? {} : { "x-amz-content-sha256": payload }),
        "x-amzn-sagemaker-model-invocation-path": "v2/listen",
        "x-amzn-sagemaker-model-query-string":
          options.query ?? "model=flux-general-en&encoding=linear16&sample_rate=16000",
        ...options.headers
      }
    }),
    { signingDate: dateOf(options.millis ?? vectorMillis) }
  )
  const headers: Record<string, string> = { ":method": "POST", ":path": query === "" ? path : `${path}?${query}`, ":authority": host, ...signed.headers }
  for (const [name, value] of Object.entries(options.tampered ?? {})) {
    if (value === undefined) delete headers[name]
    else headers[name] = value
  }
  return headers
}

/** The signature in an authorization header: the seed of the chunks' chain. */
export const seedOf = (headers: Readonly<Record<string, string>>): string =>
  /Signature=(\w+)$/.exec(headers["authorization"] ?? "")?.[1] ?? ""

/** Seals inner messages in signed frames, by the SDK's signer, in the order of the calls. */
export const makeSealer = (
  seed: string,
  options: RequestOptions = {}
): (inner: Uint8Array, millis?: number) => Promise<Uint8Array> => {
  const signer = signerOf(options)
  let prior = seed
  return async (inner, millis = options.millis ?? vectorMillis) => {
    const date: MessageHeaders = { ":date": { type: "timestamp", value: dateOf(millis) } }
    const { signature } = await signer.sign(
      { message: { headers: date, body: inner }, priorSignature: prior },
      { signingDate: dateOf(millis) }
    )
    prior = signature
    return encodeMessage({ ...date, ":chunk-signature": { type: "binary", value: Buffer.from(signature, "hex") } }, inner)
  }
}

/** A frame whose signature is only of the right size. */
export const unsignedFrame = (inner: Uint8Array): Uint8Array =>
  encodeMessage(
    {
      ":date": { type: "timestamp", value: dateOf(vectorMillis) },
      ":chunk-signature": { type: "binary", value: new Uint8Array(32) }
    },
    inner
  )

/** A response to its end. */
export interface Answer {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly body: Uint8Array
  /** True where the server ended the response, false where the stream was lost. */
  readonly clean: boolean
}

/** One request under way. */
export interface Exchange {
  readonly stream: http2.ClientHttp2Stream
  readonly headers: Promise<http2.IncomingHttpHeaders>
  readonly answer: Promise<Answer>
  /** Bytes of the body so far. */
  readonly received: () => Uint8Array
  /** Resolves once the body so far holds that many whole messages. */
  readonly messages: (count: number) => Promise<ReadonlyArray<Message>>
}

/** Sends the headers of a request and collects the response. */
export const exchange = (session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Exchange => {
  const stream = session.request(headers)
  const head = Promise.withResolvers<http2.IncomingHttpHeaders>()
  const done = Promise.withResolvers<Answer>()
  const waiting = new Set<() => void>()
  let response: http2.IncomingHttpHeaders = {}
  let body: Uint8Array = new Uint8Array(0)
  const answer = (clean: boolean): void =>
    done.resolve({ status: Number(response[":status"] ?? 0), headers: response, body, clean })
  stream.on("response", (headers) => {
    response = headers
    head.resolve(headers)
  })
  stream.on("data", (chunk: Uint8Array) => {
    body = Buffer.concat([body, chunk])
    waiting.forEach((check) => check())
  })
  stream.on("end", () => answer(!stream.aborted && stream.rstCode === 0))
  stream.on("error", () => {})
  stream.on("close", () => {
    head.resolve(response)
    answer(false)
  })
  return {
    stream,
    headers: head.promise,
    answer: done.promise,
    received: () => body,
    messages: (count) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const messages = decodeAll(body)
          if (messages.length >= count) resolve(messages)
        }
        waiting.add(check)
        stream.on("close", () => reject(new Error("the stream closed first")))
        check()
      })
  }
}

/** The whole messages at the start of some bytes. */
export const decodeAll = (bytes: Uint8Array): Array<Message> => {
  const messages: Array<Message> = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 4 <= bytes.length;) {
    const size = view.getUint32(at)
    if (at + size > bytes.length) break
    messages.push(codec.decode(bytes.subarray(at, at + size)))
    at += size
  }
  return messages
}

/** String headers of a message. */
export const headersOf = (message: Message | undefined): Record<string, unknown> =>
  Object.fromEntries(Object.entries(message?.headers ?? {}).map(([name, { value }]) => [name, value]))

/** The payloads as text. */
export const textsOf = (messages: ReadonlyArray<Message>): Array<string> => messages.map(({ body }) => toUtf8(body))

/** Resolves when the server has handled what was sent on the connection before. */
export const roundTrip = (session: http2.ClientHttp2Session): Promise<void> =>
  new Promise((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)))
  })
