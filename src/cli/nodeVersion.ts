/** Whether Node is new enough, by `engines` of the package. Imports nothing that an old one does not have. */
import { createRequire } from "node:module"

/** Which Node is needed, and which this is. */
export interface Verdict {
  readonly needed: string
  readonly version: string
  readonly isTooOld: boolean
}

/** Compares a version, by default that of this process, with what the package asks for. */
export const judge = (version: string = process.versions.node): Verdict => {
  const own: { readonly engines: { readonly node: string } } = createRequire(import.meta.url)("effect-flux-sagemaker/package.json")
  const needed = own.engines.node.replace(">=", "")
  const [major = 0, minor = 0] = numbersIn(version)
  const [neededMajor = 0, neededMinor = 0] = numbersIn(needed)
  return { needed, version, isTooOld: major < neededMajor || (major === neededMajor && minor < neededMinor) }
}

/** Ends a process whose Node is too old with status 1, before it stumbles over what that does not have. */
export const insist = (): void => {
  const { isTooOld, needed, version } = judge()
  if (!isTooOld) return
  process.stderr.write(`flux-stt: Node ${needed} or later is needed, and this is ${version}\n`)
  process.exit(1)
}

const numbersIn = (version: string): ReadonlyArray<number> => (version.match(/\d+/g) ?? []).map(Number)
