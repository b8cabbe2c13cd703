/** Turns: their order, and that no word is lost (design 7: 2, 3). */
import { assert } from "@effect/vitest"
import * as Exit from "effect/Exit"
import type { FluxEvent } from "../../../src/FluxEvent.ts"
import type { Outcome } from "../run.ts"
import { reasonOf } from "../../support/session.ts"

/** Starts and ends alternate, with one number, to the end; numbers go up by one. */
const alternate = (events: ReadonlyArray<FluxEvent>, complete: boolean): void => {
  let open: number | undefined
  let next = 0
  for (const event of events) {
    if (event.type === "StartOfTurn") {
      assert.isUndefined(open, "a turn is opened in a turn")
      assert.strictEqual(event.turn, next, "turns are numbered one by one")
      open = next++
    } else if ("turn" in event) {
      assert.strictEqual(event.turn, open, `${event.type} outside its turn`)
      if (event.type === "EndOfTurn") open = undefined
    }
  }
  if (complete) assert.isUndefined(open, "a turn is left open")
}

/** What was told of a turn last is in its end, confirmed or promoted. */
const lastWordsOfEvents = (events: ReadonlyArray<FluxEvent>): void => {
  let last = ""
  for (const event of events) {
    if (!("transcript" in event)) continue
    if (event.type === "StartOfTurn") last = ""
    if (event.type === "EndOfTurn") {
      if (event.ending === "confirmed") assert.isFalse(event.transcript === "" && last !== "", "words are gone")
      else assert.strictEqual(event.transcript, last, "the last words are not promoted")
    }
    if (event.transcript !== "") last = event.transcript
  }
}

/**
 * The same for what Flux said last of each of its turns: every word of it is in an end. The words of a script are all
 * different. Where Flux takes words back, others in their place count as told once the turn was ended on this side.
 */
const lastWordsOfFlux = ({ events, witness }: Outcome): void => {
  const ended = new Set(events.flatMap((event) => (event.type === "EndOfTurn" ? event.transcript.split(" ") : [])))
  let index: number | undefined
  let last = ""
  const check = (): void => {
    for (const word of last.split(" ")) if (word !== "") assert.isTrue(ended.has(word), `${word}, said of turn ${index}, is in no EndOfTurn`)
  }
  for (const { message } of witness.read) {
    if (message.type !== "TurnInfo") continue
    if (message.turn_index !== index) {
      check()
      index = message.turn_index
      last = ""
    }
    if (message.transcript !== "") last = message.transcript
  }
  check()
}

/** See the module. */
export const turns = (outcome: Outcome, takesWordsBack: boolean): void => {
  const { ending, events, finished } = outcome
  alternate(events, ending !== undefined)
  lastWordsOfEvents(events)
  const reason = ending === undefined ? undefined : reasonOf(ending)
  // a consumer that has given up is told no more
  const overflown = typeof reason === "object" && reason !== null && "buffer" in reason
  if (ending !== undefined && !overflown && !takesWordsBack) lastWordsOfFlux(outcome)
  // one that was lost, and is closed before it is freed, ends well
  if (finished !== undefined && Exit.isSuccess(finished)) {
    assert.deepStrictEqual(events.filter((event) => event.type === "EndOfTurn" && event.ending === "lost"), [], "lost, although all is well")
  }
}
