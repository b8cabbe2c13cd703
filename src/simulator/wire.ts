/**
 * What a simulated endpoint does to one client, whatever carries it: the HTTP/2 server and the fake transport each
 * give a {@link Wire} and hand on what they receive to a {@link Player}. Types, and one sentence.
 */

/** An HTTP answer other than 200 (protocol 5.9). */
export interface Refusal {
  readonly status: number
  /** Default `application/json`. */
  readonly contentType?: string | undefined
  /** For `x-amzn-errortype`; front-end failures have none. */
  readonly errorType: string | undefined
  readonly body: string
  /** The true reason, for the simulator's own log; names no value of the request. */
  readonly reason: string
}

/** A frame that says why the stream failed (protocol 5.5). */
export interface StreamError {
  /** Such as `ModelStreamError`. */
  readonly name: string
  readonly message: string
  readonly errorCode?: string | undefined
  /** `exception` and `event` are spellings of the same; `error` is the unmodelled one, whose code is `name`. */
  readonly as: "exception" | "event" | "error"
}

/** How messages are cut on their way. What carries no bytes ignores it. */
export interface Cutting {
  /** Text messages go out in PARTIAL parts of so many bytes, also within a code point. */
  readonly partBytes?: number | undefined
  /** Bytes are written in pieces of random size, and some held back and sent with the next; 0 to below 1. */
  readonly chop?: (() => number) | undefined
}

/** The server's side of one stream. Nothing here throws, also after the stream has gone. */
export interface Wire {
  /** Answers with a status other than 200; nothing follows. */
  readonly refuse: (refusal: Refusal) => void
  /** Sends the response headers of a stream that is taken. */
  readonly accept: () => void
  /** Sends a text message. */
  readonly say: (text: string) => void
  /** Sends a frame that says why the stream failed; `end` comes separately. */
  readonly fail: (error: StreamError) => void
  /** Sends a frame whose checksum is wrong. */
  readonly corrupt: () => void
  /** Ends the response. */
  readonly end: () => void
  /** RST_STREAM with an HTTP/2 error code. */
  readonly reset: (code: number) => void
  /** Destroys the socket. */
  readonly drop: () => void
  /** GOAWAY with an HTTP/2 error code. With 0 (NO_ERROR) the stream lives on, with another the connection is closed. */
  readonly goAway: (code: number) => void
  /** Takes nothing more from the client, so that its writes come to a halt. */
  readonly stopReading: () => void
  /** From now on messages are cut so. */
  readonly cut: (cutting: Cutting) => void
}

/** What one session needs of the world. */
export interface Surroundings {
  /** Ms since 1970, which no step of the wall clock moves within the session. */
  readonly now: () => number
  /** Runs something later, on the Clock; never once the stream has gone. */
  readonly after: (millis: number, run: () => void) => void
  /**
   * Runs something once Flux has decoded what was left when CloseStream came: its answer leaves then, and not at all
   * where the client has ended its body by that time. Absent: at once.
   */
  readonly decoded?: ((run: () => void) => void) | undefined
}

/** Why the tail of a session is lost, for its record (protocol 5.8). */
export const tailLost = "the client ended its body before CloseStream was answered: the tail is lost"

/** One session of the simulated endpoint, told what its client does. Nothing here throws. */
export interface Player {
  /** A binary message. The bytes are not kept. */
  readonly audio: (bytes: Uint8Array) => void
  /** A text message. */
  readonly text: (message: string) => void
  /** The client has ended its request body: all output stops at once (protocol 5.8). */
  readonly bodyEnded: () => void
  /** A frame of the client was not acceptable; the answer to it. */
  readonly refused: (error: StreamError) => void
  /** The stream is gone, by whomever. */
  readonly gone: () => void
}
