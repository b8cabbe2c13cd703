/** What a client speaks, told from the first bytes of its connection. Pure. */

/** `other` is none of the three: rubbish, or a protocol that has no business here. */
export type Greeting = "http2" | "http1" | "tls" | "other"

/** What every client of HTTP/2 says first (RFC 9113, 3.4). */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/** A record of the handshake, of any version so far (RFC 8446, 5.1). */
const handshake = "\x16\x03"
/** A method and the blank after it (RFC 9112, 3); no method in use has as many as 20 letters. */
const request = /^[A-Za-z]{1,20} /
const method = /^[A-Za-z]{1,20}$/

/** Reads the bytes that have come so far; `undefined` where more must come to tell. 24 are always enough. */
export const read = (bytes: Uint8Array): Greeting | undefined => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, preface.length)).toString("latin1")
  if (text === preface) return "http2"
  if (text.startsWith(handshake)) return "tls"
  if (preface.startsWith(text) || handshake.startsWith(text) || method.test(text)) return undefined
  return request.test(text) ? "http1" : "other"
}
