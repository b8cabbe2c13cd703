/** JSON that anybody may have written. Pure. */

/** What a text holds; undefined, which JSON cannot say, where it is not JSON. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An object of JSON: no array, no null. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The `type` of a message; undefined where it has none. */
export const typeOf = (body: unknown): string | undefined => {
  const type = isObject(body) ? body["type"] : undefined
  return typeof type === "string" ? type : undefined
}
