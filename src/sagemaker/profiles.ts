/**
 * What is wrong with a profile of AWS's shared files, as far as the files show it. The SDK says of most of it no more than
 * that it found no credentials. Nothing here decides which credentials are used.
 */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { getHomeDir, getProfileName, loadConfig, loadSharedConfigFiles } from "@smithy/core/config"
import * as Result from "effect/Result"
import * as textFile from "../internal/textFile.ts"
import { asSdk, type Section as Data } from "./variables.ts"

/** What the shared files say of the profile in use. */
export interface Profile {
  readonly name: string
  /** The name for people: in quotes where it has blanks or a line end. */
  readonly shown: string
  /** Both shared files, for people. */
  readonly files: string
  /** Its settings; undefined where there is none of that name. */
  readonly data: Data | undefined
  /** What is wrong with it, where the files show it: `is in neither ~/.aws/config nor ~/.aws/credentials`. */
  readonly problem: string | undefined
  /** Keys and tokens in the files, which no error may repeat. */
  readonly secrets: ReadonlyArray<string>
}

/** Looks at the profile that AWS_PROFILE names, else at `default`, in the files as they are now. */
export const look = async (): Promise<Profile> => {
  const name = getProfileName({})
  const paths = await pathsOf()
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true })
  const profiles: Record<string, Data> = {}
  for (const file of [configFile, credentialsFile]) {
    for (const [section, data] of Object.entries(file)) profiles[section] = { ...profiles[section], ...data }
  }
  const oddities = await Promise.all([
    oddityOf(paths.config, { section: `[${name}]`, right: `[profile ${name}]` }),
    oddityOf(paths.credentials, { section: `[profile ${name}]`, right: `[${name}]` })
  ])
  return {
    name,
    shown: /^[\w@+=.,:/-]+$/.test(name) ? name : JSON.stringify(name),
    files: `${paths.config} and ${paths.credentials}`,
    data: profiles[name],
    problem: problemOf(name, profiles, paths, oddities.filter((oddity) => oddity !== undefined)),
    secrets: Object.values(profiles).flatMap((data) => secretSettings.flatMap((setting) => data[setting] ?? []))
  }
}

const secretSettings = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]

interface Paths {
  readonly config: string
  readonly credentials: string
}

/** As the SDK finds them. */
const pathsOf = (): Promise<Paths> =>
  loadConfig<Paths>({
    environmentVariableSelector: (env) => ({
      config: asSdk(env, "AWS_CONFIG_FILE") ?? usual("config"),
      credentials: asSdk(env, "AWS_SHARED_CREDENTIALS_FILE") ?? usual("credentials")
    }),
    configFileSelector: () => undefined,
    default: () => ({ config: usual("config"), credentials: usual("credentials") })
  })()
const usual = (name: string): string => join(getHomeDir(), ".aws", name)

/** Why the SDK does not see what is in a file, or not all of it; `section` is the profile as it may not be written there. */
const oddityOf = async (path: string, { right, section }: { readonly section: string; readonly right: string }): Promise<string | undefined> => {
  try {
    const bytes = await readFile(path.replace(/^~(?=\/)/, getHomeDir()))
    const text = textFile.decode(bytes)
    if (Result.isFailure(text)) return `${path} ${text.failure}`
    if (isUtf16(bytes)) return `${path} is UTF-16, which the SDK cannot read: save it as UTF-8`
    const isMiswritten = section !== "[default]" && text.success.split(/\r?\n/).some((line) => line.trim() === section)
    return isMiswritten ? `${path} has ${section}, which must be ${right}` : undefined
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined
    return code === "ENOENT" ? undefined : `${path} cannot be read (${String(code)})`
  }
}

/** Of a text: UTF-8 never begins like this. */
const isUtf16 = ([first = 0]: Uint8Array): boolean => first >= 0xfe

const problemOf = (name: string, profiles: Readonly<Record<string, Data>>, paths: Paths, oddities: ReadonlyArray<string>): string | undefined => {
  const nowhere = `is in neither ${paths.config} nor ${paths.credentials}`
  const absent = (wanted: string): string => {
    if (wanted !== wanted.trim()) return `${nowhere}: its name has blanks or a line end around it`
    if (oddities.length > 0) return `${nowhere}; ${oddities.join("; ")}`
    const others = Object.keys(profiles).filter((other) => !other.includes(".") && !other.startsWith("sso-session"))
    const shown = others.length === 0 ? "" : `; there are ${others.slice(0, shownProfiles).join(", ")}${others.length > shownProfiles ? ", ..." : ""}`
    return `${nowhere}${shown}`
  }
  const first = profiles[name]
  if (first === undefined) return absent(name)

  // the way of the SDK: a profile that only assumes a role has its keys from another one
  const way = [name]
  let data = first
  for (;;) {
    const { credential_source, role_arn, source_profile } = data
    if (role_arn === undefined || source_profile === undefined || (way.length > 1 && hasKeys(data))) break
    if (credential_source !== undefined) return `${subject(way)}has both source_profile and credential_source: keep one of them`
    const next = profiles[source_profile]
    if (next === undefined) return `${subject(way)}has source_profile ${source_profile}, which ${absent(source_profile)}`
    if (way.slice(1).includes(source_profile)) return `its source_profile leads in a circle: ${way.join(" -> ")}`
    way.push(source_profile)
    data = next
  }
  const problem = lackOf(data, profiles, paths)
  return problem === undefined ? undefined : `${subject(way)}${problem}`
}

const shownProfiles = 5

/** Whom something is said of: the profile itself, or one that it leads to. */
const subject = (way: ReadonlyArray<string>): string => (way.length === 1 ? "" : `its source_profile ${way.at(-1)} `)

const hasKeys = (data: Data): boolean => data["aws_access_key_id"] !== undefined && data["aws_secret_access_key"] !== undefined

/** What a profile lacks to give credentials. */
const lackOf = (data: Data, profiles: Readonly<Record<string, Data>>, paths: Paths): string | undefined => {
  const has = (setting: string): boolean => data[setting] !== undefined
  const session = data["sso_session"]
  if (hasKeys(data)) return undefined
  if (has("role_arn") && !["source_profile", "credential_source", "web_identity_token_file"].some(has)) {
    return "has role_arn, and neither source_profile nor credential_source to assume it with"
  }
  if (session !== undefined && profiles[`sso-session.${session}`] === undefined) {
    return `has sso_session ${session}, and ${paths.config} has no [sso-session ${session}]`
  }
  if (has("aws_access_key_id")) return "has aws_access_key_id and no aws_secret_access_key"
  if (has("aws_secret_access_key")) return "has aws_secret_access_key and no aws_access_key_id"
  return givers.some(has) || Object.keys(data).some((setting) => setting.startsWith("sso_"))
    ? undefined
    : "has no credentials: no keys, credential_process, SSO, login_session or role"
}

const givers = ["credential_process", "login_session", "role_arn", "credential_source"]
