/** Audio is sent in frames of 80 ms at 16 kHz; Flux answers each slot of three (protocol 4.3). */
export const frameMillis = 80
export const frameSamples = 1280
export const framesPerSlot = 3
