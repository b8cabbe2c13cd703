/** Signing of the frames that carry messages to SageMaker (protocol 5.4). */
import * as crypto from "node:crypto"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import {
  concat,
  type DataType,
  encodeHeaders,
  overheadBytes,
  preludeBytes,
  viewOf,
  wholeHeaders,
  writeChecksum,
  writeInt64,
  writeMessage,
  writePrelude
} from "./eventEncoding.ts"

/** What a chunk's signing key is made of. */
export interface SigningKeyOf {
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
}

/** A derived key. As a `KeyObject` it signs five times faster than as bytes. */
export type SigningKey = Uint8Array | crypto.KeyObject

const hmac = (key: SigningKey, data: string): Buffer => crypto.createHmac("sha256", key).update(data).digest()

/** `YYYYMMDDTHHMMSSZ`. A peer may send any date, so one that no calendar holds gives a text that matches nothing. */
const stampOf = (millis: number): string =>
  Option.match(DateTime.make(millis), {
    onNone: () => "no date",
    onSome: (date) => DateTime.formatIso(date).replaceAll(/[-:]|\.\d+/g, "")
  })

/** The SigV4 signing key and the credential scope of the UTC day of `millis`. */
export const signingKey = (of: SigningKeyOf, millis: number): { readonly key: SigningKey; readonly scope: string } => {
  const day = stampOf(millis).slice(0, 8)
  const parts = [day, of.region, of.service, "aws4_request"]
  const key = parts.reduce<Uint8Array>((key, part) => hmac(key, part), new TextEncoder().encode(`AWS4${of.secretAccessKey}`))
  return { key: crypto.createSecretKey(key), scope: parts.join("/") }
}

const dateHeader = encodeHeaders([[":date", { type: "timestamp", value: 0 }]])
const signatureHeader = encodeHeaders([[":chunk-signature", { type: "bytes", value: new Uint8Array(32) }]])
const outerHeaders = concat([dateHeader, signatureHeader])
const innerAt = preludeBytes + outerHeaders.length
const dateEnd = preludeBytes + dateHeader.length
const dateValueAt = dateEnd - 8
const signatureAt = innerAt - 32

const signatureOf = (
  key: SigningKey,
  scope: string,
  stamp: string,
  prior: string,
  date: Uint8Array,
  inner: Uint8Array
): Buffer =>
  hmac(
    key,
    `AWS4-HMAC-SHA256-PAYLOAD\n${stamp}\n${scope}\n${prior}\n${crypto.hash("sha256", date)}\n${crypto.hash("sha256", inner)}`
  )

/** The signature of one frame: 32 bytes (protocol 5.4). `prior` is the hex of the frame before, or of the seed. */
export const chunkSignature = (options: {
  readonly signingKey: SigningKey
  readonly scope: string
  readonly millis: number
  readonly prior: string
  readonly inner: Uint8Array
}): Uint8Array => {
  const date = Uint8Array.from(dateHeader)
  writeInt64(viewOf(date), date.length - 8, options.millis)
  return new Uint8Array(
    signatureOf(options.signingKey, options.scope, stampOf(options.millis), options.prior, date, options.inner)
  )
}

/** Signs the frames of one stream, in the order of the calls. What a call returns must be sent, and in that order. */
export interface Signer {
  /** The outer frame of an inner message; an empty one ends the request. `millis` is the frame's date. */
  readonly sign: (inner: Uint8Array, millis: number) => Uint8Array
  /** The outer frame of a whole PayloadPart: as `sign(payloadPart(dataType, bytes), millis)`, with one copy of `bytes`. */
  readonly signPart: (dataType: DataType, bytes: Uint8Array, millis: number) => Uint8Array
}

/** A signer that goes on from `seed`, the hex signature of the request. A new UTC day brings a new key and scope. */
export const makeSigner = (options: SigningKeyOf & { readonly seed: string }): Signer => {
  let prior = options.seed
  let second = Number.NaN
  let stamp = ""
  let derived = signingKey(options, 0)

  const moveTo = (millis: number): void => {
    const now = Math.floor(millis / 1000)
    if (now === second) return
    second = now
    stamp = stampOf(millis)
    if (!derived.scope.startsWith(stamp.slice(0, 8))) derived = signingKey(options, millis)
  }

  /** Signs and seals a frame whose inner message is already in place. */
  const seal = (frame: Uint8Array, millis: number): Uint8Array => {
    moveTo(millis)
    const view = viewOf(frame)
    frame.set(outerHeaders, preludeBytes)
    writeInt64(view, dateValueAt, millis)
    const date = frame.subarray(preludeBytes, dateEnd)
    const inner = frame.subarray(innerAt, frame.length - 4)
    const signature = signatureOf(derived.key, derived.scope, stamp, prior, date, inner)
    prior = signature.toString("hex")
    frame.set(signature, signatureAt)
    writePrelude(view, frame, outerHeaders.length)
    writeChecksum(view, frame)
    return frame
  }

  return {
    sign: (inner, millis) => {
      const frame = new Uint8Array(innerAt + inner.length + 4)
      frame.set(inner, innerAt)
      return seal(frame, millis)
    },
    signPart: (dataType, bytes, millis) => {
      const headers = wholeHeaders[dataType]
      const frame = new Uint8Array(innerAt + overheadBytes + headers.length + bytes.length + 4)
      writeMessage(frame.subarray(innerAt, frame.length - 4), headers, bytes)
      return seal(frame, millis)
    }
  }
}
