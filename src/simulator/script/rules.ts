/** The rules of a script's JSON form, and its normalised form. Every broken rule is told, with its place. Pure. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isObject } from "../../internal/json.ts"
import { Fault, names } from "../Fault.ts"
import type { Script, Turn } from "../Script.ts"
import { scriptFields } from "./input.ts"
import { read, type Report, strict } from "./reading.ts"
import { readTurn } from "./turns.ts"

/** Checks the JSON form and gives the normalised one. */
export const normalise = (input: unknown): Result.Result<Script, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const report: Report = (place, problem) => void problems.push(place === "" ? problem : `${place}: ${problem}`)
  const script = read(readScript, input, "", report)
  const turns: Array<Turn> = []
  const stamps = isObject(input) && input["clock"] === "stamps"
  let end = 0
  for (const [index, member] of membersOf(input, "turns").entries()) {
    const place = `turns[${index}]`
    const read = readTurn(member, { place, after: end }, report)
    if (stamps && read.untimed) report(place, `with the clock "stamps" every turn is a timed one: give it "at"`)
    turns.push(read.turn)
    end = read.end
  }
  const faults = membersOf(input, "faults").flatMap((member, index) => {
    const fault = readFault(member, `faults[${index}]`, report)
    return fault === undefined ? [] : [fault]
  })
  if (script === undefined || problems.length > 0) return Result.fail(problems)
  return Result.succeed({
    turns,
    faults,
    ...(script.clock === undefined ? {} : { clock: script.clock }),
    ...(script.seed === undefined ? {} : { seed: script.seed }),
    ...(script.closeMode === undefined ? {} : { closeMode: script.closeMode })
  })
}

/** Members are read one by one, so that what is wrong in one is told in its own words. */
const readScript = strict(Schema.Struct({
  turns: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  faults: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  ...scriptFields
}))
const readKnownFault = strict(Fault)

const membersOf = (input: unknown, key: "turns" | "faults"): ReadonlyArray<unknown> => {
  const members = isObject(input) ? input[key] : undefined
  return Array.isArray(members) ? members : []
}

const readFault = (input: unknown, place: string, report: Report): Fault | undefined => {
  if (!isObject(input)) return void report(place, "must be an object")
  const name = input["fault"]
  if (name === undefined) return void report(`${place}.fault`, "is missing")
  if (!names.some((known) => known === name)) {
    return void report(`${place}.fault`, "there is no such fault: flux-stt faults lists them")
  }
  return read(readKnownFault, input, place, report)
}
