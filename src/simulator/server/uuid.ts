/** The ids of Flux's sessions. */
import * as crypto from "node:crypto"

/** A UUID of version 7 (RFC 9562, 5.7), as Flux makes them (protocol 11.7): the time in ms of the epoch, then chance. */
export const makeV7 = (millis: number): string => {
  const time = millis.toString(16).padStart(12, "0")
  // what follows the digit of the version is random there, too, and the variant is the same
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`
}
