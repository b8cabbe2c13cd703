/** How sure the simulated Flux is that a turn is over. Pure. */
import type { ConfidencePoint } from "../Script.ts"
import type { Turn } from "./turn.ts"

/** Silence that is full confidence, where the script says nothing else. */
const fullMillis = 1000
/**
 * The same in the first turn of a session whose bundle remembers ends of turns: what is 0.55 there is 0.6875 later,
 * as the same clip was seen to give about 0.55 and more than 0.65 (protocol 11.6).
 */
const firstFullMillis = 1250
/** Confidences have four decimals (protocol 11.7). */
const places = 10_000

/**
 * Confidence now that an open turn is over, 0 to 1, in whole ten thousandths: so a threshold is reached where arithmetic
 * on paper says so. A curve of the script stands as it is; without one `memory` says whether a session's first turn
 * takes more silence than the later ones.
 */
export const ofTurn = (turn: Turn, memory: boolean): number => {
  const curve = turn.line?.endOfTurnConfidence
  const full = memory && turn.index === 0 ? firstFullMillis : fullMillis
  const confidence = curve === undefined
    ? Math.min(turn.silenceMillis, full) / full
    : onCurve(curve, (turn.clockMillis - turn.sinceMillis) / 1000)
  return fourDecimals(confidence)
}

/** A confidence as it is told. */
export const fourDecimals = (confidence: number): number => Math.round(confidence * places) / places

/** The value of a curve: linear between its points, constant outside. */
const onCurve = (curve: ReadonlyArray<ConfidencePoint>, seconds: number): number => {
  let before: ConfidencePoint | undefined
  for (const point of curve) {
    if (seconds < point.at) {
      return before === undefined
        ? point.value
        : before.value + ((point.value - before.value) * (seconds - before.at)) / (point.at - before.at)
    }
    before = point
  }
  return before?.value ?? 0
}
