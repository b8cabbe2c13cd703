/** Calls of a soak, summed up. */
import type { Report } from "./run.ts"

/** See the module. */
export interface Tally {
  readonly add: (report: Report) => void
  /** What is wrong, each with its call. */
  readonly wrong: () => ReadonlyArray<string>
  /** A row for each thing that matters. */
  readonly rows: () => Readonly<Record<string, string | number>>
}

/** So many faults have a row of their own, those that struck most. */
const topFaults = 8
/** So many things wrong are told of one call: they tend to follow from the first. */
const mostOfOne = 6

/** A tally without calls. */
export const make = (): Tally => {
  const wrong: Array<string> = []
  const faults = new Map<string, number>()
  const failures = new Map<string, number>()
  const behind: Array<number> = []
  const sum = {
    calls: 0, seconds: 0, sessions: 0, struck: 0, rotations: 0, updates: 0, refused: 0, dropped: 0, turns: 0,
    said: 0, heard: 0, excused: 0, lost: 0, doubled: 0, failed: 0, broken: 0
  }
  const count = (of: Map<string, number>, name: string): void => void of.set(name, (of.get(name) ?? 0) + 1)
  return {
    add: (report) => {
      const { failed, words, wrong: broken } = report.verdict
      sum.calls++
      sum.seconds += report.offered
      sum.sessions += report.sessions
      sum.struck += report.struck
      sum.rotations += report.rotations
      sum.updates += report.updates.done
      sum.refused += report.updates.refused
      sum.dropped += report.droppedSeconds
      sum.turns += report.turns
      sum.said += words.said
      sum.heard += words.heard
      sum.excused += words.excused
      sum.lost += words.lost
      sum.doubled += words.doubled
      sum.broken += broken.length
      behind.push(...report.behind)
      for (const fault of report.faults) count(faults, fault)
      if (failed !== undefined) {
        sum.failed++
        count(failures, failed)
      }
      wrong.push(...broken.slice(0, mostOfOne).map((line) => `${report.id}: ${line}`))
      if (broken.length > mostOfOne) wrong.push(`${report.id}: and ${broken.length - mostOfOne} more`)
    },
    wrong: () => wrong,
    rows: () => ({
      "conversations": sum.calls,
      "minutes of audio": round(sum.seconds / 60),
      "sessions": sum.sessions,
      "struck by a fault": sum.struck,
      ...Object.fromEntries(most(faults).slice(0, topFaults).map(([name, times]) => [`  by ${name}`, times])),
      "recoveries": behind.length,
      "  behind by, median s": round(median(behind)),
      "  behind by, most s": round(Math.max(0, ...behind)),
      "rotations": sum.rotations,
      "settings changed": sum.updates,
      "settings refused": sum.refused,
      "audio dropped, and told, s": round(sum.dropped),
      "turns": sum.turns,
      "words said": sum.said,
      "words heard": sum.heard,
      "  muted, dropped or cut": sum.excused,
      "  lost": sum.lost,
      "  heard twice": sum.doubled,
      "conversations failed": sum.failed,
      ...Object.fromEntries(most(failures).map(([reason, times]) => [`  with ${reason}`, times])),
      "invariants broken": sum.broken
    })
  }
}

const most = (of: ReadonlyMap<string, number>): ReadonlyArray<readonly [string, number]> =>
  [...of].toSorted(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1))
const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const round = (value: number): number => Math.round(value * 10) / 10
