/** Reading the values of AWS's environment and shared files: when one is there, and what belongs to it. Pure. */

/** Values by name. */
export type Section = Readonly<Record<string, string | undefined>>

/** A value and its name. */
export interface Named {
  readonly name: string
  readonly value: string
}

/** The first of `names` that has a value, without the blanks or the CR around it; one of blanks alone is none. */
export const first = (section: Section, names: ReadonlyArray<string>): Named | undefined => {
  for (const name of names) {
    const value = section[name]?.trim()
    if (value !== undefined && value !== "") return { name, value }
  }
  return undefined
}

/**
 * A value as the SDK takes it for itself: an empty one is none, and blanks are a part of it. For what is told about the SDK:
 * a name of blanks that it looks for in vain must be told as such.
 */
export const asSdk = (section: Section, name: string): string | undefined => section[name] || undefined
