/**
 * What the SDK's default chain of providers says while it looks for credentials. Its error has only the last words, often
 * those of a provider that nobody meant. The chain tells its logger of each provider that it asks and of each failure: that
 * is kept here, and told together where nothing came. Which credentials are used remains the SDK's affair.
 */
import type { Logger } from "@smithy/types"
import { CredentialsProblem } from "./credentialsProblem.ts"
import * as environment from "./environment.ts"
import * as healing from "./healing.ts"
import * as profiles from "./profiles.ts"
import * as words from "./words.ts"

/** What one chain says. */
export interface Trail {
  /** To be the logger of the client whose chain it is. */
  readonly logger: Logger
  /**
   * The reason for what the chain failed with just now. Asks the role of a container or instance once more, as its words
   * are lost. `secrets` are texts that must not come through, with those of environment and files. `hadRole`: the
   * instance's role gave credentials before, so that this machine is one that has it.
   */
  readonly explain: (cause: unknown, secrets: ReadonlyArray<string>, hadRole: boolean) => Promise<CredentialsProblem>
  /** The reason where the chain has said nothing for so long: who is asked just now. */
  readonly late: (seconds: number) => Promise<CredentialsProblem>
  /** What the profile said that AWS_PROFILE names, where something else gave credentials after all. */
  readonly passedOver: () => Promise<string | undefined>
  /** What the SDK warns of, once. */
  readonly warnings: () => ReadonlyArray<string>
}

type Link = "environment" | "profile" | "token" | "container" | "instance"

/** How the chain tells that it asks a provider. */
const begins: ReadonlyArray<readonly [mark: string, link: Link]> = [
  ["defaultProvider::fromEnv", "environment"],
  ["defaultProvider::fromIni", "profile"],
  ["defaultProvider::fromProcess", "profile"],
  ["defaultProvider::fromTokenFile", "token"],
  ["defaultProvider::remoteProvider", "instance"],
  ["remoteProvider::fromHttp", "container"]
]
/** How it tells of a failure. */
const failure = /^@smithy\/property-provider (?:->|\(!\)) ([^]*)$/
/** What it does first: the one unless AWS_PROFILE is set, and then the other in any case. */
const beginsRound = /defaultProvider::from(?:Env|SSO)$/
/** The last link's, which says nothing. */
const noWords = "Could not load credentials from any providers"
const maxWords = 8

