/** How sure the simulated Flux is that a turn is over. Pure. */
import type { ConfidencePoint } from "../Script.ts"
import type { Turn } from "./turn.ts"

/** Silence that is full confidence, where the script says nothing else. */
const fullMillis = 1000

/**
 * Confidence now that an open turn is over, 0 to 1. In whole millionths, so that a threshold is reached where
 * arithmetic on paper says so.
 */
export const ofTurn = (turn: Turn): number => {
  const curve = turn.line?.endOfTurnConfidence
  const confidence = curve === undefined
    ? Math.min(turn.silenceMillis, fullMillis) / fullMillis
    : onCurve(curve, (turn.clockMillis - turn.sinceMillis) / 1000)
  return Math.round(confidence * 1_000_000) / 1_000_000
}

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
