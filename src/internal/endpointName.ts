/** What SageMaker takes for the name of an endpoint, or of a variant (protocol 1.3). Pure. */

const longest = 63
const pattern = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/

/** The rule, for people. */
export const nameRule: string = `must be letters and digits with hyphens between them, at most ${longest}`

/** Whether a text keeps to {@link nameRule}. */
export const isName = (text: string): boolean => text.length <= longest && pattern.test(text)
