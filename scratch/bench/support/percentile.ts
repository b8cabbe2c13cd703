/** Of values in any order; NaN of none. */
export const percentile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN

export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)
