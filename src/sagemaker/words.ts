/** The words of a provider of credentials, made fit for an error: one short line, without secrets. Pure. */
import { bareError, shortLine } from "./errors.ts"

/** What a provider said; undefined where it says nothing that helps. `secrets` are texts that must not come through. */
export const tidy = (words: string, secrets: ReadonlyArray<string>): string | undefined => {
  if (noise.some((pattern) => pattern.test(words))) return undefined
  const stderr = commandFailed.exec(words)?.[1]
  if (stderr === undefined) return masked(words.replace(/^Profile \S+ (?=credential_process)/, "its "), secrets).replace(/\.$/, "")
  const line = masked(lineOf(stderr), secrets)
  return line === "" ? "its credential_process failed, and said nothing on stderr" : `its credential_process failed: ${line}`
}

/** What is said of a role that failed, and gave credentials when it was asked once more for its words. */
export const answersNow = "it did not answer at first, and does now"

/** What an error says, with its code. What JSON it could not read may be a key. */
export const ofError = (error: Error): string => {
  if (error instanceof SyntaxError) return "its answer is not JSON"
  const bare = bareError(error, [])
  const code = "code" in bare ? String(bare.code) : "statusCode" in error ? String(error.statusCode) : undefined
  return code === undefined || bare.message.includes(code) ? bare.message : `${bare.message} (${code})`
}

/** Node tells the command too, which may hold secrets; then what it wrote to stderr. */
const commandFailed = /^Command failed: [^\n]*\n?([^]*)$/

/** The line that says most: the first, but for a traceback of Python, which has it at the end. */
const lineOf = (text: string): string => {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== "")
  return (lines[0]?.startsWith("Traceback") === true ? lines.at(-1) : lines[0]) ?? ""
}

/** What the chain says of what is not set up, or says twice. */
const noise: ReadonlyArray<RegExp> = [
  /checking config file next/,
  // settings of the clients that the chain makes for itself
  /^Not found in (?:ENV|config files)\b/,
  /did not contain credential_process/,
  /could not be found in shared credentials file/,
  /^Web identity configuration not specified/,
  // the older provider of containers, which is asked when the newer one has failed, and takes localhost only
  /is not a valid container metadata service/
]

const masked = (text: string, secrets: ReadonlyArray<string>): string =>
  shortLine(text, secrets)
    .replaceAll(/\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b/g, "...")
    .replaceAll(/((?:secret|token|passw(?:or)?d|access_?key)\w*["']?\s*[:=]\s*["']?)[^\s"',;]{8,}/gi, "$1...")
    .replaceAll(/[\w+/=-]{32,}/g, (run) => (isRandom(run) ? "..." : run))

/** Keys and tokens have letters of both cases and digits, or are hexadecimal; a path is not like this. */
const isRandom = (run: string): boolean =>
  /^[\da-f]+$/i.test(run) || (/[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run) && !/^(?:\/[\w+=-]+){3,}$/.test(run))
