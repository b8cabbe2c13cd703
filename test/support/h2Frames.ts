/** HTTP/2 by hand (RFC 9113): frames as bytes over a socket, right or wrong, and what comes back as it is on the wire. */
import * as net from "node:net"
import * as tls from "node:tls"

/** Frame types. */
export const type = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9
} as const

/** Flags. */
export const endStream = 1
export const ack = 1
export const endHeaders = 4

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The bytes of a frame; `length` is what its header says where that is not the truth. */
export const frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(0),
  length = payload.length
): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const uint32 = (...values: ReadonlyArray<number>): Buffer => {
  const out = Buffer.alloc(4 * values.length)
  values.forEach((value, at) => out.writeUInt32BE(value, 4 * at))
  return out
}

/** A SETTINGS frame of identifiers and values. */
export const settings = (pairs: ReadonlyArray<readonly [id: number, value: number]> = []): Buffer =>
  frame(type.settings, 0, 0, Buffer.concat(pairs.map(([id, value]) => {
    const out = Buffer.alloc(6)
    out.writeUInt16BE(id)
    out.writeUInt32BE(value, 2)
    return out
  })))

/** An integer of HPACK with a prefix of so many bits (RFC 7541, 5.1). */
const integer = (value: number, bits: number): Buffer => {
  const limit = 2 ** bits - 1
  if (value < limit) return Buffer.of(value)
  const out = [limit]
  let rest = value - limit
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  return Buffer.from([...out, rest])
}

const literal = (text: string): Buffer => Buffer.concat([integer(Buffer.byteLength(text), 7), Buffer.from(text)])

/** A header block: literals without indexing or Huffman code (RFC 7541, 6.2.2). */
export const headerBlock = (headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]))

/** HEADERS without END_STREAM, with CONTINUATION for as many bytes as no frame can have. */
export const request = (stream: number, headers: Readonly<Record<string, string>>): Buffer => {
  const block = headerBlock({ ":scheme": "http", ...headers })
  const parts: Array<Buffer> = []
  for (let at = 0; at < block.length; at += maxFrame) {
    const last = at + maxFrame >= block.length
    parts.push(frame(at === 0 ? type.headers : type.continuation, last ? endHeaders : 0, stream, block.subarray(at, at + maxFrame)))
  }
  return Buffer.concat(parts)
}

/** Bytes of the largest frame by default. */
const maxFrame = 16_384

/** A connection, and all frames that came on it. */
export interface Connection {
  readonly socket: net.Socket
  readonly send: (...frames: ReadonlyArray<Uint8Array>) => void
  readonly frames: ReadonlyArray<Frame>
  /** Resolves once a frame like that has come; rejects when the socket closes first. */
  readonly seen: (like: (frame: Frame) => boolean) => Promise<Frame>
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>
}

/** Connects, with nothing said yet. SETTINGS and PINGs are acknowledged; `ca` makes it TLS. */
export const connect = (port: number, ca?: string): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const frames: Array<Frame> = []
    const waiting = new Set<() => void>()
    const closed = Promise.withResolvers<void>()
    let held: Buffer = Buffer.alloc(0)
    const socket = ca === undefined
      // as clients of HTTP/2 do: the system would else hold small writes back until the server has acknowledged the last
      ? net.connect({ port, host: "127.0.0.1", noDelay: true })
      : tls.connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] })
    const send = (...parts: ReadonlyArray<Uint8Array>): void => {
      if (!socket.destroyed && socket.writable) socket.write(Buffer.concat(parts))
    }
    const read = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
        const end = 9 + held.readUIntBE(0, 3)
        const one = { type: held.readUInt8(3), flags: held.readUInt8(4), stream: held.readUInt32BE(5), payload: held.subarray(9, end) }
        frames.push(one)
        held = held.subarray(end)
        if (one.type === type.settings && one.flags === 0) send(frame(type.settings, ack, 0))
        if (one.type === type.ping && one.flags === 0) send(frame(type.ping, ack, 0, one.payload))
      }
      waiting.forEach((check) => check())
    }
    socket.on("data", read)
    socket.on("error", reject)
    socket.on("close", () => {
      closed.resolve()
      waiting.forEach((check) => check())
    })
    socket.on(ca === undefined ? "connect" : "secureConnect", () =>
      resolve({
        socket,
        send,
        frames,
        closed: closed.promise,
        seen: (like) =>
          new Promise((found, missed) => {
            const check = (): void => {
              const frame = frames.find(like)
              if (frame !== undefined) found(frame)
              else if (socket.closed) missed(new Error("the connection closed first"))
              else return
              waiting.delete(check)
            }
            waiting.add(check)
            check()
          })
      }))
  })

/** Sends DATA of a stream as far as the server's windows allow, now and later; frames are cut as they have to be. */
export interface Flow {
  readonly write: (data: Uint8Array) => void
  /** Bytes that have been sent. */
  readonly sent: () => number
}

/** The {@link Flow} of a stream on which nothing was sent but a few bytes. */
export const flow = (connection: Connection, stream: number): Flow => {
  let waiting: Buffer = Buffer.alloc(0)
  let sent = 0
  const granted = (id: number): number =>
    connection.frames.filter((frame) => frame.type === type.windowUpdate && frame.stream === id)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0)
  const initial = (): number => {
    const settings = connection.frames.find((frame) => frame.type === type.settings && frame.flags === 0)
    if (settings === undefined) return 0
    for (let at = 0; at < settings.payload.length; at += 6) {
      if (settings.payload.readUInt16BE(at) === 4) return settings.payload.readUInt32BE(at + 2)
    }
    return 65_535
  }
  const pump = (): void => {
    for (;;) {
      const room = Math.min(initial() + granted(stream), 65_535 + granted(0)) - sent
      const piece = waiting.subarray(0, Math.max(0, Math.min(room, maxFrame)))
      if (piece.length === 0) return
      sent += piece.length
      waiting = waiting.subarray(piece.length)
      connection.send(frame(type.data, 0, stream, piece))
    }
  }
  connection.socket.on("data", pump)
  return {
    write: (data) => {
      waiting = Buffer.concat([waiting, data])
      pump()
    },
    sent: () => sent
  }
}

/** The frames of one stream, as `HEADERS`, `DATA 5`, `DATA 0 END_STREAM`, `RST_STREAM 2`; of the connection, `GOAWAY 0`. */
export const told = (frames: ReadonlyArray<Frame>): Array<string> =>
  frames.flatMap(({ flags, payload, type: kind }) => {
    const end = (flags & endStream) === 0 ? "" : " END_STREAM"
    switch (kind) {
      case type.headers:
        return [`HEADERS${end}`]
      case type.data:
        return [`DATA ${payload.length}${end}`]
      case type.rstStream:
        return [`RST_STREAM ${payload.readUInt32BE(0)}`]
      case type.goAway:
        return [`GOAWAY ${payload.readUInt32BE(4)}`]
      default:
        return []
    }
  })

/** The DATA of a connection's only stream. */
export const bodyOf = (frames: ReadonlyArray<Frame>): Buffer =>
  Buffer.concat(frames.filter((frame) => frame.type === type.data).map(({ payload }) => payload))
