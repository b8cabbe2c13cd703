/** Whatever comes, there are events, or one typed error (7: 10). */
import { assert } from "@effect/vitest"
import * as Exit from "effect/Exit"
import { errorOf } from "../../support/session.ts"
import type { Outcome } from "../run.ts"

/** See the module. */
export const ending = ({ ending, finished, updates }: Outcome, isPolite: boolean): void => {
  for (const exit of [ending, finished, ...updates]) {
    if (exit === undefined || Exit.isSuccess(exit)) continue
    assert.isFalse(Exit.hasDies(exit), String(exit))
    assert.isDefined(errorOf(exit), String(exit))
  }
  // both ways to hear of it say the same
  if (ending !== undefined && finished !== undefined) {
    assert.strictEqual(errorOf(ending)?.reason._tag, errorOf(finished)?.reason._tag, "events and finish differ")
  }
  // one who closes the Scope ends it well, unless it had failed before
  const tag = finished === undefined ? undefined : errorOf(finished)?.reason._tag
  // a server that is mute has stalled, and one that goes on and on to nobody is cut off
  if (isPolite && tag !== undefined && tag !== "Stalled" && tag !== "BufferOverflow") {
    assert.fail(`${tag}, although the server did nothing wrong`)
  }
}
