/** Signing of the frames that carry messages to SageMaker (protocol 5.4). */
import * as crypto from "node:crypto"
import { crc32 } from "node:zlib"
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
  writeInt64,
  writeMessage,
  writePrelude
} from "./eventEncoding.ts"
import * as spares from "./spares.ts"

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

/** A key as bytes, and its scope. */
const derive = (of: SigningKeyOf, stamp: string): { readonly key: Uint8Array; readonly scope: string } => {
  const parts = [stamp.slice(0, 8), of.region, of.service, "aws4_request"]
  const key = parts.reduce<Uint8Array>((key, part) => hmac(key, part), new TextEncoder().encode(`AWS4${of.secretAccessKey}`))
  return { key, scope: parts.join("/") }
}

/** The SigV4 signing key and the credential scope of the UTC day of `millis`. */
export const signingKey = (of: SigningKeyOf, millis: number): { readonly key: SigningKey; readonly scope: string } => {
  const { key, scope } = derive(of, stampOf(millis))
  return { key: crypto.createSecretKey(key), scope }
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

/** The keys of one set of credentials, for all streams that are signed with it. */
export interface SigningKeys {
  /** What signs at `millis`, with what is derived once a day, and once a second, for all streams. */
  readonly at: (millis: number) => Moment
}

interface Moment {
  readonly day: DayKey
  readonly sign: Hmac
}

interface DayKey {
  readonly scope: string
  /** The blocks that the two hashes of an HMAC begin with (RFC 2104). */
  readonly inner: Uint8Array
  readonly outer: Uint8Array
}

const blockBytes = 64
/** A derived key is shorter than a block of SHA-256. */
const padded = (key: Uint8Array, pad: number): Uint8Array =>
  Uint8Array.from({ length: blockBytes }, (_, at) => (key[at] ?? 0) ^ pad)

/** Those of some credentials. */
export const signingKeys = (of: SigningKeyOf): SigningKeys => {
  let second = Number.NaN
  let moment: Moment | undefined
  const dayOf = (stamp: string): DayKey => {
    if (moment?.day.scope.startsWith(stamp.slice(0, 8)) === true) return moment.day
    const { key, scope } = derive(of, stamp)
    return { scope, inner: padded(key, 0x36), outer: padded(key, 0x5c) }
  }
  return {
    at: (millis) => {
      const now = Math.floor(millis / 1000)
      if (moment === undefined || now !== second) {
        const stamp = stampOf(millis)
        const day = dayOf(stamp)
        moment = { day, sign: makeHmac(day, stamp) }
        second = now
      }
      return moment
    }
  }
}

/** Signs for one moment; all arguments and the signature are in hex. */
type Hmac = (prior: string, date: string, payload: string) => string

const hexBytes = 64

/**
 * In memory that all streams use, one after another, by two hashes of one call each: a third of what an `Hmac` object takes.
 */
const makeHmac = ({ inner, outer, scope }: DayKey, stamp: string): Hmac => {
  const head = `AWS4-HMAC-SHA256-PAYLOAD\n${stamp}\n${scope}\n`
  const priorAt = blockBytes + head.length
  const dateAt = priorAt + hexBytes + 1
  const payloadAt = dateAt + hexBytes + 1
  const text = Buffer.alloc(payloadAt + hexBytes, "\n")
  text.set(inner)
  text.write(head, blockBytes, "latin1")
  const digest = Buffer.alloc(blockBytes + 32)
  digest.set(outer)
  return (prior, date, payload) => {
    text.write(prior, priorAt, "latin1")
    text.write(date, dateAt, "latin1")
    text.write(payload, payloadAt, "latin1")
    digest.write(crypto.hash("sha256", text), blockBytes, "hex")
    return crypto.hash("sha256", digest)
  }
}

let dated: { readonly millis: number; readonly hash: string } | undefined
/** Many streams send in the same millisecond. */
const dateHash = (millis: number, date: Uint8Array): string => {
  if (dated?.millis !== millis) dated = { millis, hash: crypto.hash("sha256", date) }
  return dated.hash
}

/** Signs the frames of one stream, in the order of the calls. What a call returns must be sent, and in that order. */
export interface Signer {
  /** The outer frame of an inner message; an empty one ends the request. `millis` is the frame's date. */
  readonly sign: (inner: Uint8Array, millis: number) => Buffer
  /** The outer frame of a whole PayloadPart: as `sign(payloadPart(dataType, bytes), millis)`, with one copy of `bytes`. */
  readonly signPart: (dataType: DataType, bytes: Uint8Array, millis: number) => SignedFrame
}

/** A frame to be sent. */
export interface SignedFrame {
  readonly bytes: Buffer
  /** To be called once it has left, as a write calls back: its memory serves for another frame then, of any stream. */
  readonly left: (error?: Error | null) => void
}

/** An outer frame, with views of its parts. */
interface OuterFrame {
  readonly whole: Buffer
  readonly view: DataView
  /** All but the checksum. */
  readonly sealed: Buffer
  readonly date: Buffer
  readonly inner: Buffer
}

const makeFrame = (innerBytes: number): OuterFrame => {
  const whole = Buffer.allocUnsafe(innerAt + innerBytes + 4)
  const view = viewOf(whole)
  whole.set(outerHeaders, preludeBytes)
  writePrelude(view, whole, outerHeaders.length)
  return {
    whole,
    view,
    sealed: whole.subarray(0, whole.length - 4),
    date: whole.subarray(preludeBytes, dateEnd),
    inner: whole.subarray(innerAt, whole.length - 4)
  }
}

/** A frame of audio: what does not change from one to the next of its length is in place. */
interface AudioFrame extends OuterFrame {
  readonly signed: SignedFrame
  readonly payload: Buffer
  /** The inner message but for its checksum. */
  readonly unsealed: Buffer
}

const audioHeaders = wholeHeaders.BINARY
const payloadAt = preludeBytes + audioHeaders.length
const spare = spares.make<AudioFrame>()

const makeAudioFrame = (payloadBytes: number): AudioFrame => {
  const frame = makeFrame(payloadAt + payloadBytes + 4)
  const { inner, whole } = frame
  writePrelude(viewOf(inner), inner, audioHeaders.length)
  inner.set(audioHeaders, preludeBytes)
  const left = (error?: Error | null): void => {
    // one that failed may still be on its way
    if (error == null) spare.give(payloadBytes, made)
  }
  const made: AudioFrame = {
    ...frame,
    signed: { bytes: whole, left },
    payload: inner.subarray(payloadAt, inner.length - 4),
    unsealed: inner.subarray(0, inner.length - 4)
  }
  return made
}
const nothing = (): void => undefined

/** A signer that goes on from `seed`, the hex signature of the request. A new UTC day brings a new key and scope. */
export const makeSigner = (keys: SigningKeys, seed: string): Signer => {
  let prior = seed

  /** Dates, signs and seals a frame whose inner message is in place. */
  const seal = ({ date, inner, sealed, view, whole }: OuterFrame, millis: number): Buffer => {
    writeInt64(view, dateValueAt, millis)
    prior = keys.at(millis).sign(prior, dateHash(millis, date), crypto.hash("sha256", inner))
    whole.write(prior, signatureAt, "hex")
    view.setUint32(sealed.length, crc32(sealed))
    return whole
  }
  return {
    sign: (inner, millis) => {
      const frame = makeFrame(inner.length)
      frame.inner.set(inner)
      return seal(frame, millis)
    },
    signPart: (dataType, bytes, millis) => {
      if (dataType === "UTF8") {
        const headers = wholeHeaders[dataType]
        const frame = makeFrame(overheadBytes + headers.length + bytes.length)
        writeMessage(frame.inner, headers, bytes)
        return { bytes: seal(frame, millis), left: nothing }
      }
      const frame = spare.take(bytes.length) ?? makeAudioFrame(bytes.length)
      frame.payload.set(bytes)
      frame.view.setUint32(innerAt + frame.unsealed.length, crc32(frame.unsealed))
      seal(frame, millis)
      return frame.signed
    }
  }
}
