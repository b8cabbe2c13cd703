/** Ids that begin with their time (RFC 9562, 5.7), as hosted Flux gives its sessions. Pure. */

/**
 * A UUID of version 7: 48 bits of `nowMillis`, and the other bits of `random`, a UUID of version 4. Both in lower case.
 */
export const from = (random: string, nowMillis: number): string => {
  const time = Math.max(0, Math.floor(nowMillis)).toString(16).padStart(12, "0").slice(-12)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`
}