/** The trail of one chain. */
export const make = (): Trail => {
  let links = new Map<Link, Array<string>>()
  let asked: Link = "environment"
  const warned: Array<string> = []

  const debug = (text: unknown): void => {
    if (typeof text !== "string") return
    if (beginsRound.test(text)) {
      links = new Map()
      asked = "environment"
    }
    const link = begins.find(([mark]) => text.includes(mark))?.[1]
    if (link !== undefined) {
      // a container's role is asked for in place of the instance's
      if (link === "container") links.delete("instance")
      asked = link
      if (!links.has(link)) links.set(link, [])
      return
    }
    const told = failure.exec(text)?.[1]
    const said = links.get(asked)
    if (told !== undefined && said !== undefined && told !== noWords && !said.includes(told) && said.length < maxWords) said.push(told)
  }

  const explain: Trail["explain"] = async (cause, known, hadRole) => {
    const [profile, env] = await Promise.all([profiles.look(), environment.read()])
    const secrets = [...known, ...profile.secrets, ...env.secrets]
    const final = cause instanceof Error && cause.message !== noWords ? cause : undefined
    // any of those that are set up may give some later, whatever the others say
    let transient = false
    const wordsOf = (link: Link): ReadonlyArray<string> => {
      const said = [...links.get(link) ?? [], ...(final !== undefined && link === asked ? [words.ofError(final)] : [])]
      return [...new Set(said.flatMap((text) => words.tidy(text, secrets) ?? []))]
    }
    const mayPass = (link: Link): boolean =>
      (links.get(link) ?? []).some(healing.mayPass) || (final !== undefined && link === asked && healing.errorMayPass(final))
    const parts: Array<string> = []
    const add = (who: string, said: ReadonlyArray<string>): void => {
      if (said.length > 0) parts.push(`${who}: ${said.join(", ")}`)
    }

    add(names.environment, [environment.problemOf(env) ?? []].flat())
    const ofProfile = profile.problem === undefined ? ofProcess(profile, wordsOf("profile")) : [profile.problem]
    // what the files show to be wrong stays so
    if (profile.problem === undefined) transient ||= mayPass("profile")
    add(`profile ${profile.shown}${env.profile === undefined ? "" : " (AWS_PROFILE)"}`, ofProfile)
    if (env.tokenFile !== undefined || env.roleArn !== undefined) {
      const lack = env.tokenFile === undefined ? "AWS_WEB_IDENTITY_TOKEN_FILE" : env.roleArn === undefined ? "AWS_ROLE_ARN" : undefined
      if (lack === undefined) transient ||= mayPass("token")
      add(names.token, lack === undefined ? wordsOf("token") : [`${lack} is not set`])
    }
    for (const link of ["container", "instance"] as const) {
      if (!links.has(link)) continue
      const said = wordsOf(link)
      // its words never reach the logger
      const told = said.length > 0 ? said.join(", ") : await (await import("./roles.ts"))[link]()
      const isSetUp = link === "container" || hadRole || profile.data?.["credential_source"] === "Ec2InstanceMetadata"
      transient ||= told === words.answersNow || (isSetUp ? healing.mayPass(told) : healing.isFailingService(told))
      add(names[link], said.length > 0 ? said : [words.tidy(told, secrets) ?? "nothing"])
    }
    return new CredentialsProblem(parts.join("; "), todoOf(profile, env, links, ofProfile), transient)
  }

  return {
    logger: {
      trace: ignore,
      debug,
      info: ignore,
      warn: (text: unknown) => void (typeof text === "string" && warned.push(text)),
      error: ignore
    },
    explain,
    late: async (seconds) => {
      const profile = await profiles.look()
      const runs = asked === "profile" && profile.data?.["credential_process"] !== undefined
      const who = asked === "profile" ? `profile ${profile.shown}${runs ? " (its credential_process)" : ""}` : names[asked]
      return new CredentialsProblem(`${who}: nothing came within ${seconds} s`, runs ? processTodo(profile.shown) : undefined, true)
    },
    passedOver: async () => {
      const [profile, env] = await Promise.all([profiles.look(), environment.read()])
      if (env.profile === undefined || asked === "profile" || asked === "environment") return undefined
      const said = (links.get("profile") ?? []).flatMap((text) => words.tidy(text, [...profile.secrets, ...env.secrets]) ?? [])
      return `profile ${profile.shown} (AWS_PROFILE) ${profile.problem ?? `gave none: ${said.join(", ")}`}`
    },
    warnings: () => warned.splice(0)
  }
}

const ignore = (): void => undefined

const names: Readonly<Record<Exclude<Link, "profile">, string>> = {
  environment: "environment variables",
  token: "web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)",
  container: "the container's role (AWS_CONTAINER_CREDENTIALS_*_URI)",
  instance: "the instance's role"
}

/** The SDK does not name the credential_process where its output trips the SDK itself, as `null` does. */
const ofProcess = ({ data }: profiles.Profile, said: ReadonlyArray<string>): ReadonlyArray<string> =>
  data?.["credential_process"] === undefined || said.length === 0 || said.some((text) => text.includes("credential_process"))
    ? said
    : [`its credential_process gave no credentials: ${said.join(", ")}`]

const processTodo = (profile: string): string => `Run the credential_process of profile ${profile} by itself, and mend what it says`

/** What to do about the first provider that was meant to give some. */
const todoOf = (
  { data, files, problem, shown: name }: profiles.Profile,
  env: environment.Environment,
  links: ReadonlyMap<Link, unknown>,
  ofProfile: ReadonlyArray<string>
): string | undefined => {
  if (env.profile === undefined && env.hasKeyId !== env.hasSecret) return "Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
  if (env.profile !== undefined && data === undefined) {
    return `Correct AWS_PROFILE, which is ${name}, or add that profile: aws configure --profile ${name}`
  }
  if (data !== undefined && problem !== undefined) return `Correct profile ${name} in ${files}`
  if (ofProfile.length > 0 && data !== undefined) {
    const said = ofProfile.join(" ")
    if (/invalid SSO credentials/.test(said)) return `Correct profile ${name} in ${files}`
    if (/\bsso\b/i.test(said)) return `Log in again: aws sso login --profile ${name}`
    if (data["login_session"] !== undefined) return `Log in again: aws login --profile ${name}`
    return said.includes("credential_process") ? processTodo(name) : `See what profile ${name} in ${files} needs`
  }
  if (env.tokenFile !== undefined) return "See that AWS_WEB_IDENTITY_TOKEN_FILE can be read, and that AWS_ROLE_ARN may be assumed with it"
  if (links.has("container")) return "See that the task or pod has a role, and that AWS_CONTAINER_CREDENTIALS_*_URI can be reached from here"
  return undefined
}
