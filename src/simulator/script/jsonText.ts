/** JSON as people write it: where it goes wrong, in lines and columns. Pure. */
import * as Result from "effect/Result"

/** Reads JSON, with or without a byte order mark. Fails with what is wrong and where: `line 3, column 7: Expected ',' or '}' after property value`. */
export const parse = (input: string): Result.Result<unknown, string> => {
  const text = input.replace(/^\uFEFF/u, "")
  const value = attempt(text)
  if (Result.isSuccess(value)) return value
  const [line, column] = positionOf(text, offsetOf(text, value.failure))
  return Result.fail(`line ${line}, column ${column}: ${ruleOf(value.failure)}`)
}

const attempt = (text: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(text))
  } catch (error) {
    return Result.fail(error instanceof Error ? error.message : "not JSON")
  }
}

/** The engine names an offset, save for a token out of place (then it is the last of the shortest text with that fault) and an early end. */
const offsetOf = (text: string, message: string): number => {
  const named = / at position (\d+)/.exec(message)?.[1]
  if (named !== undefined) return Number(named)
  if (!isStray(message)) return text.length
  let [good, bad] = [0, text.length]
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    const tried = attempt(text.slice(0, middle))
    if (Result.isFailure(tried) && isStray(tried.failure)) bad = middle
    else good = middle
  }
  return good
}
const isStray = (message: string): boolean => message.startsWith("Unexpected token")

/** Without the offset and without the text around it, which may be a transcript. */
const ruleOf = (message: string): string =>
  /^Unexpected token '.'/su.exec(message)?.[0] ?? message.replace(/ (?:in JSON )?at position .*$/su, "")

/** Line and column, both from 1. */
const positionOf = (text: string, offset: number): readonly [line: number, column: number] => {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/)
  return [before.length, (before.at(-1)?.length ?? 0) + 1]
}
