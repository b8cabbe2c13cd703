/** What the environment says of credentials. It is read as the SDK reads it, by the SDK. */
import { loadConfig } from "@smithy/core/config"
import { asSdk, type Section } from "./variables.ts"

/** See the module. */
export interface Environment {
  /** AWS_PROFILE, which makes the SDK pass over the keys of the environment. */
  readonly profile: string | undefined
  readonly hasKeyId: boolean
  readonly hasSecret: boolean
  /** AWS_WEB_IDENTITY_TOKEN_FILE. */
  readonly tokenFile: string | undefined
  /** AWS_ROLE_ARN. */
  readonly roleArn: string | undefined
  /** Values that no error may repeat. */
  readonly secrets: ReadonlyArray<string>
}

/** The environment as it is now. */
export const read = (): Promise<Environment> => loadConfig<Environment>({ environmentVariableSelector: select, configFileSelector: () => undefined, default: nothing })()

const select = (env: Section): Environment => {
  const given = (name: string): string | undefined => asSdk(env, name)
  return {
    profile: given("AWS_PROFILE"),
    hasKeyId: given("AWS_ACCESS_KEY_ID") !== undefined,
    hasSecret: given("AWS_SECRET_ACCESS_KEY") !== undefined,
    tokenFile: given("AWS_WEB_IDENTITY_TOKEN_FILE"),
    roleArn: given("AWS_ROLE_ARN"),
    secrets: Object.entries(env).flatMap(([name, value = ""]) => (secretName.test(name) && !secretFile.test(name) ? [value] : []))
  }
}

const secretName = /SECRET|TOKEN|PASSW|ACCESS_KEY|API_?KEY/i
/** Names of files are no secrets. */
const secretFile = /_FILE$/i
const nothing: Environment = { profile: undefined, hasKeyId: false, hasSecret: false, tokenFile: undefined, roleArn: undefined, secrets: [] }

/** What is wrong with the keys of the environment; undefined where nothing is, and where the SDK passes over them for AWS_PROFILE. */
export const problemOf = ({ hasKeyId, hasSecret, profile }: Environment): string | undefined => {
  if (profile !== undefined) return hasKeyId && hasSecret ? "passed over, as AWS_PROFILE is set" : undefined
  if (hasKeyId === hasSecret) return hasKeyId ? undefined : "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"
  return hasKeyId ? "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not" : "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not"
}
