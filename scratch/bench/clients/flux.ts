/** As much of Flux as a plain loop has to know (protocol 2, 4). */
import type { Caller } from "./client.ts"

export const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"
export const closeStream = `{"type":"CloseStream"}`

/** Flux has said something. */
export const hear = (text: string, caller: Caller): void => {
  const message = JSON.parse(text)
  if (message.type === "Connected") caller.connected()
  else if (message.type === "Error") throw new Error(text)
  else if (message.type === "TurnInfo" && message.event === "EndOfTurn") caller.endOfTurn(message.audio_window_end)
}
